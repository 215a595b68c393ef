"""What two runs of the tiny experiment must agree on, bit for bit."""

from pathlib import Path

from stages.files import sha256_of

# What tells of the run, not of its result.
OF_THE_RUN = ("benchmarks", "work", "report", "provenance.json")
TIMES = ("time", "data_time")


def final_files(folder: Path) -> dict[str, str]:
    """SHA-256 of each final file of the tiny experiment below `folder`; of curves the text, without rows of times."""
    results = folder / "results/tiny"
    files = {}
    for path in sorted(path for path in results.rglob("*") if path.is_file() and path.name != ".snakemake_timestamp"):
        name = path.relative_to(results)
        if name.parts[0] in OF_THE_RUN:
            continue
        if name.name == "training.csv":
            rows = path.read_text().splitlines()
            files[str(name)] = "\n".join(row for row in rows if row.split(",")[1] not in TIMES)
        else:
            files[str(name)] = sha256_of(path)
    return files
