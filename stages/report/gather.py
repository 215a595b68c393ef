"""Reads what the stages wrote under results/<experiment>: scores, training curves, job times."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.errors import DataError
from stages.evaluate.scores import Score, read_score
from stages.evaluate.summarize import sort_scores

STAGES = ("data", "encode", "localize", "refine", "segment", "evaluate", "report")


@dataclass(frozen=True)
class Curve:
    """One logged quantity over the steps of a training."""

    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Timing:
    """What the jobs of one step of a stage took: seconds summed and longest, peak memory in MB (None: not measured),
    and images a second of a job, where its jobs go through the images of a split."""

    stage: str
    step: str
    jobs: int
    seconds: float
    longest: float
    peak_mb: float | None
    images_per_second: float | None = None


def read_scores(paths: Sequence[Path]) -> list[Score]:
    """Scores in the order of the stages. Raises DataError for a file that is missing or is no score."""
    return sort_scores(read_score(path) for path in paths)


def find_scores(folder: Path) -> list[Path]:
    """All score files of an experiment but those of wsolevaluation's protocol. Raises DataError when there is none."""
    paths = sorted(path for path in folder.glob("*.json") if not path.name.startswith("localization-"))
    if not paths:
        raise DataError(f"{folder}: no scores (*.json); run the stage `evaluate`")
    return paths


def read_curves(path: Path) -> dict[str, Curve]:
    """Curves by name from a training.csv with columns step, name, value. Raises DataError when it is not there."""
    if not path.is_file():
        raise DataError(f"{path}: no training curves; run the training that writes them")
    points: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as stream:
        try:
            for row in csv.DictReader(stream):
                points[row["name"]].append((int(row["step"]), float(row["value"])))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: not a table of step, name, value ({error!r}); rerun the training") from error
    return {
        name: Curve(*(tuple(column) for column in zip(*sorted(pairs), strict=True))) for name, pairs in points.items()
    }


def read_timings(folder: Path, images: Mapping[str, int] | None = None) -> list[Timing]:
    """Snakemake's benchmark files below `folder`, grouped by stage and step; an empty list when there are none.

    images: number of images of each split.
    """
    jobs: defaultdict[tuple[str, str], list[tuple[float, float | None]]] = defaultdict(list)
    seen: defaultdict[tuple[str, str], list[int | None]] = defaultdict(list)
    for path in sorted(folder.rglob("*.tsv")):
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        try:
            place = step_of(path.relative_to(folder))
            jobs[place] += [(float(row["s"]), _number(row["max_rss"])) for row in rows]
            seen[place].append(images_of(path, images or {}))
        except (KeyError, ValueError) as error:
            raise DataError(f"{path}: not a Snakemake benchmark ({error!r}); delete it") from error
    timings = []
    for (stage, step), measured in jobs.items():
        seconds = [taken for taken, _ in measured]
        peaks = [peak for _, peak in measured if peak is not None]
        counts: list[int] = [count for count in seen[stage, step] if count is not None]
        total = sum(seconds)
        speed = sum(counts) / total if len(counts) == len(seconds) and total else None
        timings.append(Timing(stage, step, len(seconds), sum(seconds), max(seconds), max(peaks, default=None), speed))
    return sorted(timings, key=lambda timing: STAGES.index(timing.stage) if timing.stage in STAGES else len(STAGES))


def step_of(path: Path) -> tuple[str, str]:
    """Stage and step of a benchmark file: the shards of a step are its jobs, so shard and split are left out.

    localize/maps/val/3.tsv -> localize, maps; localize/train.tsv -> localize, train.
    """
    stage, *parts = path.with_suffix("").parts
    if parts and parts[-1].isdigit():
        parts = parts[:-1]
        if len(parts) > 1 and parts[-1] in ("train", "val", "test"):
            parts = parts[:-1]
    return stage, " / ".join(parts)


def images_of(path: Path, images: Mapping[str, int]) -> int | None:
    """How many images the job of a benchmark file went through: those of its split, or of its shard of them; None for
    other jobs. `<split>/<shard>.tsv`, `data/<what>/<split>.tsv`, `evaluate/<what>-<split>.tsv`."""
    if path.stem.isdigit():
        count = images.get(path.parent.name)
        shards = sum(other.stem.isdigit() for other in path.parent.glob("*.tsv"))
        return None if count is None else len(range(int(path.stem), count, shards))
    if path.parent.parent.name == "data":
        return images.get(path.stem)
    return images.get(path.stem.rpartition("-")[2]) if "-" in path.stem else None


def sum_by_stage(timings: Sequence[Timing]) -> list[Timing]:
    """One Timing a stage: jobs and seconds summed, the largest peak."""
    stages = dict.fromkeys(timing.stage for timing in timings)
    sums = []
    for stage in stages:
        own = [timing for timing in timings if timing.stage == stage]
        peaks = [timing.peak_mb for timing in own if timing.peak_mb is not None]
        sums.append(
            Timing(
                stage,
                "",
                sum(timing.jobs for timing in own),
                sum(timing.seconds for timing in own),
                max(timing.longest for timing in own),
                max(peaks, default=None),
            )
        )
    return sums


def _number(text: str) -> float | None:
    # Snakemake writes "-" (or NA) for jobs that ended before it could look at them.
    return None if text in ("-", "NA", "") else float(text)
