"""What trainings cost: seconds per epoch from their curves, peak memory from Snakemake's benchmark files."""

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path

from stages.errors import DataError


def epoch_seconds(curves: Path, epochs: int) -> float | None:
    """Mean seconds per epoch, from the `time` (seconds per step) that a training logged; None for an untrained method.

    Raises DataError when the file is missing.
    """
    if not curves.is_file():
        raise DataError(f"{curves}: no training curves; run the training that writes them")
    with curves.open(newline="", encoding="utf-8") as stream:
        steps = [(int(row["step"]), float(row["value"])) for row in csv.DictReader(stream) if row["name"] == "time"]
    if not steps:
        return None
    return statistics.fmean(seconds for _, seconds in steps) * max(step for step, _ in steps) / epochs


def peak_memory(benchmarks: Sequence[Path]) -> float | None:
    """The largest resident memory of the jobs, MB; None if Snakemake measured none."""
    peaks = []
    for path in benchmarks:
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as stream:
                rows = csv.DictReader(stream, delimiter="\t")
                # Snakemake writes "-" (or NA) for jobs that ended before it could measure them.
                peaks += [float(row["max_rss"]) for row in rows if row["max_rss"] not in ("-", "NA", "")]
    return max(peaks, default=None)
