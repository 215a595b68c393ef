"""The whole mmengine config of a DeepLabV3+ training, built in Python from the settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
from mmengine.config import Config

from stages.errors import SettingsError
from stages.images import IGNORE
from stages.settings import SegmentSettings
from stages.training import runner_defaults

# Atrous rates at output stride 16 (Chen et al., ECCV 2018, section 4); the same field of view at other strides.
ATROUS_RATES = (6, 12, 18)
RATES_STRIDE = 16
USUAL_STRIDE = 32
LOW_LEVEL_STRIDE = 4
LOW_LEVEL_CHANNELS = 48
POLY_POWER = 0.9
LOG_EVERY = 10


@dataclass(frozen=True)
class BackboneFacts:
    """What DeepLabV3+ must know of a timm CNN.

    low, high: positions, among its feature maps, of the two that are used; low_channels, high_channels: their channels.
    mean, std: [3] of the RGB values 0..1 that it was trained on.
    """

    low: int
    high: int
    low_channels: int
    high_channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def stride_option(settings: SegmentSettings) -> dict[str, Any]:
    """The option that dilates a timm model; none for 32, its usual stride, which not every model lets one name."""
    return {} if settings.output_stride == USUAL_STRIDE else {"output_stride": settings.output_stride}


def describe_backbone(settings: SegmentSettings) -> BackboneFacts:
    """The facts of the setting's backbone: its last feature map is used, and the first with stride 4 or more.

    Raises SettingsError when timm has no such model, it cannot reach the output stride, or has too few stages.
    """
    name = settings.backbone
    try:
        model: Any = timm.create_model(name, features_only=True, **stride_option(settings))
    except RuntimeError as error:
        raise SettingsError(f"segment.backbone: {error}; give the name of a timm CNN") from error
    except (TypeError, AssertionError, NotImplementedError) as error:
        raise SettingsError(
            f"segment.output_stride: timm's {name} cannot be built with {settings.output_stride} ({error});"
            f" set {USUAL_STRIDE}"
        ) from error
    strides, channels = model.feature_info.reduction(), model.feature_info.channels()
    if settings.frozen_stages > len(strides):
        raise SettingsError(f"segment.frozen_stages: {settings.frozen_stages}, but {name} has {len(strides)} stages")
    low = next(place for place, reduction in enumerate(strides) if reduction >= LOW_LEVEL_STRIDE)
    return BackboneFacts(
        low=low,
        high=len(strides) - 1,
        low_channels=channels[low],
        high_channels=channels[-1],
        mean=model.pretrained_cfg["mean"],
        std=model.pretrained_cfg["std"],
    )


def model_config(settings: SegmentSettings, classes: int, *, weights: Path | None) -> dict[str, Any]:
    """DeepLabV3+ for `classes` classes and background; `weights`: a timm state dict for the backbone (safetensors)."""
    facts = describe_backbone(settings)
    norm = {"type": "BN"}
    return {
        "type": "ChannelsLastEncoderDecoder",
        "data_preprocessor": {
            "type": "SegDataPreProcessor",
            "mean": [255 * value for value in facts.mean],
            "std": [255 * value for value in facts.std],
            "bgr_to_rgb": True,
            "size": (settings.crop, settings.crop),
            "pad_val": 0,
            "seg_pad_val": IGNORE,
        },
        "backbone": {
            "type": "FreezableTimmBackbone",
            "model_name": settings.backbone,
            **stride_option(settings),
            "features": (facts.low, facts.high),
            "frozen_stages": settings.frozen_stages,
            "frozen_norm": settings.frozen_norm,
            "pretrained": weights is not None,
            # timm prefers a local file to its hubs, and fits it to the model without the classifier by itself.
            "pretrained_cfg_overlay": {"file": str(weights), "custom_load": False} if weights else {},
        },
        "decode_head": {
            "type": "DepthwiseSeparableASPPHead",
            "in_channels": facts.high_channels,
            "in_index": 1,
            "channels": settings.decoder_channels,
            "dilations": (1, *(rate * RATES_STRIDE // settings.output_stride for rate in ATROUS_RATES)),
            "c1_in_channels": facts.low_channels,
            "c1_channels": LOW_LEVEL_CHANNELS,
            "num_classes": classes + 1,
            "dropout_ratio": 0.1,
            "norm_cfg": norm,
            "align_corners": False,
            "ignore_index": IGNORE,
            # With class weights this loss already averages over the pixels that are not ignored; its own switch for
            # that (avg_non_ignore) fails beside class weights.
            "loss_decode": {
                "type": "CrossEntropyLoss",
                "class_weight": [settings.background_weight] + [1.0] * classes,
            },
        },
        "train_cfg": {},
        "test_cfg": {"mode": "whole"},
    }


def train_pipeline(settings: SegmentSettings, classes: int) -> list[dict[str, Any]]:
    """Loading, random scale, crop, mirror and colours. Colours come after the crop, where there are fewest pixels."""
    return [
        {"type": "LoadImageAndMask", "classes": classes + 1},
        {"type": "RandomScale", "scales": settings.scales},
        {"type": "RandomCrop", "crop_size": (settings.crop, settings.crop)},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "PhotoMetricDistortion"},
        {"type": "PackSegInputs"},
    ]


def schedule(settings: SegmentSettings) -> list[dict[str, Any]]:
    """Linear warm-up, then polynomial decay to zero at the last step (Chen et al., TPAMI 2018: power 0.9)."""
    warmup, steps = settings.warmup_iterations, settings.iterations
    if warmup >= steps:
        raise SettingsError(f"segment.warmup_iterations: {warmup}, must be below segment.iterations ({steps})")
    decay = {"type": "PolyLR", "power": POLY_POWER, "eta_min": 0.0, "begin": warmup, "end": steps, "by_epoch": False}
    # mmengine's linear warm-up reaches the full rate one step before its end, so over a single step it never does.
    if warmup < 2:
        return [decay]
    return [{"type": "LinearLR", "start_factor": 0.01, "begin": 0, "end": warmup, "by_epoch": False}, decay]


def optimizer(settings: SegmentSettings) -> dict[str, Any]:
    """AdamW; a lower rate for the backbone, no decay of norms and biases."""
    return {
        "type": "Bfloat16OptimWrapper",
        "optimizer": {
            "type": "AdamW",
            "lr": settings.learning_rate,
            "weight_decay": settings.weight_decay,
            # One pass over all parameters instead of ten; 4 % of a CPU step otherwise goes into the optimizer.
            "fused": True,
        },
        "paramwise_cfg": {
            "custom_keys": {"backbone": {"lr_mult": settings.backbone_rate}},
            "norm_decay_mult": 0.0,
            "bias_decay_mult": 0.0,
        },
    }


@dataclass(frozen=True)
class TrainingFiles:
    """What a training reads and where it works; without `masks` the index's own true masks are used."""

    index: Path
    root: Path
    weights: Path
    work: Path
    masks: Sequence[Path] = ()


def train_config(
    settings: SegmentSettings, files: TrainingFiles, *, classes: Sequence[str], seed: int, resume: bool
) -> Config:
    """The config that an mmengine Runner trains by; with `resume` it goes on from the last checkpoint in the folder."""
    dataset = {
        "type": "IndexedMasks",
        "index": str(files.index),
        "root": str(files.root),
        "classes": list(classes),
        "masks": [str(folder) for folder in files.masks],
        "pipeline": train_pipeline(settings, len(classes)),
    }
    shared = runner_defaults(seed=seed, log_every=LOG_EVERY, checkpoint_every=settings.checkpoint_every, by_epoch=False)
    return Config(
        {
            **shared,
            "default_scope": "mmseg",
            "work_dir": str(files.work),
            "model": model_config(settings, len(classes), weights=files.weights),
            "train_dataloader": {
                "batch_size": settings.batch_size,
                "num_workers": settings.workers,
                "persistent_workers": settings.workers > 0,
                "sampler": {"type": "InfiniteSampler", "shuffle": True},
                "dataset": dataset,
            },
            "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": settings.iterations},
            "optim_wrapper": optimizer(settings),
            "param_scheduler": schedule(settings),
            "resume": resume,
        }
    )
