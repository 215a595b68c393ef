"""Reads a folder of photos with a table of their tags: `image,tags[,split][,mask][,caption]`."""

import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from stages.data.ids import id_of
from stages.data.image_paths import image_key, refuse_misspelt
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

    The tags of several rows of one image are joined. Images without a split are divided according to `data.folder.val`
    and `test`. Raises DataError if the table is missing, is not UTF-8, has other columns, has a row with the wrong
    number of fields, an unknown split or no image, or rows of one image that contradict each other.
    """
    source = root / settings.folder.table
    written = read_rows(source)
    refuse_misspelt(root, ((line, row["image"]) for line, row in written), source=source)
    rows = join_rows(written, root, source)
    splits = share_out(rows, settings.folder)
    records = []
    for row in rows:
        if splits[row["image"]] != split:
            continue
        labels = tuple(dict.fromkeys(filter(None, (tag.strip() for tag in row["tags"].split(LABEL_SEPARATOR)))))
        records.append(Record(id_of(row["image"]), row["image"], row["mask"], labels, split, row["caption"]))
    return records, source


def read_rows(source: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows of the table with their lines; surrounding spaces are removed, and columns that it lacks are empty."""
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
        row = {**dict.fromkeys(OPTIONAL, ""), **{name: value.strip() for name, value in row.items()}}
        own = row["split"]
        if own and own not in SPLITS:
            raise DataError(f"{source}:{table.line_num}: split {own!r} must be train, val, test or empty")
        rows.append((table.line_num, {**row, "image": PurePosixPath(row["image"]).as_posix()}))
    return rows


def join_rows(rows: Iterable[tuple[int, Mapping[str, str]]], root: Path, source: Path) -> list[dict[str, str]]:
    """One row an image: tables with a row a tag repeat it. Raises DataError, with file and line, if rows of one image
    name two splits, masks or captions."""
    joined: dict[str, dict[str, str]] = {}
    first: dict[str, int] = {}
    for line, row in rows:
        image = image_key(root, row["image"])
        known = joined.setdefault(image, dict(row))
        if first.setdefault(image, line) == line:
            continue
        for name in OPTIONAL:
            if known[name] and row[name] and known[name] != row[name]:
                raise DataError(
                    f"{source}:{line}: {image} has the {name} {row[name]!r} here, but {known[name]!r} in line"
                    f" {first[image]}; rows of one image add tags, and must agree in all else"
                )
            known[name] = known[name] or row[name]
        # The plain path, if one row has it, so that the id does not depend on the order of the rows.
        known["image"] = min(known["image"], row["image"], key=lambda name: (name != image, name))
        known["tags"] = f"{known['tags']}{LABEL_SEPARATOR}{row['tags']}"
    return list(joined.values())


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
