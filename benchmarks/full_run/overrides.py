"""What `make full-size` changes of a config, and the list of what it may change."""

import fnmatch
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stages.settings import Experiment, PretrainedClip

# Paths, weights files, epochs, iterations and image counts; nothing that a job's memory or an image's time hangs on.
ALLOWED = (
    "data.root",
    "data.expected.*",
    "data.shards",
    "encode.weights.*",
    "encode.clip.model",  # a file of OpenAI's weights wants the name of the model with the quick GELU
    "encode.clip.pretrained",
    "localize.training.epochs",
    "localize.training.warmup_epochs",
    "refine.affinity.training.epochs",
    "refine.auto.images",
    "segment.training.iterations",
    "segment.training.warmup_iterations",
    "evaluate.train_list",
)
EPOCHS = 2
AFFINITY_EPOCHS = 1
AUTO_IMAGES = 4
ITERATIONS = 4
SHARDS = 2


def override(experiment: Experiment, *, root: Path, weights: Path, counts: Mapping[str, int]) -> dict[str, Any]:
    """The overriding config for a set in `root` with so many images a split, and weights in `weights`."""
    data: dict[str, Any] = {"root": str(root), "shards": SHARDS}
    data["expected"] = {split: counts[split] for split in experiment.data.expected}
    changes: dict[str, Any] = {
        "data": data,
        "encode": {"weights": {model: str(backbone_file(weights, model)) for model in experiment.encode.weights}},
        "localize": {"training": {"epochs": EPOCHS, "warmup_epochs": 1}},
        "segment": {
            "training": {
                "iterations": ITERATIONS,
                "warmup_iterations": min(1, experiment.segment.training.warmup_iterations),
            }
        },
        "refine": {"auto": {"images": AUTO_IMAGES}},
    }
    if has_clip_file(experiment):
        changes["encode"]["clip"] = {
            "model": clip_model(experiment),
            "pretrained": str(clip_file(weights, experiment)),
        }
    if experiment.refine.affinity.kind == "learned":
        changes["refine"]["affinity"] = {"training": {"epochs": AFFINITY_EPOCHS}}
    if experiment.evaluate.train_list is not None and experiment.data.root is not None:
        below = experiment.evaluate.train_list.relative_to(experiment.data.root)
        changes["evaluate"] = {"train_list": str(root / below)}
    return changes


def has_clip_file(experiment: Experiment) -> bool:
    """Whether CLIP is open_clip's, with weights, and not packaged towers."""
    return experiment.encode.clip.kind == "pretrained"


def clip_model(experiment: Experiment) -> str:
    """The name that goes with a file of the config's CLIP weights."""
    clip = experiment.encode.clip
    if not isinstance(clip, PretrainedClip):
        raise TypeError(f"encode.clip.kind {clip.kind!r} has no file of weights")
    quick = clip.pretrained == "openai" and not clip.model.endswith("-quickgelu")
    return f"{clip.model}-quickgelu" if quick else clip.model


def backbone_file(weights: Path, model: str) -> Path:
    """Where a backbone's random weights lie: as safetensors also where the config names torch's own file, a pickle."""
    return weights / f"{model}.safetensors"


def clip_file(weights: Path, experiment: Experiment) -> Path:
    """Where CLIP's random weights lie."""
    return weights / f"clip-{clip_model(experiment)}.safetensors"


def merged(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A config with another on top, as Snakemake merges files of --configfile: mappings deeply, all else replaced."""
    result = dict(config)
    for key, value in changes.items():
        own = result.get(key)
        result[key] = merged(own, value) if isinstance(value, Mapping) and isinstance(own, Mapping) else value
    return result


def leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting with its dotted path."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def forbidden_changes(before: Experiment, after: Experiment) -> list[str]:
    """Settings, defaults among them, that differ between two experiments and are not on the list."""
    old, new = (dict(leaves(experiment.model_dump(mode="json"))) for experiment in (before, after))
    differing = [path for path in sorted(old.keys() | new.keys()) if old.get(path) != new.get(path)]
    return [path for path in differing if not any(fnmatch.fnmatchcase(path, allowed) for allowed in ALLOWED)]
