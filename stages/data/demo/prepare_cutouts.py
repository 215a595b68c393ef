"""Prepares the demo's training cut-outs and backgrounds for the text-image model of another dataset."""

from stages.data.demo.lists import read_background_list, read_cutout_list
from stages.data.demo.material import read_material, read_sources, write_material
from stages.files import atomic_folder
from stages.runtime.command import main, parse_settings, parser
from stages.settings import DataSettings


def run(arguments: list[str] | None = None) -> None:
    args = parser(__doc__, "sources", outputs=("output",)).parse_args(arguments)
    parse_settings(DataSettings, args.settings)
    # All of them, whatever this experiment's classes are: they teach words and pictures in general.
    material = read_material("train", read_sources(args.sources), read_cutout_list(), read_background_list())
    with atomic_folder(args.output) as folder:
        write_material(folder, material)


if __name__ == "__main__":
    main(run)
