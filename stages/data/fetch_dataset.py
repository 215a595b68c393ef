"""Fetches a dataset: downloads its archives, checks and unpacks them below the dataset root."""

from stages.data.archives import fetch_sources, read_sources
from stages.files import write_json
from stages.runtime.command import main, parse_settings, parser
from stages.settings import DataSettings
from stages.vocabulary import SPLITS


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "root", outputs=("output",))
    command.add_argument("--splits", nargs="+", choices=SPLITS, required=True, help="splits to be used")
    args = command.parse_args(arguments)
    settings = parse_settings(DataSettings, args.settings)
    write_json(args.output, fetch_sources(read_sources(settings, args.splits), args.root))


if __name__ == "__main__":
    main(run)
