"""Whatever a file holds, reading it gives a result or an error that a user can act on, never a traceback."""

import contextlib
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from stages.data.captions import read_captions
from stages.data.contradictions import find_contradiction, find_notes
from stages.data.csv_reader import read_csv_split
from stages.data.folder_reader import read_folder_split
from stages.data.id_lists import read_ids, read_stems
from stages.data.mask_sights import sight_of
from stages.data.openimages_reader import openimages_masks, read_openimages_split
from stages.data.problems import examine_image
from stages.data.sbd_masks import SbdMask
from stages.data.voc_reader import read_tags, read_voc_split
from stages.errors import DataError
from stages.images import check_image, image_size, read_image, read_mask, voc_palette
from stages.index import Record, read_classes, read_index, write_index
from stages.settings import DataSettings

CLASSES = ("cat", "dog")
BOUNDED = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def section(layout: str) -> DataSettings:
    return DataSettings(format=layout, root=Path("anywhere"), classes=CLASSES)


def text_like(*pieces: str) -> st.SearchStrategy[bytes]:
    """Files of a format's own pieces in any order, with any bytes between."""
    piece = st.one_of(st.sampled_from([part.encode() for part in pieces]), st.binary(max_size=4))
    return st.lists(piece, max_size=24).map(b"".join)


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """A sound file that is cut, or has other bytes in some places."""
    place = st.integers(0, len(whole) - 1)

    def damage(cut: int, changes: list[tuple[int, int]]) -> bytes:
        content = bytearray(whole)
        for where, value in changes:
            content[where] = value
        return bytes(content[: cut + 1])

    anywhere = st.one_of(st.just(len(whole)), place)
    return st.builds(damage, anywhere, st.lists(st.tuples(place, st.integers(0, 255)), max_size=6))


def quietly(read: Callable[[], object]) -> None:
    """Reads; an error for the user is as good as a result."""
    with contextlib.suppress(DataError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, on odd metadata
        read()


CSV = ("id,image,mask,labels,split,caption\n", "image,tags\n", "image,tags,split,mask,caption\n", '"', ",", "\n", "\r")
CELLS = ("a.png", "cat", "dog;cat", "train", "val", "/", "..", "\0", "ü", ",,,,,", "a,a.png,,cat,,\n", "b.png,cat\n")


@BOUNDED
@given(content=text_like(*CSV, *CELLS))
def test_tables(tmp_path: Path, content: bytes) -> None:
    for name in ("train.csv", "tags.csv", "classes.txt"):
        (tmp_path / name).write_bytes(content)
    quietly(lambda: read_index(tmp_path / "train.csv"))
    quietly(lambda: read_classes(tmp_path / "classes.txt"))
    for read, layout in ((read_csv_split, "csv"), (read_folder_split, "folder")):
        with contextlib.suppress(DataError):
            records, _ = read(tmp_path, "train", section(layout))
            for record in records:
                examine_image(record, tmp_path, CLASSES)
            write_index(tmp_path / "out/train.csv", records)


@BOUNDED
@given(content=text_like("a", "/JPEGImages/a.jpg", " /Masks/a.png", " -1", " 1", "\n", "\r\n", "/", "\\", ".jpg", "\0"))
def test_lists_of_ids(tmp_path: Path, content: bytes) -> None:
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True, exist_ok=True)
    (tmp_path / "SegmentationClassAug").mkdir(exist_ok=True)
    (lists / "train_aug.txt").write_bytes(content)
    quietly(lambda: read_ids(lists / "train_aug.txt"))
    quietly(lambda: read_stems(lists / "train_aug.txt"))
    quietly(lambda: read_stems(lists / "train_aug.txt", known={"a"}.__contains__))
    with contextlib.suppress(DataError):
        for record in read_voc_split(tmp_path, "train", section("voc"))[0]:
            examine_image(record, tmp_path, CLASSES)


@BOUNDED
@given(
    content=text_like("a.jpg,0\n", "a.jpg,1\n", "b.jpg,m.png,i.png\n", "a.jpg,m.png,\n", ",", '"', "²", "\n", "9" * 99)
)
def test_lists_of_openimages(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "metadata/val"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("class_labels.txt", "localization.txt"):
        (folder / name).write_bytes(content)
        other = {"class_labels.txt": "localization.txt", "localization.txt": "class_labels.txt"}[name]
        (folder / other).write_text("a.jpg,0\n" if other == "class_labels.txt" else "a.jpg,m.png,\n")
        quietly(lambda: read_openimages_split(tmp_path, "val", section("openimages")))
        quietly(lambda: [mask.draw() for mask in openimages_masks(tmp_path, "val", section("openimages"))])


XML = (
    "<annotation>",
    "</annotation>",
    "<object>",
    "</object>",
    "<name>cat</name>",
    "<name/>",
    "<difficult>1</difficult>",
)
ODD = ("<difficult/>", "<?xml version='1.0' encoding='utf-16'?>", "<!DOCTYPE a [<!ENTITY b 'c'>]>", "&b;", "<![CDATA[")


@BOUNDED
@given(
    content=st.one_of(text_like(*XML, *ODD), text_like(*XML).map(lambda inner: b"<annotation>%s</annotation>" % inner))
)
def test_annotations(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.xml").write_bytes(content)
    quietly(lambda: read_tags(tmp_path / "a.xml", CLASSES, difficult=False))


@BOUNDED
@given(
    content=text_like('{"id": "a", "caption": "b"}', "{", "}", "[1]", "\n", '"\\ud800"', "null", "1e999", "NaN", ":")
)
def test_captions(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "captions.jsonl").write_bytes(content)
    quietly(lambda: read_captions(tmp_path / "captions.jsonl"))


def picture(extension: str) -> bytes:
    """A sound file of the format: an indexed mask as PNG and GIF, a photo elsewhere."""
    noise = np.random.default_rng(0).integers(0, 3, (9, 11), dtype=np.uint8)
    image = Image.fromarray(noise)
    image.putpalette(voc_palette())
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    kept = image if extension in ("png", "gif") else image.convert("RGB")
    kept.save(stream, extension, **({"exif": exif} if extension in ("png", "jpeg", "webp", "avif") else {}))
    return stream.getvalue()


@pytest.mark.parametrize("extension", ["png", "jpeg", "gif", "bmp", "tiff", "webp", "avif"])
@settings(BOUNDED, max_examples=25)
@given(data=st.data())
def test_pictures_and_masks(tmp_path: Path, extension: str, data: st.DataObject) -> None:
    path = tmp_path / f"a.{extension}"
    path.write_bytes(data.draw(damaged(picture(extension))))
    for read in (read_image, check_image, image_size, read_mask):
        quietly(lambda read=read: read(path))
    record = Record("a", path.name, path.name, ("cat",), "train")
    quietly(lambda: examine_image(record, tmp_path, CLASSES))


def sbd_file() -> bytes:
    stream = io.BytesIO()
    savemat(stream, {"GTcls": {"Segmentation": np.eye(6, dtype=np.uint8)}}, do_compression=True)
    return stream.getvalue()


@BOUNDED
@given(content=damaged(sbd_file()))
def test_masks_of_sbd(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mat").write_bytes(content)
    quietly(lambda: SbdMask("a", tmp_path / "a.mat").draw())


VALUES = st.sampled_from([0, 1, 2, 3, 200, 255])


@BOUNDED
@given(
    masks=st.lists(
        st.tuples(st.lists(VALUES, max_size=9), st.sets(st.sampled_from(CLASSES)), st.integers(0, 4)), max_size=12
    )
)
def test_masks_of_any_values_tags_and_palettes(masks: list[tuple[list[int], set[str], int]]) -> None:
    records, sights = [], {}
    for place, (values, tags, colours) in enumerate(masks):
        records.append(Record(f"{place}", f"{place}.png", "m.png", tuple(sorted(tags)), "val"))
        palette = np.random.default_rng(colours).integers(0, 2, (colours * 64, 3), dtype=np.uint8) if colours else None
        sights[place] = sight_of(np.array(values, dtype=np.uint8).reshape(1, -1), palette, Path("m.png"))
    assert isinstance(find_contradiction(records, sights, CLASSES), str)
    assert all(find_notes(records, sights, CLASSES))
