"""Times the refinement against the plain way of doing the same; writes the ratios as JSON.

The CRF over all classes of the data set where ours takes those of the image; a pass over the maps for each threshold
where ours takes one for all; one process for the CRFs where ours takes as many as there are cores. Results are held
against each other before anything is timed. Images and maps are made up. The random walk: `benchmarks.walk`.

    python -m benchmarks.refine --json ratios.json
"""

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from benchmarks.timing import OURS, TABLE_HEAD, Way, ratios_to_ours
from stages.dense_crf import dense_crf
from stages.evaluate.confusion import confusion_matrix
from stages.evaluate.threshold_sweep import Sample, sweep_confusions, threshold_grid
from stages.files import write_json
from stages.labelling import threshold_maps
from stages.pool import over_processes
from stages.refine.background import add_threshold
from stages.refine.pseudo_masks import ImageScores, label_probabilities, write_pseudo_mask
from stages.settings import CRF_SETS

ABSENT = 1e-5  # score of a class that the image is not tagged with, where the CRF takes all classes


def picture(rows: int, columns: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A noisy image of coloured patches [rows, columns, 3] uint8, and soft maps [classes, rows, columns] float32."""
    random = np.random.default_rng(seed)
    fields = np.stack([gaussian_filter(random.normal(size=(rows, columns)), 25) for _ in range(classes + 1)])
    colours = random.integers(0, 256, (classes + 1, 3))[fields.argmax(axis=0)] + random.integers(
        -20, 20, (rows, columns, 3)
    )
    maps = fields[1:] - fields[1:].min(axis=(1, 2), keepdims=True)
    return colours.clip(0, 255).astype(np.uint8), (maps / maps.max(axis=(1, 2), keepdims=True)).astype(np.float32)


def crf_ways(rows: int, columns: int, *, tagged: int, classes: int) -> dict[str, Way]:
    """The dense CRF over background and the tagged classes, and over all classes of the data set."""
    image, maps = picture(rows, columns, tagged, seed=0)
    own = label_probabilities(add_threshold(maps, 0.4))
    absent = np.full((classes - tagged, rows, columns), ABSENT, dtype=np.float32)
    whole = label_probabilities(np.concatenate([add_threshold(maps, 0.4), absent]))
    crf = CRF_SETS["irn"]
    alike = (dense_crf(image, own, crf).argmax(axis=0) == dense_crf(image, whole, crf).argmax(axis=0)).mean()
    if alike < 0.99:
        raise AssertionError(f"the masks of both ways agree in {alike:.1%} of the pixels alone")
    return {OURS: lambda: dense_crf(image, own, crf), "crf_all_classes": lambda: dense_crf(image, whole, crf)}


def sweep_ways(rows: int, columns: int, *, images: int, steps: int) -> dict[str, Way]:
    """All thresholds in one pass over the maps, and a pass for each."""
    thresholds = threshold_grid(steps)
    samples = []
    for number in range(images):
        _, maps = picture(rows, columns, 2, seed=number)
        truth = threshold_maps(maps, [0, 1], 0.5)
        samples.append(Sample(maps, np.array([0, 1]), truth))

    def each() -> np.ndarray:
        return np.stack(
            [
                sum(
                    confusion_matrix(sample.truth, threshold_maps(sample.maps, [0, 1], float(value)), 2)
                    for sample in samples
                )
                for value in thresholds
            ]
        )

    def once() -> np.ndarray:
        return sweep_confusions(iter(samples), thresholds, 2)

    np.testing.assert_array_equal(each(), once())
    return {OURS: once, "sweep_pass_a_threshold": each}


def process_ways(folder: Path, rows: int, columns: int, *, images: int, processes: int) -> dict[str, Way]:
    """Pseudo masks of a shard by `processes` processes and by one, processes started each time as in a job."""
    jobs = []
    for number in range(images):
        pixels, maps = picture(rows, columns, 2, seed=number)
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        scores = ImageScores(
            str(number), (add_threshold(maps[:, ::4, ::4], 0.4),), (0, 1), maps.shape[1:], maps.shape[1:]
        )
        jobs.append((path, scores, CRF_SETS["irn"], folder / f"{number}-mask.png"))

    def by(count: int) -> Way:
        return lambda: sum(1 for _ in over_processes(write_pseudo_mask, jobs, count, title="refine"))

    return {OURS: by(processes), "crf_one_process": by(1)}


def compare(settings: argparse.Namespace, folder: Path) -> tuple[dict[str, float], list[str]]:
    """Ratios by name and a table's lines."""
    rows, columns = settings.size
    groups = [
        crf_ways(rows, columns, tagged=2, classes=settings.classes),
        sweep_ways(rows, columns, images=settings.images, steps=100),
        process_ways(folder, rows, columns, images=8 * settings.images, processes=settings.processes),
    ]
    ratios: dict[str, float] = {}
    lines = list(TABLE_HEAD)
    for ways in groups:
        own, table = ratios_to_ours(ways, pairs=settings.pairs, device=torch.device("cpu"))
        ratios |= own
        lines += table
    return ratios, lines


def run(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="file for {name: ratio}")
    parser.add_argument("--size", type=int, nargs=2, default=[375, 500], help="rows and columns of the images")
    parser.add_argument("--classes", type=int, default=20, help="classes of the data set")
    parser.add_argument(
        "--images", type=int, default=4, help="images of the sweep; the processes get eight times as many"
    )
    parser.add_argument("--pairs", type=int, default=5, help="rounds in which every way is timed once")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="processes of the CRFs")
    settings = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        ratios, lines = compare(settings, Path(folder))
    write_json(settings.json, ratios)
    print("\n".join(lines))


if __name__ == "__main__":
    run()
