"""Images upright and RGB, masks as class indices, the VOC palette."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.errors import DataError
from stages.images import check_image, image_size, read_image, read_mask, voc_palette, working_size, write_mask


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


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 257, 65535, 32768]], dtype=np.uint16)).save(tmp_path / "a.png")
    assert np.asarray(read_image(tmp_path / "a.png"))[0].tolist() == [[0] * 3, [1] * 3, [255] * 3, [127] * 3]


@pytest.mark.parametrize("values", [(0, 65536), (-1, 255), (0, 2**31 - 1)])
def test_integers_beyond_sixteen_bits_are_refused(tmp_path: Path, values: tuple[int, int]) -> None:
    Image.fromarray(np.array([[0, 65535]], dtype=np.int32)).save(tmp_path / "a.tif")
    assert np.asarray(read_image(tmp_path / "a.tif"))[0].tolist() == [[0] * 3, [255] * 3]
    Image.fromarray(np.array([values], dtype=np.int32)).save(tmp_path / "a.tif")
    for read in (read_image, check_image):
        with pytest.raises(DataError, match=rf"a\.tif: has values from {values[0]} to {values[1]}, not from 0 to"):
            read(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (3, 1), (0, 0, 0, 255))
    image.putpixel((0, 0), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 51))
    if mode == "PA":
        path, stored = tmp_path / "a.tif", Image.new("PA", image.size)  # TIFF alone can hold it
        stored.putalpha(image.getchannel("A"))
    else:
        path, stored = tmp_path / "a.png", image.convert(mode)
    stored.save(path)
    with Image.open(path) as opened:
        assert opened.mode == mode
    assert np.asarray(read_image(path))[0, :, 0].tolist() == [255, 204, 0]  # a fifth of black over white


def test_a_transparent_colour_of_a_palette_is_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=0)
    assert np.asarray(read_image(tmp_path / "a.png"))[0].tolist() == [[255] * 3, [200, 100, 50]]


def test_cmyk_keeps_its_colours(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red = np.asarray(read_image(tmp_path / "a.jpg"))[4, 4]
    assert red[0] > 240
    assert red[1:].max() < 15


def test_values_without_a_range_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((3, 3), dtype=np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: has floating-point values"):
        read_image(tmp_path / "a.tif")


def test_an_empty_file_and_one_too_large_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.jpg: cannot be read as an image"):
        read_image(tmp_path / "a.jpg")
    Image.new("RGB", (30, 30)).save(tmp_path / "ein Bild, süß.png")
    assert read_image(tmp_path / "ein Bild, süß.png").size == (30, 30)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for read in (read_image, image_size):
        with pytest.raises(DataError, match=r"süß\.png: cannot be read as an image .*exceeds limit"):
            read(tmp_path / "ein Bild, süß.png")


def test_a_malformed_exif_is_named(tmp_path: Path) -> None:
    """The camera's maker is written under the number of another field, which holds whole numbers."""
    image = Image.new("RGB", (20, 10))
    exif = image.getexif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    image.save(tmp_path / "a.jpg", exif=exif)
    content = (tmp_path / "a.jpg").read_bytes()
    assert content.count(b"\x01\x0f\0\x02") == 1  # big-endian: the field, its type text
    (tmp_path / "a.jpg").write_bytes(content.replace(b"\x01\x0f\0\x02", b"\x01\x02\0\x02"))
    for read in (read_image, check_image):
        with pytest.raises(DataError, match=r"a\.jpg: cannot be read as an image .*replace or remove it"):
            read(tmp_path / "a.jpg")


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


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_check_refuses_just_the_files_that_cannot_be_read(tmp_path: Path, mode: str, progressive: bool) -> None:
    path = tmp_path / "a.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((200, 120)).convert(mode)
    exif = image.getexif()
    exif[0x0112] = 6  # upright it is 120 wide
    image.save(path, quality=90, progressive=progressive, exif=exif)
    whole = path.read_bytes()
    assert check_image(path) == read_image(path).size[::-1] == (200, 120)
    refused = 0
    for missing in (1, 2, 10, 100, len(whole) // 3, len(whole) // 2, len(whole) - 50):
        path.write_bytes(whole[:-missing])
        try:
            read_image(path)
        except DataError:
            refused += 1
            with pytest.raises(DataError, match=r"a\.jpg: cannot be read as an image"):
                check_image(path)
        else:
            check_image(path)
    assert refused > 3


def test_a_mask_is_read_back_with_its_colours(tmp_path: Path) -> None:
    mask = np.array([[0, 1, 255], [2, 2, 0]], dtype=np.uint8)
    write_mask(tmp_path / "a.png", mask)
    assert np.array_equal(read_mask(tmp_path / "a.png"), mask)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        assert image.convert("RGB").getpixel((1, 0)) == (128, 0, 0)


def test_a_mask_that_is_too_large_or_broken_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.effect_noise((64, 64), 90).save(path)
    whole = path.read_bytes()
    for content in (whole[:20], whole[:900], whole[:100] + bytes(50) + whole[150:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.png: cannot be read as a mask .*export it again"):
            read_mask(path)
    path.write_bytes(whole)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"a\.png: cannot be read as a mask .*exceeds limit"):
        read_mask(path)


def test_a_mask_in_colours_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: mask mode is RGB"):
        read_mask(tmp_path / "a.png")


def test_a_working_size_bounds_the_longer_side() -> None:
    assert working_size((3000, 4000), 500) == (375, 500)
    assert working_size((4000, 3000), 500) == (500, 375)
    assert working_size((375, 500), 500) == (375, 500)
    assert working_size((3000, 4000), None) == (3000, 4000)
    assert working_size((3, 9000), 500) == (1, 500)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("turned", [False, True])
def test_an_image_is_read_at_a_size(tmp_path: Path, name: str, turned: bool) -> None:
    """A JPEG is decoded at a fraction of its size, which must not be seen."""
    clouds = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(clouds).resize((800, 600), Image.Resampling.BICUBIC)
    exif = image.getexif()
    exif[0x0112] = 6 if turned else 1
    image.save(tmp_path / name, quality=95, exif=exif)
    size = (80, 60) if turned else (60, 80)
    small, whole = read_image(tmp_path / name, size), read_image(tmp_path / name)
    assert small.size == size[::-1]
    expected = whole.resize(size[::-1], Image.Resampling.LANCZOS)
    difference = np.abs(np.asarray(small).astype(int) - np.asarray(expected))
    assert difference.mean() < 1.5
    assert difference.max() < 16
    # At its own size it is what it is without one.
    assert read_image(tmp_path / name, image_size(tmp_path / name)).tobytes() == whole.tobytes()


@pytest.mark.parametrize(("bits", "kind"), [(1, 0), (2, 0), (4, 0), (8, 0), (2, 3)])
def test_masks_of_few_bits_are_read_as_they_are_written(tmp_path: Path, bits: int, kind: int) -> None:
    """A PNG written by hand, as its specification says: grey (0) or indexed (3), one row of four values."""
    values = [0, 1, 1, 0] if bits == 1 else [0, 1, 2, 3]
    packed = int("".join(f"{value:0{bits}b}" for value in values).ljust(8 * max(1, bits // 2), "0"), 2)

    def chunk(name: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")

    header = struct.pack(">IIBBBBB", 4, 1, bits, kind, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(range(12))) if kind == 3 else b""
    row = zlib.compress(b"\0" + packed.to_bytes(max(1, bits // 2), "big"))
    signature = b"\x89PNG\r\n\x1a\n"
    path = tmp_path / "a.png"
    path.write_bytes(signature + chunk(b"IHDR", header) + palette + chunk(b"IDAT", row) + chunk(b"IEND", b""))
    assert read_mask(path).tolist() == [values]
