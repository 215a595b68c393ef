"""Predicts the masks of one shard of a split."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate
from tqdm import tqdm

from stages.command import main, parse_settings, parser
from stages.devices import autocast, pick_device
from stages.errors import DataError
from stages.files import atomic_folder
from stages.images import read_image, write_mask
from stages.index import Record, read_classes, read_index, shard_of
from stages.segment.model import ChannelsLastEncoderDecoder, load_segmenter
from stages.settings import SegmentSettings


@torch.inference_mode()
def class_probabilities(model: ChannelsLastEncoderDecoder, image: Tensor, settings: SegmentSettings) -> Tensor:
    """Softmax scores averaged over `test_scales` and, with `test_flip`, the mirrored image.

    image: [3, rows, columns] RGB 0..255, on the model's device. Returns [background and classes, rows, columns].
    """
    size = image.shape[1:]
    normalised = ((image.float() - model.data_preprocessor.mean) / model.data_preprocessor.std)[None]
    total = torch.zeros(model.num_classes, *size, device=image.device)
    for scale in settings.test_scales:
        scaled_size = [max(1, round(side * scale)) for side in size]
        scaled = interpolate(normalised, scaled_size, mode="bilinear", align_corners=False, antialias=True)
        views = torch.cat([scaled, scaled.flip(-1)]) if settings.test_flip else scaled
        with autocast(image.device):
            logits = model.encode_decode(views, [{"img_shape": views.shape[2:]}] * len(views))
        scores = logits.float().softmax(dim=1)
        if settings.test_flip:
            scores = torch.stack([scores[0], scores[1].flip(-1)])
        total += interpolate(scores, size, mode="bilinear", align_corners=False).mean(dim=0)
    return total / len(settings.test_scales)


def predict_masks(
    model: ChannelsLastEncoderDecoder, records: Iterable[Record], root: Path, settings: SegmentSettings
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yields id and mask [rows, columns] uint8 of each image, at the image's own size."""
    device = next(model.parameters()).device
    for record in records:
        image = torch.from_numpy(np.array(read_image(root / record.image))).permute(2, 0, 1).to(device)
        scores = class_probabilities(model, image, settings)
        yield record.id, scores.argmax(dim=0).to(torch.uint8).cpu().numpy()


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "index", "root", "classes", "segmenter", "output")
    command.add_argument("--shard", type=int, required=True)
    command.add_argument("--shards", type=int, required=True)
    args = command.parse_args(arguments)
    settings = parse_settings(SegmentSettings, args.settings)
    segmenter = load_segmenter(args.segmenter)
    classes = read_classes(args.classes)
    if classes != segmenter.classes:
        raise DataError(f"{args.segmenter}: trained on {segmenter.classes}, not on {classes}; rerun its training")
    records = shard_of(read_index(args.index), args.shard, args.shards)
    masks = predict_masks(segmenter.model.to(pick_device()), records, args.root, settings)
    with atomic_folder(args.output) as folder:
        for image_id, mask in tqdm(masks, total=len(records), desc="predict", unit="image"):
            write_mask(folder / f"{image_id}.png", mask)


if __name__ == "__main__":
    main(run)
