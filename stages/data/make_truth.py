"""Makes the true masks of a split if the dataset does not have them as indexed PNGs."""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stages.data.coco_masks import coco_masks
from stages.data.ids import id_fault
from stages.data.openimages_reader import openimages_masks
from stages.data.sbd_masks import sbd_masks
from stages.errors import DataError
from stages.files import atomic_folder, read_json, write_json
from stages.images import write_mask
from stages.pool import over_processes
from stages.runtime.command import main, parse_settings, parser
from stages.settings import DataSettings
from stages.vocabulary import SPLITS

log = logging.getLogger(__name__)


class TrueMask(Protocol):
    """A mask still to be made; cheap to pass to another process."""

    @property
    def id(self) -> str: ...

    def draw(self) -> NDArray[np.uint8]:
        """[rows, columns] uint8. Raises DataError for files that cannot be used."""
        ...


MAKERS: Mapping[str, Callable[[Path, str, DataSettings], Iterator[TrueMask]]] = MappingProxyType(
    {"coco": coco_masks, "openimages": openimages_masks, "voc": sbd_masks}
)


FAULTS = "faults.json"  # next to the masks: image id -> why it has none


def write_true_mask(mask: TrueMask, folder: Path) -> tuple[str, str]:
    """Draws a mask and writes it as `<id>.png`. Returns the id and the fault, empty if there is none."""
    if fault := id_fault(mask.id):
        return mask.id, fault
    try:
        write_mask(folder / f"{mask.id}.png", mask.draw())
    except DataError as error:
        return mask.id, str(error)
    return mask.id, ""


def make_truth(masks: Iterator[TrueMask], folder: Path, *, processes: int, skip: bool) -> int:
    """Writes all masks, and returns their number. Raises DataError with the first fault, unless `skip`: then the image
    gets no mask, and `read_faults` says why."""
    written, faults = 0, {}
    jobs = ((mask, folder) for mask in masks)
    for name, fault in over_processes(write_true_mask, jobs, processes, title="true masks"):
        if fault and not skip:
            raise DataError(fault)
        if fault:
            log.warning("%s", fault)
            faults[name] = fault
        written += not fault
    if faults:
        write_json(folder / FAULTS, dict(sorted(faults.items())))
    return written


def read_faults(folder: Path) -> dict[str, str]:
    """Why images have no mask in a folder that `make_truth` wrote, by image id."""
    return read_json(folder / FAULTS) if (folder / FAULTS).is_file() else {}


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "root", outputs=("output",))
    command.add_argument("--split", choices=SPLITS, required=True)
    command.add_argument("--side", type=int, help="openimages only: make masks of this side, with the value 1")
    command.add_argument("--processes", type=int, default=1)
    args = command.parse_args(arguments)
    settings = parse_settings(DataSettings, args.settings)
    if args.side:
        masks: Iterator[TrueMask] = openimages_masks(args.root, args.split, settings, args.side)
    else:
        masks = MAKERS[settings.format](args.root, args.split, settings)
    with atomic_folder(args.output) as folder:
        skip = settings.on_error == "skip"
        written = make_truth(masks, folder, processes=args.processes, skip=skip)
    log.info("%d true masks of %s", written, args.split)


if __name__ == "__main__":
    main(run)
