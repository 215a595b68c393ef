"""Times the segmenter's ways against plain ones on a finished experiment: the CRF, and the layout of the convolutions.

python -m benchmarks.segment --results results/demo --config configs/demo.yaml --json segment.json
"""

import argparse
import copy
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from numpy.typing import NDArray
from torch import nn

from benchmarks.timing import OURS, TABLE_HEAD, Way, ratios_to_ours
from stages.dense_crf import dense_crf
from stages.devices import autocast, pick_device
from stages.evaluate.confusion import confusion_matrix, mean_iou
from stages.experiment import read_config
from stages.files import write_json
from stages.images import read_image, read_mask
from stages.index import read_index
from stages.networks.depthwise import DepthwiseConv2d
from stages.segment.inference import class_probabilities
from stages.segment.labels import mask_of
from stages.segment.model import Segmenter, load_segmenter
from stages.segment.predict import SEGMENTER
from stages.settings import CRF_SETS, CrfSettings, InferenceSettings, SegmenterTraining

Sample = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8]]


def predicted(
    segmenter: Segmenter, results: Path, settings: InferenceSettings, root: Path, *, images: int
) -> list[Sample]:
    """Pixels, probabilities and true mask of the first val images."""
    samples = []
    for record in read_index(results / "data" / "val.csv")[:images]:
        pixels = np.array(read_image(root / record.image))
        scores = class_probabilities(segmenter.model, torch.from_numpy(pixels).permute(2, 0, 1), settings)
        samples.append((pixels, scores.numpy(), read_mask(root / record.mask)))
    return samples


def over_all_labels(pixels: NDArray[np.uint8], scores: NDArray[np.float32], crf: CrfSettings) -> NDArray[np.uint8]:
    """The plain way: a CRF over background and every class."""
    return dense_crf(pixels, scores, crf).argmax(axis=0).astype(np.uint8)


def crf_ways(samples: Sequence[Sample], crf: CrfSettings) -> dict[str, Way]:
    """Ours has the labels that win a pixel alone."""
    return {
        OURS: lambda: [mask_of(pixels, scores, crf) for pixels, scores, _ in samples],
        "crf_all_labels": lambda: [over_all_labels(pixels, scores, crf) for pixels, scores, _ in samples],
    }


def compare_masks(samples: Sequence[Sample], crf: CrfSettings) -> str:
    """How far the masks of both CRFs agree, and the mIoU of each."""
    classes = len(samples[0][1]) - 1
    alike = pixels = 0
    ours, plain = np.zeros((2, classes + 1, classes + 1), dtype=np.int64)
    for image, scores, truth in samples:
        own, other = mask_of(image, scores, crf), over_all_labels(image, scores, crf)
        alike, pixels = alike + int((own == other).sum()), pixels + own.size
        ours += confusion_matrix(truth, own, classes)
        plain += confusion_matrix(truth, other, classes)
    return (
        f"labels alike in {100 * alike / pixels:.3f} % of the pixels; mIoU {float(mean_iou(ours)):.2f} over the winning"
        f" labels, {float(mean_iou(plain)):.2f} over all"
    )


def step_ways(segmenter: Segmenter, settings: SegmenterTraining) -> dict[str, Way]:
    """A training step on made-up crops: ours, its convolutions in torch's own layout, or with torch's own depthwise
    convolutions."""
    crops = torch.randn(settings.batch_size, 3, settings.crop, settings.crop)
    labels = torch.randint(0, len(segmenter.classes) + 1, (settings.batch_size, 1, settings.crop, settings.crop))
    shape = (settings.crop, settings.crop)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=one), metainfo={"img_shape": shape}) for one in labels]

    def step(model: Any, layout: torch.memory_format) -> None:
        model.train().to(memory_format=layout)
        with autocast(pick_device()):
            features = model.backbone(crops.contiguous(memory_format=layout))
            losses = model.decode_head.loss(features, samples, model.train_cfg)
        sum(value for name, value in losses.items() if name.startswith("loss")).backward()

    plain = with_torchs_depthwise(segmenter.model)
    return {
        OURS: lambda: step(segmenter.model, torch.channels_last),
        "step_contiguous": lambda: step(segmenter.model, torch.contiguous_format),
        "step_depthwise": lambda: step(plain, torch.channels_last),
    }


def with_torchs_depthwise(model: nn.Module) -> nn.Module:
    """A copy of the model in which depthwise convolutions run as torch runs them."""
    plain = copy.deepcopy(model)
    for module in plain.modules():
        if isinstance(module, DepthwiseConv2d):
            module.forward = functools.partial(nn.Conv2d.forward, module)  # type: ignore[method-assign]
    return plain


def run(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--results", type=Path, required=True, help="results/<experiment>, finished")
    options.add_argument("--config", type=Path, required=True, help="the experiment's config")
    options.add_argument("--json", type=Path, required=True, help="file to write the ratios to")
    options.add_argument("--images", type=int, default=20, help="val images")
    options.add_argument("--pairs", type=int, default=5, help="rounds")
    options.add_argument("--threads", type=int, default=2, help="threads of torch")
    args = options.parse_args(arguments)
    logging.basicConfig(level=logging.INFO)
    torch.set_num_threads(args.threads)
    experiment = read_config(args.config)
    settings, root = experiment.segment, experiment.data.root or args.results / "data" / "set"
    segmenter = load_segmenter(args.results / SEGMENTER)
    crf = settings.inference.crf or CRF_SETS["irn"]
    samples = predicted(segmenter, args.results, settings.inference, root, images=args.images)
    print(compare_masks(samples, crf))
    print("\n".join(TABLE_HEAD))
    ratios: dict[str, float] = {}
    for ways in (crf_ways(samples, crf), step_ways(segmenter, settings.training)):
        found, lines = ratios_to_ours(ways, pairs=args.pairs, device=pick_device())
        ratios |= found
        print("\n".join(lines))
    write_json(args.json, ratios)


if __name__ == "__main__":
    run()
