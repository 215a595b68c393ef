"""Makes the report: one HTML page of scores, curves, times and pictures, from the files that the stages wrote."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from stages.data.left_out import read_left_out
from stages.errors import SettingsError
from stages.evaluate.confusion_picture import read_confusion
from stages.evaluate.image_scores import read_image_scores
from stages.evaluate.wsol_score import read_localization
from stages.files import write_text
from stages.index import read_classes, read_index
from stages.negatives import add_negatives
from stages.refine.mended import read_mended_list
from stages.report.gather import find_scores, read_curves, read_scores
from stages.report.page import render_page
from stages.report.panels import read_panels
from stages.report.picture import draw_picture, write_picture
from stages.report.shown_tables import find_tables
from stages.report.timings import read_timings, read_workload
from stages.runtime.command import main, output_path, parse_settings, parser
from stages.segment.rounds import PSEUDO_MASKS
from stages.settings import ReportSettings
from stages.vocabulary import SPLITS
from stages.words import STAGE_WORDS

log = logging.getLogger(__name__)

PICTURE_ROWS = 4


def confusion_title(path: Path) -> str:
    """The title of a confusion matrix, from its file name: upper_bound-val-confusion.csv."""
    stage, split, _ = path.stem.rsplit("-", 2)
    return f"Confusion of the classes: {STAGE_WORDS[stage]}, {split}"


def count_images(folder: Path) -> dict[str, int]:
    """Number of images in each split that has an index."""
    indexes = [folder / f"{split}.csv" for split in SPLITS]
    return {path.stem: len(read_index(path)) for path in indexes if path.is_file()}


def count_negatives(folder: Path, splits: Sequence[str]) -> dict[str, tuple[int, int]]:
    """The number of negatives and of images in each of the splits that has any."""
    found = {}
    for split in splits:
        path = folder / f"{split}.csv"
        records = read_index(path) if path.is_file() else []
        count = sum(not record.labels for record in records)
        if count:
            found[split] = count, len(records)
    return found


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "results", "root", outputs=("output",))
    command.add_argument("--shards", type=int, required=True, help="shards of a split (data.shards)")
    command.add_argument("--experiment", required=True, help="name of the experiment")
    command.add_argument("--scores", type=Path, nargs="*", help="score files to show; default: all in the results")
    command.add_argument("--config", default="{}", help="all settings of the experiment, as JSON, to be shown")
    command.add_argument(
        "--confusions",
        type=Path,
        nargs="*",
        default=[],
        help="confusion matrices to show (CSV)",
    )
    command.add_argument("--localization", type=Path, nargs="*", default=[], help="scores by wsolevaluation's protocol")
    command.add_argument("--left-out", type=Path, nargs="*", default=[], help="tables of the images left out (CSV)")
    add_negatives(command)
    command.add_argument("--images", type=Path, help="scores of val's images (CSV); without them none is ranked")
    command.add_argument("--mended", type=Path, help="list of the masks mended by hand, to be named")
    command.add_argument("--segmenter", default=PSEUDO_MASKS, help="folder of the segmenter, below segment/")
    command.add_argument("--picture", type=output_path, help="also write a strip of panels, as JPEG")
    args = command.parse_args(arguments)
    settings = parse_settings(ReportSettings, args.settings)
    try:
        config = json.loads(args.config)
    except json.JSONDecodeError as error:
        raise SettingsError(
            f"--config is not JSON ({error}); give all settings of the experiment as one value"
        ) from error
    classes, records = read_classes(args.results / "data/classes.txt"), read_index(args.results / "data/val.csv")
    panels = read_panels(
        args.results,
        args.root,
        records,
        classes,
        count=settings.panels,
        shards=args.shards,
        segmenter=args.segmenter,
        scores=read_image_scores(args.images) if args.images else None,
    )
    scores = read_scores(find_scores(args.results / "evaluate") if args.scores is None else args.scores)
    work = read_workload(args.results, count_images(args.results / "data"), scores, config, shards=args.shards)
    page = render_page(
        experiment=args.experiment,
        classes=classes,
        scores=scores,
        mended=len(read_mended_list(args.mended)) if args.mended else 0,
        localization=[read_localization(path) for path in args.localization],
        left_out={path.stem: read_left_out(path) for path in args.left_out},
        negatives=count_negatives(args.results / "data", args.negatives),
        localizer=read_curves(args.results / "localize/training.csv"),
        segmenter=read_curves(args.results / f"segment/{args.segmenter}/training.csv"),
        timings=read_timings(args.results / "benchmarks", work),
        tables=find_tables(args.results),
        panels=panels,
        val_images=len(records),
        config=config,
        confusions={confusion_title(path): read_confusion(path) for path in args.confusions},
    )
    write_text(args.output, page)
    log.info("%s: %.1f MB", args.output, len(page) / 1e6)
    if args.picture:
        shown = panels if len(panels) <= PICTURE_ROWS else panels[1 :: len(panels) // PICTURE_ROWS][:PICTURE_ROWS]
        write_picture(args.picture, draw_picture(shown, classes))


if __name__ == "__main__":
    main(run)
