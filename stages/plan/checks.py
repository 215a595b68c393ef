"""What is checked before a rule runs: settings, and the files and folders that they name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.data.coco_scored import check_scored
from stages.data.mended_places import SETTING, fault_of_place
from stages.errors import SettingsError
from stages.experiment import check_variants, read_experiment
from stages.file_kinds import other_kind
from stages.plan.language import names_file
from stages.segment.overlay import overlay_path
from stages.settings import Experiment, PretrainedClip


def checked_experiment(config: Mapping[str, Any], *, source: str) -> Experiment:
    """A config as an Experiment. Raises SettingsError with one line per error, prefixed with `source`."""
    experiment = read_experiment(config, source=source)
    check_variants(experiment, source=source)
    try:
        overlay_path(experiment.segment.network.model)
    except SettingsError as error:
        raise SettingsError(f"{source}: {error}") from error
    _check_root(experiment, source)
    _check_weights(experiment, source)
    _check_scored(experiment, source)
    check_scored(experiment, source)
    _check_mended(experiment, source)
    return experiment


def _check_root(experiment: Experiment, source: str) -> None:
    data = experiment.data
    if data.root is not None and not data.root.is_dir() and not data.fetch:
        cure = ", or set data.fetch to download it where the licence allows" if data.format in ("voc", "coco") else ""
        raise SettingsError(
            f"{source}: data.root: no folder {data.root}; put the dataset there or name its folder{cure}"
        )


def _check_weights(experiment: Experiment, source: str) -> None:
    for model in sorted(experiment.models):
        file = experiment.encode.weights[model]
        if names_file(file) and not Path(file).is_file():
            raise SettingsError(
                f"{source}: encode.weights.{model}: no file {file}; put it there (docs/method.md, Weights without"
                " internet) or, to have weights fetched, set another backbone in segment and refine.affinity:"
                " resnet101, with segment.network.model deeplabv3plus"
            )
        if names_file(file) and Path(file).suffix != ".params":  # MXNet's, which only ResNet38 is read from
            _refuse_other_kind(Path(file), f"{source}: encode.weights.{model}")
    clip = experiment.encode.clip
    if isinstance(clip, PretrainedClip) and Path(clip.pretrained).is_file() and Path(clip.pretrained).suffix != ".npz":
        _refuse_other_kind(Path(clip.pretrained), f"{source}: encode.clip.pretrained")


def _refuse_other_kind(path: Path, place: str) -> None:
    """Raises SettingsError for a file whose beginning or length shows that it is no weights. An empty one may stand for
    weights in a dry run; `encode` refuses it."""
    kind = other_kind(path) if path.stat().st_size else ""
    if kind:
        raise SettingsError(f"{place}: {path} is {kind}")


def _check_mended(experiment: Experiment, source: str) -> None:
    path = experiment.refine.mended
    if path is not None and (fault := fault_of_place(path)):
        raise SettingsError(f"{source}: {SETTING}: {fault}")


def _check_scored(experiment: Experiment, source: str) -> None:
    scored = experiment.evaluate.train_list
    if scored is not None and not scored.is_file() and not experiment.data.fetch:
        raise SettingsError(
            f"{source}: evaluate.train_list: no file {scored}; correct the path, or leave it out to score all of train"
        )
