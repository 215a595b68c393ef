"""From an image to class probabilities: scales, mirror, sliding window, tags."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import ConfigDict
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from stages.devices import autocast, memory_for
from stages.finite import check_finite
from stages.images import BACKGROUND, image_size, read_image, working_size
from stages.index import Record
from stages.segment.model import ChannelsLastEncoderDecoder, Segmenter
from stages.settings import InferenceSettings

# Neighbouring windows share a third, as in mmsegmentation's own configs (513 by 341).
WINDOW_STEP = 2 / 3
NOT_WHOLE = "the segmenter's weights are not whole; train it again"
MEMORY_CURE = "lower data.longest_side, or set segment.inference.window"


def predict_images(
    segmenter: Segmenter,
    records: Iterable[Record],
    root: Path,
    settings: InferenceSettings,
    *,
    tags: bool,
    untagged_free: bool = False,
    longest_side: int | None = None,
) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.float32]]]:
    """Yields each image's id, pixels [rows, columns, 3] and class probabilities [1 + C, rows, columns].

    tags: classes that are not among the image's tags get probability 0.  untagged_free: not so in an image that has no
    tags.  longest_side: larger images are predicted at this size (`working_size`).
    """
    device = next(segmenter.model.parameters()).device
    positions = {name: position for position, name in enumerate(segmenter.classes)}
    for record in records:
        path = root / record.image
        image = np.array(read_image(path, working_size(image_size(path), longest_side)))
        with memory_for(f"{path} {image.shape[:2]}", MEMORY_CURE):
            scores = class_probabilities(segmenter.model, torch.from_numpy(image).permute(2, 0, 1).to(device), settings)
        check_finite(path, {"a probability": scores}, NOT_WHOLE)
        if tags and (record.labels or not untagged_free):
            scores = told(scores, [positions[name] for name in record.labels])
        yield record.id, image, scores.cpu().numpy()


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
