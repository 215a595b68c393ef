"""The contact sheet: its size, and that a mask's colour shows where the mask is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from stages.data import draw_sheet
from stages.data.sheet import LINE, TILE, draw_image
from stages.data.sheet import draw_sheet as draw
from stages.images import voc_palette, write_mask
from stages.index import Record, write_index

PALETTE = np.array(voc_palette(), dtype=np.uint8).reshape(256, 3)


def test_object_is_outlined_and_tinted(make_record: Callable[..., Record], tmp_path: Path) -> None:
    record = make_record(image="images/plain.png")
    Image.new("RGB", (12, 12), (100, 100, 100)).save(tmp_path / record.image)
    mask = np.zeros((12, 12), dtype=np.uint8)
    mask[2:10, 2:10] = 1
    mask[0] = 255
    write_mask(tmp_path / record.mask, mask)
    pixels = np.asarray(draw_image(record, tmp_path, PALETTE))
    assert pixels[2, 2].tolist() == [128, 0, 0]  # outline: VOC's first colour
    assert pixels[5, 5].tolist() == [110, 65, 65]  # 100 + 0.35 * (128 - 100); 100 - 0.35 * 100
    assert pixels[11, 11].tolist() == [100, 100, 100]
    assert pixels[0, 0].tolist() == [255, 255, 255]


def test_sheet_holds_evenly_spread_images(make_record: Callable[..., Record], tmp_path: Path) -> None:
    records = [make_record(f"image{number}", labels=("cat", "a very long name", "another")) for number in range(30)]
    sheet = draw(records, tmp_path, ("cat",), images=10)
    assert sheet.size == (8 * TILE, 2 * (TILE + 3 * LINE))


def test_command(make_record: Callable[..., Record], tmp_path: Path) -> None:
    write_index(tmp_path / "val.csv", [make_record(split="val"), make_record("two", mask="", labels=())])
    paths = ["--index", str(tmp_path / "val.csv"), "--root", str(tmp_path), "--output", str(tmp_path / "s/val.jpg")]
    draw_sheet.run(["--settings", '{"format":"csv","root":".","classes":["cat","dog"]}', *paths])
    with Image.open(tmp_path / "s/val.jpg") as sheet:
        assert sheet.format == "JPEG"
