"""Kills at random: SIGKILL to the processes of stages and to Snakemake itself, until a run is through.

python -m tests.workflow.kills FOLDER [--kills 24]
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.workflow.final_files import final_files
from tests.workflow.tiny import command, environment, write_inputs

# Each stage with a rule of it and the files at its end: a run for them goes no further.
STAGES = {
    "data": ("make_index", [f"results/tiny/data/sheets/{split}.jpg" for split in ("train", "val", "test")]),
    "encode": ("embed_text", [f"results/tiny/encode/{name}.safetensors" for name in ("text", "image_embeddings")]),
    "localize": ("make_maps", [f"results/tiny/localize/maps/{shard}.safetensors" for shard in ("train/0", "val/1")]),
    "refine": ("make_masks", [f"results/tiny/refine/masks/{shard}" for shard in ("train/0", "train/1", "val/0")]),
    "segment": ("train_segmenter", ["results/tiny/segment/pseudo_masks/predictions/val/0"]),
    "evaluate": ("score_masks", ["results/tiny/evaluate/summary.csv"]),
    "report": ("make_gallery", ["results/tiny/report/gallery.html", "results/tiny/report/index.html"]),
}
MOST_STARTS = 5  # for a kill; the rest of a stage's kills is given up after so many
PATIENCE = 600  # seconds for one start of Snakemake


@dataclass
class Tally:
    """What was killed: jobs by stage, and Snakemake while a job of a stage ran; after how many seconds of the job; and
    how often Snakemake was started."""

    jobs: Counter[str] = field(default_factory=Counter)
    snakemakes: Counter[str] = field(default_factory=Counter)
    moments: list[float] = field(default_factory=list)
    starts: int = 0

    @property
    def kills(self) -> int:
        return self.jobs.total() + self.snakemakes.total()


def longest_jobs(folder: Path) -> dict[str, float]:
    """Seconds of each stage's longest job, by the benchmark files of a whole run."""
    longest = {}
    for stage in STAGES:
        tables = (folder / "results/tiny/benchmarks" / stage).rglob("*.tsv")
        longest[stage] = max(float(path.read_text().splitlines()[1].split("\t")[0]) for path in tables)
    return longest


def job_of(family: set[int], stage: str) -> int | None:
    """A process among `family` that works for a stage; of a job and its helpers the one that started first."""
    for pid in sorted(family):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if "-m" in words[:3] and any(word.startswith(f"stages.{stage}.") for word in words[:4]):
            return pid
    return None


def group_of(leader: int) -> set[int]:
    """The processes that have `leader`'s process group."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == leader:
                found.add(int(entry.name))
    return found


def kill_once(folder: Path, stage: str, *, whole: bool, again: bool, wait: float) -> str:
    """Starts Snakemake for the files at a stage's end (again: even if they are there), and kills a job of the stage or
    (whole) Snakemake itself, `wait` seconds after the job began. "job" or "snakemake", or "through" where the run came
    to its end before."""
    rule, targets = STAGES[stage]
    run = subprocess.Popen(
        command(*targets, *(["--forcerun", rule] if again else [])),
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + PATIENCE
    while run.poll() is None:
        if time.monotonic() > until:
            raise TimeoutError(f"Snakemake neither ended nor started a job of {stage} within {PATIENCE} s")
        pid = job_of(group_of(run.pid), stage)
        if pid is None:
            time.sleep(0.01)
            continue
        time.sleep(wait)
        try:
            os.kill(pid, 0)
            os.kill(run.pid if whole else pid, signal.SIGKILL)
        except ProcessLookupError:  # the job was done; the next one
            continue
        run.wait()
        return "snakemake" if whole else "job"
    return "through"


def kill_at_random(folder: Path, kills: int, seed: int, longest: Mapping[str, float]) -> Tally:
    """Kills in the order of the stages, as many in each, every second time Snakemake itself; then lets one go through.

    longest: seconds of each stage's longest job; kills come at any moment of as long a time, in its start, its work and
    its writing, and a shorter job that is done by then is not counted. Raises CalledProcessError where the last run
    fails.
    """
    chance, tally = random.Random(seed), Tally()
    share = -(-kills // len(STAGES))
    for order, stage in enumerate(STAGES):
        again, done, reach = False, 0, longest[stage]
        for _ in range(MOST_STARTS * share):
            if done == share:
                break
            tally.starts += 1
            wait = chance.uniform(0, reach)
            killed = kill_once(folder, stage, whole=(order + done) % 2 == 1, again=again, wait=wait)
            if killed == "through":  # every job was done before its kill came: once more, and earlier
                again, reach = True, reach / 2
                continue
            (tally.jobs if killed == "job" else tally.snakemakes)[stage] += 1
            tally.moments.append(wait)
            done += 1
    tally.starts += 1
    done = subprocess.run(command(), cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, "snakemake", done.stdout, done.stderr)
    return tally


def differing(first: Path, second: Path) -> tuple[int, list[str]]:
    """Number of final files of two folders' experiments, and those that are not the same in both."""
    one, other = final_files(first), final_files(second)
    names = sorted(one.keys() | other.keys())
    return len(names), [name for name in names if one.get(name) != other.get(name)]


def run(arguments: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("folder", type=Path, help="a new folder")
    options.add_argument("--kills", type=int, default=24)
    options.add_argument("--seed", type=int, default=0)
    args = options.parse_args(arguments)
    unbroken = write_inputs(args.folder / "unbroken")
    subprocess.run(
        command(), cwd=unbroken, env=environment(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    broken = write_inputs(args.folder / "broken")
    started = time.monotonic()
    tally = kill_at_random(broken, args.kills, args.seed, longest_jobs(unbroken))
    compared, different = differing(unbroken, broken)
    print(f"{tally.kills} kills in {tally.starts} starts of Snakemake, {time.monotonic() - started:.0f} s")
    print(f"  {min(tally.moments):.1f} to {max(tally.moments):.1f} s after a job began, in the middle", end=" ")
    print(f"{statistics.median(tally.moments):.1f} s")
    print(f"  jobs: {dict(tally.jobs)}")
    print(f"  Snakemake, while a job of a stage ran: {dict(tally.snakemakes)}")
    print(f"{compared} final files compared with an unbroken run's, {len(different)} differ", *different, sep="\n  ")
    return 1 if different or tally.kills < args.kills else 0


if __name__ == "__main__":
    sys.exit(run())
