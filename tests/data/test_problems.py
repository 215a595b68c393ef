"""Every fault of a dataset is one clear error before anything trains."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.data.problems import examine_all, refuse_problems
from stages.errors import DataError
from stages.images import write_mask
from stages.index import Record

Make = Callable[..., Record]


def check(root: Path, *records: Record) -> None:
    source = Path("train.txt")
    found = examine_all(records, root, ("cat", "dog"), source=source)
    refuse_problems(found.problems, len(records), source=source)


def test_sound_images_pass(make_record: Make, tmp_path: Path) -> None:
    check(tmp_path, make_record(), make_record("two", labels=("dog", "cat"), mask=""))


def test_no_image_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.txt: lists no image"):
        check(tmp_path)


def test_missing_image(make_record: Make, tmp_path: Path) -> None:
    record = make_record()
    (tmp_path / record.image).unlink()
    with pytest.raises(DataError, match=r"images/one\.jpg: no such image; check the dataset folder"):
        check(tmp_path, record)


def test_truncated_jpeg(make_record: Make, tmp_path: Path) -> None:
    record = make_record(mask="")
    path = tmp_path / record.image
    Image.effect_noise((200, 200), 90).save(path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match=r"images/one\.jpg: cannot be read as an image .*truncated"):
        check(tmp_path, record)


def test_not_an_image(make_record: Make, tmp_path: Path) -> None:
    record = make_record()
    (tmp_path / record.image).write_text("an error page")
    with pytest.raises(DataError, match=r"images/one\.jpg: cannot be read as an image"):
        check(tmp_path, record)


def test_training_image_without_tags(make_record: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"one: no tags.*tag the image or remove it from the split"):
        check(tmp_path, make_record(labels=()))
    check(tmp_path, make_record(labels=(), split="test"))


def test_unknown_tag(make_record: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"one: tag 'cow' is not in data\.classes"):
        check(tmp_path, make_record(labels=("cat", "cow")))


def test_missing_mask(make_record: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"masks/none\.png: no such mask"):
        check(tmp_path, make_record(mask="masks/none.png"))


def test_mask_of_another_size(make_record: Make, tmp_path: Path) -> None:
    record = make_record()
    write_mask(tmp_path / record.mask, np.ones((12, 8), dtype=np.uint8))
    with pytest.raises(DataError, match=r"masks/one\.png: mask is 8x12, image is 12x8; export the mask"):
        check(tmp_path, record)


@pytest.mark.parametrize(("orientation", "said"), [(6, True), (1, False)])
def test_mask_drawn_on_an_image_that_is_not_yet_upright(
    make_record: Make, tmp_path: Path, orientation: int, said: bool
) -> None:
    record = make_record()
    image = Image.new("RGB", (12, 8) if said else (8, 12))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / record.image, exif=exif)  # upright it is 8 wide, the mask 12
    with pytest.raises(DataError, match=r"mask is 12x8, image is 8x12; ") as error:
        check(tmp_path, record)
    assert ("turned upright by its EXIF orientation" in str(error.value)) is said


def test_what_the_reader_found_is_a_problem_and_no_tags_none_besides(make_record: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 problem in 1 images\none: its list is broken; mend it"):
        check(tmp_path, make_record(labels=(), fault="one: its list is broken; mend it"))


def test_mask_value_that_is_no_class(make_record: Make, tmp_path: Path) -> None:
    record = make_record()
    mask = np.full((8, 12), 255, dtype=np.uint8)
    mask[0, :3] = (2, 3, 7)
    write_mask(tmp_path / record.mask, mask)
    with pytest.raises(DataError, match=r"masks/one\.png: mask value 3, 7 is not a class; .* 1 to 2 "):
        check(tmp_path, record)


def test_colour_mask(make_record: Make, tmp_path: Path) -> None:
    record = make_record()
    Image.new("RGB", (12, 8)).save(tmp_path / record.mask)
    with pytest.raises(DataError, match=r"masks/one\.png: mask mode is RGB"):
        check(tmp_path, record)


def test_masks_in_colours_are_one_line_if_most_are(make_record: Make, tmp_path: Path) -> None:
    records = [make_record(f"image{number}") for number in range(4)]
    for record in records[:3]:
        Image.new("RGB", (12, 8)).save(tmp_path / record.mask)
    with pytest.raises(DataError) as caught:
        check(tmp_path, *records)
    first, second = str(caught.value).splitlines()
    assert first == "train.txt: 3 problems in 4 images"
    assert "masks/image0.png: mask mode is RGB" in second
    assert second.endswith("; 3 of 4 masks are no class indices")


def test_a_tag_in_another_case_is_told(make_record: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"tag 'CAT' is not in data\.classes; .* has 'cat', mind case; correct"):
        check(tmp_path, make_record(labels=("CAT",)))


@pytest.mark.parametrize("name", ["", "2007/one"])
def test_id_that_is_no_file_name(make_record: Make, tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="an id names files"):
        check(tmp_path, make_record(id=name))


def test_id_twice(make_record: Make, tmp_path: Path) -> None:
    again = r"one: duplicate id, used twice by images/one\.jpg; .*: remove one of the rows"
    with pytest.raises(DataError, match=again):
        check(tmp_path, make_record(), make_record())
    shutil.copy(tmp_path / "images/one.jpg", tmp_path / "images/one.png")
    other = dataclasses.replace(make_record(), image="images/one.png")
    with pytest.raises(
        DataError, match=r"duplicate id, used by images/one\.jpg and images/one\.png; .* rename one of the files"
    ):
        check(tmp_path, make_record(), other)


def test_many_faults_are_counted_and_the_first_shown(make_record: Make, tmp_path: Path) -> None:
    records = [make_record(f"image{number}", labels=()) for number in range(8)]
    with pytest.raises(DataError) as caught:
        check(tmp_path, *records)
    lines = str(caught.value).splitlines()
    assert lines[0] == "train.txt: 8 problems in 8 images"
    assert [line.split(":")[0] for line in lines[1:6]] == [f"image{number}" for number in range(5)]
    assert lines[6:] == ["... and 3 more"]


@pytest.mark.parametrize(
    ("written", "stored", "cure"),
    [
        (r"images\one.jpg", "images/one.jpg", "write `/` for"),
        ("images/Fru\u0308h.jpg", "images/Früh.jpg", "copy its name from the file: its letters are in another Unicode"),
        ("images/Früh.jpg", "images/Fru\u0308h.jpg", "copy its name from the file"),
        (r"images\Fru" + "\u0308h.JPG", "images/Früh.jpg", "write `/` for `\\\\` and "),
        ("images/one.JPG", "images/one.jpg", "mind case"),
    ],
)
def test_a_path_that_is_written_in_another_way_is_told_where_the_file_is(
    make_record: Make, tmp_path: Path, written: str, stored: str, cure: str
) -> None:
    record = make_record(mask="")
    (tmp_path / record.image).rename(tmp_path / stored)
    with pytest.raises(DataError, match=f"no such image; there is .*/{stored}: {cure}"):
        check(tmp_path, dataclasses.replace(record, image=written))


def test_a_broken_avif_is_a_problem_of_its_image(make_record: Make, tmp_path: Path) -> None:
    record = make_record(image="images/one.avif", mask="")
    Image.new("RGB", (64, 64), "red").save(tmp_path / record.image)
    header, mark, data = (tmp_path / record.image).read_bytes().partition(b"mdat")
    (tmp_path / record.image).write_bytes(header + mark + bytes(len(data)))  # Pillow's plugin raises RuntimeError
    with pytest.raises(DataError, match=r"1 problem in 1 images\n.*one\.avif: cannot be read as an image"):
        check(tmp_path, record)
