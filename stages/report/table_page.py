"""The page of one table: its rows, each class, a chart, and every row's maps of the same images side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages.errors import DataError
from stages.evaluate.table_formats import TableRow, class_means, row_cells
from stages.images import read_image, read_mask
from stages.index import Record
from stages.labelling import enlarge_maps
from stages.map_colours import css_scale, overlay
from stages.mask_folders import find_masks
from stages.report.charts import bar_chart
from stages.report.page import data_uri
from stages.report.panels import colour_mask
from stages.report.templates import render
from stages.shards import read_shard


@dataclass(frozen=True)
class MapsPanel:
    """The map of one tag of an image, by row of the table: [rows, columns] float32 in [0, 1] at the image's size."""

    id: str
    tag: str
    image: Image.Image
    maps: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class MasksPanel:
    """The pseudo masks of an image by row of the table, and the true one: [rows, columns] uint8."""

    id: str
    tag: str
    image: Image.Image
    masks: Mapping[str, NDArray[np.uint8]]


def spread(records: Sequence[Record], count: int) -> list[Record]:
    """`count` tagged records, evenly spaced over the split."""
    tagged = [record for record in records if record.labels]
    step = max(1, len(tagged) // count)
    return tagged[::step][:count]


def read_maps_panels(
    records: Sequence[Record], root: Path, shards: Mapping[str, Sequence[Path]], classes: Sequence[str], count: int
) -> list[MapsPanel]:
    """Panels of evenly spaced images. shards: row's title -> its map shards. Raises DataError for missing maps."""
    chosen = {record.id: record for record in spread(records, count)}
    found: dict[str, dict[str, NDArray[np.float32]]] = {name: {} for name in chosen}
    for title, paths in shards.items():
        for path in paths:
            for image in read_shard(path):
                if image.id in chosen:
                    position = image.classes.tolist().index(classes.index(chosen[image.id].labels[0]))
                    found[image.id][title] = enlarge_maps(image.maps[[position]], image.size)[0]
    for name, maps in found.items():
        if len(maps) != len(shards):
            raise DataError(f"no maps of {name!r} by {next(iter(set(shards) - set(maps)))}; rerun `localize`")
    return [
        MapsPanel(name, record.labels[0], read_image(root / record.image), found[name])
        for name, record in chosen.items()
    ]


def read_masks_panels(
    records: Sequence[Record], root: Path, folders: Mapping[str, Sequence[Path]], count: int
) -> list[MasksPanel]:
    """Panels of evenly spaced images. folders: row's title -> its mask folders. Raises DataError for missing masks."""
    chosen = spread(records, count)
    found = {title: find_masks(own, (record.id for record in chosen)) for title, own in folders.items()}
    return [
        MasksPanel(
            record.id,
            ", ".join(record.labels),
            read_image(root / record.image),
            {title: read_mask(paths[record.id]) for title, paths in found.items()}
            | {"truth": read_mask(root / record.mask)},
        )
        for record in chosen
    ]


def render_table_page(
    rows: Sequence[TableRow],
    panels: Sequence[MapsPanel] | Sequence[MasksPanel],
    *,
    experiment: str,
    title: str,
    note: str,
) -> str:
    """The page as self-contained HTML."""
    columns, cells = row_cells(rows)
    return render(
        "table.html.j2",
        experiment=experiment,
        title=title,
        note=note,
        split=rows[0].scores[0].split,
        columns=columns,
        rows=[
            {"title": row.title, "miou": row.miou_text, "share": round(row.miou, 1), "cells": own}
            for row, own in zip(rows, cells, strict=True)
        ],
        by_class=[(name, means) for name, means in class_means(rows).items()],
        chart=bar_chart(
            [(row.title, [score.miou for score in row.scores]) for row in rows],
            label="mIoU of the maps, %" if rows[0].scores[0].stage == "maps" else "mIoU of the pseudo masks, %",
        ),
        shows="maps" if rows[0].scores[0].stage == "maps" else "masks",
        panels=[_card(panel) for panel in panels],
        map_scale=css_scale(),
    )


def _card(panel: MapsPanel | MasksPanel) -> dict[str, Any]:
    if isinstance(panel, MapsPanel):
        pictures = {name: overlay(panel.image, maps) for name, maps in panel.maps.items()}
    else:
        pictures = {name: colour_mask(mask) for name, mask in panel.masks.items()}
    tiles = [("image", panel.image), *pictures.items()]
    return {
        "id": panel.id,
        "tag": panel.tag,
        "tiles": [{"caption": caption, "source": data_uri(picture)} for caption, picture in tiles],
    }
