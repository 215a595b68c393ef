"""Shared by all trainings: options, a work folder that records its settings, mixed precision, and curves on disk."""

import json
import logging
import shutil
import time
import zipfile
import zlib
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS, OPTIM_WRAPPERS
from mmengine.runner import set_random_seed
from pydantic import BaseModel

from stages import finite_losses  # noqa: F401 (registers the hook)
from stages.devices import autocast, pick_device
from stages.files import sha256_of, write_csv, write_json
from stages.runtime.command import parser
from stages.runtime.launch import from_first_rank, is_first_rank

log = logging.getLogger(__name__)

FINGERPRINT = "fingerprint.json"


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """Runs the forward pass under bfloat16 autocast if the hardware has it (mmengine's own wrapper needs a GPU)."""

    @contextmanager
    def optim_context(self, model) -> Iterator[None]:
        with super().optim_context(model), autocast(pick_device()):
            yield


# Below what NumPy allows, 2^32, by more than there are ranks, whose numbers mmengine adds.
SEEDS = 2**32 - 2**16


@HOOKS.register_module()
class SeedEachEpoch(Hook):
    """Seeds every random generator at the start of an epoch, so that a resumed run draws what an unbroken one does."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def before_train_epoch(self, runner) -> None:
        # Each rank gets its own seed, or all would cut the same crops.
        set_random_seed((self.seed + runner.epoch) % SEEDS, diff_rank_seed=True)


def runner_defaults(
    *, section: str, seed: int, log_every: int, checkpoint_every: int, by_epoch: bool
) -> dict[str, Any]:
    """The Runner arguments that all trainings share: seed, checkpoints (the last two), a text log with the time
    left, TensorBoard, and an end at the first loss that is not finite.

    section: of the config, with the training's settings; named in errors.
    """
    hooks: list[dict[str, Any]] = [{"type": "EndAtFirstNonFinite", "section": section}]
    hooks += [{"type": "SeedEachEpoch", "seed": seed}] if by_epoch else []
    return {
        "default_hooks": {
            "logger": {"type": "LoggerHook", "interval": log_every},
            "checkpoint": {
                "type": "CheckpointHook",
                "interval": checkpoint_every,
                "by_epoch": by_epoch,
                # Two, so that a run killed while writing one still has the previous one.
                "max_keep_ckpts": 2,
            },
        },
        "custom_hooks": hooks,
        "log_processor": {"by_epoch": by_epoch},
        "visualizer": {
            "type": "Visualizer",
            "vis_backends": [{"type": "LocalVisBackend"}, {"type": "TensorboardVisBackend"}],
        },
        "randomness": {"seed": seed},
        "default_scope": "mmengine",
        # mmengine keeps one visualizer per name in a process, and its default names have a resolution of one second.
        "experiment_name": f"tagmask-{time.time_ns()}",
    }


def fingerprint_of(settings: BaseModel, *, seed: int, code: str, files: Sequence[Path]) -> dict[str, str]:
    """Everything a training depends on: settings, seed, source code and the bytes of its input files."""
    return {
        "settings": settings.model_dump_json(),
        "seed": str(seed),
        "code": code,
        "files": json.dumps([sha256_of(path) for path in files]),
    }


def training_parser(description: str | None, *paths: str, many: tuple[str, ...] = ()) -> ArgumentParser:
    """The parser of a training: its own paths, then the work folder, curves and result, then seed and code."""
    options = parser(description, *paths, "work", many=many, outputs=("curves", "output"))
    options.add_argument("--seed", type=int, required=True)
    options.add_argument("--code", default="", help="hash of the source code; another one starts afresh")
    return options


def resumes_in(work: Path, fingerprint: Callable[[], Mapping[str, str]]) -> bool:
    """`prepare_work` in the first process, its answer sent to all. Only that process computes the fingerprint."""
    return from_first_rank(is_first_rank() and prepare_work(work, fingerprint()))


def prepare_work(work: Path, fingerprint: Mapping[str, str]) -> bool:
    """Prepares the work folder and returns whether an earlier run can be resumed from it.

    A folder from a run with other settings, seed, code or inputs is emptied: its checkpoints would be wrong here.
    """
    known = work / FINGERPRINT
    if known.is_file() and json.loads(known.read_text(encoding="utf-8")) == dict(fingerprint):
        resumes = point_to_whole_checkpoint(work)
        log.info("%s: %s", work, "resuming from its last checkpoint" if resumes else "no checkpoint yet")
        return resumes
    if work.exists():
        log.info("%s: made with other settings, code or inputs; starting afresh", work)
        shutil.rmtree(work)
    work.mkdir(parents=True)
    write_json(known, dict(fingerprint))
    return False


def point_to_whole_checkpoint(work: Path) -> bool:
    """Makes mmengine resume from the last intact checkpoint; returns whether there is one.

    A damaged one (disk full, copy cut short) is deleted; the log says which, and which one is used instead.
    """
    pointer = work / "last_checkpoint"
    if not pointer.is_file():
        return False
    last = work / Path(pointer.read_text(encoding="utf-8").strip()).name
    others = sorted((path for path in work.glob("*.pth") if path != last), key=_step_of, reverse=True)
    for path in (last, *others):
        if path.is_file() and _is_whole(path):
            pointer.write_text(str(path.absolute()), encoding="utf-8")
            if path != last:
                log.warning("%s: taking %s, the checkpoint before", work, path.name)
            return True
        log.warning("%s: this checkpoint is damaged or missing; it is not used", path)
        path.unlink(missing_ok=True)
    log.warning("%s: no whole checkpoint is left; the training starts afresh", work)
    pointer.unlink()
    return False


def _step_of(path: Path) -> int:
    """The epoch or iteration in a checkpoint's name: epoch_12.pth."""
    digits = path.stem.rpartition("_")[2]
    return int(digits) if digits.isdigit() else -1


def _is_whole(path: Path) -> bool:
    """Whether a checkpoint (torch writes a zip archive) is complete and its checksums match."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error):
        return False


def write_curves(path: Path, work: Path) -> None:
    """Gathers the scalars that mmengine logged under `work` (all runs, resumed ones too) into one CSV, atomically.

    Columns: step, name, value. If a step was logged twice (a killed run, then its resumption), the last one counts.
    """
    values: dict[tuple[int, str], float] = {}
    for scalars in sorted(work.glob("*/vis_data/scalars.json")):
        # A killed run leaves its last line without a newline.
        for line in scalars.read_text(encoding="utf-8").splitlines(keepends=True):
            if not line.endswith("\n"):
                continue
            row = json.loads(line)
            step = int(row["step"])
            for name, value in row.items():
                if name not in ("step", "iter", "epoch") and isinstance(value, int | float):
                    values[step, name] = value
    rows = ((step, name, value) for (step, name), value in sorted(values.items()))
    write_csv(path, [("step", "name", "value"), *rows])
