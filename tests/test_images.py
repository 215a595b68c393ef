"""Images upright and RGB, masks as class indices, the VOC palette."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.errors import DataError
from stages.images import read_image, read_mask, voc_palette, write_mask


def test_the_palette_is_that_of_voc() -> None:
    # The first colours as every VOC mask has them: background, aeroplane, bicycle, bird, boat, ..., 255 the border.
    colours = np.reshape(voc_palette(), (256, 3)).tolist()
    assert colours[:5] == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert colours[15] == [192, 128, 128]  # person
    assert colours[20] == [0, 64, 128]  # tvmonitor
    assert colours[255] == [224, 224, 192]


def test_an_image_is_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (20, 10))
    exif = image.getexif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    image.save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").size == (10, 20)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_every_kind_of_image_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (4, 3)).save(path)
    assert read_image(path).mode == "RGB"


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.jpg: no such image"):
        read_image(tmp_path / "a.jpg")


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError, match=r"a\.jpg: cannot be read as an image"):
        read_image(path)


def test_a_mask_is_read_back_with_its_colours(tmp_path: Path) -> None:
    mask = np.array([[0, 1, 255], [2, 2, 0]], dtype=np.uint8)
    write_mask(tmp_path / "a.png", mask)
    assert np.array_equal(read_mask(tmp_path / "a.png"), mask)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        assert image.convert("RGB").getpixel((1, 0)) == (128, 0, 0)


def test_a_mask_in_colours_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: mask mode is RGB"):
        read_mask(tmp_path / "a.png")
