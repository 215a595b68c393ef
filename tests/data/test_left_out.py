"""`data.on_error: skip`: what cannot be used is left out, and listed with its fault."""

from pathlib import Path

import pytest

from stages.data import make_index
from stages.data.left_out import LeftOut, read_left_out, write_left_out
from stages.errors import DataError
from stages.index import read_index
from stages.settings import DataSettings

HEADER = "id,image,mask,labels,split,caption\n"


def run(root: Path, on_error: str, processes: int = 1) -> None:
    settings = DataSettings(format="csv", root=root, classes=("cat", "dog"), on_error=on_error)
    paths = ["--root", str(root), "--left-out", str(root / "left_out.csv"), "--output", str(root / "out/train.csv")]
    options = ["--split", "train", "--processes", str(processes)]
    make_index.run(["--settings", settings.model_dump_json(), *options, *paths])


@pytest.fixture
def faulty(make_record, tmp_path: Path) -> Path:
    """Six images, of which three can be used; one of them shows none of the classes."""
    for name in ("good", "cut off", "Übung", "tagged", "bare"):
        make_record(name)
    path = tmp_path / "images/cut off.jpg"
    path.write_bytes(path.read_bytes()[:200])
    rows = ("good,cat", "cut off,cat", "Übung,dog", "good,cat", "tagged,yeti", "bare,")
    lines = [f"{row.split(',')[0]},images/{row.split(',')[0]}.jpg,,{row.split(',')[1]},," for row in rows]
    lines[3] = "good,images/bare.jpg,,cat,,"
    (tmp_path / "train.csv").write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("processes", [1, 2])
def test_skipped_images_are_listed_and_the_rest_is_kept(faulty: Path, processes: int) -> None:
    run(faulty, "skip", processes)
    assert [record.id for record in read_index(faulty / "out/train.csv")] == ["good", "Übung", "bare"]
    rows = read_left_out(faulty / "left_out.csv")
    assert [row.id for row in rows] == ["cut off", "good", "tagged"]
    assert rows[0].image == "images/cut off.jpg"
    assert "cannot be read as an image" in rows[0].problem
    assert "duplicate id" in rows[1].problem
    assert "tag 'yeti' is not in data.classes" in rows[2].problem


def test_without_skip_all_are_counted(faulty: Path) -> None:
    with pytest.raises(DataError, match=r"train\.csv: 3 problems in 6 images"):
        run(faulty, "stop")
    assert not (faulty / "out/train.csv").exists()


def test_a_split_of_faults_alone_is_refused(faulty: Path) -> None:
    (faulty / "train.csv").write_text(HEADER + "tagged,images/tagged.jpg,,yeti,,\n")
    with pytest.raises(DataError, match=r"none of 1 images can be used; the first: tagged: tag 'yeti'"):
        run(faulty, "skip")


def test_nothing_left_out_is_a_header_alone(make_record, tmp_path: Path) -> None:
    make_record()
    (tmp_path / "train.csv").write_text(HEADER + "one,images/one.jpg,./masks/one.png,cat,,\n")
    run(tmp_path, "skip")
    assert (tmp_path / "left_out.csv").read_text() == "id,image,problem\n"
    assert read_index(tmp_path / "out/train.csv")[0].mask == "masks/one.png"  # of the dataset, not of the index


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_a_row_a_tag_is_one_image_with_all_of_them(make_record, tmp_path: Path, on_error: str) -> None:
    make_record()
    (tmp_path / "train.csv").write_text(HEADER + "".join(f"one,images/one.jpg,,{tag},,\n" for tag in ("cat", "dog")))
    run(tmp_path, on_error)
    (record,) = read_index(tmp_path / "out/train.csv")
    assert record.labels == ("cat", "dog")
    (tmp_path / "train.csv").write_text(HEADER + "one,images/one.jpg,a.png,cat,,\none,images/one.jpg,b.png,dog,,\n")
    with pytest.raises(DataError, match=r"train\.csv:3: one has the mask 'b\.png' here, but 'a\.png' in line 2"):
        run(tmp_path, on_error)


@pytest.mark.parametrize(
    ("first", "second"),
    [("one,images/one.jpg", "one,./images/../images//one.jpg"), ("one ,images/one.jpg", "one, images/one.jpg")],
)
@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_rows_that_write_one_image_in_two_ways_are_joined(
    make_record, tmp_path: Path, on_error: str, first: str, second: str
) -> None:
    make_record()
    for rows in ((first, second), (second, first)):
        (tmp_path / "train.csv").write_text(HEADER + f"{rows[0]},,cat,,\n{rows[1]},,dog,,\n")
        run(tmp_path, on_error)
        (record,) = read_index(tmp_path / "out/train.csv")
        assert (record.id, set(record.labels)) == ("one", {"cat", "dog"})


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_a_row_an_object_with_numbered_ids_is_refused(make_record, tmp_path: Path, on_error: str) -> None:
    make_record()
    rows = "one_0,images/one.jpg,,cat,,\none_1,./images/one.jpg,,dog,,\n"
    (tmp_path / "train.csv").write_text(HEADER + rows)
    with pytest.raises(
        DataError, match=r"train\.csv:3: .*one\.jpg has the id 'one_1' here, but 'one_0' in line 2, with"
    ):
        run(tmp_path, on_error)
    (tmp_path / "train.csv").write_text(HEADER + rows.replace("dog", "cat"))  # only shown twice
    run(tmp_path, on_error)
    assert len(read_index(tmp_path / "out/train.csv")) == 2


def test_half_a_character_is_listed_spelled_out(tmp_path: Path) -> None:
    """JSON can hold it in a file's name, a table in UTF-8 cannot."""
    write_left_out(tmp_path / "left_out.csv", [LeftOut("a\ud83d", "a\ud83d.jpg", "cannot be read")])
    assert read_left_out(tmp_path / "left_out.csv") == [LeftOut(r"a\ud83d", r"a\ud83d.jpg", "cannot be read")]
