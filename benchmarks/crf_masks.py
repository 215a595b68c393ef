"""Masks by our dense CRF and by pydensecrf; as a command, those of a folder of .npz files by several processes. Each
way imports only what it needs, so the command can be timed with the start of its processes.

    python -m benchmarks.crf_masks --way ours --folder inputs --crf '{"bilateral_colour": 8}' --processes 2
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.pool import over_processes
from stages.settings import CrfSettings

Masks = list[NDArray[np.uint8]]
Way = Callable[[NDArray[np.uint8], Sequence[NDArray[np.float32]], CrfSettings], Masks]


def our_masks(image: NDArray[np.uint8], probabilities: Sequence[NDArray[np.float32]], crf: CrfSettings) -> Masks:
    """The best label of each pixel [rows, columns], for each of several probabilities [labels, rows, columns]."""
    from stages.dense_crf import ImageCrf

    return list(ImageCrf(image, crf).labels(probabilities))


def pydensecrf_masks(image: NDArray[np.uint8], probabilities: Sequence[NDArray[np.float32]], crf: CrfSettings) -> Masks:
    """The same by pydensecrf, called as the programs of PSA and CLIP-ES call it; its kernels are built once."""
    from pydensecrf.densecrf import DenseCRF2D
    from pydensecrf.utils import unary_from_softmax

    labels, rows, columns = probabilities[0].shape
    network = DenseCRF2D(columns, rows, labels)
    network.addPairwiseGaussian(sxy=crf.gaussian_position, compat=crf.gaussian_weight)
    network.addPairwiseBilateral(
        sxy=crf.bilateral_position,
        srgb=crf.bilateral_colour,
        rgbim=np.array(image, order="C"),  # it wants an array that it could write to
        compat=crf.bilateral_weight,
    )
    masks = []
    for own in probabilities:
        network.setUnaryEnergy(np.ascontiguousarray(unary_from_softmax(own)))
        inferred = np.array(network.inference(crf.iterations)).argmax(axis=0)
        masks.append(inferred.reshape(rows, columns).astype(np.uint8))
    return masks


WAYS: dict[str, Way] = {"ours": our_masks, "pydensecrf": pydensecrf_masks}


def masks_of_file(way: str, path: Path, crf: CrfSettings) -> int:
    """Reads pixels and probabilities of one image, and makes their masks; how many."""
    with np.load(path, allow_pickle=False) as content:
        return len(WAYS[way](content["pixels"], content["probabilities"], crf))


def run(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--way", choices=WAYS, required=True)
    options.add_argument("--folder", type=Path, required=True, help=".npz files with `pixels` and `probabilities`")
    options.add_argument("--crf", type=json.loads, default={}, help="settings of the CRF as JSON")
    options.add_argument("--processes", type=int, default=2)
    args = options.parse_args(arguments)
    crf = CrfSettings.model_validate(args.crf)
    jobs = [(args.way, path, crf) for path in sorted(args.folder.glob("*.npz"))]
    print(sum(over_processes(masks_of_file, jobs, args.processes, title="crf")), "masks")


if __name__ == "__main__":
    run()
