"""What two runs of the tiny experiment must agree on, bit for bit."""

import hashlib
import json
import re
from pathlib import Path

from stages.files import sha256_of

# What tells of the run, not of its result: times, and checkpoints on the way.
OF_THE_RUN = ("benchmarks", "work")
TIMES = ("time", "data_time")
TIMES_OF_THE_PAGE = re.compile(r"<h2>Time and memory</h2>.*?<h2>", re.DOTALL)


def final_files(folder: Path) -> dict[str, str]:
    """SHA-256 of each final file of the tiny experiment below `folder`: of curves without the rows of times, of the
    page without its table of times, of provenance and cards without the commit, which may change while tests run."""
    results = folder / "results/tiny"
    files = {}
    for path in sorted(path for path in results.rglob("*") if path.is_file() and path.name != ".snakemake_timestamp"):
        name = path.relative_to(results)
        if name.parts[0] in OF_THE_RUN:
            continue
        if name.name == "training.csv":
            rows = path.read_text().splitlines()
            text = "\n".join(row for row in rows if row.split(",")[1] not in TIMES)
        elif name.name == "index.html":
            text, cut = TIMES_OF_THE_PAGE.subn("<h2>", path.read_text())
            assert cut == 1
        elif name.name == "provenance.json":
            known = json.loads(path.read_text())
            text = json.dumps({key: value for key, value in known.items() if key != "program"})
        elif name.name == "README.md":
            text = "\n".join(row for row in path.read_text().splitlines() if not row.startswith("| made by |"))
        else:
            files[str(name)] = sha256_of(path)
            continue
        files[str(name)] = hashlib.sha256(text.encode()).hexdigest()
    return files
