"""Trains the projections of an open_clip model built from packaged towers, on cut-outs and on tagged images."""

import argparse
from pathlib import Path

import torch

from stages.devices import pick_device
from stages.encode.clip import build_towers
from stages.encode.cutout_views import cutout_pairs
from stages.encode.image_views import image_pairs
from stages.encode.pairs import Pairs, Texts
from stages.encode.projections import train_projections
from stages.errors import DataError, SettingsError
from stages.index import read_index, tagged
from stages.runtime.command import main, parse_settings, parser
from stages.settings import EncodeSettings, TowerClip
from stages.tensors import write_tensors


def make_pairs(args: argparse.Namespace, settings: EncodeSettings, clip: TowerClip, texts: Texts) -> list[Pairs]:
    """The pairs that the settings say to learn from; their texts go into `texts`. Raises DataError if no image has a
    tag."""
    pairs = []
    if "cutouts" in clip.learns_from:
        common = {"templates": settings.templates, "side": clip.image_size, "seed": args.seed}
        pairs.append(cutout_pairs(args.cutouts, texts, views=clip.views, **common))
    if "images" in clip.learns_from:
        records = tagged(read_index(args.index))
        if not records:
            raise DataError(f"{args.index}: no image has a tag to learn from; set encode.clip.learns_from: [cutouts]")
        pairs.append(
            image_pairs(
                records,
                args.root,
                texts,
                templates=settings.templates,
                synonyms=settings.synonyms,
                views=clip.image_views,
                side=clip.image_size,
                seed=args.seed,
            )
        )
    return pairs


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, "weights", outputs=("output",))
    options.add_argument("--cutouts", type=Path, help="folder of the training cut-outs and backgrounds")
    options.add_argument("--index", type=Path, help="index of the training images")
    options.add_argument("--root", type=Path, help="folder that the index's paths are relative to")
    options.add_argument("--seed", type=int, required=True)
    args = options.parse_args(arguments)
    settings = parse_settings(EncodeSettings, args.settings)
    if not isinstance(settings.clip, TowerClip):
        raise SettingsError(f"encode.clip.kind: {settings.clip.kind!r} has nothing to train; only `towers` does")
    torch.manual_seed(args.seed)
    clip, texts = build_towers(settings.clip, args.weights), Texts()
    pairs = make_pairs(args, settings, settings.clip, texts)
    state = train_projections(clip, pairs, texts, settings=settings.clip, device=pick_device())
    metadata = {"clip": settings.clip.model_dump_json()}
    write_tensors(args.output, state, cure="lower encode.clip.learning_rate", metadata=metadata)


if __name__ == "__main__":
    main(run, stored=("output",))
