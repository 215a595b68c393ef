"""What it costs to store maps small: bytes an image, and the mIoU against full-size float32, on a finished experiment.

Maps are made once at the image's full size in float32, then stored in three ways and read back as every later stage
does (bilinear at the image's size): at full size in float32, and at a quarter of the size in float16 and in uint8 (what
`stages/shards.py` writes). Each way is scored at its own best threshold, and with the pseudo masks of the CRF.

    python -m benchmarks.map_storage --results results/demo --config configs/demo.yaml --json storage.json
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from stages.devices import pick_device
from stages.evaluate.confusion import confusion_matrix, mean_iou
from stages.evaluate.threshold_sweep import Sample, sweep_confusions, threshold_grid
from stages.evaluate.truth import read_truth
from stages.experiment import read_experiment
from stages.files import write_json
from stages.images import read_image
from stages.index import Record, read_classes, read_index
from stages.labelling import enlarge_maps
from stages.localize.checkpoint import load_localizer
from stages.localize.inference import make_maps
from stages.pool import over_processes
from stages.refine.background import add_threshold
from stages.refine.pseudo_masks import label_image
from stages.settings import CrfSettings, Experiment

Maps = NDArray[np.float32]
STRIDE = 4


@dataclass(frozen=True)
class DataSet:
    """Images, their usual size and mean number of classes, for the projected disk."""

    images: int
    rows: int
    columns: int
    classes: float

    def gigabytes(self, *, stride: int, bytes_a_value: int) -> float:
        """Disk of the maps of all images, without the few bytes of names and sizes."""
        values = -(-self.rows // stride) * -(-self.columns // stride) * self.classes
        return self.images * values * bytes_a_value / 1e9


DATA_SETS = {
    "VOC 2012 train_aug": DataSet(10_582, 375, 500, 1.5),
    "COCO 2014 train": DataSet(82_081, 480, 640, 2.9),
}


def quarter(maps: Maps) -> Maps:
    """Maps at a quarter of their size, averaged, [K, rows / 4, columns / 4]."""
    rows, columns = (-(-side // STRIDE) for side in maps.shape[1:])
    if not len(maps):
        return np.zeros((0, rows, columns), dtype=np.float32)
    return torch.nn.functional.interpolate(torch.from_numpy(maps)[None], size=(rows, columns), mode="area")[0].numpy()


WAYS: dict[str, Callable[[Maps], NDArray]] = {
    "full size, float32": lambda maps: maps,
    "quarter size, float16": lambda maps: quarter(maps).astype(np.float16),
    "quarter size, uint8": lambda maps: np.round(quarter(maps) * 255).astype(np.uint8),
}
FORMS = {
    "full size, float32": {"stride": 1, "bytes_a_value": 4},
    "quarter size, float16": {"stride": STRIDE, "bytes_a_value": 2},
    "quarter size, uint8": {"stride": STRIDE, "bytes_a_value": 1},
}


def restore(stored: NDArray, size: tuple[int, int]) -> Maps:
    """Stored maps as [K, rows, columns] float32 in [0, 1] at the image's size."""
    scale = np.float32(1 / 255) if stored.dtype == np.uint8 else np.float32(1)
    return enlarge_maps(stored.astype(np.float32) * scale, size)


def mask_confusion(path: Path, truth: Path, maps: Maps, classes: list[int], threshold: float, crf: dict, labels: int):
    """Confusion matrix of an image's CRF mask."""
    image = np.asarray(read_image(path))
    mask = label_image(image, add_threshold(maps, threshold), classes, CrfSettings.model_validate(crf))
    return confusion_matrix(read_truth(truth, labels, mask.shape), mask, labels)


def score_way(
    folder: Path, records: Sequence[Record], root: Path, labels: int, threshold: float, crf: dict
) -> dict[str, float]:
    """Bytes an image, mIoU of the maps at their best threshold, and of the CRF's masks, percent."""
    by_id = {record.id: record for record in records}

    def images() -> Iterator[tuple[Record, Maps, NDArray]]:
        for path in sorted(folder.iterdir()):
            content = load_file(path)
            rows, columns = content["size"].tolist()
            yield by_id[path.stem], restore(content["maps"], (rows, columns)), content["classes"]

    samples = (
        Sample(maps, classes, read_truth(root / record.mask, labels, maps.shape[1:]))
        for record, maps, classes in images()
    )
    jobs = (
        (root / record.image, root / record.mask, maps, classes.tolist(), threshold, crf, labels)
        for record, maps, classes in images()
    )
    masks = sum(over_processes(mask_confusion, jobs, os.cpu_count() or 1, title="CRF"))
    return {
        "bytes_an_image": sum(path.stat().st_size for path in folder.iterdir()) / len(records),
        "miou_maps": float(mean_iou(sweep_confusions(samples, threshold_grid(100), labels)).max()),
        "miou_crf": float(mean_iou(masks)),  # type: ignore[arg-type]
    }


def compare(results: Path, split: str, experiment: Experiment, *, threshold: float) -> dict[str, dict[str, float]]:
    """Figures of each way."""
    localizer, classes = load_localizer(results / "localize/localizer.safetensors", experiment.localize)
    settings = experiment.localize.model_copy(
        update={"maps": experiment.localize.maps.model_copy(update={"stride": 1})}
    )
    crf, root = experiment.refine.crf.model_dump(), experiment.data.root or results / "data/set"
    records, names = read_index(results / f"data/{split}.csv"), read_classes(results / "data/classes.txt")
    with TemporaryDirectory() as folder:
        for image in make_maps(
            records, root, localizer=localizer, classes=classes, settings=settings, device=pick_device()
        ):
            for name, store in WAYS.items():
                path = Path(folder) / name / f"{image.id}.safetensors"
                path.parent.mkdir(exist_ok=True)
                save_file({"maps": store(image.maps), "classes": image.classes, "size": np.array(image.size)}, path)
        return {name: score_way(Path(folder) / name, records, root, len(names), threshold, crf) for name in WAYS}


def run(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, required=True, help="results/<experiment>, with a localizer")
    parser.add_argument("--config", type=Path, required=True, help="its config")
    parser.add_argument("--split", default="val")
    parser.add_argument("--threshold", type=float, default=0.3, help="background threshold of the CRF's masks")
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args(arguments)
    experiment = read_experiment(yaml.safe_load(args.config.read_text()), source=str(args.config))
    figures = compare(args.results, args.split, experiment, threshold=args.threshold)
    write_json(args.json, figures)
    print("| maps | bytes an image | mIoU maps | mIoU CRF | " + " | ".join(DATA_SETS) + " |")
    print("| --- | --- | --- | --- | " + " | ".join("---" for _ in DATA_SETS) + " |")
    for name, own in figures.items():
        form = FORMS[name]
        disks = " | ".join(f"{data.gigabytes(**form):.1f} GB" for data in DATA_SETS.values())
        print(f"| {name} | {own['bytes_an_image']:.0f} | {own['miou_maps']:.2f} | {own['miou_crf']:.2f} | {disks} |")


if __name__ == "__main__":
    run()
