"""Composes the demo set: photographic cut-outs over photographs, in VOC layout, with true masks and tags."""

from stages.data.demo.lists import check_classes, read_background_list, read_cutout_list
from stages.data.demo.material import compose_set, read_sources
from stages.runtime.command import main, parse_settings, parser
from stages.settings import DataSettings


def run(arguments: list[str] | None = None) -> None:
    commands = parser(__doc__, "sources", outputs=("output",))
    commands.add_argument("--seed", type=int, required=True, help="seed of every random choice")
    commands.add_argument("--processes", type=int, default=1, help="processes that compose; the result is the same")
    args = commands.parse_args(arguments)
    settings = parse_settings(DataSettings, args.settings)
    check_classes(settings.classes)
    compose_set(
        args.output,
        read_sources(args.sources),
        read_cutout_list(),
        read_background_list(),
        settings=settings,
        seed=args.seed,
        processes=args.processes,
    )


if __name__ == "__main__":
    main(run)
