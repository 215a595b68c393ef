"""A config for a folder of photos: a preset of `configs/`, with the settings that depend on the folder.

The preset's own file is the template, so what is written cannot differ from it in anything else.
"""

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from stages.data.photo_folder import TABLE, PhotoFolder
from stages.settings.data import PHOTO_SIDE

Preset = Literal["cpu", "gpu"]
FILES: Mapping[Preset, str] = {"cpu": "configs/photos.yaml", "gpu": "configs/custom.yaml"}
WIDTH = 108  # columns of a comment, beside its indentation

PER_SHARD = 500  # photos of a job
# Steps of the localizer's training on a CPU: at least so many, and so many passes.
LEAST_STEPS, LEAST_PASSES = 64, 4
BATCH = 32  # photos of a step
TUNED_SIDE = 320  # pixels, of the photos at which the small segmenter's scales are those below
TRAINED_SCALES, PREDICTED_SCALES = (0.6, 1.2), (0.8, 1.25)


@dataclass(frozen=True)
class Change:
    """A setting that depends on the folder: its value and the reason. notes: one for each item of a list, which then
    has a line each."""

    value: Any
    why: str
    notes: Sequence[str] = ()


def changes_for(folder: PhotoFolder, preset: Preset, *, root: Path) -> dict[str, Change]:
    """The settings of a preset that depend on the folder, by their dotted path. root: the folder, as the config names
    it."""
    photos = len(folder.tags)
    shards = math.ceil(photos / PER_SHARD)
    counts = folder.counts
    changes = {
        "experiment": Change(
            experiment_name(folder.root), "The folder's name. Results are in results/ under this name."
        ),
        "data.root": Change(str(root), "The photos and their table of tags."),
        "data.classes": Change(
            list(folder.classes),
            f"Every tag of {TABLE} in alphabetical order: the first is mask value 1, the second 2. 0 is background.",
            [f"{count} photos" for count in counts.values()],
        ),
        "data.on_error": Change(
            "skip",
            "Photos that cannot be used are left out and listed in the report. stop: they end the run at its start.",
        ),
        "data.shards": Change(
            shards, f"Jobs that the work on {photos} photos is divided into: one for every {PER_SHARD}."
        ),
        "data.longest_side": Change(PHOTO_SIDE, side_reason(folder)),
        "data.folder.val": val_share(folder),
        "encode.synonyms": Change(
            {}, "The class names are the texts. Other words for a class help if its name is rare: {dog: [dog, puppy]}."
        ),
    }
    return changes | (training_changes(folder) if preset == "cpu" else {})


def side_reason(folder: PhotoFolder) -> str:
    """Why masks are made at the size they are."""
    if not folder.sides:
        return "Pixels: larger photos are worked on at this size, and their masks enlarged."
    least, most = folder.sides[0], folder.sides[-1]
    found = f"The longer side of the photos is {least} to {most} pixels, in the middle {folder.usual_side}."
    if most <= PHOTO_SIDE:
        return f"{found} Larger ones would be worked on at this size, and their masks enlarged."
    return f"{found} Larger ones than this are worked on at this size, and their masks enlarged: it takes less time."


def val_share(folder: PhotoFolder) -> Change:
    """The share of photos that is looked at, not learned from by the segmenter: a few dozen."""
    photos = len(folder.tags)
    share = 0.2 if photos < 100 else 0.1 if photos < 1000 else 0.05
    if folder.free < photos:
        own = f"{TABLE} says the split of {photos - folder.free} photos."
        return Change(share, f"{own} Of the others, this share is val, which the report shows.")
    return Change(
        share,
        f"About {max(1, round(share * photos))} of the photos. The report shows them, and the segmenter learns from the"
        " others.",
    )


def training_changes(folder: PhotoFolder) -> dict[str, Change]:
    """How long a CPU trains on so many photos of such a size."""
    photos = len(folder.tags)
    steps = max(1, photos // BATCH)
    epochs = max(LEAST_PASSES, math.ceil(LEAST_STEPS / steps))
    factor = TUNED_SIDE / (min(PHOTO_SIDE, folder.usual_side) or PHOTO_SIDE)
    size = f"for photos that are worked on at about {round(TUNED_SIDE / factor)} pixels."
    return {
        "localize.training.epochs": Change(
            epochs,
            f"Passes over the photos: at least {LEAST_PASSES}, and more where these are less than {LEAST_STEPS} steps.",
        ),
        "segment.training.scales": Change(
            [round(scale * factor, 2) for scale in TRAINED_SCALES], f"Random resize before a crop, {size}"
        ),
        "segment.training.iterations": Change(
            400 + photos // 2, f"Steps: 400, and one for every second of the {photos} photos."
        ),
        "segment.inference.scales": Change(
            [round(scale * factor, 2) for scale in PREDICTED_SCALES], f"Sizes whose predictions are averaged, {size}"
        ),
    }


def experiment_name(root: Path) -> str:
    """A name for the results folder from that of the photos.

    >>> experiment_name(Path("My photos (2024)")), experiment_name(Path("..."))
    ('My_photos_2024', 'photos')
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "_", root.resolve().name).strip("_") or "photos"


def render(text: str, changes: Mapping[str, Change], *, header: str) -> str:
    """A config's text with settings changed, each under a comment that gives the reason. Other lines stay, except the
    comments directly above a changed setting; `header` replaces those at the top."""
    lines = text.splitlines()
    tree = yaml.compose(text, Loader=yaml.SafeLoader)
    for first, last, path in sorted((_place(tree, path) for path in changes), reverse=True):
        indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
        start = first
        while start and lines[start - 1].startswith(f"{indent}#"):
            start -= 1
        lines[start : last + 1] = [indent + line for line in _lines(path.rpartition(".")[2], changes[path])]
    return "\n".join([*(f"# {line}".rstrip() for line in header.splitlines()), *lines]) + "\n"


def _place(tree: yaml.Node, path: str) -> tuple[int, int, str]:
    """First and last line of a setting in the text that a tree was composed of, and its path."""
    node, first = tree, 0
    for name in path.split("."):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        first, node = next((key.start_mark.line, value) for key, value in pairs if key.value == name)
    return first, _last_line(node), path


def _last_line(node: yaml.Node) -> int:
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return node.end_mark.line
    last = node.value[-1]
    return _last_line(last[1] if isinstance(last, tuple) else last)


def _lines(name: str, change: Change) -> list[str]:
    comment = [f"# {line}" for line in textwrap.wrap(change.why, WIDTH)]
    if not change.notes:
        return [*comment, f"{name}: {_yaml(change.value)}"]
    items = [f"  - {_yaml(item)} # {note}" for item, note in zip(change.value, change.notes, strict=True)]
    return [*comment, f"{name}:", *items]


def _yaml(value: Any) -> str:
    """A value in one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=math.inf)
    return text.removesuffix("...\n").strip()
