"""Times our side of the comparison with MCTformer's public code (benchmarks/peers.md); writes seconds as JSON.

A training step (forward, losses, backward, AdamW) of `mctformer` V2 or plus, or of `mmcst`, and the maps of photographs
of 375 x 500 pixels at three scales with mirrored copies, with class and patch attention of all 12 blocks, as plus makes
them. The weights are those of a checkpoint of the public code, or random. No code of others is needed.

    python -m benchmarks.mctformer --json seconds.json --method plus --precision bfloat16
"""

import argparse
import logging
import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from benchmarks.localize import training_step
from benchmarks.timing import Way, time_ways
from stages.devices import pick_device
from stages.files import write_json
from stages.localize.batches import Batch, resize_to_grid
from stages.localize.checkpoint import build_localizer
from stages.localize.inference import locate_batch
from stages.localize.localizer import Localizer
from stages.localize.mctformer import Mctformer
from stages.localize.mctformer_weights import load_mctformer
from stages.settings import LocalizeSettings

METHODS = {
    "v2": {"kind": "mctformer", "version": "v2"},
    "plus": {"kind": "mctformer", "version": "plus"},
    "mmcst": {"kind": "mmcst"},
}
CLASSES, LANGUAGE_WIDTH = 20, 512
CROP, CROPS = 224, 8  # a training step's
SIZE = (375, 500)  # rows, columns of a photograph
MAPS = {
    "size": min(SIZE),
    "scales": (1.0, 0.75, 1.25),
    "class_attention": True,
    "patch_affinity": True,
    "attention_blocks": 12,
    "affinity_blocks": 12,
}
Precision = Callable[[], AbstractContextManager]


def build(method: str, checkpoint: Path | None) -> Localizer:
    """A DeiT-S with 20 classes. checkpoint: of MCTformer's public code; random weights if None."""
    torch.manual_seed(0)
    backbone = {"kind": "vit", "model": "deit_small_patch16_224"}
    settings = LocalizeSettings.model_validate({"method": METHODS[method], "backbone": backbone, "maps": MAPS})
    text = F.normalize(torch.randn(CLASSES, LANGUAGE_WIDTH), dim=1)
    localizer = build_localizer(settings, weights=None, text=text)
    if checkpoint is not None:
        assert isinstance(localizer, Mctformer), "the public code has no mmcst"
        load_mctformer(checkpoint, localizer)
    return localizer.to(pick_device())


def training(localizer: Localizer, precision: Precision) -> Way:
    """A training step on crops of noise, two tags each."""
    device = pick_device()
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(CROPS, 3, CROP, CROP, generator=generator).to(device)
    labels = torch.zeros(CROPS, CLASSES, device=device)
    for crop in range(CROPS):
        labels[crop, [crop, crop + 7]] = 1
    embedding = F.normalize(torch.randn(CROPS, LANGUAGE_WIDTH, generator=generator), dim=1).to(device)
    optimizer = torch.optim.AdamW(localizer.parameters(), lr=1e-5, weight_decay=0.05, fused=True)

    def step() -> None:
        localizer.train()
        training_step(localizer, optimizer, images, labels, embedding, precision=precision)

    return step


def resized(photographs: list[Image.Image], scale: float) -> Tensor | list[Tensor]:
    """uint8 [b, 3, H, W]: the photographs at a scale, on the grid of patches of 16 pixels."""
    shorter = round(min(SIZE) * scale)
    return torch.stack([transforms.pil_to_tensor(resize_to_grid(photo, shorter, 16)) for photo in photographs])


def maps(localizer: Localizer, photographs: list[Image.Image], batch_size: int, precision: Precision) -> Way:
    """Maps of all classes, of photographs that are decoded and resized already."""
    settings, device = localizer.settings.maps, pick_device()
    groups = [photographs[start : start + batch_size] for start in range(0, len(photographs), batch_size)]
    batches = [
        Batch([list(range(len(own)))], [SIZE] * len(own), [[resized(own, scale)] for scale in settings.scales])
        for own in groups
    ]

    @torch.inference_mode()
    def run() -> list[Tensor]:
        localizer.eval()
        with precision():
            return [own for batch in batches for own in locate_batch(batch, localizer, settings, device)[0]]

    return run


def read_photographs(folder: Path | None, count: int) -> list[Image.Image]:
    """The first JPEGs of a folder in the order of their names, resized to 500 x 375; noise if None."""
    if folder is None:
        return [Image.effect_noise((12, 9), 80 + number).convert("RGB").resize(SIZE[::-1]) for number in range(count)]
    paths = sorted(folder.rglob("*.jp*g"))[:count]
    return [Image.open(path).convert("RGB").resize(SIZE[::-1]) for path in paths]


def run(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="file for {name: seconds}")
    parser.add_argument("--method", choices=METHODS, default="plus")
    parser.add_argument("--checkpoint", type=Path, help="of MCTformer's public code; default: random weights")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--photographs", type=Path, help="folder of JPEGs; default: noise")
    parser.add_argument("--images", type=int, default=16, help="photographs")
    parser.add_argument("--batch-size", type=int, default=8, help="photographs that run at once")
    parser.add_argument("--rounds", type=int, default=5, help="rounds in which each is timed once")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads of torch")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(args.threads)
    device = pick_device()
    precision: Precision = (
        nullcontext if args.precision == "float32" else partial(torch.autocast, device.type, torch.bfloat16)
    )
    localizer = build(args.method, args.checkpoint)
    photographs = read_photographs(args.photographs, args.images)
    ways = {
        "training_step": training(localizer, precision),
        "maps": maps(localizer, photographs, args.batch_size, precision),
    }
    seconds = time_ways(ways, pairs=args.rounds, device=device)
    medians = {name: statistics.median(own) for name, own in seconds.items()}
    write_json(args.json, medians)
    print("\n".join(f"{name}: {own:.3g} s" for name, own in medians.items()))


if __name__ == "__main__":
    run()
