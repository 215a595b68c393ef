"""Fetches the demo's source packages, checks and unpacks them, and lists where each source file is."""

from stages.data.demo.lists import read_background_list, read_cutout_list, read_packages
from stages.data.demo.packages import fetch_packages, find_files
from stages.files import write_json
from stages.runtime.command import main, parse_settings, parser
from stages.settings import DataSettings


def run(arguments: list[str] | None = None) -> None:
    args = parser(__doc__, outputs=("output",)).parse_args(arguments)
    settings = parse_settings(DataSettings, args.settings)
    roots = fetch_packages(read_packages(), settings.demo.cache, settings.demo.packages)
    names = [item.file for item in read_cutout_list()] + [item.file for item in read_background_list()]
    write_json(args.output, {"files": find_files(names, roots)})


if __name__ == "__main__":
    main(run)
