"""`tagmask init`: looks at a folder of photos and writes a config for it."""

import dataclasses
import os
import textwrap
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import yaml

from stages.cli.places import from_here, home
from stages.data.check import refuse
from stages.data.folder_reader import read_folder_split
from stages.data.photo_folder import TABLE, PhotoFolder, notes_of, read_photo_folder, write_table_of_folders
from stages.data.survey import Survey, double_lines, doubles_of, survey_lines, survey_split
from stages.errors import SettingsError
from stages.experiment import read_experiment
from stages.files import write_text
from stages.presets import FILES, WIDTH, Preset, changes_for, render
from stages.program import program
from stages.settings import DataSettings
from stages.vocabulary import SPLITS

CONFIG = Path("photos.yaml")
DOWNLOADS = "the first run downloads the weights of DINO, CLIP and a ResNet, about 1 GB"


class Choice(StrEnum):
    """A preset, or the one that suits the machine."""

    cpu = "cpu"
    gpu = "gpu"
    auto = "auto"


def has_gpu() -> bool:
    """Whether torch finds a GPU here."""
    import torch  # takes seconds, which `tagmask --help` need not wait for

    return torch.cuda.is_available()


def choose_preset(choice: Choice, *, online: bool) -> tuple[Preset, str]:
    """The preset and the reason for it. Raises SettingsError if it downloads weights and that is not wanted."""
    if choice == "gpu" and not online:
        raise SettingsError(f"--preset gpu: {DOWNLOADS}; leave out --offline, or choose --preset cpu")
    if choice == "cpu":
        return "cpu", "asked for"
    if choice == "gpu":
        return "gpu", f"asked for; {DOWNLOADS}"
    if not online:
        return "cpu", "nothing is downloaded"
    return ("gpu", f"there is a GPU; {DOWNLOADS}") if has_gpu() else ("cpu", "there is no GPU")


def header_of(folder: PhotoFolder, preset: Preset, reason: str, *, config: Path) -> str:
    """The first lines of the config."""
    about = (
        f"{len(folder.tags)} photos with {len(folder.classes)} tags, from tags to masks. Written by `tagmask init` from"
        f" {FILES[preset]} (preset {preset}: {reason}). Every setting is explained in docs/settings.md. Look at the"
        " photos, then run:"
    )
    commands = (f"tagmask check -c {config} --sheets sheets", f"tagmask run -c {config}")
    return "\n".join([*textwrap.wrap(about, WIDTH), *(f"    {command}" for command in commands)])


def survey(data: DataSettings, root: Path) -> list[Survey]:
    """Reads every photo in full, split by split."""
    surveys = []
    for split in SPLITS:
        records, _ = read_folder_split(root, split, data)
        if records or split != "test":
            surveys.append(
                survey_split(records, root, data.classes, split=split, untagged=data.untagged, negatives=True)
            )
    return surveys


def lines_of(folder: PhotoFolder, surveys: list[Survey]) -> Iterator[str]:
    """What was found, in words."""
    for own in surveys:
        yield from survey_lines(own)
    yield from double_lines(doubles_of(surveys))
    yield from (f"note: {note}" for note in notes_of(folder))


def init(
    photos: Annotated[
        Path, typer.Argument(help=f"The folder with the photos and {TABLE}, or with a sub-folder a tag.")
    ],
    preset: Annotated[
        Choice, typer.Option(help="Small encoders for a CPU, larger ones for a GPU, or what is there.")
    ] = (Choice.auto),
    online: Annotated[bool, typer.Option("--online/--offline", help="Whether a run may download weights.")] = True,
    output: Annotated[Path, typer.Option("--output", "-o", help="The config to write.")] = CONFIG,
    force: Annotated[bool, typer.Option("--force", help="Replace a config that exists.")] = False,
    directory: Annotated[Path, typer.Option(help="Folder that the run will be in.", envvar="TAGMASK_HOME")] = Path(),
) -> None:
    """Look at a folder of photos, say what is in it, and write a config for it.

    Without a table of tags, sub-folders are the tags, and the table is written.

    Examples:

      tagmask init photos

      tagmask init photos --preset cpu --force
    """
    working = home(directory)
    if output.exists() and not force:
        raise SettingsError(f"{output}: exists already; name another file with --output, or replace it with --force")
    chosen, reason = choose_preset(preset, online=online)
    if photos.is_dir() and not (photos / TABLE).exists():
        outside = write_table_of_folders(photos)
        print(f"{photos / TABLE}: written, the sub-folders are the tags")
        if outside:
            print(f"  {len(outside)} photos are in no sub-folder and are left out, the first: {outside[0]}")
    folder = read_photo_folder(photos)
    changes = changes_for(folder, chosen, root=Path(os.path.normpath(from_here(photos, working))))
    text = (program() / FILES[chosen]).read_text(encoding="utf-8")
    written = render(text, changes, header=header_of(folder, chosen, reason, config=output))
    data = read_experiment(yaml.safe_load(written), source=str(output)).data
    surveys = survey(data, photos)
    print("\n".join(lines_of(folder, surveys)))
    # Of masks that contradict the order of the classes: it can be changed in the config.
    refuse([dataclasses.replace(own, contradiction="") for own in surveys], photos / TABLE, data)
    write_text(output, written)
    print(f"{output}: written, with the preset {chosen} ({reason}). Next: tagmask check -c {output} --sheets sheets")
