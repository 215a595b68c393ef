"""Prints parameters, operations and memory of the localization transformer at the paper's size, as Markdown.

Counted, not timed: tensors have shapes and no values (torch's meta device and fake tensors), so it takes a minute on
any machine. Operations are those of matrix products and convolutions, a multiplication and an addition each
(torch.utils.flop_counter); memory is that of the tensors that autograd keeps for the backward pass. The hours are an
estimate: operations over an assumed rate.

    python -m benchmarks.full_size
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from stages.experiment import read_experiment
from stages.localize.batches import shorter_side, size_on_grid
from stages.localize.mmcst import Mmcst
from stages.settings import LocalizeSettings

CONFIG = Path(__file__).parents[1] / "configs/voc12.yaml"
LANGUAGE_WIDTH = 512  # of CLIP ViT-B-16
IMAGE_SIZE = (375, 500)  # rows, columns: VOC's commonest size; COCO's 480 x 640 has its shape
META = torch.device("meta")

Precision = Callable[[], AbstractContextManager]


@dataclass(frozen=True)
class Dataset:
    """A dataset of the paper. train: images that train the localizer.  others: more images that get maps."""

    name: str
    classes: int
    train: int
    others: int


DATASETS = (
    Dataset("VOC 2012", classes=20, train=10_582, others=1_449),
    Dataset("COCO 2014", classes=80, train=82_081, others=40_137),
    Dataset("OpenImages30k", classes=100, train=29_819, others=7_500),
)


@dataclass(frozen=True)
class Size:
    """What one number of classes costs.

    parameters: learned values.  training_flops: forward and backward pass of one training crop.  map_flops: maps of one
    image, all scales and mirrored copies.  kept, kept_bfloat16: bytes that autograd keeps a training crop, in float32
    and under bfloat16 autocast by its rules for CPUs.
    """

    parameters: int
    training_flops: int
    map_flops: int
    kept: int
    kept_bfloat16: int


def paper_settings() -> LocalizeSettings:
    """The section `localize` of configs/voc12.yaml."""
    return read_experiment(yaml.safe_load(CONFIG.read_text(encoding="utf-8")), source=CONFIG.name).localize


def measure(settings: LocalizeSettings, classes: int) -> Size:
    """Counts for the localization transformer with `classes` classes."""
    with META:
        localizer = Mmcst(settings, torch.zeros(classes, LANGUAGE_WIDTH), None).train()
    return Size(
        parameters=sum(parameter.numel() for parameter in localizer.parameters() if parameter.requires_grad),
        training_flops=training_flops(localizer),
        map_flops=map_flops(localizer.eval()),
        kept=kept_per_crop(settings, classes, nullcontext),
        kept_bfloat16=kept_per_crop(settings, classes, lambda: torch.autocast("cpu", torch.bfloat16)),
    )


def crops(localizer: Mmcst, batch_size: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs of `losses` without values: images [B, 3, crop, crop], labels [B, C], embeddings [B, E]."""
    side = localizer.settings.training.crop
    return (
        torch.zeros(batch_size, 3, side, side, device=device),
        torch.zeros(batch_size, localizer.classes, device=device),
        torch.zeros(batch_size, LANGUAGE_WIDTH, device=device),
    )


def loss_of(localizer: Mmcst, batch_size: int, device: torch.device) -> Tensor:
    """The sum of all losses of a batch."""
    return torch.stack(list(localizer.losses(*crops(localizer, batch_size, device)).values())).sum()


def training_flops(localizer: Mmcst) -> int:
    """Floating-point operations of the forward and backward pass of one crop."""
    # The counter knows no fused attention on the meta device; the explicit one does the same products.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        loss_of(localizer, 1, META).backward()
    return counter.get_total_flops()


def map_flops(localizer: Mmcst) -> int:
    """Floating-point operations of the maps of one image of IMAGE_SIZE, over all scales and directions."""
    settings = localizer.settings.maps
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        for scale in settings.scales:
            rows, columns = size_on_grid(IMAGE_SIZE, shorter_side(IMAGE_SIZE, settings, scale), localizer.stride)
            localizer.locate(torch.zeros(1 + settings.flip, 3, rows, columns, device=META), settings)
    return counter.get_total_flops()


def kept_per_crop(settings: LocalizeSettings, classes: int, precision: Precision) -> int:
    """Bytes that autograd keeps for each more crop in a batch; what it keeps whatever the batch (weights) falls out."""
    localizer = Mmcst(settings, torch.zeros(classes, LANGUAGE_WIDTH), None).train()
    with FakeTensorMode(allow_non_fake_inputs=True):
        one, three = (kept_bytes(localizer, batch_size, precision) for batch_size in (1, 3))
    return (three - one) // 2


def kept_bytes(localizer: Mmcst, batch_size: int, precision: Precision) -> int:
    """Bytes of all storages that autograd keeps for the backward pass, each counted once."""
    with kept_storages() as storages, precision():
        loss_of(localizer, batch_size, torch.device("cpu"))
    return sum(storage.nbytes() for storage in storages.values())


@contextmanager
def kept_storages() -> Iterator[dict[int, torch.UntypedStorage]]:
    """Collects the storages that autograd keeps, by identity; they stay alive, so that no identity comes twice."""
    storages: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield storages


def gpu_hours(flops: float, rate: float) -> float:
    """Hours for `flops` operations at `rate` operations a second."""
    return flops / rate / 3600


def report(settings: LocalizeSettings, *, rate: float) -> list[str]:
    """The table, a column a dataset. rate: assumed operations a second."""
    columns = []
    for dataset in DATASETS:
        size = measure(settings, dataset.classes)
        training = size.training_flops * dataset.train * settings.training.epochs
        maps = size.map_flops * (dataset.train + dataset.others)
        columns.append(
            {
                "": f"{dataset.name}, {dataset.classes} classes",
                "learned parameters": f"{size.parameters:,}",
                "weights, gradients, AdamW's moments, float32": f"{16 * size.parameters / 1e9:.2f} GB",
                "a training crop, forward and backward": f"{size.training_flops / 1e9:.1f} GFLOP",
                "maps of an image": f"{size.map_flops / 1e9:.0f} GFLOP",
                "kept for the backward pass, a crop, float32": f"{size.kept / 1e6:.0f} MB",
                "the same under bfloat16 autocast": f"{size.kept_bfloat16 / 1e6:.0f} MB",
                "whole training": f"{training / 1e15:.0f} PFLOP, {gpu_hours(training, rate):.2f} GPU hours",
                "all maps": f"{maps / 1e15:.0f} PFLOP, {gpu_hours(maps, rate):.2f} GPU hours",
            }
        )
    header, *body = [f"| {' | '.join((name, *(column[name] for column in columns)))} |" for name in columns[0]]
    return [header, "| --- " * (1 + len(columns)) + "|", *body]


def run(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peak", type=float, default=312.0, help="TFLOP/s of the GPU; an A100's in bfloat16")
    parser.add_argument("--share", type=float, default=0.3, help="share of the peak that is assumed to be reached")
    args = parser.parse_args(arguments)
    print("\n".join(report(paper_settings(), rate=args.peak * 1e12 * args.share)))


if __name__ == "__main__":
    run()
