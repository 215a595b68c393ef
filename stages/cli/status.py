"""What is done, running, stale or missing, step by step: Snakemake's own summary in a few lines."""

import base64
import csv
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.cli.places import snakefile_words
from stages.errors import DataError
from stages.report.timings import STAGES

DONE = "ok"
KEPT = "no update"
BEGUN = "begun, not finished"


@dataclass(frozen=True)
class Output:
    """A file that a rule makes: Snakemake's word for its state, and whether it will be made (again)."""

    path: str
    rule: str
    state: str
    stale: bool


def read_summary(folder: Path, config: Path) -> list[Output]:
    """Snakemake's summary of everything that a config describes. If Snakemake fails, raises DataError with its
    message."""
    command = [sys.executable, "-m", "snakemake", "--summary", "--cores", "1", *snakefile_words(folder)]
    command += ["--configfile", str(config)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line and not line.startswith("Using workflow specific")]
        raise DataError("\n".join(said) or f"{config}: snakemake --summary failed")
    lines = [line for line in done.stdout.splitlines() if "\t" in line]
    begun = begun_files(folder)
    return [
        # The summary takes what a killed job left as complete; a run makes it again.
        Output(row["output_file"], row["rule"], BEGUN, True)
        if row["output_file"] in begun
        else Output(row["output_file"], row["rule"], row["status"], row["plan"] != KEPT)
        for row in csv.DictReader(lines, delimiter="\t")
    ]


def begun_files(folder: Path) -> frozenset[str]:
    """Files whose job has started and not finished, here or on another machine, or was killed. Snakemake marks them
    with files whose names are the paths in base64, cut into folders `@...` if they are long."""
    root = folder / ".snakemake/incomplete"
    markers = [path.relative_to(root).parts for path in root.rglob("*") if path.is_file()]
    names = ("".join(part.removeprefix("@") for part in parts) for parts in markers)
    return frozenset(base64.urlsafe_b64decode(name).decode() for name in names)


def working_jobs(folder: Path, experiment: str) -> list[str]:
    """Stage commands of an experiment running now in `folder` on this machine: `stages.localize.make_maps val 3`."""
    found: dict[int, str] = {}
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            here = (entry / "cwd").readlink() == folder.resolve()
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # ended meanwhile, or another user's
        if not here or len(words) < 3 or words[1] != "-m" or not words[2].startswith("stages."):
            continue
        if any(word.startswith(f"results/{experiment}/") for word in words):
            about = [words[words.index(name) + 1] for name in ("--split", "--shard") if name in words]
            found[int(entry.name)], parents[int(entry.name)] = " ".join([words[2], *about]), parent
    # Not the processes that a job forks, which have its command line.
    return sorted(job for pid, job in found.items() if parents[pid] not in found)


def stage_of(path: str) -> str:
    """The stage of a file results/<experiment>/<stage>/...; files outside the stages belong to the report."""
    parts = Path(path).parts
    return parts[2] if len(parts) > 3 else "report"


def describe_status(outputs: Sequence[Output], working: Sequence[str], experiment: str) -> Iterator[str]:
    """The table, line by line; a step is a rule. Why: Snakemake's words for the files that will be made."""
    steps: defaultdict[tuple[str, str], list[Output]] = defaultdict(list)
    for output in outputs:
        steps[stage_of(output.path), output.rule].append(output)
    rows = [("stage", "step", "done", "state", "why")]
    in_order = sorted(steps.items(), key=lambda step: STAGES.index(step[0][0]) if step[0][0] in STAGES else len(STAGES))
    for (stage, rule), files in in_order:
        stale = [file for file in files if file.stale]
        rows.append((stage, rule, f"{len(files) - len(stale)}/{len(files)}", state_of(files), why(stale)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    yield f"{experiment}: {sum(not output.stale for output in outputs)} of {len(outputs)} files are up to date"
    for row in rows:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
    yield from (f"running: {job}" for job in working)
    if not working:
        yield "nothing is running on this machine"
    if not working and any(output.state == BEGUN for output in outputs):
        yield f"`{BEGUN}`: a job on another machine is working on it, or was killed; a run makes it again"


def state_of(files: Iterable[Output]) -> str:
    """One word for a step: done, missing, stale (made, but to be made again) or partly."""
    kinds = {"done" if not file.stale else "missing" if file.state == "missing" else "stale" for file in files}
    return kinds.pop() if len(kinds) == 1 else "stale" if "stale" in kinds else "partly"


def why(stale: Sequence[Output]) -> str:
    """The reasons for the files that will be made, the most frequent first."""
    reasons = Counter("waits for another step" if file.state == DONE else file.state for file in stale)
    return ", ".join(f"{reason} ({count})" if count > 1 else reason for reason, count in reasons.most_common())
