"""Writes the class list: one name per line, line k (from 1) is mask value k."""

from stages.data.demo.lists import check_classes
from stages.index import write_classes
from stages.runtime.command import main, parse_settings, parser
from stages.settings import DataSettings


def run(arguments: list[str] | None = None) -> None:
    args = parser(__doc__, outputs=("output",)).parse_args(arguments)
    settings = parse_settings(DataSettings, args.settings)
    if settings.format == "demo":
        check_classes(settings.classes)
    write_classes(args.output, settings.classes)


if __name__ == "__main__":
    main(run)
