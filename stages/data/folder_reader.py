"""Reads a folder of photos with a table of their tags: `image,tags[,split][,mask][,caption]`."""

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from stages.errors import DataError
from stages.index import LABEL_SEPARATOR, Record, Table
from stages.settings import DataSettings
from stages.settings.data import FolderSettings
from stages.vocabulary import SPLITS

NEEDED = ("image", "tags")
OPTIONAL = ("split", "mask", "caption")
EXAMPLE = "image,tags\nbeach/01.jpg,umbrella;person"


def read_folder_split(root: Path, split: str, settings: DataSettings) -> tuple[list[Record], Path]:
    """The records of a split and the table. The id is the image's path without its extension, with `/` written as `_`.

    Rows without a split are divided according to `data.folder.val` and `test`. Raises DataError if the table is
    missing, is not UTF-8, has other columns, or has a row with the wrong number of fields, an unknown split or no
    image.
    """
    source = root / settings.folder.table
    rows = read_rows(source)
    splits = share_out(rows, settings.folder)
    records = []
    for row in rows:
        if splits[row["image"]] != split:
            continue
        labels = tuple(dict.fromkeys(filter(None, (tag.strip() for tag in row["tags"].split(LABEL_SEPARATOR)))))
        mask, caption = row.get("mask", "").strip(), row.get("caption", "").strip()
        records.append(Record(id_of(row["image"]), row["image"], mask, labels, split, caption))
    return records, source


def id_of(image: str) -> str:
    """The id of the image at a path below the root: `beach/01.jpg` is `beach_01`."""
    return PurePosixPath(image).with_suffix("").as_posix().replace("/", "_")


def read_rows(source: Path) -> list[dict[str, str]]:
    """The rows of the table, with surrounding spaces removed from the images."""
    if not source.is_file():
        raise DataError(f"{source}: no such table of tags; write one in UTF-8, such as\n{EXAMPLE}")
    table = Table(source)
    _check_columns(table, source)
    rows = []
    for row in table:
        if None in row or None in row.values():
            raise DataError(
                f"{source}:{table.line_num}: does not have {len(table.fieldnames or ())} fields; separate several tags"
                f" by `{LABEL_SEPARATOR}`, and quote fields that contain a comma"
            )
        if not PurePosixPath(row["image"].strip()).name:
            raise DataError(f"{source}:{table.line_num}: names no image; write the photo's path, or remove the row")
        own = (row.get("split") or "").strip()
        if own and own not in SPLITS:
            raise DataError(f"{source}:{table.line_num}: split {own!r} must be train, val, test or empty")
        rows.append({**row, "image": row["image"].strip(), "split": own})
    return rows


def share_out(rows: Sequence[Mapping[str, str]], settings: FolderSettings) -> dict[str, str]:
    """The split of each image. Those without one are ranked by a hash of their path: the first share is val, the next
    is test, so an image gets the same split on every machine. A share above 0 gives at least one image."""
    splits = {row["image"]: row["split"] for row in rows}
    free = sorted((name for name, own in splits.items() if not own), key=_rank)
    val, test = (max(round(share * len(free)), share > 0) for share in (settings.val, settings.test))
    for place, name in enumerate(free):
        splits[name] = "val" if place < val else "test" if place < val + test else "train"
    return splits


def _rank(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _check_columns(table: Table, source: Path) -> None:
    found = tuple(table.fieldnames or ())
    missing = [name for name in NEEDED if name not in found]
    unknown = [name for name in found if name not in NEEDED + OPTIONAL]
    if not missing and not unknown:
        return
    hint = f"must be {', '.join(NEEDED)} and, optionally, {', '.join(OPTIONAL)}"
    if len(found) == 1 and ";" in found[0]:
        hint = "they seem to be separated by `;`: save the table as CSV with commas"
    elif unknown and (alike := difflib.get_close_matches(unknown[0], NEEDED + OPTIONAL, n=1)):
        hint += f"; did you mean `{alike[0]}` instead of {unknown[0]!r}?"
    raise DataError(f"{source}: columns are {', '.join(found) or 'none'}; {hint}")
