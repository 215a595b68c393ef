"""The full mmengine config of a segmenter's training, built in Python from the settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict

from stages.runtime.launch import CPU_WRAPPER, batch_share, ranks
from stages.settings import SegmenterTraining
from stages.training import runner_defaults

POLY_POWER = 0.9
LOG_EVERY = 10


def train_pipeline(
    settings: SegmenterTraining, classes: int, *, longest_side: int | None = None
) -> list[dict[str, Any]]:
    """Loading, random scale, crop, mirror, and colours if set: after the crop, where there are fewest pixels."""
    colours = [{"type": "PhotoMetricDistortion"}] if settings.colours else []
    return [
        {"type": "LoadImageAndMask", "classes": classes + 1, "longest_side": longest_side},
        {"type": "RandomScale", "scales": settings.scales},
        {"type": "RandomCrop", "crop_size": (settings.crop, settings.crop)},
        {"type": "RandomFlip", "prob": 0.5},
        *colours,
        {"type": "PackSegInputs"},
    ]


def schedule(settings: SegmenterTraining) -> list[dict[str, Any]]:
    """Linear warm-up, then polynomial decay to zero at the last step (Chen et al., TPAMI 2018: power 0.9)."""
    warmup, steps = settings.warmup_iterations, settings.iterations
    decay = {"type": "PolyLR", "power": POLY_POWER, "eta_min": 0.0, "begin": warmup, "end": steps, "by_epoch": False}
    # mmengine's linear warm-up reaches the full rate one step before its end, so over a single step it never does.
    if warmup < 2:
        return [decay]
    return [{"type": "LinearLR", "start_factor": 0.01, "begin": 0, "end": warmup, "by_epoch": False}, decay]


def optimizer(settings: SegmenterTraining) -> dict[str, Any]:
    """AdamW or SGD; a lower rate for the backbone, no decay of norms and biases."""
    rate = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        inner: dict[str, Any] = {"type": "SGD", **rate, "momentum": settings.momentum}
    else:
        # One pass over all parameters instead of ten; otherwise 4 % of a CPU step goes into the optimizer.
        inner = {"type": "AdamW", **rate, "fused": True}
    return {
        "type": "Bfloat16OptimWrapper",
        "optimizer": inner,
        "paramwise_cfg": {
            "custom_keys": {"backbone": {"lr_mult": settings.backbone_rate}},
            "norm_decay_mult": 0.0,
            "bias_decay_mult": 0.0,
        },
    }


def moving_average(settings: SegmenterTraining) -> list[dict[str, Any]]:
    """mmengine's hook that averages the weights over steps, if set (Polyak and Juditsky, SIAM J. Control Optim. 1992;
    exponential as in Tarvainen and Valpola, NeurIPS 2017). Means and variances of batch norms are averaged as well."""
    if settings.ema_decay == 0:
        return []
    average = {"ema_type": "ExponentialMovingAverage", "momentum": 1 - settings.ema_decay, "update_buffers": True}
    return [{"type": "EMAHook", "strict_load": True, **average}]


@dataclass(frozen=True)
class TrainingFiles:
    """The inputs and work folder of a training; without `masks` the index's own true masks are used.

    model: written by `stages.segment.resolve_model`.  weights: of the backbone (safetensors).  longest_side: larger
    images are read at this size.
    """

    index: Path
    root: Path
    model: Path
    weights: Path
    work: Path
    masks: Sequence[Path] = ()
    longest_side: int | None = None


def train_config(
    settings: SegmenterTraining,
    files: TrainingFiles,
    *,
    resolved: Mapping[str, Any],
    classes: Sequence[str],
    seed: int,
    resume: bool,
) -> Config:
    """The config for an mmengine Runner; with `resume` it continues from the last checkpoint in the folder.

    resolved: the content of `files.model`.
    """
    dataset = {
        "type": "IndexedMasks",
        "index": str(files.index),
        "root": str(files.root),
        "classes": list(classes),
        "masks": [str(folder) for folder in files.masks],
        "pipeline": train_pipeline(settings, len(classes), longest_side=files.longest_side),
    }
    optim_wrapper = ConfigDict(optimizer(settings))
    optim_wrapper.merge(ConfigDict(resolved["optim_wrapper"]))
    shared = runner_defaults(
        section="segment.training",
        seed=seed,
        log_every=LOG_EVERY,
        checkpoint_every=settings.checkpoint_every,
        by_epoch=False,
    )
    shared["custom_hooks"] += [{"type": "SeedEachIteration", "seed": seed}, *moving_average(settings)]
    distributed: dict[str, Any] = {"launcher": "pytorch" if ranks() > 1 else "none"}
    if not torch.cuda.is_available():
        distributed["model_wrapper_cfg"] = CPU_WRAPPER
    elif ranks() > 1:
        distributed["sync_bn"] = "torch"  # statistics of the whole batch, not of the few images on each GPU
    return Config(
        {
            **shared,
            **distributed,
            "default_scope": "mmseg",
            "work_dir": str(files.work),
            "model": with_weights(resolved["model"], files.weights),
            "train_dataloader": {
                "batch_size": batch_share(settings.batch_size, "segment.training.batch_size"),
                "num_workers": settings.workers,
                "persistent_workers": settings.workers > 0,
                "sampler": {"type": "Draws"},
                "dataset": {"type": "DrawnImages", "seed": seed, "dataset": dataset},
            },
            "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": settings.iterations},
            "optim_wrapper": optim_wrapper,
            "param_scheduler": schedule(settings),
            "resume": resume,
        }
    )


def with_weights(model: Mapping[str, Any], weights: Path) -> dict[str, Any]:
    """The model config with the backbone starting from a file."""
    return {**model, "backbone": {**model["backbone"], "weights": str(weights)}}
