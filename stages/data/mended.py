"""Masks mended by hand (`refine.mended`): of which photos they are, whether they can be used, and their pixels."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from stages.data.contradictions import find_contradiction
from stages.data.left_out import LeftOut
from stages.data.mask_sights import MaskSight
from stages.data.mask_words import names_of
from stages.data.mended_files import MendedFile, find_mended, read_manifest, without_extension
from stages.data.problems import Problem, refuse_problems
from stages.errors import DataError
from stages.images import BACKGROUND, IGNORE, image_size
from stages.index import Record

NAMED = 5  # masks that a note names


class Photos:
    """The photos of all splits by the names that files of masks have: paths with and without extension, ids, and the
    last parts of paths alone."""

    def __init__(self, records: Iterable[Record], left_out: Iterable[LeftOut] = ()) -> None:
        self.records = list(records)
        self._exact: dict[str, list[Record]] = {}
        self._last: dict[str, list[Record]] = {}
        for record in self.records:
            for name in dict.fromkeys((record.image, without_extension(record.image), record.id)):
                self._exact.setdefault(name, []).append(record)
            self._last.setdefault(PurePosixPath(record.image).stem, []).append(record)
        self._left_out = {name for row in left_out for name in (row.image, without_extension(row.image), row.id)}

    def exact(self, name: str) -> list[Record]:
        """The photos with this path or id; those of train, if there are any."""
        return _of_train(self._exact.get(name, []))

    def last(self, name: str) -> list[Record]:
        """The photos whose file has this name, in any folder."""
        return _of_train(self._last.get(PurePosixPath(name).name, []))

    def is_left_out(self, file: MendedFile) -> bool:
        """Whether the mask is of a training photo that could not be used."""
        return bool({file.name, file.image} & self._left_out)

    def are_files(self, root: Path) -> set[Path]:
        """The photos' own files that could be taken for masks."""
        return {(root / record.image).resolve() for record in self.records if record.image.lower().endswith(".png")}


def _of_train(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.split == "train"] or list(records)


@dataclass
class MendedMasks:
    """What was found. masks: the photos with usable masks, each with its file.  unchanged: masks that are as they were
    exported.  left_out: masks of photos that could not be used.  notes: what is worth a look."""

    masks: list[tuple[Record, Path]] = field(default_factory=list)
    unchanged: int = 0
    left_out: int = 0
    notes: list[str] = field(default_factory=list)


def read_mended(
    path: Path,
    photos: Photos,
    root: Path,
    classes: Sequence[str],
    *,
    keep: Callable[[Record, NDArray[np.uint8]], None],
) -> MendedMasks:
    """Reads the mended masks in a folder or COCO file, one after the other, and hands each to `keep`, [rows, columns]
    uint8.

    Raises DataError, naming files, values and cures, if there is none, or if any cannot be used: its photo is unknown
    or not in train, two are of one photo, its size is not the photo's, a class is unknown, or many of them contradict
    their tags. A single mask may show a class that its image is not tagged with: that is a note, since it is drawn by
    hand, and the tag may have been forgotten.
    """
    files, problems = find_mended(path, root, classes)
    total = len(files) + len(problems)
    own = photos.are_files(root)
    files = [file for file in files if file.source.resolve() not in own]
    found, exported = MendedMasks(), read_manifest(path)
    chosen: list[tuple[MendedFile, Record]] = []
    for file in files:
        record = _photo_of(file, photos, problems, found)
        if record is not None and exported.get(record.image) == file.hash:
            found.unchanged += 1
        elif record is not None:
            chosen.append((file, record))
    problems += _twice(chosen)
    sights: dict[int, MaskSight] = {}
    for place, (file, record) in enumerate(chosen):
        sight = _read(file, record, root, problems, keep)
        if sight is not None:
            sights[place] = sight
            found.masks.append((record, file.source))
    records = [record for _, record in chosen]
    if not problems:
        numbered = {place: sight for place, sight in sights.items() if chosen[place][0].numbered}
        problems += filter(None, [find_contradiction(records, numbered, classes)])
    refuse_problems([Problem(0, text) for text in problems], total, source=path)
    if not found.masks:
        raise DataError(
            f"refine.mended: no mask of {path} can be used: {found.unchanged} are as they were exported, and"
            f" {found.left_out} are of photos left out; mend one, or leave the setting out"
        )
    found.notes += _untagged(records, sights, classes)
    return found


def _photo_of(file: MendedFile, photos: Photos, problems: list[str], found: MendedMasks) -> Record | None:
    """The photo that a mask is of; None, with the problem if it is one, if there is none."""
    shown = f"{file.source}: {file.image}" if file.image and not file.image.startswith("/") else str(file.source)
    by_name, by_content = photos.exact(file.name), photos.exact(file.image) if file.image else []
    if by_name and by_content and by_name[0] != by_content[0]:
        problems.append(
            f"{file.source}: has the name of {by_name[0].image}, but says that it is of {by_content[0].image}; rename"
            " it, or save it again from the right photo"
        )
        return None
    candidates = by_content or by_name or photos.last(file.name) or photos.last(without_extension(file.image))
    if len(candidates) > 1:
        names = " and ".join(record.image for record in candidates[:2])
        problems.append(
            f"{shown}: may be of {names}; put it into a folder as the photo is, or name it by the photo's id"
        )
        return None
    if candidates and candidates[0].split != "train":
        problems.append(
            f"{shown}: {candidates[0].image} is an image of {candidates[0].split}, but only masks of train are learned"
            " from; take it out, or name it in the column `mask` of the dataset to score with it"
        )
        return None
    if candidates:
        return candidates[0]
    if photos.is_left_out(file):
        found.left_out += 1
    else:
        problems.append(
            f"{shown}: is of no photo of the dataset; name it as the photo, in the same folders, or by its id"
        )
    return None


def _twice(chosen: Sequence[tuple[MendedFile, Record]]) -> Iterator[str]:
    first: dict[str, MendedFile] = {}
    for file, record in chosen:
        other = first.setdefault(record.id, file)
        if other is not file:
            yield f"{file.source}: {other.source} is a mask of {record.image}, too; keep one of the two"


def _read(
    file: MendedFile,
    record: Record,
    root: Path,
    problems: list[str],
    keep: Callable[[Record, NDArray[np.uint8]], None],
) -> MaskSight | None:
    try:
        mask, sight, faults = file.draw(image_size(root / record.image), root / record.image)
    except DataError as error:
        problems.append(str(error))
        return None
    if faults:
        problems += faults
        return None
    keep(record, mask)
    return sight


def _untagged(records: Sequence[Record], sights: dict[int, MaskSight], classes: Sequence[str]) -> Iterator[str]:
    """Says which masks show a class that their image is not tagged with."""
    more: list[tuple[str, frozenset[int]]] = []
    for place, sight in sights.items():
        tags = {classes.index(name) + 1 for name in records[place].labels if name in classes}
        shown = frozenset(sight.values) - {BACKGROUND, IGNORE} - tags
        if shown:
            more.append((records[place].image, shown))
    if not more:
        return
    named = ", ".join(f"{image}: {names_of(shown, classes)}" for image, shown in more[:NAMED])
    others = f", and {len(more) - NAMED} more" if len(more) > NAMED else ""
    yield (
        f"{len(more)} of {len(sights)} mended masks show a class that their image is not tagged with ({named}{others});"
        " the segmenter learns it, but localizer and maps know the tags alone: add the tag, or correct the mask"
    )
