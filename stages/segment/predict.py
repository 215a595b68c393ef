"""Predicts masks of a folder of photos with a trained segmenter: masks, overlays, and a table of class areas."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from stages.devices import memory_for, pick_device
from stages.errors import DataError
from stages.experiment import read_config
from stages.files import atomic_path, read_json, write_csv
from stages.images import BACKGROUND, BACKGROUND_NAME, check_image, read_image, voc_palette, write_mask
from stages.runtime.command import main, output_path
from stages.segment.model import Segmenter, load_segmenter
from stages.segment.photos import AREAS, COLUMNS, MASKS, OVERLAYS, check_output, find_photos, predict_photo
from stages.segment.rounds import PSEUDO_MASKS, segmenter_file
from stages.settings import InferenceSettings

log = logging.getLogger(__name__)

RESULTS = Path("results")
SEGMENTER = segmenter_file(1)
# Longest side of VOC's training images; larger photos are predicted at this size.
LONGEST_SIDE = 500
OPACITY = 0.5
MOST_FAULTS = 20  # named in one error


def find_segmenter(results: Path) -> Path:
    """The segmenter of the one experiment that has one. Raises DataError for none, or for several."""
    found = [path for folder in sorted(results.glob("*")) for path in segmenters_of(folder)]
    if not found:
        raise DataError(f"{results}: no experiment has a {SEGMENTER} yet; run the workflow, or use --segmenter")
    if len(found) > 1:
        raise DataError(f"there are several segmenters; choose one: --segmenter {' | '.join(map(str, found))}")
    return found[0]


def segmenters_of(folder: Path) -> list[Path]:
    """The segmenters of an experiment: that of its last round, if a whole run has said which it is; else of each."""
    rounds = sorted(folder.glob(f"segment/{PSEUDO_MASKS}*/{Path(SEGMENTER).name}"))
    provenance = folder / "provenance.json"
    if len(rounds) < 2 or not provenance.is_file():
        return rounds
    number = read_json(provenance)["settings"]["segment"].get("rounds", 1)
    return [path for path in rounds if path == folder / segmenter_file(number)] or rounds


def overlay_picture(photo: Image.Image, mask: NDArray[np.uint8]) -> Image.Image:
    """The photo under its mask in VOC's colours; background is unchanged."""
    colours = np.array(voc_palette(), dtype=np.uint8).reshape(-1, 3)[mask]
    blended = np.asarray(Image.blend(photo, Image.fromarray(colours), OPACITY))
    return Image.fromarray(np.where((mask == BACKGROUND)[..., None], np.asarray(photo), blended))


def area_rows(name: str, mask: NDArray[np.uint8], classes: Sequence[str]) -> Iterator[tuple[str, str, int, str]]:
    """One row (COLUMNS) per label in a mask; share is of the image."""
    for label, pixels in zip(*np.unique(mask, return_counts=True), strict=True):
        label_name = BACKGROUND_NAME if label == BACKGROUND else classes[label - 1]
        yield name, label_name, int(pixels), f"{pixels / mask.size:.4f}"


def predict_folder(
    segmenter: Segmenter,
    folder: Path,
    photos: Sequence[Path],
    output: Path,
    settings: InferenceSettings,
    *,
    longest_side: int,
) -> None:
    """Writes `masks/<name>.png`, `overlays/<name>.jpg` and `areas.csv` for photos, which are relative to the folder.

    Raises DataError before any work when a photo cannot be read.
    """
    check_photos(folder, photos)
    # Marks the masks as predictions from the first one on: they are no photos, and may be replaced.
    if not (output / AREAS).exists():
        write_csv(output / AREAS, [COLUMNS])
    rows: list[tuple[str, str, int, str]] = []
    for photo in tqdm(photos, desc="predict", unit="image"):
        picture = read_image(folder / photo)
        with memory_for(str(folder / photo), "lower --longest-side"):
            mask = predict_photo(segmenter, picture, settings, longest_side=longest_side, name=str(folder / photo))
        write_mask(output / MASKS / photo.with_suffix(".png"), mask)
        with atomic_path(output / OVERLAYS / photo.with_suffix(".jpg")) as temporary:
            overlay_picture(picture, mask).save(temporary, quality=90)
        rows += area_rows(photo.as_posix(), mask, segmenter.classes)
    write_csv(output / AREAS, [COLUMNS, *rows])


def check_photos(folder: Path, photos: Sequence[Path]) -> None:
    """Decodes the photos. Raises one DataError for all that cannot be read."""
    faults = []
    for photo in tqdm(photos, desc="check", unit="image"):
        try:
            check_image(folder / photo)
        except DataError as error:
            faults.append(str(error))
    if faults:
        more = len(faults) - MOST_FAULTS
        raise DataError("\n".join([*faults[:MOST_FAULTS], *([f"and {more} other photos"] if more > 0 else [])]))


def run(arguments: list[str] | None = None) -> None:
    command = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    command.add_argument(
        "--images", type=Path, required=True, help="folder of photos; folders in it, linked ones too, are searched"
    )
    command.add_argument("--output", type=output_path, required=True, help="folder for masks/, overlays/ and areas.csv")
    command.add_argument("--segmenter", type=Path, help="segmenter.safetensors; default: the only one there is")
    command.add_argument("--config", type=Path, help="take scales, mirror, window and CRF from this config: `segment`")
    command.add_argument(
        "--longest-side",
        type=int,
        help=f"larger photos are predicted at this many pixels; default: the config's, or {LONGEST_SIDE}",
    )
    args = command.parse_args(arguments)
    if args.longest_side is not None and args.longest_side < 1:
        raise DataError(f"--longest-side: {args.longest_side}; give the pixels of the longer side")
    experiment = read_config(args.config) if args.config else None
    settings = experiment.segment.inference if experiment else InferenceSettings()
    longest_side = args.longest_side or (experiment and experiment.data.longest_side) or LONGEST_SIDE
    path = args.segmenter or find_segmenter(RESULTS)
    # Before the network is loaded, which takes seconds.
    check_output(args.output)
    photos = find_photos(args.images, output=args.output)
    segmenter = load_segmenter(path)
    segmenter.model.to(pick_device())
    source = args.config or "none given, so one scale and no CRF"
    log.info("%s: %s; scales %s (config: %s)", path, ", ".join(segmenter.classes), settings.scales, source)
    predict_folder(segmenter, args.images, photos, args.output, settings, longest_side=longest_side)
    log.info("%d photos: %s", len(photos), args.output)


if __name__ == "__main__":
    main(run)
