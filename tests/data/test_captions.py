"""Captions from a JSONL file: which stand, which are left, and what is said of a faulty file."""

import re
from pathlib import Path

import pytest
from PIL import Image

from stages.data import make_index
from stages.data.captions import read_captions, with_captions
from stages.data.readers import read_split
from stages.errors import DataError
from stages.index import Record, read_index, write_index
from stages.settings import DataSettings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "captions.jsonl"


def records(*ids: str, split: str = "train") -> list[Record]:
    return [Record(name, f"{name}.jpg", "", ("cat",), split, caption="its own") for name in ids]


def test_a_line_replaces_the_caption_of_its_image_alone(file: Path) -> None:
    lines = ['{"id": "b", "caption": " zwei Kätzchen; “im Korb” ", "score": 0.9}', "", '{"id": "c", "caption": "x"}']
    file.write_text("\n".join(lines), encoding="utf-8")
    a, b = with_captions(records("a", "b"), file, split="train")
    assert (a.caption, b.caption) == ("its own", "zwei Kätzchen; “im Korb”")
    assert (b.id, b.image, b.labels, b.split) == ("b", "b.jpg", ("cat",), "train")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['{"id": "a", "caption": "x"}', '{"id": "b", "cap'], ":2: not JSON"),
        (['["a", "x"]'], ':1: \'["a", "x"]\' is not an object'),
        (['{"id": "a"}'], ":1: caption is None; it must be text"),
        (['{"caption": "x"}'], ":1: id is None; it must be text"),
        (['{"id": 7, "caption": "x"}'], ":1: id is 7; it must be text"),
        (['{"id": "a", "caption": " "}'], ":1: caption is ' '; it must be text"),
        (
            ['{"id": "a", "caption": "x"}', "", '{"id": "a", "caption": "y"}'],
            ":3: id 'a' is already in line 1; keep one caption per image",
        ),
    ],
)
def test_a_faulty_line_is_named(file: Path, lines: list[str], words: str) -> None:
    file.write_text("\n".join(lines))
    with pytest.raises(DataError, match=re.escape(f"{file}{words}")):
        read_captions(file)


def test_another_encoding_is_named(file: Path) -> None:
    file.write_bytes('{"id": "a", "caption": "Kätzchen"}'.encode("latin-1"))
    with pytest.raises(DataError, match=r"captions\.jsonl: not UTF-8 \(byte 25\)"):
        read_captions(file)


def test_a_line_separator_within_a_caption_ends_no_line(file: Path) -> None:
    file.write_text('{"id": "a", "caption": "one\u2028two"}\r\n{"id": "b", "caption": "x"}\r\n', encoding="utf-8")
    assert read_captions(file) == {"a": "one\u2028two", "b": "x"}


def test_a_missing_file_is_named(file: Path) -> None:
    with pytest.raises(DataError, match=rf"data\.captions: no file {re.escape(str(file))}; put it there"):
        read_captions(file)


@pytest.mark.parametrize(
    ("text", "count"), [("", "0 captions, but"), ('{"id": "z", "caption": "x"}', "first 'z', but")]
)
def test_captions_of_another_dataset_are_refused(file: Path, text: str, count: str) -> None:
    file.write_text(text)
    with pytest.raises(DataError, match=f"{count} none for an image of the split 'train', first 'a'; write the ids"):
        with_captions(records("a", "b"), file, split="train")


def test_only_training_images_need_captions(file: Path) -> None:
    file.write_text('{"id": "a", "caption": "x"}')
    assert with_captions(records("v", split="val"), file, split="val") == records("v", split="val")


def test_the_index_has_them(tmp_path: Path, file: Path) -> None:
    file.write_text('{"id": "a", "caption": "two cats"}')
    for name in ("a", "b"):
        Image.new("RGB", (6, 4)).save(tmp_path / f"{name}.jpg")
    write_index(tmp_path / "train.csv", records("a", "b"))
    settings = DataSettings(format="csv", root=tmp_path, classes=("cat", "dog"), captions=file)
    output = tmp_path / "index.csv"
    arguments = ["--settings", settings.model_dump_json(), "--root", str(tmp_path), "--output", str(output)]
    make_index.run([*arguments, "--split", "train"])
    assert [record.caption for record in read_index(output)] == ["two cats", "its own"]
    assert read_split(tmp_path, "train", settings)[0][0].caption == "its own"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[" * 100_000, "not JSON"),
        ('{"id": "a", "caption": ' + "9" * 5000 + "}", "not JSON"),
        ('{"id": "a", "caption": "\\ud83d"}', "caption is '\\ud83d', which has half a character"),
    ],
)
def test_what_no_file_can_hold_is_named(file: Path, line: str, message: str) -> None:
    file.write_text(f"\n{line}\n")
    with pytest.raises(DataError, match=f"captions.jsonl:2: {re.escape(message)}"):
        read_captions(file)
