"""Captions of the user's own: a JSONL file, which stands before the captions that a dataset brings along."""

import dataclasses
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.errors import DataError
from stages.index import Record, read_utf8

log = logging.getLogger(__name__)

EXAMPLE = '{"id": "2007_000027", "caption": "a man on a horse"}'


def read_captions(path: Path) -> dict[str, str]:
    """Captions by image id, from one JSON object a line with the keys `id` and `caption`; other keys are ignored.

    Raises DataError, with file and line, where the file is missing or not UTF-8, a line is no such object, or an id
    comes twice.
    """
    if not path.is_file():
        raise DataError(
            f"data.captions: no file {path}; put it there, or correct or remove data.captions in the config"
        )
    captions: dict[str, str] = {}
    first: dict[str, int] = {}
    for number, line in enumerate(read_utf8(path).split("\n"), start=1):
        if not line.strip():
            continue
        name, caption = _parse(line, f"{path}:{number}")
        if name in first:
            raise DataError(
                f"{path}:{number}: id {name!r} stands in line {first[name]} already; keep one caption an image"
            )
        first[name], captions[name] = number, caption
    return captions


def with_captions(records: Sequence[Record], path: Path, *, split: str) -> list[Record]:
    """The records with the captions of the file at `path`; a record that the file leaves out keeps its own.

    One file serves all splits, so ids of other splits are no fault. Raises DataError where the file is not as it must
    be, and where it has no training image at all: its ids are then another dataset's. (Captions of val and test are
    never used, and may be missing.)
    """
    captions = read_captions(path)
    fitting = sum(record.id in captions for record in records)
    if split == "train" and records and not fitting:
        example = f", first {next(iter(captions))!r}" if captions else ""
        raise DataError(
            f"{path}: {len(captions)} captions{example}, and none of an image of the split {split!r}, first"
            f" {records[0].id!r}; write the ids as the dataset has them"
        )
    log.info("%s: captions for %d of %d images of the split %s", path, fitting, len(records), split)
    return [dataclasses.replace(record, caption=captions.get(record.id, record.caption)) for record in records]


def _parse(line: str, place: str) -> tuple[str, str]:
    """Id and caption of a line. place: file and line, for errors."""
    try:
        entry: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: not JSON ({error}); write one object a line, such as {EXAMPLE}") from error
    if not isinstance(entry, dict):
        raise DataError(f"{place}: {line.strip()[:60]!r} is no object; write one a line, such as {EXAMPLE}")
    for key in ("id", "caption"):
        value = entry.get(key)
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"{place}: {key} is {value!r}; it must be a text, as in {EXAMPLE}")
    return entry["id"], entry["caption"].strip()
