"""Negatives: images without tags that show none of the classes, and are learned from as such."""

from argparse import ArgumentParser
from collections.abc import Collection, Sequence

from stages.index import Record
from stages.vocabulary import SPLITS

NONE = "an empty tag says that none of the classes is shown"


def add_negatives(options: ArgumentParser) -> None:
    """Adds the option that says of which splits images without tags are negatives; of the others, they are not
    known."""
    options.add_argument(
        "--negatives", nargs="*", choices=SPLITS, default=[], help="splits whose images without tags show no class"
    )


def learned(records: Sequence[Record], negatives: Collection[str]) -> list[Record]:
    """The records that training learns from: those with tags and, in the splits `negatives`, those without."""
    return [record for record in records if record.labels or record.split in negatives]


def learning_fault(records: Sequence[Record], classes: Sequence[str]) -> str:
    """Why nothing can be learned from the images of a split, with the cure; empty if something can.

    A class is learned from images with its tag against images without.
    """
    without = sum(not record.labels for record in records)
    if without == len(records):
        return f"none of {len(records)} images has a tag, and tags are what is learned from; tag the images"
    if len(classes) == 1 and not without:
        return (
            f"every image is tagged {classes[0]!r}, the only class, and a class is learned from images with its tag"
            " against images without; list images that show none of it, with an empty tag"
        )
    return ""


def negatives_line(records: Sequence[Record]) -> str:
    """How many of the images are negatives, so that a forgotten tag is not silent; empty if none is."""
    found = [record.id for record in records if not record.labels]
    if not found:
        return ""
    if len(found) == 1:
        text = f"1 of {len(records)} images has no tag ({found[0]!r}) and is learned as a negative"
    else:
        text = (
            f"{len(found)} of {len(records)} images have no tag (the first: {found[0]!r}) and are learned as negatives"
        )
    return f"{text}: {NONE}; if a tag was forgotten, add it"
