"""Time and peak memory of every job of an experiment, from Snakemake's benchmark files and the samples of `watch`."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.full_run.watch import Usage

GIB = 2**30
MIB = 2**20


@dataclass(frozen=True)
class Job:
    """name: the benchmark file's path, without the ending.  seconds: wall time.  cpu: seconds of processor time.
    memory: bytes of all its processes at their peak, shared pages once.  resident: bytes by Snakemake's max_rss, which
    counts shared pages once a process and samples rarely."""

    name: str
    seconds: float
    cpu: float
    memory: int
    resident: int

    @property
    def step(self) -> str:
        """The job's name without its shard."""
        stem, _, last = self.name.rpartition("/")
        return stem if last.isdigit() else self.name


def read_jobs(benchmarks: Path, usage: Mapping[str, Usage]) -> list[Job]:
    """The jobs below results/<experiment>/benchmarks, in the order in which they ended."""
    files = sorted(benchmarks.rglob("*.tsv"), key=lambda path: path.stat().st_mtime)
    return [_read_job(path, str(path.relative_to(benchmarks).with_suffix("")), usage) for path in files]


def _read_job(path: Path, name: str, usage: Mapping[str, Usage]) -> Job:
    with path.open(newline="", encoding="utf-8") as stream:
        row = next(csv.DictReader(stream, delimiter="\t"))
    # Jobs of less than a second have no sample of Snakemake's: NA.
    resident, proportional, cpu = (
        0.0 if row[column] in ("NA", "-", "") else float(row[column]) for column in ("max_rss", "max_pss", "cpu_time")
    )
    seen = usage.get(name, Usage(0, 0.0))
    return Job(
        name,
        float(row["s"]),
        cpu=max(cpu, seen.cpu),
        memory=max(int(proportional * MIB), seen.memory),
        resident=int(resident * MIB),
    )


def as_json(jobs: Sequence[Job]) -> dict[str, dict[str, float]]:
    """Each job's seconds and GiB."""
    return {
        job.name: {
            "seconds": round(job.seconds, 1),
            "cpu_seconds": round(job.cpu, 1),
            "gib": round(job.memory / GIB, 3),
            "max_rss_gib": round(job.resident / GIB, 3),
        }
        for job in jobs
    }


def markdown(experiments: Mapping[str, Sequence[Job]]) -> list[str]:
    """A row a step, its shards' times summed and the largest of their peaks; three columns an experiment."""
    steps = dict.fromkeys(job.step for jobs in experiments.values() for job in jobs)
    heads = [f"{name}, {unit}" for name in experiments for unit in ("s", "CPU s", "GiB")]
    lines = [f"| {' | '.join(['job', *heads])} |", "| --- " * (1 + len(heads)) + "|"]
    for step in steps:
        cells = [cell for jobs in experiments.values() for cell in _cells([job for job in jobs if job.step == step])]
        lines.append(f"| {' | '.join([step, *cells])} |")
    totals = [cell for jobs in experiments.values() for cell in _cells(jobs)]
    return [*lines, f"| {' | '.join(['all, the largest', *totals])} |"]


def _cells(jobs: Sequence[Job]) -> tuple[str, str, str]:
    if not jobs:
        return "-", "-", "-"
    seconds, cpu = sum(job.seconds for job in jobs), sum(job.cpu for job in jobs)
    return f"{seconds:.0f}", f"{cpu:.0f}", f"{max(job.memory for job in jobs) / GIB:.1f}"


def too_large(experiments: Mapping[str, Sequence[Job]], limit: float) -> list[str]:
    """A line for each job above `limit` GiB."""
    return [
        f"{name}: {job.name} took {job.memory / GIB:.1f} GiB, above {limit:g}"
        for name, jobs in experiments.items()
        for job in jobs
        if job.memory > limit * GIB
    ]
