"""The config of an experiment's model for mmengine: the overlay merged over what the settings give."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

from stages.errors import SettingsError
from stages.images import BACKGROUND_NAME, IGNORE
from stages.segment import heads, losses, token_heads  # noqa: F401 (registers them)
from stages.segment.backbone_facts import BackboneFacts
from stages.segment.backbones import describe_backbone
from stages.segment.overlay import HEADS, Overlay, overlay_path, read_overlay
from stages.settings import BootstrappedLoss, SegmentSettings

PHOTOGRAPH = (375, 500)  # rows and columns, as in VOC: neither is a multiple of a CNN's strides
ODD = (97, 127)  # halves of these are rounded up, or down, at every stride
LARGEST_TRIAL = 128


def model_config(settings: SegmentSettings, classes: Sequence[str]) -> dict[str, Any]:
    """The segmenter for `classes` and background, with random weights, as plain values.

    Raises SettingsError for an overlay, a backbone or class weights that do not fit.
    """
    overlay = read_overlay(settings.network.model)
    facts = describe_backbone(settings.network, output_stride=overlay.output_stride)
    positions = facts.positions(overlay.features)
    base = ConfigDict(
        {
            "type": "ChannelsLastEncoderDecoder",
            "data_preprocessor": {
                "type": "SegDataPreProcessor",
                "mean": [255 * value for value in facts.mean],
                "std": [255 * value for value in facts.std],
                "bgr_to_rgb": True,
                "size": [settings.training.crop, settings.training.crop],
                "pad_val": 0,
                "seg_pad_val": IGNORE,
            },
            "backbone": {**facts.config, "features": list(positions)},
            "train_cfg": {},
            "test_cfg": {"mode": "whole"},
        }
    )
    shared = {
        "num_classes": len(classes) + 1,
        "norm_cfg": {"type": "BN"},
        "align_corners": False,
        "ignore_index": IGNORE,
        "loss_decode": loss_config(settings, classes),
    }
    base["decode_head"] = {**shared, **_reads(overlay, facts, positions)}
    if "auxiliary_head" in overlay.model:
        base["auxiliary_head"] = shared
    base.merge(ConfigDict(_scaled(overlay, facts.output_stride)))
    if settings.network.decoder_channels:
        if "channels" not in base["decode_head"]:
            raise SettingsError(
                f"segment.network.decoder_channels: the decoder of {settings.network.model} has none; leave it out"
            )
        base["decode_head"]["channels"] = settings.network.decoder_channels
    return base.to_dict()


def _reads(overlay: Overlay, facts: BackboneFacts, positions: Sequence[int]) -> dict[str, Any]:
    """Channels of the feature maps that the decoder reads, unless the overlay sets them."""
    channels = [facts.channels[position] for position in positions]
    if overlay.features == "pyramid":
        return {"in_channels": channels, "in_index": list(range(len(channels)))}
    reads: dict[str, Any] = {"in_channels": channels[-1], "in_index": len(channels) - 1}
    return reads | ({"c1_in_channels": channels[0]} if overlay.features == "low_and_last" else {})


def _scaled(overlay: Overlay, output_stride: int) -> dict[str, Any]:
    """The overlay's model with its atrous rates scaled to the actual stride: the same field of view in the image."""
    model = {name: dict(part) if isinstance(part, Mapping) else part for name, part in overlay.model.items()}
    for part in HEADS:
        head = model.get(part) or {}
        for key in ("dilation", "dilations"):
            if key in head:
                head[key] = _scale(head[key], overlay.output_stride, output_stride)
    return model


def _scale(rates: Any, meant: int, actual: int) -> Any:
    if isinstance(rates, Sequence):
        return [_scale(rate, meant, actual) for rate in rates]
    return rates if rates == 1 else max(1, rates * meant // actual)


def loss_config(settings: SegmentSettings, classes: Sequence[str]) -> dict[str, Any]:
    """The loss with one weight per label, background first. Raises SettingsError for the weight of an unknown class."""
    names = (BACKGROUND_NAME, *classes)
    unknown = sorted(set(settings.training.class_weights) - set(names))
    if unknown:
        raise SettingsError(f"segment.training.class_weights: {unknown[0]!r} is no class; there are {', '.join(names)}")
    # With class weights mmsegmentation's loss averages over the pixels that are not ignored; its own switch for that
    # (avg_non_ignore) does not allow class weights.
    weights = [settings.training.class_weights.get(name, 1.0) for name in names]
    if isinstance(settings.training.loss, BootstrappedLoss):
        return {"type": "BootstrappedCrossEntropyLoss", "kept": settings.training.loss.kept, "class_weight": weights}
    return {"type": "CrossEntropyLoss", "class_weight": weights}


def build_model(config: Mapping[str, Any]) -> nn.Module:
    """The segmenter of a config from `model_config`, with random weights."""
    init_default_scope("mmseg")
    return MODELS.build(dict(config))


def trial_sizes(settings: SegmentSettings) -> list[tuple[int, int]]:
    """Rows and columns of images that a model is tried on: a training crop, odd sides, and a photograph at the scales
    of the prediction, or its windows."""
    crop, window = trial_side(settings.training.crop), settings.inference.window
    sizes = [(crop, crop), ODD]
    for scale in settings.inference.scales:
        rows, columns = (max(1, round(side * scale)) for side in PHOTOGRAPH)
        sizes.append((trial_side(min(rows, window or rows)), trial_side(min(columns, window or columns))))
    return list(dict.fromkeys(sizes))


def trial_side(side: int) -> int:
    """A side in place of a larger one, which leaves the same remainder at every stride up to 64 and runs faster."""
    return side if side <= LARGEST_TRIAL else LARGEST_TRIAL + side % 64


def checked_model(settings: SegmentSettings, classes: Sequence[str]) -> tuple[dict[str, Any], int]:
    """The config of the settings' segmenter and its number of parameters, after building it and running it on images
    like the training's and those that it will predict.

    Raises SettingsError, naming the overlay, when the model cannot be built or its parts do not fit.
    """
    config = model_config(settings, classes)
    sizes, tried = trial_sizes(settings), ""
    try:
        model: Any = build_model(config).eval()
        with torch.inference_mode():
            for size in sizes:
                tried = f" on images of {size[1]} x {size[0]} pixels"
                scores = model.encode_decode(torch.zeros(1, 3, *size), [{"img_shape": size}])
    # A registry, a constructor and a forward pass can raise anything; in any case the overlay does not fit.
    except Exception as error:
        raise SettingsError(
            f"{overlay_path(settings.network.model)}: on backbone {settings.network.backbone} it cannot be built and"
            f" run{tried}:"
            f" {type(error).__name__}: {error}; correct the overlay, or choose another `segment.network.backbone`"
        ) from error
    if scores.shape[1] != len(classes) + 1:
        raise SettingsError(
            f"{overlay_path(settings.network.model)}: gives {scores.shape[1]} scores a pixel for {len(classes)}"
            " classes and"
            " background; leave the number of classes to tagmask"
        )
    return config, sum(parameter.numel() for parameter in model.parameters())
