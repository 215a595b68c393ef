"""Reads the masks mended by hand (`refine.mended`) into indexed PNGs by id; runs before anything that takes long."""

import logging

import numpy as np
from numpy.typing import NDArray

from stages.data.left_out import read_left_out
from stages.data.mended import Photos, read_mended
from stages.errors import SettingsError
from stages.files import atomic_folder, sha256_of
from stages.images import write_mask
from stages.index import Record, read_classes, read_index
from stages.refine.mended import MendedRow, write_mended
from stages.runtime.command import main, output_path, parse_settings, parser
from stages.settings import RefineSettings

log = logging.getLogger(__name__)


def run(arguments: list[str] | None = None) -> None:
    command = parser(__doc__, "root", "classes", "left-out", many=("indexes",), outputs=("output",))
    command.add_argument("--list", type=output_path, required=True, help="list of the mended masks (CSV)")
    args = command.parse_args(arguments)
    path = parse_settings(RefineSettings, args.settings).mended
    if path is None:
        raise SettingsError("refine.mended: names no folder of masks")
    records = [record for index in args.indexes for record in read_index(index)]
    photos = Photos(records, read_left_out(args.left_out))
    with atomic_folder(args.output) as folder:

        def keep(record: Record, mask: NDArray[np.uint8]) -> None:
            write_mask(folder / f"{record.id}.png", mask)

        found = read_mended(path, photos, args.root, read_classes(args.classes), keep=keep)
    hashes = {source: sha256_of(source) for source in {source for _, source in found.masks}}
    rows = [MendedRow(record.id, record.image, str(source), hashes[source]) for record, source in found.masks]
    write_mended(args.list, sorted(rows, key=lambda row: row.id))
    for note in found.notes:
        log.warning("%s: %s", path, note)
    if found.left_out:
        log.warning("%s: %d masks are of photos left out of train (data.on_error: skip)", path, found.left_out)
    log.info("%s: %d mended masks, %d as they were exported", path, len(rows), found.unchanged)


if __name__ == "__main__":
    main(run)
