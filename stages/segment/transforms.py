"""Two custom transforms: loading with errors that users understand, and scaling relative to the image's size."""

import random
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from PIL import Image

from stages.errors import DataError
from stages.images import IGNORE, image_size, read_image, read_mask, working_size


@TRANSFORMS.register_module()
class LoadImageAndMask(BaseTransform):
    """Reads image and mask: `img` [rows, columns, BGR] uint8 (OpenCV's order), `gt_seg_map` [rows, columns] uint8.

    `classes` counts background; larger images are read at `longest_side`. Raises DataError when either cannot be read,
    sizes differ or a label is unknown.
    """

    def __init__(self, classes: int, longest_side: int | None = None) -> None:
        self.classes, self.longest_side = classes, longest_side

    def transform(self, results: dict) -> dict:
        rows, columns = image_size(Path(results["img_path"]))
        size = working_size((rows, columns), self.longest_side)
        image = np.asarray(read_image(Path(results["img_path"]), size))
        mask = read_mask(Path(results["seg_map_path"]))
        if mask.shape != (rows, columns):
            raise DataError(
                f"{results['seg_map_path']}: mask is {mask.shape[1]}x{mask.shape[0]}, its image is"
                f" {columns}x{rows}; export the mask at the image's size"
            )
        labels = mask[mask != IGNORE]
        if labels.size and labels.max() >= self.classes:
            raise DataError(
                f"{results['seg_map_path']}: label {labels.max()}, but there are {self.classes - 1} classes;"
                " check `data.classes` against the masks"
            )
        results["img"] = np.ascontiguousarray(image[..., ::-1])
        results["img_shape"] = results["ori_shape"] = image.shape[:2]
        if mask.shape != size:
            mask = np.array(Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST))
        results["gt_seg_map"] = mask
        results["seg_fields"].append("gt_seg_map")
        return results


@TRANSFORMS.register_module()
class RandomScale(BaseTransform):
    """Resizes image and mask by a factor drawn uniformly from `scales`, relative to the image's own size.

    mmcv's RandomResize scales relative to a fixed size instead, which is unrelated to the sizes in prediction.
    """

    def __init__(self, scales: tuple[float, float]) -> None:
        self.scales = scales
        self.resize = TRANSFORMS.build({"type": "Resize", "scale_factor": 1.0, "keep_ratio": True})

    def transform(self, results: dict) -> dict:
        self.resize.scale_factor = (random.uniform(*self.scales),) * 2
        return self.resize(results)
