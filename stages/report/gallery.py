"""The gallery: small pictures of every image of a split and its masks, in files next to a page that filters and sorts
them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from stages.evaluate.doubt_table import Doubt
from stages.evaluate.image_scores import ImageScore
from stages.images import BACKGROUND_NAME, read_image, read_mask, voc_palette
from stages.map_colours import colour_map
from stages.report.panels import colour_of
from stages.report.templates import render

SIDE = 256  # longest side of a picture, pixels
QUALITY = 72
LAYERS = ("prediction", "pseudo mask", "truth", "map")
DOUBTED = "pseudo mask"


@dataclass(frozen=True)
class Item:
    """One image: its files and its strongest map.

    truth: None without a true mask.  score: of one of its masks.  doubt: of its pseudo mask.  None if there is none.
    heat: [rows, columns] float32 in [0, 1], the maximum over the maps of its classes; None without a tag.
    """

    number: int
    id: str
    image: Path
    tags: tuple[str, ...]
    pseudo_mask: Path
    prediction: Path
    truth: Path | None
    score: ImageScore | None
    heat: NDArray[np.float32] | None
    doubt: Doubt | None = None


def write_item(item: Item, folder: Path) -> dict[str, Any]:
    """Writes an image's pictures as `<number>-<layer>` and returns its entry in the page.

    iou: mIoU of the scored mask on this image alone; `ious`: IoU of each class, percent. Neither without a score.
    doubt, doubts: in [0, 1], of the pseudo mask and of each class. Neither if they were not measured.
    """
    picture = read_image(item.image)
    size = fitted(picture.size)
    picture.resize(size, Image.Resampling.LANCZOS).save(folder / f"{item.number}-image.jpg", quality=QUALITY)
    masks = {"prediction": item.prediction, "pseudo mask": item.pseudo_mask, "truth": item.truth}
    layers = []
    for name, path in masks.items():
        if path is not None:
            save_mask(read_mask(path), size, folder / file_of(item.number, name))
            layers.append(name)
    if item.heat is not None:
        colour_map(item.heat).save(folder / file_of(item.number, "map"), quality=QUALITY)
        layers.append("map")
    entry: dict[str, Any] = {"id": item.id, "tags": item.tags, "size": size, "layers": layers}
    return entry | rates_of(item.score) | doubts_of(item.doubt)


def rates_of(score: ImageScore | None) -> dict[str, Any]:
    """IoUs of one image, as the page shows them; {} if it has none."""
    if score is None:
        return {}
    classes = {name: round(iou, 1) for name, iou in score.ious.items() if name != BACKGROUND_NAME}
    return {"iou": round(score.miou, 1), "ious": classes}


def doubts_of(doubt: Doubt | None) -> dict[str, Any]:
    """Doubts of one image, as the page shows them; {} if it has none."""
    if doubt is None:
        return {}
    classes = {name: round(reasons.doubt, 2) for name, reasons in doubt.classes.items()}
    # Finer than shown, so that the order is that of the table.
    return {"doubt": round(doubt.whole.doubt, 4), "doubts": classes}


def fitted(size: tuple[int, int]) -> tuple[int, int]:
    """The size scaled so that its longest side is SIDE; a smaller size is unchanged."""
    factor = min(1.0, SIDE / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def save_mask(mask: NDArray[np.uint8], size: tuple[int, int], path: Path) -> None:
    """Saves a mask in VOC's colours with transparent background, to be laid over the photo."""
    image = Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)
    image.putpalette(voc_palette())
    image.save(path, optimize=True, transparency=0)


def file_of(number: int, layer: str) -> str:
    """The file name of a layer; numbered, because ids may contain characters that a link cannot."""
    return f"{number}-{layer.replace(' ', '-')}.{'jpg' if layer == 'map' else 'png'}"


def render_gallery(
    *,
    experiment: str,
    split: str,
    classes: Sequence[str],
    entries: Sequence[Mapping[str, Any]],
    folder: str,
    told: bool = False,
    links: Mapping[str, str] | None = None,
) -> str:
    """The page, which loads its pictures from `folder` next to it.

    told: the predictions were told the tags, and scores are of the pseudo masks.  links: split -> another gallery.
    """
    data = {"folder": folder, "classes": list(classes), "entries": list(entries)}
    scored, doubted = (any(key in entry for entry in entries) for key in ("iou", "doubt"))
    shown = [layer for layer in LAYERS if any(layer in entry["layers"] for entry in entries)]
    if doubted and (told or not scored):  # the page starts with the layer that it is sorted by
        shown.sort(key=lambda layer: layer != DOUBTED)
    return render(
        "gallery.html.j2",
        experiment=experiment,
        split=split,
        classes=classes,
        scored=scored,
        doubted=doubted,
        told=told,
        links=links or {},
        layers=shown,
        map_scale="",
        colours={name: colour_of(value) for value, name in enumerate(classes, start=1)},
        # Inside a script element, only `<` could end it.
        data=Markup(json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")),
    )
