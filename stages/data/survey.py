"""What a dataset contains: counts, sizes, faults and duplicates, split by split."""

import statistics
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from stages.data.contradictions import find_contradiction, find_notes
from stages.data.mask_sights import named_by_image
from stages.data.problems import EMPTY, Found, Problem, examine_image, folded, joined
from stages.errors import DataError
from stages.files import sha256_of
from stages.images import image_size
from stages.index import Record
from stages.negatives import learning_fault, negatives_line

SHOWN = 10  # groups of duplicates that are spelled out; the rest are counted
NAMED = 5  # images of a group that are named; the rest are counted


@dataclass(frozen=True)
class Survey:
    """What a split contains.

    tags: images by class, 0 for a class of the config that no image has.  sizes: (rows, columns) of readable images.
    faulty: positions of the records with a problem.  untagged, unmasked: number of images without tags, without masks.
    contents: SHA-256 of an image file -> ids of the images with it.
    contradiction: what many masks contradict.  unlearnable: why nothing can be learned from it.  notes: what a run
    would only log.
    """

    split: str
    images: int
    tags: Mapping[str, int]
    sizes: tuple[tuple[int, int], ...]
    untagged: int
    unmasked: int
    problems: tuple[str, ...]
    faulty: frozenset[int]
    contents: Mapping[str, tuple[str, ...]]
    contradiction: str = ""
    unlearnable: str = ""
    notes: tuple[str, ...] = ()


def survey_split(
    records: Sequence[Record],
    root: Path,
    classes: Sequence[str],
    *,
    split: str,
    untagged: Collection[str] = (),
    negatives: bool = False,
    known: Sequence[Problem] = (),
    made: Path | None = None,
    outlines: bool = False,
) -> Survey:
    """Reads every image and mask of a split in full.

    untagged: splits that may contain images without tags, besides val and test.  negatives: whether those of train are
    learned from, as showing none of the classes.  known: problems found before.  made: the folder of masks that tagmask
    made.  outlines: whether it drew them from what gives the tags.
    """
    tags = Counter(dict.fromkeys(classes, 0))
    sizes: list[tuple[int, int]] = []
    contents: dict[str, tuple[str, ...]] = {}
    found: dict[int, Found] = {}
    for position, record in enumerate(tqdm(records, desc=f"check {split}", unit="image")):
        tags.update(record.labels)
        found[position] = examine_image(record, root, classes, untagged=untagged)
        path = root / record.image
        try:
            sizes.append(image_size(path))
            key = sha256_of(path)
        except DataError:
            continue  # already among the problems
        contents[key] = (*contents.get(key, ()), record.id)
    whole = joined(records, found, known)
    problems = whole.problems
    sights = named_by_image(whole.sights, {place: record.image for place, record in enumerate(records)}, made)
    contradiction = find_contradiction(records, sights, classes, outlines=outlines)
    notes = () if contradiction else find_notes(records, sights, classes)
    faulty = frozenset(problem.position for problem in problems)
    sound = [record for position, record in enumerate(records) if position not in faulty] if split == "train" else []
    return Survey(
        split=split,
        images=len(records),
        tags=dict(tags),
        sizes=tuple(sizes),
        untagged=sum(not record.labels for record in records),
        unmasked=sum(not record.mask for record in records),
        # Once each: a fault of an image also affects its mask.
        problems=tuple(dict.fromkeys(problem.text for problem in problems)) if records else (f"{split}: {EMPTY}",),
        faulty=faulty,
        contents=contents,
        contradiction=contradiction,
        unlearnable=learning_fault(sound, classes) if sound else "",
        notes=(*notes, *filter(None, [negatives_line(sound)] if negatives else [])),
    )


def doubles_of(surveys: Sequence[Survey]) -> list[tuple[str, ...]]:
    """Images with identical content, as `split/id`: within a split, and across splits, where they spoil the scores."""
    places: dict[str, list[str]] = {}
    for survey in surveys:
        for content, ids in survey.contents.items():
            places.setdefault(content, []).extend(f"{survey.split}/{name}" for name in ids)
    return [tuple(names) for names in places.values() if len(names) > 1]


def survey_lines(survey: Survey, made: int = 0) -> Iterator[str]:
    """A split in words. made: number of true masks that a run makes, among the existing ones."""
    masks = f"{survey.unmasked} without true masks" + (f" ({made} are made)" if made else "")
    yield f"{survey.split}: {survey.images} images, {survey.untagged} without tags, {masks}"
    if survey.sizes:
        for name, sides in zip(("rows", "columns"), zip(*survey.sizes, strict=True), strict=True):
            yield f"  {name}: {min(sides)} to {max(sides)}, median {statistics.median(sides):g}"
    yield "  images by class: " + ", ".join(f"{name} {count}" for name, count in survey.tags.items())
    yield from (f"  note: {note}" for note in survey.notes)
    yield from (f"  problem of the split: {text}" for text in (survey.contradiction, survey.unlearnable) if text)
    yield from (f"  problem: {problem}" for problem in folded(survey.problems, survey.images))


def double_lines(doubles: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Images with identical content, in words."""
    if not doubles:
        yield "no two images have the same content"
        return
    yield f"{len(doubles)} images occur more than once:" if len(doubles) > 1 else "1 image occurs more than once:"
    for names in doubles[:SHOWN]:
        more = f" = ... and {len(names) - NAMED} more, {len(names)} images" if len(names) > NAMED else ""
        yield f"  {' = '.join(names[:NAMED])}{more}"
    if len(doubles) > SHOWN:
        yield f"  ... and {len(doubles) - SHOWN} more"
