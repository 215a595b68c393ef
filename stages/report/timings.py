"""What the jobs of an experiment cost: Snakemake's benchmark files by stage and step, with images per second."""

import csv
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.errors import DataError
from stages.evaluate.scores import Score
from stages.report.gather import read_curves
from stages.vocabulary import SPLITS

STAGES = ("data", "encode", "localize", "refine", "segment", "evaluate", "report")
# Jobs over the images of one split whose path does not name it, by the folder of their benchmark.
OF_TRAIN = ("refine/regions", "refine/banded")
OF_LEARNED = ("localize/features",)  # over those that the localizer learns from


@dataclass(frozen=True)
class Timing:
    """What the jobs of one step of a stage took: total and longest seconds, peak memory in MB (None: not measured), and
    images per second of a job, if its jobs go over the images of a split."""

    stage: str
    step: str
    jobs: int
    seconds: float
    longest: float
    peak_mb: float | None
    images_per_second: float | None = None


@dataclass(frozen=True)
class Workload:
    """How many images jobs go over.

    images: per split.  shards: number of jobs that share the work on a split.  learned: those whose tags the localizer
    learned from; None if a split's number is not known.  scored: per score, named like "maps-train".
    speeds: images per second of trainings, by the path of their benchmark; from their curves, because the benchmark of
    a resumed training has only the time of its last part.
    """

    images: Mapping[str, int]
    shards: int
    learned: int | None
    scored: Mapping[str, int]
    speeds: Mapping[str, float]


def read_workload(
    results: Path, images: Mapping[str, int], scores: Sequence[Score], config: Mapping[str, Any], *, shards: int
) -> Workload:
    """The workload of an experiment. config: all its settings; without them the speeds of trainings are unknown."""
    batches = {"localize": _setting(config, "localize.training.batch_size")}
    for path in sorted(results.glob("segment/*/training.csv")):
        batches[path.parent.relative_to(results).as_posix()] = _setting(config, "segment.training.batch_size")
    places = {place: f"{place}/train.tsv" for place in batches}
    for folder in sorted(results.glob("refine/affinity/*/")):
        place = folder.relative_to(results).as_posix()
        batches[place] = _setting(config, "refine.affinity.training.batch_size")
        places[place] = f"{place}.tsv"
    speeds = {}
    for place, batch in batches.items():
        curves = results / place / "training.csv"
        times = read_curves(curves).get("time") if batch and curves.is_file() else None
        if times is not None:
            speeds[places[place]] = batch / statistics.fmean(times.values)
    scored = {f"{score.stage}-{score.split}": score.images for score in scores}
    splits = _setting(config, "localize.splits") or ["train"]
    learned = sum(images[split] for split in splits) if set(splits) <= set(images) else None
    return Workload(images, shards, learned, scored, speeds)


def read_timings(folder: Path, work: Workload) -> list[Timing]:
    """Snakemake's benchmark files below `folder`, grouped by stage and step; an empty list if there are none. Leftovers
    of an earlier run with more shards are left out."""
    jobs: defaultdict[tuple[str, str], list[tuple[float, float | None, float | None]]] = defaultdict(list)
    for path in sorted(folder.rglob("*.tsv")):
        place = path.relative_to(folder)
        if path.stem.isdigit() and int(path.stem) >= work.shards:
            continue
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        try:
            for row in rows:
                seconds = float(row["s"])
                jobs[step_of(place)].append((seconds, _number(row["max_rss"]), images_of(place, seconds, work)))
        except (KeyError, ValueError) as error:
            raise DataError(f"{path}: not a Snakemake benchmark ({error!r}); delete it") from error
    timings = [_timing(*place, measured) for place, measured in jobs.items()]
    return sorted(timings, key=lambda timing: STAGES.index(timing.stage) if timing.stage in STAGES else len(STAGES))


def step_of(path: Path) -> tuple[str, str]:
    """Stage and step of a benchmark file: the shards of a step are its jobs, so shard and split are left out.

    localize/maps/val/3.tsv -> localize, maps; localize/train.tsv -> localize, train.
    """
    stage, *parts = path.with_suffix("").parts
    if parts and parts[-1].isdigit():
        parts = parts[:-1]
        if len(parts) > 1 and parts[-1] in SPLITS:
            parts = parts[:-1]
    return stage, " / ".join(parts)


def images_of(place: Path, seconds: float, work: Workload) -> float | None:
    """How many images the job of a benchmark file went over: those of its split, of its shard, or of its score; for a
    training, those of its steps. None for other jobs. place: the file's path below the benchmarks."""
    parent, stem = place.parent.as_posix(), place.stem
    if place.as_posix() in work.speeds:
        return work.speeds[place.as_posix()] * seconds
    if stem.isdigit():
        split = "train" if parent.startswith(OF_TRAIN) else place.parent.name
        count = work.images.get(split)
        return None if count is None else len(range(int(stem), count, work.shards))
    if (parent == "encode" and stem.endswith("_embeddings")) or parent.startswith(OF_LEARNED):
        return work.learned
    if parent.startswith("data/"):
        return work.images.get(stem)
    if parent == "report" and stem == "gallery":
        return work.images.get("val")
    return work.scored.get(stem, work.images.get(stem.rpartition("-")[2]) if "-" in stem else None)


def sum_by_stage(timings: Sequence[Timing]) -> list[Timing]:
    """One Timing per stage: jobs and seconds summed, the largest peak."""
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


def _timing(stage: str, step: str, measured: Sequence[tuple[float, float | None, float | None]]) -> Timing:
    seconds = [taken for taken, _, _ in measured]
    peaks = [peak for _, peak, _ in measured if peak is not None]
    counts = [images for _, _, images in measured if images is not None]
    total = sum(seconds)
    speed = sum(counts) / total if len(counts) == len(seconds) and total else None
    return Timing(stage, step, len(seconds), total, max(seconds), max(peaks, default=None), speed)


def _setting(config: Mapping[str, Any], path: str) -> Any:
    value: Any = config
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _number(text: str) -> float | None:
    # Snakemake writes "-" (or NA) for jobs that ended before it could measure them.
    return None if text in ("-", "NA", "") else float(text)
