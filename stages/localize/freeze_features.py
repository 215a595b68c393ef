"""Writes the frozen features of the training images' random crops, for trainings that use `views`."""

from stages.errors import SettingsError
from stages.files import atomic_folder
from stages.index import read_index
from stages.localize.frozen import write_features
from stages.localize.views import training_transform
from stages.negatives import add_negatives, learned
from stages.networks.pyramid import build_pyramid
from stages.runtime.command import main, parse_settings, parser
from stages.settings import LocalizeSettings, VitBackbone
from stages.tensors import read_tensors


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, "index", "root", "weights", outputs=("output",))
    options.add_argument("--seed", type=int, required=True)
    add_negatives(options)
    args = options.parse_args(arguments)
    settings = parse_settings(LocalizeSettings, args.settings)
    backbone = settings.backbone
    if isinstance(backbone, VitBackbone):
        raise SettingsError("localize.backbone.kind: `vit` has no frozen CNN whose features could be computed once")
    pyramid = build_pyramid(backbone, read_tensors(args.weights, stage="encode"))
    with atomic_folder(args.output) as folder:
        write_features(
            folder,
            learned(read_index(args.index), args.negatives),
            args.root,
            pyramid=pyramid,
            transform=training_transform(settings.training, pyramid.statistics),
            views=backbone.views,
            seed=args.seed,
        )


if __name__ == "__main__":
    main(run, stored=("output",))
