"""A folder of photos before there is a config: its table of tags, the classes in it, and what they let expect."""

import os
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stages.class_names import is_background
from stages.data.folder_reader import EXAMPLE, join_rows, read_rows
from stages.data.image_paths import image_key
from stages.errors import DataError
from stages.files import write_csv
from stages.images import PHOTO_SUFFIXES, image_size
from stages.index import LABEL_SEPARATOR
from stages.settings.data import spelling_of

TABLE = "tags.csv"
FEW = 20  # photos of a class, below which little is learned of it
NAMED = 10  # pairs of classes that are spelled out; the rest are counted


@dataclass(frozen=True)
class PhotoFolder:
    """The table of a folder of photos.

    tags: of each photo, by its path below the root; none says that it shows none of the classes.  classes: every tag,
    in alphabetical order.  free: photos whose split the table leaves open.  unlisted: photos that it does not have.
    sides: longer side of each photo that has one, pixels, ascending.
    """

    root: Path
    tags: Mapping[str, frozenset[str]]
    classes: tuple[str, ...]
    free: int
    unlisted: tuple[str, ...]
    sides: tuple[int, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Photos by class, in the order of the classes."""
        found = Counter(tag for tags in self.tags.values() for tag in tags)
        return {name: found[name] for name in self.classes}

    @property
    def usual_side(self) -> int:
        """The median of the photos' longer sides, pixels; 0 if none can be read."""
        return round(statistics.median(self.sides)) if self.sides else 0


def read_photo_folder(root: Path) -> PhotoFolder:
    """Reads `<root>/tags.csv`, and looks for the photos below the root.

    Raises DataError if there is no photo, or if the table is not one, has no tag, or spells one in two ways.
    """
    photos = find_photos(root)
    table = root / TABLE
    rows = join_rows(read_rows(table), root, table)
    tags = {
        row["image"]: frozenset(filter(None, (tag.strip() for tag in row["tags"].split(LABEL_SEPARATOR))))
        for row in rows
    }
    listed = {image_key(root, path) for row in rows for path in (row["image"], row["mask"]) if path}
    return PhotoFolder(
        root=root,
        tags=tags,
        classes=classes_of(tags, table),
        free=sum(not row["split"] for row in rows),
        unlisted=tuple(photo for photo in photos if photo not in listed),
        sides=tuple(sorted(sides_of(root, tags))),
    )


def find_photos(root: Path) -> list[str]:
    """The paths of all photos below a folder, relative to it, sorted; hidden files and folders are passed over.

    Raises DataError if there is no such folder, or no photo in it.
    """
    if not root.is_dir():
        raise DataError(f"{root}: is no folder; name the one with the photos")
    found = []
    for place, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        own = [Path(place, name) for name in files if not name.startswith(".")]
        found += [path.relative_to(root).as_posix() for path in own if path.suffix.lower() in PHOTO_SUFFIXES]
    if not found:
        raise DataError(f"{root}: holds no photo ({', '.join(PHOTO_SUFFIXES)}); name the folder with the photos")
    return sorted(found)


def sides_of(root: Path, images: Mapping[str, object]) -> Iterator[int]:
    """The longer side of each image that can be opened, pixels."""
    for image in images:
        try:
            yield max(image_size(root / image))
        except DataError:
            continue  # the survey names it


def classes_of(tags: Mapping[str, frozenset[str]], table: Path) -> tuple[str, ...]:
    """Every tag, in alphabetical order. Raises DataError if there is none, if one is the background, or if two are one
    name in two spellings."""
    counts = Counter(tag for own in tags.values() for tag in own)
    if not counts:
        raise DataError(
            f"{table}: none of {len(tags)} photos has a tag, and tags are what is learned from; tag the photos"
        )
    spellings: dict[str, str] = {}
    for name in sorted(counts, key=lambda name: (name.casefold(), name)):
        if is_background(name):
            raise DataError(
                f"{table}: the tag {name!r} must not be given: background is what has no tag; a photo that shows none"
                " of the classes has an empty tag"
            )
        first = spellings.setdefault(spelling_of(name), name)
        if first != name:
            raise DataError(
                f"{table}: the tags {first!r} ({counts[first]} photos) and {name!r} ({counts[name]}) differ only in"
                " case, spaces or Unicode form; write one of them everywhere"
            )
    return tuple(spellings.values())


def write_table_of_folders(root: Path) -> list[str]:
    """Writes `<root>/tags.csv` for photos in sub-folders, each named as the tag of its photos; photos in a folder
    `background` have none. Returns the photos that are in no sub-folder, which it leaves out.

    Raises DataError if there is no sub-folder with photos, or if its name cannot be a tag; an existing table is kept.
    """
    table = root / TABLE
    if table.exists():
        raise DataError(f"{table}: exists already; it is not replaced")
    photos = find_photos(root)
    inside = [photo for photo in photos if "/" in photo]
    if not inside:
        raise DataError(
            f"{root}: has neither a table {TABLE} nor sub-folders named as the tags; write the table in UTF-8, such"
            f" as\n{EXAMPLE}"
        )
    write_csv(table, [("image", "tags"), *((photo, tag_of_folder(photo, root)) for photo in inside)])
    return [photo for photo in photos if "/" not in photo]


def tag_of_folder(photo: str, root: Path) -> str:
    """The tag of a photo in a sub-folder: its name, or none if it says background.

    >>> tag_of_folder("dog/2020/1.jpg", Path()), tag_of_folder("background/2.jpg", Path())
    ('dog', '')
    """
    name = PurePosixPath(photo).parts[0].strip()
    if LABEL_SEPARATOR in name:
        raise DataError(
            f"{root / name}: a tag must not contain `{LABEL_SEPARATOR}`, which separates tags; rename the folder"
        )
    return "" if is_background(name) else name


def notes_of(folder: PhotoFolder) -> Iterator[str]:
    """What to know of the tags before a run: classes with few photos, or that tags cannot tell apart."""
    counts = folder.counts
    few = [f"{name} {count}" for name, count in counts.items() if count < FEW]
    if few:
        yield f"fewer than {FEW} photos: {', '.join(few)}; little is learned from so few, fifty are a good start"
    found = list(_never_without(folder))
    yield from found[:NAMED]
    if len(found) > NAMED:
        yield f"... and {len(found) - NAMED} more pairs of classes"
    everywhere = [name for name, count in counts.items() if count == len(folder.tags)]
    if everywhere and len(counts) > 1:
        yield (
            f"{', '.join(everywhere)}: in all {len(folder.tags)} photos; a class is learned from photos with its tag"
            " against photos without: list some that do not show it"
        )
    if folder.unlisted:
        yield (
            f"{len(folder.unlisted)} image files are not in {TABLE} and stay unused, the first: {folder.unlisted[0]}"
        )


def _never_without(folder: PhotoFolder) -> Iterator[str]:
    counts = folder.counts
    both = Counter((one, other) for tags in folder.tags.values() for one in tags for other in tags if one != other)
    cure = "tags cannot tell them apart there: add photos that show one without the other"
    for one, other in sorted(both):
        if both[one, other] < counts[one]:
            continue
        if counts[one] == counts[other]:
            if one < other:
                yield f"{one} and {other}: always together ({counts[one]} photos); {cure}"
        else:
            yield f"{one} is never without {other} ({counts[one]} photos; {other} in {counts[other]}); {cure}"
