"""Trains the segmenter on pseudo masks, or on the index's true masks without `--masks`; resumes if interrupted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import EMAHook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from stages.files import digest, read_json
from stages.index import read_classes, read_index
from stages.runtime.command import main, parse_settings
from stages.runtime.launch import is_first_rank, relaunch
from stages.segment import dataset, draws, transforms  # noqa: F401 (registers them)
from stages.segment.config import TrainingFiles, train_config
from stages.segment.dataset import training_masks
from stages.segment.model import save_segmenter
from stages.settings import SegmenterTraining, SegmentSettings
from stages.training import fingerprint_of, resumes_in, training_parser, write_curves

# Settings that the training does not depend on, or that `--model` already holds: if only they change, the finished
# weights remain valid.
NOT_TRAINED_BY = ("workers", "checkpoint_every", "loss", "class_weights")


def fingerprint(
    settings: SegmenterTraining, files: TrainingFiles, *, classes: Path, seed: int, code: str
) -> dict[str, str]:
    """Everything the training depends on, down to the bytes of its masks."""
    defaults = {name: SegmenterTraining.model_fields[name].default for name in NOT_TRAINED_BY}
    known = fingerprint_of(
        settings.model_copy(update=defaults),
        seed=seed,
        code=code,
        files=[files.index, classes, files.model, files.weights],
    )
    known["longest_side"] = str(files.longest_side)
    return known | {"masks": digest(training_masks(read_index(files.index), files.root, files.masks))}


def train_segmenter(
    settings: SegmenterTraining,
    files: TrainingFiles,
    *,
    resolved: Mapping[str, Any],
    classes: Sequence[str],
    seed: int,
    resume: bool,
) -> nn.Module:
    """Trains to the end; with `resume` from the last checkpoint in `files.work`. Returns the trained model, or the
    average over steps if `ema_decay` is set."""
    config = train_config(settings, files, resolved=resolved, classes=classes, seed=seed, resume=resume)
    runner = Runner.from_cfg(config)
    model = runner.train()
    for hook in runner.hooks:
        if isinstance(hook, EMAHook):
            return hook.ema_model.module
    return model.module if is_model_wrapper(model) else model


def run(arguments: list[str] | None = None) -> None:
    command = training_parser(__doc__, "index", "root", "classes", "model", "weights")
    command.add_argument("--masks", type=Path, nargs="*", default=[], help="folders of pseudo masks")
    command.add_argument("--gpus", type=int, default=1, help="GPUs over which a step's batch is spread")
    command.add_argument("--longest-side", type=int, help="pixels at which larger images are read")
    args = command.parse_args(arguments)
    settings = parse_settings(SegmentSettings, args.settings).training
    if relaunch("stages.segment.train", args.gpus, arguments):
        return
    files = TrainingFiles(args.index, args.root, args.model, args.weights, args.work, args.masks, args.longest_side)
    resume = resumes_in(
        args.work, lambda: fingerprint(settings, files, classes=args.classes, seed=args.seed, code=args.code)
    )
    classes, resolved = read_classes(args.classes), read_json(args.model)
    model = train_segmenter(settings, files, resolved=resolved, classes=classes, seed=args.seed, resume=resume)
    if is_first_rank():
        write_curves(args.curves, args.work)
        save_segmenter(args.output, model, classes=classes, config=resolved["model"])


if __name__ == "__main__":
    main(run, stored=("output", "curves"), truth_unless="masks")
