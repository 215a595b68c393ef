"""Looks a dataset over before a run: prints what each split holds and what is wrong with it; draws contact sheets."""

import argparse
from pathlib import Path

from stages.command import main
from stages.data.captions import with_captions
from stages.data.readers import read_split
from stages.data.sheet import draw_sheet, write_sheet
from stages.data.survey import double_lines, doubles_of, survey_lines, survey_split
from stages.errors import DataError, SettingsError
from stages.experiment import read_config
from stages.settings import Experiment

# Formats whose true masks a run makes before it indexes the images.
MADE_MASKS = {"coco": "true masks made from the JSON", "openimages": "true masks united from the instances'"}


def splits_of(experiment: Experiment) -> list[str]:
    """The splits that the experiment uses."""
    used = {"train", "val", *experiment.evaluate.maps, *experiment.segment.predict, *experiment.evaluate.segmenter}
    return [split for split in ("train", "val", "test") if split in used]


def run(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--config", type=Path, required=True, help="the experiment's config")
    options.add_argument("--sheets", type=Path, help="folder for a contact sheet a split, of the images that are sound")
    args = options.parse_args(arguments)
    experiment = read_config(args.config)
    data = experiment.data
    if data.root is None:
        raise SettingsError(f"{args.config}: data.root: the demo composes its set itself, there is nothing to check")
    surveys = []
    for split in splits_of(experiment):
        records, _ = read_split(data.root, split, data)
        if data.captions is not None:
            records = with_captions(records, data.captions, split=split)
        survey = survey_split(records, data.root, data.classes, split=split)
        print("\n".join(survey_lines(survey, MADE_MASKS.get(data.format, ""))))
        surveys.append(survey)
        sound = [record for position, record in enumerate(records) if position not in survey.faulty]
        if args.sheets and sound:
            write_sheet(args.sheets / f"{split}.jpg", draw_sheet(sound, data.root, data.classes))
    print("\n".join(double_lines(doubles_of(surveys))))
    wrong = sum(len(survey.problems) for survey in surveys)
    if wrong and data.on_error == "skip":
        print(f"{wrong} problems, named above; a run would leave these images out (data.on_error: skip)")
    elif wrong:
        raise DataError(f"{args.config}: {wrong} problems in {data.root}, named above; a run would stop at them")


if __name__ == "__main__":
    main(run)
