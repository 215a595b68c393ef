"""From an image via class probabilities to a mask: scales, mirror, sliding window, tags, CRF."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.config import ConfigDict
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from stages.dense_crf import ImageCrf
from stages.devices import autocast
from stages.images import BACKGROUND
from stages.segment.model import ChannelsLastEncoderDecoder
from stages.settings import CrfSettings, InferenceSettings

# Neighbouring windows share a third, as in mmsegmentation's own configs (513 by 341).
WINDOW_STEP = 2 / 3


@torch.inference_mode()
def class_probabilities(model: ChannelsLastEncoderDecoder, image: Tensor, settings: InferenceSettings) -> Tensor:
    """Softmax scores over `scales` and, with `flip`, the mirrored image: their mean, or the maximum per
    label, divided by their sum.

    image: [3, rows, columns] RGB 0..255, on the model's device. Returns [background and classes, rows, columns].
    """
    size = image.shape[1:]
    normalised = ((image.float() - model.data_preprocessor.mean) / model.data_preprocessor.std)[None]
    fused = torch.zeros(model.num_classes, *size, device=image.device)
    for scale in settings.scales:
        scaled_size = [max(1, round(side * scale)) for side in size]
        scaled = interpolate(normalised, scaled_size, mode="bilinear", align_corners=False, antialias=True)
        views = torch.cat([scaled, scaled.flip(-1)]) if settings.flip else scaled
        with autocast(image.device):
            logits = logits_of(model, views, settings.window)
        scores = logits.float().softmax(dim=1)
        if settings.flip:
            scores = torch.stack([scores[0], scores[1].flip(-1)])
        scores = interpolate(scores, size, mode="bilinear", align_corners=False)
        fused = torch.maximum(fused, scores.amax(dim=0)) if settings.fusion == "max" else fused + scores.mean(dim=0)
    return fused / fused.sum(dim=0)


def logits_of(model: ChannelsLastEncoderDecoder, views: Tensor, window: int | None) -> Tensor:
    """Logits [B, labels, rows, columns] of normalised images; with `window` averaged over windows of that side."""
    metas = [{"img_shape": views.shape[2:]}] * len(views)
    if window is None:
        return model.encode_decode(views, metas)
    step = max(1, round(window * WINDOW_STEP))
    model.test_cfg = ConfigDict(mode="slide", crop_size=(window, window), stride=(step, step))
    return model.slide_inference(views, [dict(meta) for meta in metas])


def told(probabilities: Tensor, classes: Sequence[int]) -> Tensor:
    """Probabilities [1 + C, rows, columns] of an image known to contain only `classes` (from 0) and background."""
    kept = torch.zeros(len(probabilities), 1, 1, device=probabilities.device)
    kept[[BACKGROUND, *(position + 1 for position in classes)]] = 1
    # If all possible labels are 0 up to float noise, background gets the pixel.
    kept_scores = probabilities * kept
    kept_scores[BACKGROUND] += torch.finfo(torch.float32).tiny
    return kept_scores / kept_scores.sum(dim=0)


def mask_of(image: NDArray[np.uint8], probabilities: NDArray[np.float32], crf: CrfSettings | None) -> NDArray[np.uint8]:
    """Each pixel's best label [rows, columns] uint8 of probabilities [labels, rows, columns], after the CRF if any.

    image: [rows, columns, 3] uint8. The CRF is over the labels that are best at some pixel: the others, most of 21 or
    81 classes, cost time and hardly ever win a pixel.
    """
    best = probabilities.argmax(axis=0).astype(np.uint8)
    labels = np.unique(best)
    if crf is None or len(labels) < 2:
        return best
    chosen = probabilities[labels]
    (mask,) = ImageCrf(image, crf).labels([chosen / chosen.sum(axis=0)])
    return labels[mask]
