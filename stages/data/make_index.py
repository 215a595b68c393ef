"""Reads a split of the dataset, checks every image in it, and writes its index."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from stages.data.captions import with_captions
from stages.data.contradictions import find_contradiction, find_notes, refuse_contradiction
from stages.data.left_out import leave_out, write_left_out
from stages.data.make_truth import read_faults
from stages.data.mask_sights import named_by_image
from stages.data.problems import Problem, examine_all, refuse_problems
from stages.data.readers import read_split
from stages.errors import DataError
from stages.index import Record, write_index
from stages.negatives import learning_fault, negatives_line
from stages.runtime.command import main, output_path, parse_settings, parser
from stages.settings import DataSettings
from stages.vocabulary import SPLITS

log = logging.getLogger(__name__)


def with_made_masks(records: Sequence[Record], folder: Path) -> list[Record]:
    """The records with the masks that `make_truth` made for those without their own."""
    made = {path.stem: str(path.absolute()) for path in folder.glob("*.png")}
    return [dataclasses.replace(record, mask=record.mask or made.get(record.id, "")) for record in records]


def without_truth(records: Sequence[Record], faults: Mapping[str, str]) -> list[Problem]:
    """The images for which `make_truth` could make no mask. faults: why, by image id."""
    return [
        Problem(place, faults[record.id])
        for place, record in enumerate(records)
        if not (record.mask or record.fault) and record.id in faults
    ]


def drawn_from_outlines(settings: DataSettings) -> bool:
    """Whether `make_truth` draws the masks from the objects that also give the tags."""
    return settings.format == "coco" and settings.coco.masks is None


def check_learnable(records: Sequence[Record], settings: DataSettings, *, source: Path) -> None:
    """Logs how many training images are negatives. Raises DataError if nothing can be learned from the images."""
    if fault := learning_fault(records, settings.classes):
        raise DataError(f"{source}: {fault}")
    if settings.has_negatives and (line := negatives_line(records)):
        log.warning("%s: %s", source, line)


def run(arguments: list[str] | None = None) -> None:
    commands = parser(__doc__, "root", outputs=("output",))
    commands.add_argument("--split", choices=SPLITS, required=True)
    commands.add_argument("--masks", type=Path, help="folder of masks made for this split")
    commands.add_argument("--left-out", type=output_path, help="table of the images left out (CSV)")
    commands.add_argument("--processes", type=int, default=1, help="processes that read the images")
    args = commands.parse_args(arguments)
    settings = parse_settings(DataSettings, args.settings)
    records, source = read_split(args.root, args.split, settings)
    if args.masks:
        records = with_made_masks(records, args.masks)
    if settings.captions is not None:
        records = with_captions(records, settings.captions, split=args.split)
    found = examine_all(
        records,
        args.root,
        settings.classes,
        source=source,
        processes=args.processes,
        untagged=settings.untagged,
    )
    # Before single images: a fault of the split explains theirs.
    sights = named_by_image(found.sights, {place: record.image for place, record in enumerate(records)}, args.masks)
    contradiction = find_contradiction(records, sights, settings.classes, outlines=drawn_from_outlines(settings))
    refuse_contradiction(contradiction, source=source)
    for note in find_notes(records, sights, settings.classes):
        log.warning("%s: %s", source, note)
    problems = found.problems + (without_truth(records, read_faults(args.masks)) if args.masks else [])
    if settings.on_error == "stop":
        refuse_problems(problems, len(records), source=source)
    kept, out = leave_out(records, problems, source=source)
    if out:
        log.warning("%s: %d of %d images left out, the first: %s", source, len(out), len(records), out[0].problem)
    if args.split == "train":
        check_learnable(kept, settings, source=source)
    if args.left_out:
        write_left_out(args.left_out, out)
    write_index(args.output, kept)


if __name__ == "__main__":
    main(run)
