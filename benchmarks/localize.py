"""Times the localization transformer against the same model written the plain way; writes the ratios as JSON.

The plain way keeps the attention of all blocks, [heads, tokens, tokens] each, embeds the batch's images with CLIP in
every training step, and makes maps image by image, each scale and each mirrored copy in a pass of its own. Both ways
have the same weights; losses, gradients and maps are held against each other before anything is timed. Weights are
random, arithmetic is float32.

    python -m benchmarks.localize --json ratios.json
"""

import argparse
import copy
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from benchmarks.timing import OURS, TABLE_HEAD, Way, ratios_to_ours
from stages.devices import pick_device
from stages.files import write_json
from stages.localize.attention import NO_ATTENTION, Attended, Attention
from stages.localize.batches import Batch, size_on_grid
from stages.localize.encoders import Grid
from stages.localize.inference import locate_batch, stored_size
from stages.localize.localizer import Localizer
from stages.localize.mmcst import Mmcst
from stages.settings import LocalizeSettings, MapSettings, VitBackbone


class PlainMmcst(Mmcst):
    """The localization transformer with explicit attention, all of it kept in a list until the last block is done."""

    def through_blocks(
        self, inputs: Sequence[Tensor | list[Tensor]], *, attention: Attention = NO_ATTENTION
    ) -> list[tuple[Attended, Grid]]:
        (images,) = inputs  # of one size
        patches, grid = self.encoder.patches(images)
        class_tokens = self.tokens_at_input()
        count = len(class_tokens)
        tokens = torch.cat((class_tokens.expand(len(patches), -1, -1), patches), dim=1)
        kept: list[Tensor] = []
        for block in self.encoder.blocks:
            tokens, weights = plain_block(block, tokens)
            kept.append(weights)
        tokens = self.encoder.norm(tokens)
        class_attention = patch_attention = None
        if attention.classes:
            class_attention = torch.stack(kept)[-attention.classes :].mean(dim=(0, 2))[:, :count, count:]
        if attention.patches:
            patch_attention = torch.stack(kept)[-attention.patches :].mean(dim=(0, 2))[:, count:, count:]
        return [(Attended(tokens[:, :count], tokens[:, count:], None, class_attention, patch_attention), grid)]


def plain_block(block: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """A timm block's output [B, M, D], and its attention [B, heads, M, M]."""
    layer = block.attn
    query, key, value = rearrange(
        layer.qkv(block.norm1(tokens)), "b m (three h d) -> three b h m d", three=3, h=layer.num_heads
    )
    weights = torch.softmax(query @ key.mT * layer.scale, dim=-1)
    tokens = tokens + layer.proj(rearrange(weights @ value, "b h m d -> b m (h d)"))
    return tokens + block.mlp(block.norm2(tokens)), weights


@dataclass(frozen=True)
class Bench:
    """What all ways are run on.

    ours, plain: equal weights.  clip: open_clip model.  images: normalised crops, [B, 3, size, size].  labels: tags,
    [B, C].  embedding: CLIP's of the images, [B, E].  batch: the images at every scale, for maps.
    """

    ours: Mmcst
    plain: PlainMmcst
    clip: Any
    images: Tensor
    labels: Tensor
    embedding: Tensor
    batch: Batch
    maps: MapSettings

    @property
    def device(self) -> torch.device:
        return self.images.device


def build_bench(
    model: str, *, clip_model: str, batch_size: int, size: int, classes: int, scales: Sequence[float]
) -> Bench:
    """Models with random weights and images of noise. model: timm ViT.  clip_model: open_clip name."""
    torch.manual_seed(0)
    device = pick_device()
    clip: Any = open_clip.create_model(clip_model, pretrained=None, device=device).eval().requires_grad_(False)
    images = torch.randn(batch_size, 3, size, size, device=device)
    embedding = embed(clip, images)
    settings = LocalizeSettings(
        backbone=VitBackbone(model=model),
        maps=MapSettings(size=size, scales=tuple(scales), class_attention=True, patch_affinity=True),
    )
    text = F.normalize(torch.randn(classes, embedding.shape[1]), dim=1)
    ours = Mmcst(settings, text, None)
    plain = PlainMmcst(settings, text, None)
    plain.load_state_dict(copy.deepcopy(ours.state_dict()))
    labels = (torch.rand(batch_size, classes, device=device) < 2 / classes).float()
    labels[:, 0] = 1  # a training image has at least one tag
    grids = [size_on_grid((size, size), round(size * scale), ours.stride) for scale in scales]
    noise: list[Tensor | list[Tensor]] = [
        torch.randint(256, (batch_size, 3, *grid), dtype=torch.uint8) for grid in grids
    ]
    batch = Batch([list(range(batch_size))], [(size, size)] * batch_size, [[own] for own in noise])
    return Bench(ours.to(device), plain.to(device), clip, images, labels, embedding, batch, settings.maps)


@torch.no_grad()
def embed(clip: Any, images: Tensor) -> Tensor:
    """CLIP's embedding of images [B, 3, H, W] at its own input size, [B, E], L2-normalised."""
    side = clip.visual.image_size[0]
    if images.shape[-2:] != (side, side):
        images = F.interpolate(images, size=(side, side), mode="bilinear", antialias=True)
    return clip.encode_image(images, normalize=True)


def training_step(
    localizer: Localizer,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    embedding: Tensor,
    *,
    precision: Callable[[], AbstractContextManager] = nullcontext,
) -> None:
    """Losses, gradients, one step of the optimizer."""
    with precision():
        losses = localizer.losses(images, labels, embedding)
    torch.stack([own for name, own in losses.items() if "loss" in name]).sum().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


@torch.inference_mode()
def maps_together(localizer: Localizer, bench: Bench) -> list[Tensor]:
    """Each image's maps of all classes, [C, rows, columns]: images and mirrored copies in one batch, as `make_maps`."""
    return locate_batch(bench.batch, localizer, bench.maps, bench.device)[0]


@torch.inference_mode()
def maps_one_by_one(localizer: Localizer, bench: Bench) -> list[Tensor]:
    """The same, a pass for each image, scale and direction."""
    results = []
    for position, size in enumerate(bench.batch.sizes):
        total = torch.zeros(())
        for (scaled,) in bench.batch.scales:
            assert isinstance(scaled, Tensor)
            image = transforms.to_dtype(scaled[position, None].to(bench.device), torch.float32, scale=True)
            image = transforms.normalize(image, *map(list, localizer.statistics))
            for mirrored in (False, True):
                maps = localizer.locate(image.flip(-1) if mirrored else image, bench.maps).maps
                maps = maps.flip(-1) if mirrored else maps
                stored = stored_size(size, bench.maps.stride)
                total = total + F.interpolate(maps, size=stored, mode="bilinear", align_corners=False)[0].cpu()
        results.append(total)
    return results


def check_equal(bench: Bench) -> None:
    """Raises AssertionError where the two ways differ in losses, in gradients or in maps."""
    ours = bench.ours.losses(bench.images, bench.labels, bench.embedding)
    plain = bench.plain.losses(bench.images, bench.labels, embed(bench.clip, bench.images))
    torch.testing.assert_close(plain, ours, rtol=1e-4, atol=1e-4)
    for losses in (ours, plain):
        torch.stack(list(losses.values())).sum().backward()
    gradients = {name: parameter.grad for name, parameter in bench.ours.named_parameters() if parameter.requires_grad}
    for name, parameter in bench.plain.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-2, atol=1e-3, msg=name)
    for localizer in (bench.ours, bench.plain):
        localizer.zero_grad(set_to_none=True)
    together, one_by_one = maps_together(bench.ours, bench), maps_one_by_one(bench.plain, bench)
    for mine, other in zip(together, one_by_one, strict=True):
        largest = float(mine.max())
        torch.testing.assert_close(other / largest, mine.cpu() / largest, rtol=1e-3, atol=1e-4)


def training_ways(bench: Bench) -> dict[str, Way]:
    """A training step: ours, the plain way, and ours with one ingredient of the plain way."""
    optimizers = {
        localizer: torch.optim.AdamW(localizer.parameters(), lr=1e-5, weight_decay=0.05, fused=True)
        for localizer in (bench.ours, bench.plain)
    }

    def step(localizer: Mmcst, *, embedded: bool) -> Way:
        def run() -> None:
            embedding = bench.embedding if embedded else embed(bench.clip, bench.images)
            training_step(localizer, optimizers[localizer], bench.images, bench.labels, embedding)

        return run

    return {
        OURS: step(bench.ours, embedded=True),
        "training": step(bench.plain, embedded=False),
        "training_attention": step(bench.plain, embedded=True),
        "training_embedding": step(bench.ours, embedded=False),
    }


def inference_ways(bench: Bench) -> dict[str, Way]:
    """Maps of a batch: ours, the plain way, and ours with one ingredient of the plain way."""
    return {
        OURS: lambda: maps_together(bench.ours, bench),
        "inference": lambda: maps_one_by_one(bench.plain, bench),
        "inference_attention": lambda: maps_together(bench.plain, bench),
        "inference_batching": lambda: maps_one_by_one(bench.ours, bench),
    }


def compare(bench: Bench, *, pairs: int) -> tuple[dict[str, float], list[str]]:
    """Ratios by name, another way's time over ours in the same round, the median over `pairs` rounds; and a table."""
    ratios: dict[str, float] = {}
    lines = list(TABLE_HEAD)
    for ways in (training_ways(bench), inference_ways(bench)):
        bench.ours.train("training" in ways)
        bench.plain.train("training" in ways)
        own, rows = ratios_to_ours(ways, pairs=pairs, device=bench.device)
        ratios |= own
        lines += rows
    return ratios, lines


def bench_of(parser: argparse.ArgumentParser, arguments: list[str] | None) -> tuple[Bench, argparse.Namespace]:
    """The bench of a command line, with these options beside the parser's own."""
    parser.add_argument("--model", default="vit_small_patch16_224", help="timm ViT")
    parser.add_argument("--clip", default="ViT-B-32", help="open_clip model that embeds images")
    parser.add_argument("--batch-size", type=int, default=8, help="images a step")
    parser.add_argument("--size", type=int, default=224, help="side of crops, and of images at scale 1, pixels")
    parser.add_argument("--scales", type=float, nargs="+", default=[0.75, 1.0, 1.25], help="image scales of the maps")
    parser.add_argument("--classes", type=int, default=20, help="classes")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads of torch")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(args.threads)
    bench = build_bench(
        args.model,
        clip_model=args.clip,
        batch_size=args.batch_size,
        size=args.size,
        classes=args.classes,
        scales=args.scales,
    )
    return bench, args


def run(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="file for {name: ratio}")
    parser.add_argument("--pairs", type=int, default=5, help="rounds in which every way is timed once")
    bench, args = bench_of(parser, arguments)
    check_equal(bench)
    ratios, lines = compare(bench, pairs=args.pairs)
    write_json(args.json, ratios)
    print("\n".join(lines))


if __name__ == "__main__":
    run()
