"""Times the dense CRF against pydensecrf on the photographs and maps of a finished experiment, and compares the masks.

pydensecrf is called as the programs of PSA and CLIP-ES call it: over background and the image's tags alone, built anew
for each image. Over the thresholds of one image it is built once and given new unaries, the fastest use of it.

    python -m benchmarks.crf --results results/demo --config configs/demo.yaml --json crf.json
"""

import argparse
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.crf_masks import WAYS
from benchmarks.timing import OURS, TABLE_HEAD, Way, ratios_to_ours
from stages.evaluate.confusion import confusion_matrix, mean_iou
from stages.experiment import read_config
from stages.files import write_json
from stages.images import read_image, read_mask
from stages.index import read_index
from stages.labelling import enlarge_maps
from stages.refine.background import add_threshold, mask_values
from stages.refine.maps_of_images import known_images
from stages.refine.pseudo_masks import label_probabilities
from stages.settings import CRF_SETS, CrfSettings
from stages.shards import read_shard


@dataclass(frozen=True)
class Sample:
    """pixels: [rows, columns, 3] uint8.  maps: [K, rows, columns] float32.  truth: [rows, columns] uint8 or None."""

    pixels: NDArray[np.uint8]
    maps: NDArray[np.float32]
    classes: tuple[int, ...]
    truth: NDArray[np.uint8] | None

    def probabilities(self, threshold: float) -> NDArray[np.float32]:
        return label_probabilities(add_threshold(self.maps, threshold))


def samples_of(results: Path, root: Path, split: str, images: int) -> Iterator[Sample]:
    """Images of a split with their maps, evenly from its first shard."""
    records = read_index(results / "data" / f"{split}.csv")
    known = list(known_images(read_shard(results / "localize" / "maps" / split / "0.safetensors"), records))
    for image, record in islice(known, 0, None, max(1, len(known) // images)):
        pixels = np.array(read_image(root / record.image))
        truth = read_mask(root / record.mask) if record.mask else None
        yield Sample(pixels, enlarge_maps(image.maps, image.size), tuple(image.classes.tolist()), truth)


def ways(samples: Sequence[Sample], thresholds: Sequence[float], crf: CrfSettings, *, name: str) -> dict[str, Way]:
    """Masks of all samples at all thresholds, by ours and by pydensecrf."""
    prepared = [(sample.pixels, [sample.probabilities(value) for value in thresholds]) for sample in samples]

    def by(way: str) -> Way:
        return lambda: [WAYS[way](pixels, probabilities, crf) for pixels, probabilities in prepared]

    return {OURS: by("ours"), name: by("pydensecrf")}


def process_ways(
    samples: Sequence[Sample], threshold: float, crf: CrfSettings, folder: Path, processes: int
) -> dict[str, Way]:
    """One threshold by a command with several processes, from its start to its end."""
    for number, sample in enumerate(samples):
        np.savez(folder / f"{number}.npz", pixels=sample.pixels, probabilities=[sample.probabilities(threshold)])

    def by(way: str) -> Way:
        command = [sys.executable, "-m", "benchmarks.crf_masks", "--way", way, "--folder", str(folder)]
        options = ["--crf", crf.model_dump_json(), "--processes", str(processes)]
        return lambda: subprocess.run([*command, *options], check=True, capture_output=True)

    return {OURS: by("ours"), "pydensecrf_processes": by("pydensecrf")}


def compare_masks(samples: Sequence[Sample], threshold: float, crf: CrfSettings, classes: int) -> str:
    """In how many pixels the masks are alike, and the mIoU of each where there are true masks."""
    alike = []
    confusions = np.zeros((2, classes + 1, classes + 1), dtype=np.int64)
    for sample in samples:
        probabilities = [sample.probabilities(threshold)]
        both = [WAYS[way](sample.pixels, probabilities, crf)[0] for way in ("ours", "pydensecrf")]
        alike.append((both[0] == both[1]).mean())
        if sample.truth is not None:
            for confusion, mask in zip(confusions, both, strict=True):
                confusion += confusion_matrix(sample.truth, mask_values(sample.classes)[mask], classes)
    scores = [f"{float(mean_iou(confusion)):.3f}" for confusion in confusions] if confusions.any() else ["-", "-"]
    return (
        f"{len(alike)} images: labels alike in {100 * np.mean(alike):.4f} % of the pixels, in the worst image"
        f" {100 * min(alike):.4f} %; mIoU {scores[0]} by ours, {scores[1]} by pydensecrf"
    )


def run(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--results", type=Path, required=True, help="results/<experiment> with maps")
    options.add_argument("--config", type=Path, required=True, help="the experiment's config")
    options.add_argument("--json", type=Path, required=True, help="file to write the ratios to")
    options.add_argument("--root", type=Path, help="folder of the dataset, if it is not where the config says")
    options.add_argument("--split", default="train", help="split whose maps there are")
    options.add_argument("--images", type=int, default=24, help="images that are timed")
    options.add_argument("--swept", type=int, default=4, help="images that are timed over all thresholds")
    options.add_argument("--compared", type=int, default=100, help="images whose masks are compared")
    options.add_argument("--threshold", type=float, default=0.4, help="background threshold")
    options.add_argument("--crf", choices=CRF_SETS, help="settings by name; default the config's")
    options.add_argument("--pairs", type=int, default=5, help="rounds")
    options.add_argument("--processes", type=int, default=2)
    args = options.parse_args(arguments)
    logging.basicConfig(level=logging.INFO)
    experiment = read_config(args.config)
    crf = CRF_SETS[args.crf] if args.crf else experiment.refine.crf
    root = args.root or experiment.data.root or args.results / "data" / "set"
    read = partial(samples_of, args.results, root, args.split)
    print(compare_masks(list(read(args.compared)), args.threshold, crf, len(experiment.data.classes)))
    samples = list(read(args.images))
    every = np.round(np.arange(1, experiment.refine.auto.steps) / experiment.refine.auto.steps, 6).tolist()
    print("\n".join(TABLE_HEAD))
    ratios: dict[str, float] = {}
    with TemporaryDirectory() as folder:
        for group in (
            ways(samples, [args.threshold], crf, name="pydensecrf"),
            ways(samples[: args.swept], every, crf, name=f"pydensecrf_{len(every)}_thresholds"),
            process_ways(samples, args.threshold, crf, Path(folder), args.processes),
        ):
            found, lines = ratios_to_ours(group, pairs=args.pairs, device=torch.device("cpu"))
            ratios |= found
            print("\n".join(lines))
    write_json(args.json, ratios)


if __name__ == "__main__":
    run()
