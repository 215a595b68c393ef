"""Makes the localization maps of one shard of a split."""

from pathlib import Path

from stages.devices import pick_device
from stages.index import read_index, shard_of
from stages.localize.checkpoint import load_localizer
from stages.localize.inference import make_maps
from stages.localize.map_features import MapFeatures
from stages.negatives import add_negatives
from stages.runtime.command import main, parse_settings, parser
from stages.settings import LocalizeSettings
from stages.shards import write_shard


def run(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, "index", "root", "localizer", outputs=("output",))
    options.add_argument("--shard", type=int, required=True)
    options.add_argument("--shards", type=int, required=True)
    options.add_argument(
        "--features", type=Path, help="the frozen CNN's features of these images, in place of the images"
    )
    options.add_argument("--longest-side", type=int, help="pixels at which larger images will be labelled")
    add_negatives(options)
    args = options.parse_args(arguments)
    settings = parse_settings(LocalizeSettings, args.settings)
    localizer, classes = load_localizer(args.localizer, settings)
    records = shard_of(read_index(args.index), args.shard, args.shards)
    maps = make_maps(
        records,
        args.root,
        localizer=localizer,
        classes=classes,
        settings=settings,
        device=pick_device(),
        features=MapFeatures(args.features) if args.features else None,
        longest_side=args.longest_side,
        negatives=args.negatives,
    )
    write_shard(args.output, maps)


if __name__ == "__main__":
    main(run, stored=("output",))
