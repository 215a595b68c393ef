"""Draws the contact sheet of a split: images with their tags and the outlines of their true masks."""

from stages.data.sheet import draw_sheet, write_sheet
from stages.index import read_index
from stages.runtime.command import main, parse_settings, parser
from stages.settings import DataSettings


def run(arguments: list[str] | None = None) -> None:
    args = parser(__doc__, "index", "root", outputs=("output",)).parse_args(arguments)
    settings = parse_settings(DataSettings, args.settings)
    write_sheet(args.output, draw_sheet(read_index(args.index), args.root, settings.classes))


if __name__ == "__main__":
    main(run)
