"""Fetches a dataset: downloads its archives, checks and unpacks them below the dataset root."""

from stages.command import main, parse_settings, parser
from stages.data.sources import fetch_sources, read_sources
from stages.files import write_json
from stages.settings import DataSettings


def run(arguments: list[str] | None = None) -> None:
    args = parser(__doc__, "root", "output").parse_args(arguments)
    settings = parse_settings(DataSettings, args.settings)
    write_json(args.output, fetch_sources(read_sources(settings.format), args.root))


if __name__ == "__main__":
    main(run)
