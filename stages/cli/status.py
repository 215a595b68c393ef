"""What is done, running, stale or missing, step by step: Snakemake's own summary in few lines."""

import csv
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.errors import DataError

DONE = "ok"
KEPT = "no update"


@dataclass(frozen=True)
class Output:
    """A file that a rule makes: Snakemake's word for its state, and whether it will be made (again)."""

    path: str
    rule: str
    state: str
    stale: bool


def read_summary(folder: Path, config: Path) -> list[Output]:
    """Snakemake's summary of all that a config describes. Raises DataError with its message where it refuses."""
    command = [sys.executable, "-m", "snakemake", "--summary", "--cores", "1", "--configfile", str(config)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line and not line.startswith("Using workflow specific")]
        raise DataError("\n".join(said) or f"{config}: snakemake --summary failed")
    lines = [line for line in done.stdout.splitlines() if "\t" in line]
    return [
        Output(row["output_file"], row["rule"], row["status"], row["plan"] != KEPT)
        for row in csv.DictReader(lines, delimiter="\t")
    ]


def working_jobs(folder: Path) -> list[str]:
    """Stage commands that run now in `folder`, as `stages.localize.train`; with what they are about, where they say."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            here = (entry / "cwd").readlink() == folder.resolve()
        except OSError:
            continue  # ended meanwhile, or another user's
        if here and len(words) > 2 and words[1] == "-m" and words[2].startswith("stages.") and "cli" not in words[2]:
            about = [
                words[place + 1] for name in ("--split", "--shard") if name in words for place in [words.index(name)]
            ]
            found.append(" ".join([words[2], *about]))
    return sorted(found)


def stage_of(path: str) -> str:
    """The stage of a file results/<experiment>/<stage>/...; what lies beside the stages belongs to the report."""
    parts = Path(path).parts
    return parts[2] if len(parts) > 3 else "report"


def describe_status(outputs: Sequence[Output], working: Sequence[str], experiment: str) -> Iterator[str]:
    """The table, a line each; a step is a rule. Why: Snakemake's words for the files that will be made."""
    steps: defaultdict[tuple[str, str], list[Output]] = defaultdict(list)
    for output in outputs:
        steps[stage_of(output.path), output.rule].append(output)
    rows = [("stage", "step", "done", "state", "why")]
    for (stage, rule), files in steps.items():
        stale = [file for file in files if file.stale]
        rows.append((stage, rule, f"{len(files) - len(stale)}/{len(files)}", state_of(files), why(stale)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    yield f"{experiment}: {sum(not output.stale for output in outputs)} of {len(outputs)} files are there and right"
    for row in rows:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
    yield from (f"running: {job}" for job in working)
    if not working:
        yield "nothing is running here"


def state_of(files: Iterable[Output]) -> str:
    """One word for a step: done, missing, stale (made, but to be made again) or partly."""
    kinds = {"done" if not file.stale else "missing" if file.state == "missing" else "stale" for file in files}
    return kinds.pop() if len(kinds) == 1 else "stale" if "stale" in kinds else "partly"


def why(stale: Sequence[Output]) -> str:
    """The reasons of the files that will be made, the most frequent first."""
    reasons = Counter("waits for another step" if file.state == DONE else file.state for file in stale)
    return ", ".join(f"{reason} ({count})" if count > 1 else reason for reason, count in reasons.most_common())
