"""Trains DeepLabV3+ on pseudo masks, or without `--masks` on the index's own true masks."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.runner import Runner

from stages.command import main, parse_settings, parser
from stages.files import digest
from stages.index import read_classes, read_index
from stages.segment import dataset, transforms  # noqa: F401 (registers them)
from stages.segment.config import TrainingFiles, train_config
from stages.segment.dataset import training_masks
from stages.segment.model import ChannelsLastEncoderDecoder, save_segmenter
from stages.settings import SegmentSettings
from stages.training import fingerprint_of, prepare_work, write_curves

# Settings that training does not depend on: when only they change, the finished weights are still right.
NOT_TRAINED_BY = ("workers", "checkpoint_every", "test_scales", "test_flip", "predict")


def fingerprint(
    settings: SegmentSettings, files: TrainingFiles, *, classes: Path, seed: int, code: str
) -> dict[str, str]:
    """What the training depends on, down to the bytes of its masks."""
    defaults = {name: SegmentSettings.model_fields[name].default for name in NOT_TRAINED_BY}
    known = fingerprint_of(
        settings.model_copy(update=defaults), seed=seed, code=code, files=[files.index, classes, files.weights]
    )
    return known | {"masks": digest(training_masks(read_index(files.index), files.root, files.masks))}


def train_segmenter(
    settings: SegmentSettings, files: TrainingFiles, *, classes: Sequence[str], seed: int, resume: bool
) -> ChannelsLastEncoderDecoder:
    """Trains to the end; with `resume` from the last checkpoint in `files.work`. Returns the trained model."""
    runner = Runner.from_cfg(train_config(settings, files, classes=classes, seed=seed, resume=resume))
    return runner.train()


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "index", "root", "classes", "weights", "work", "curves", "output")
    command.add_argument("--masks", type=Path, nargs="*", default=[], help="folders of pseudo masks")
    command.add_argument("--seed", type=int, required=True)
    command.add_argument("--code", required=True, help="hash of the source code that training depends on")
    args = command.parse_args(arguments)
    settings = parse_settings(SegmentSettings, args.settings)
    files = TrainingFiles(args.index, args.root, args.weights, args.work, masks=args.masks)
    known = fingerprint(settings, files, classes=args.classes, seed=args.seed, code=args.code)
    resume = prepare_work(args.work, known)
    classes = read_classes(args.classes)
    model = train_segmenter(settings, files, classes=classes, seed=args.seed, resume=resume)
    write_curves(args.curves, args.work)
    save_segmenter(args.output, model, classes=classes, settings=settings)


if __name__ == "__main__":
    main(run)
