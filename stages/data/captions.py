"""The user's own captions: a JSONL file that takes precedence over the captions of the dataset."""

import dataclasses
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.errors import DataError
from stages.files import in_utf8
from stages.index import Record, read_utf8

log = logging.getLogger(__name__)

EXAMPLE = '{"id": "2007_000027", "caption": "a man on a horse"}'


def read_captions(path: Path) -> dict[str, str]:
    """Captions by image id, from one JSON object per line with the keys `id` and `caption`; other keys are ignored.

    Raises DataError, with file and line, if the file is missing or not UTF-8, a line is not such an object, or an id is
    duplicated.
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
                f"{path}:{number}: id {name!r} is already in line {first[name]}; keep one caption per image"
            )
        first[name], captions[name] = number, caption
    return captions


def with_captions(records: Sequence[Record], path: Path, *, split: str) -> list[Record]:
    """The records with the captions of the file at `path`; a record that the file omits keeps its own.

    One file serves all splits, so ids of other splits are allowed. Raises DataError if the file is invalid, or if it
    has no training image at all: its ids then belong to another dataset. (Captions of val and test are never used, and
    may be missing.)
    """
    captions = read_captions(path)
    fitting = sum(record.id in captions for record in records)
    if split == "train" and records and not fitting:
        example = f", first {next(iter(captions))!r}" if captions else ""
        raise DataError(
            f"{path}: {len(captions)} captions{example}, but none for an image of the split {split!r}, first"
            f" {records[0].id!r}; write the ids as in the dataset"
        )
    log.info("%s: captions for %d of %d images of the split %s", path, fitting, len(records), split)
    return [dataclasses.replace(record, caption=captions.get(record.id, record.caption)) for record in records]


def _parse(line: str, place: str) -> tuple[str, str]:
    """Id and caption of a line. place: file and line, for errors."""
    try:
        entry: Any = json.loads(line)
    # Besides its own error, the parser raises others, for deep nesting and for numbers of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON ({error}); write one object per line, such as {EXAMPLE}") from error
    if not isinstance(entry, dict):
        raise DataError(f"{place}: {line.strip()[:60]!r} is not an object; write one per line, such as {EXAMPLE}")
    for key in ("id", "caption"):
        value = entry.get(key)
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"{place}: {key} is {value!r}; it must be text, as in {EXAMPLE}")
        if in_utf8(value) != value:
            raise DataError(f"{place}: {key} is {value!r}, which has half a character; write the line in UTF-8")
    return entry["id"], entry["caption"].strip()
