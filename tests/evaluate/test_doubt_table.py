"""The table of doubts: its round trip, its order, and what is made of it."""

from pathlib import Path

import pytest

from stages.errors import DataError
from stages.evaluate.doubt_table import (
    Doubt,
    Reasons,
    most_doubtful_first,
    read_doubts,
    summary_of,
    write_doubts,
)
from stages.evaluate.join_doubts import run
from stages.refine.mended import MendedRow, write_mended

CLEAR = Doubt("clear, one", Reasons(0.0, 0.0, 0.25), {"cat": Reasons(0.0, 0.0, 0.25)})
MIXED = Doubt("b", Reasons(0.5, 0.5, 0.5), {"all": Reasons(0.25, 0.5, 0.75), "dog, big": Reasons(0.75, 0.5, 0.25)})
BARE = Doubt("bare", Reasons(0.0, 0.0, 0.0), {})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "doubt.csv"
    write_doubts(path, [CLEAR, MIXED, BARE])
    assert list(read_doubts(path).values()) == [CLEAR, MIXED, BARE]
    header, first, *_ = path.read_text().splitlines()
    assert header == "id,class,doubt,crf,segmenter,margin"
    assert first.startswith('"clear, one",,')
    assert first.endswith(",0.0000,0.0000,0.2500")


def test_the_doubt_is_between_the_least_and_the_strongest_reason() -> None:
    assert 0 < CLEAR.whole.doubt < 0.25
    assert MIXED.whole.doubt == pytest.approx(0.5)


def test_the_most_doubtful_comes_first_and_mended_ones_last() -> None:
    assert [image.id for image in most_doubtful_first([BARE, CLEAR, MIXED])] == ["b", "clear, one", "bare"]
    settled = most_doubtful_first([BARE, CLEAR, MIXED], mended={"b"})
    assert [image.id for image in settled] == ["clear, one", "b", "bare"]
    assert settled[1].whole.doubt == 0
    assert {name: reasons.doubt for name, reasons in settled[1].classes.items()} == {"all": 0, "dog, big": 0}


def test_shards_are_joined_and_the_first_ten_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = [Doubt(f"i{number:02d}", Reasons(*[number / 20] * 3), {}) for number in range(15)]
    write_doubts(tmp_path / "0.csv", images[::2])
    write_doubts(tmp_path / "1.csv", images[1::2])
    write_mended(tmp_path / "mended.csv", [MendedRow("i14", "i14.jpg", "mended/i14.png", "0" * 64)])
    options = ["--doubts", str(tmp_path / "0.csv"), str(tmp_path / "1.csv"), "--output", str(tmp_path / "all.csv")]
    with caplog.at_level("INFO"):
        run([*options, "--mended", str(tmp_path / "mended.csv")])
    order = [f"i{number:02d}" for number in (*range(13, 0, -1), 0, 14)]
    assert list(read_doubts(tmp_path / "all.csv")) == order
    assert [line.split()[-1] for line in caplog.text.splitlines()[1:]] == order[:10]


def test_a_summary_without_doubt_says_so() -> None:
    assert summary_of([BARE]) == "none is doubted"
    assert summary_of([MIXED, BARE]) == "0.50  b"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "id,miou\na,3\n",
        "id,class,doubt,crf,segmenter,margin\na,cat,0,0,0,0\n",
        "id,class,doubt,crf,segmenter,margin\na,,0,0,x,0\n",
        "id,class,doubt,crf,segmenter,margin\na,,0,0\n",
    ],
    ids=["empty", "another table", "a class before its image", "no number", "cut"],
)
def test_a_damaged_table_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "doubt.csv").write_text(content)
    with pytest.raises(DataError, match=r"doubt\.csv: no table of doubts"):
        read_doubts(tmp_path / "doubt.csv")
