"""Checks a dataset before a run: prints what each split contains and what is wrong with it; draws contact sheets."""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stages.data.captions import with_captions
from stages.data.coco_scored import check_scored
from stages.data.left_out import LeftOut
from stages.data.make_index import drawn_from_outlines, with_made_masks, without_truth
from stages.data.make_truth import MAKERS, make_truth, read_faults
from stages.data.mended import Photos, read_mended
from stages.data.readers import read_split
from stages.data.sheet import draw_sheet, write_sheet
from stages.data.survey import Survey, double_lines, doubles_of, survey_lines, survey_split
from stages.errors import DataError, SettingsError
from stages.experiment import read_config
from stages.index import Record
from stages.runtime.command import main
from stages.settings import DataSettings, Experiment, parts_of
from stages.vocabulary import SPLITS


def splits_of(experiment: Experiment) -> list[str]:
    """The splits that the experiment uses."""
    evaluated = (*experiment.evaluate.maps, *experiment.evaluate.segmenter, *experiment.evaluate.localization)
    used = {"train", "val", *experiment.segment.predict, *(part for split in evaluated for part in parts_of(split))}
    return [split for split in SPLITS if split in used]


def check_split(
    split: str, root: Path, data: DataSettings, *, made: Path, processes: int, sheet: Path | None
) -> Survey:
    """Prints what a split contains, and draws its valid images.

    made: folder for the true masks that a run would make; faults in their sources show up while making them.
    """
    records, _ = read_split(root, split, data)
    if data.captions is not None:
        records = with_captions(records, data.captions, split=split)
    count = 0
    if data.format in MAKERS:
        count = make_truth(MAKERS[data.format](root, split, data), made, processes=processes, skip=True)
        records = with_made_masks(records, made)
    problems = without_truth(records, read_faults(made))
    survey = survey_split(
        records,
        root,
        data.classes,
        split=split,
        untagged=data.untagged,
        negatives=data.has_negatives,
        known=problems,
        made=made,
        outlines=drawn_from_outlines(data),
    )
    print("\n".join(survey_lines(survey, count)))
    sound = [record for position, record in enumerate(records) if position not in survey.faulty]
    if sheet and sound:
        write_sheet(sheet, draw_sheet(sound, root, data.classes))
    return survey


def check_mended(path: Path, data: DataSettings, surveys: Sequence[Survey], root: Path) -> None:
    """Prints how many masks mended by hand there are; those of photos that a run leaves out don't count. Raises
    DataError if one cannot be used."""
    records: list[Record] = []
    left_out: list[LeftOut] = []
    for survey in surveys:
        for place, record in enumerate(read_split(root, survey.split, data)[0]):
            if place in survey.faulty:
                left_out.append(LeftOut(record.id, record.image, ""))
            else:
                records.append(record)
    found = read_mended(path, Photos(records, left_out), root, data.classes, keep=lambda record, mask: None)
    print(f"mended: {len(found.masks)} masks of train in {path}, {found.unchanged} more as they were exported")
    print("".join(f"  note: {note}\n" for note in found.notes), end="")


def refuse(surveys: Sequence[Survey], config: Path, data: DataSettings) -> None:
    """Raises DataError if a run would stop; with `data.on_error: skip`, if a split has no valid image, if many of its
    masks contradict their tags, or if nothing can be learned."""
    against = [survey.split for survey in surveys if survey.contradiction]
    if against:
        raise DataError(
            f"{config}: masks of {', '.join(against)} contradict their tags or palettes, as said above; a run"
            f" would stop there{', whatever data.on_error says' if data.on_error == 'skip' else ''}"
        )
    for survey in surveys:
        if survey.unlearnable:
            raise DataError(f"{config}: {survey.split}: {survey.unlearnable}")
    wrong = sum(len(survey.problems) for survey in surveys)
    nothing = [survey.split for survey in surveys if len(survey.faulty) == survey.images]
    count = "1 problem" if wrong == 1 else f"{wrong} problems"
    if wrong and data.on_error == "skip" and not nothing:
        print(f"{count}, named above; a run would leave these images out (data.on_error: skip)")
    elif wrong:
        none = f", with no image of {', '.join(nothing)} that can be used" if nothing else ""
        raise DataError(f"{config}: {count} in {data.root}, named above; a run would stop at them{none}")


def run(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--config", type=Path, required=True, help="the experiment's config")
    options.add_argument("--sheets", type=Path, help="folder for one contact sheet per split, of the valid images")
    options.add_argument("--processes", type=int, default=os.cpu_count(), help="processes that make true masks")
    args = options.parse_args(arguments)
    experiment = read_config(args.config)
    check_scored(experiment, str(args.config))
    data = experiment.data
    if data.root is None:
        raise SettingsError(f"{args.config}: data.root: the demo composes its own set, so there is nothing to check")
    surveys = []
    for split in splits_of(experiment):
        sheet = args.sheets / f"{split}.jpg" if args.sheets else None
        with tempfile.TemporaryDirectory() as made:
            surveys.append(check_split(split, data.root, data, made=Path(made), processes=args.processes, sheet=sheet))
    print("\n".join(double_lines(doubles_of(surveys))))
    refuse(surveys, args.config, data)
    if experiment.refine.mended is not None:
        check_mended(experiment.refine.mended, data, surveys, data.root)


if __name__ == "__main__":
    main(run)
