"""Exports a trained segmenter as ONNX or TorchScript, for use without tagmask; checks that its masks are the same."""

import argparse
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.errors import DataError, in_one_line
from stages.files import atomic_path
from stages.finite import check_finite
from stages.images import read_image
from stages.runtime.command import main, output_path
from stages.segment.inference import NOT_WHOLE
from stages.segment.model import Segmenter, load_segmenter
from stages.segment.photos import find_photos
from stages.segment.predict import RESULTS, find_segmenter

log = logging.getLogger(__name__)

SUFFIXES = (".onnx", ".pt")
# Rounding differs between programs, so a pixel whose two best classes tie may get either.
MOST_DIFFERENT = 1e-4
CHECKED_PHOTOS = 20
MADE_UP_SIZES = ((240, 320), (321, 321), (203, 331))
EXAMPLE_SIZE = (224, 320)

Program = Callable[[Tensor], Tensor]


class Deployed(nn.Module):
    """A segmenter with its normalisation inside: RGB 0..255 [B, 3, rows, columns] -> probabilities [B, 1 + C, rows,
    columns]. One scale, no mirror, no CRF."""

    mean: Tensor
    std: Tensor

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.model = segmenter.model
        self.register_buffer("mean", segmenter.model.data_preprocessor.mean[None])
        self.register_buffer("std", segmenter.model.data_preprocessor.std[None])

    def forward(self, image: Tensor) -> Tensor:
        normalised = (image - self.mean) / self.std
        return self.model.encode_decode(normalised, [{"img_shape": image.shape[2:]}]).softmax(dim=1)


def write_onnx(deployed: Deployed, path: Path) -> None:
    """Writes ONNX with input `image` and output `probabilities`, for any batch, rows and columns."""
    axes = {"image": {0: "batch", 2: "rows", 3: "columns"}, "probabilities": {0: "batch", 2: "rows", 3: "columns"}}
    # The tracing exporter: torch's newer one needs onnxscript.
    torch.onnx.export(
        deployed, (torch.zeros(1, 3, *EXAMPLE_SIZE),), str(path), dynamo=False,
        input_names=["image"], output_names=["probabilities"], dynamic_axes=axes,
    )  # fmt: skip


def write_torchscript(deployed: Deployed, path: Path) -> None:
    """Writes a traced module, for `torch.jit.load`."""
    torch.jit.save(torch.jit.trace(deployed, torch.zeros(1, 3, *EXAMPLE_SIZE)), str(path))


def read_onnx(path: Path) -> Program:
    """The exported program, run by onnxruntime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda image: torch.from_numpy(session.run(None, {"image": image.numpy()})[0])


def read_torchscript(path: Path) -> Program:
    """The exported program, run by torch."""
    return torch.jit.load(str(path))


FORMATS: dict[str, tuple[Callable[[Deployed, Path], None], Callable[[Path], Program]]] = {
    ".onnx": (write_onnx, read_onnx),
    ".pt": (write_torchscript, read_torchscript),
}


def example_images(folder: Path | None) -> Iterator[NDArray[np.uint8]]:
    """Images [rows, columns, 3] for the comparison: photos of a folder, or coloured clouds of several sizes."""
    if folder is not None:
        for photo in find_photos(folder)[:CHECKED_PHOTOS]:
            yield np.array(read_image(folder / photo))
        return
    random = torch.Generator().manual_seed(0)
    for size in MADE_UP_SIZES:
        clouds = torch.rand(1, 3, 6, 8, generator=random)
        smooth = nn.functional.interpolate(clouds, size, mode="bicubic", align_corners=False)[0]
        yield (255 * smooth.clamp(0, 1)).byte().permute(1, 2, 0).numpy()


@torch.inference_mode()
def different_pixels(deployed: Deployed, program: Program, images: Sequence[NDArray[np.uint8]]) -> float:
    """Share of the images' pixels whose class differs between the segmenter and its export. Raises DataError if the
    segmenter's probabilities are not finite."""
    different = pixels = 0
    for image in images:
        tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        own, exported = deployed(tensor), program(tensor)
        check_finite("segmenter", {"a probability": own}, NOT_WHOLE)
        different += int((own.argmax(dim=1) != exported.argmax(dim=1)).sum())
        pixels += image.shape[0] * image.shape[1]
    return different / pixels


def export(segmenter: Segmenter, output: Path, images: Sequence[NDArray[np.uint8]]) -> float:
    """Writes the export and returns the share of pixels that differ.

    Raises DataError, and leaves no file, when that is more than MOST_DIFFERENT or the program does not run.
    """
    write, read = FORMATS[output.suffix]
    deployed = Deployed(segmenter).eval()
    with atomic_path(output) as temporary, warnings.catch_warnings():
        # Warnings about tracing and the age of both exporters; the check below finds what they warn about.
        warnings.simplefilter("ignore")
        try:
            write(deployed, temporary)
            share = different_pixels(deployed, read(temporary), images)
        except DataError:
            raise
        except Exception as error:  # of torch's exporter or onnxruntime: the model cannot be exported in this form
            said = in_one_line(error)
            raise DataError(f"{output}: the export does not run ({said}); try the other of {SUFFIXES}") from error
        if share > MOST_DIFFERENT:
            raise DataError(
                f"{output}: its masks differ from the segmenter's in {100 * share:.2f} % of the pixels; not written,"
                f" try the other of {SUFFIXES}"
            )
    return share


def run(arguments: list[str] | None = None) -> None:
    command = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    command.add_argument("--output", type=output_path, required=True, help="file to write: .onnx, or .pt (TorchScript)")
    command.add_argument("--segmenter", type=Path, help="segmenter.safetensors; default: the only one there is")
    command.add_argument("--images", type=Path, help="folder of photos to compare masks on; default: made-up images")
    args = command.parse_args(arguments)
    if args.output.suffix not in FORMATS:
        raise DataError(f"--output: {args.output} must end in {' or '.join(SUFFIXES)}")
    segmenter = load_segmenter(args.segmenter or find_segmenter(RESULTS))
    images = list(example_images(args.images))
    share = export(segmenter, args.output, images)
    log.info("%s: masks of %d images differ in %.5f %% of the pixels", args.output, len(images), 100 * share)


if __name__ == "__main__":
    main(run)
