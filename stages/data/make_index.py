"""Reads a split of the dataset, checks every image in it, and writes its index."""

from typing import get_args

from stages.command import main, parse_settings, parser
from stages.data.captions import with_captions
from stages.data.problems import check_records
from stages.data.readers import read_split
from stages.index import write_index
from stages.settings import DataSettings, SplitName


def run(arguments: list[str] | None = None) -> None:
    commands = parser(__doc__, "root", "output")
    commands.add_argument("--split", choices=get_args(SplitName), required=True)
    args = commands.parse_args(arguments)
    settings = parse_settings(DataSettings, args.settings)
    records, source = read_split(args.root, args.split, settings)
    if settings.captions is not None:
        records = with_captions(records, settings.captions, split=args.split)
    check_records(records, args.root, settings.classes, source=source)
    write_index(args.output, records)


if __name__ == "__main__":
    main(run)
