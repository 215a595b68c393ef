"""Converts a checkpoint of MCTformer's public code (V2 or plus) to a localizer for `make_maps`."""

from pathlib import Path

import torch

from stages.errors import SettingsError
from stages.index import read_classes
from stages.localize.checkpoint import build_localizer, save_localizer
from stages.localize.mctformer import Mctformer
from stages.localize.mctformer_weights import load_mctformer
from stages.runtime.command import main, parse_settings, parser
from stages.settings import LocalizeSettings


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, "classes", outputs=("output",))
    options.add_argument("--input", type=Path, required=True, help="MCTformer's checkpoint (.pth)")
    args = options.parse_args(arguments)
    settings = parse_settings(LocalizeSettings, args.settings)
    classes = read_classes(args.classes)
    # This localizer does not use texts.
    localizer = build_localizer(settings, weights=None, text=torch.zeros(len(classes), 1))
    if not isinstance(localizer, Mctformer):
        raise SettingsError(
            f"localize.method.kind: {settings.method.kind!r} has other weights than MCTformer; set `mctformer`"
        )
    load_mctformer(args.input, localizer)
    save_localizer(args.output, localizer, classes)


if __name__ == "__main__":
    main(run)
