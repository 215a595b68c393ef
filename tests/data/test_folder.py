"""Photos and a table of their tags."""

from pathlib import Path

import pytest

from stages.data.folder_reader import read_folder_split, share_out
from stages.errors import DataError
from stages.settings import DataSettings, FolderSettings


def settings(**changes) -> DataSettings:
    return DataSettings(format="folder", root=Path("anywhere"), classes=("cat", "dog"), folder=changes)


def table(root: Path, text: str, encoding: str = "utf-8") -> None:
    root.mkdir(exist_ok=True)
    (root / "tags.csv").write_bytes(text.encode(encoding))


def test_two_columns_are_enough(tmp_path: Path) -> None:
    table(tmp_path, "image,tags\nam Meer/Früh 1.jpg,cat; dog;cat\nb.png,\n")
    (record,) = [item for item in read_folder_split(tmp_path, "train", settings(val=0))[0] if item.image != "b.png"]
    assert (record.id, record.image) == ("am Meer_Früh 1", "am Meer/Früh 1.jpg")
    assert (record.labels, record.mask, record.caption) == (("cat", "dog"), "", "")


def test_all_columns(tmp_path: Path) -> None:
    table(tmp_path, 'tags,image,mask,caption,split\ncat,a.jpg,masks/a.png,"A cat, asleep",val\ndog,b.jpg,,,train\n')
    (record,), source = read_folder_split(tmp_path, "val", settings())
    assert source == tmp_path / "tags.csv"
    assert (record.mask, record.caption, record.split) == ("masks/a.png", "A cat, asleep", "val")


def test_shares_are_of_the_rows_without_a_split_and_always_the_same() -> None:
    rows = [{"image": f"{number}.jpg", "split": "test" if number < 5 else ""} for number in range(25)]
    splits = share_out(rows, FolderSettings(val=0.25, test=0.1))
    counts = {name: list(splits.values()).count(name) for name in ("train", "val", "test")}
    assert counts == {"train": 13, "val": 5, "test": 5 + 2}
    assert share_out(rows[::-1], FolderSettings(val=0.25, test=0.1)) == splits
    few = share_out([{"image": "a", "split": ""}, {"image": "b", "split": ""}], FolderSettings(val=0.01))
    assert sorted(few.values()) == ["train", "val"]  # a share above 0 gives at least one


def test_a_row_a_tag_is_one_image_with_all_of_them(tmp_path: Path) -> None:
    rows = "2.png,cat,,\n3.png,dog,,\n./2.png,dog,val,\n2.png,cat,,a cat\n"
    table(tmp_path, f"image,tags,split,caption\n{rows}")
    (record,), _ = read_folder_split(tmp_path, "val", settings(val=0))
    assert (record.id, record.image, record.labels, record.caption) == ("2", "2.png", ("cat", "dog"), "a cat")
    assert [record.id for record in read_folder_split(tmp_path, "train", settings(val=0))[0]] == ["3"]


def test_rows_that_reach_one_image_through_another_folder_are_joined(tmp_path: Path) -> None:
    for rows in ("sub/../2.png,cat\n2.png,dog\n", "2.png,dog\nsub/../2.png,cat\n"):
        table(tmp_path, f"image,tags\n{rows}")
        (record,), _ = read_folder_split(tmp_path, "train", settings(val=0))
        assert (record.id, record.image, set(record.labels)) == ("2", "2.png", {"cat", "dog"})


@pytest.mark.parametrize(
    ("stored", "other"), [("2.jpg", "2.JPG"), ("Früh.jpg", "Fru\u0308h.jpg"), ("a/2.jpg", "A\\2.jpg")]
)
def test_a_row_that_misses_the_file_of_another_is_refused(tmp_path: Path, stored: str, other: str) -> None:
    (tmp_path / stored).parent.mkdir(exist_ok=True)
    (tmp_path / stored).touch()
    table(tmp_path, f"image,tags\n{stored},cat\n{other},dog\n")
    with pytest.raises(DataError, match=r"tags\.csv:3: there is no image .* of line 2 is the same but for case, sep"):
        read_folder_split(tmp_path, "train", settings())
    (tmp_path / other.replace("\\", "/")).parent.mkdir(exist_ok=True)
    (tmp_path / other).touch()  # two files are two images
    assert len(read_folder_split(tmp_path, "train", settings(val=0))[0]) == 2


@pytest.mark.parametrize(
    ("column", "first", "second"), [("split", "val", "train"), ("mask", "a.png", "b.png"), ("caption", "A cat", "Two")]
)
def test_rows_of_one_image_that_contradict_each_other_are_refused(
    tmp_path: Path, column: str, first: str, second: str
) -> None:
    table(tmp_path, f"image,tags,{column}\n2.png,cat,{first}\n3.png,cat,\n2.png,dog,{second}\n")
    message = (
        rf"tags\.csv:4: 2\.png has the {column} '{second}' here, but '{first}' in line 2; rows of one image add tags"
    )
    with pytest.raises(DataError, match=message):
        read_folder_split(tmp_path, "train", settings())


@pytest.mark.parametrize(
    ("text", "encoding", "message"),
    [
        ("file,tags\na,cat\n", "utf-8", r"columns are file, tags; must be image, tags and, optionally, split, mask"),
        ("image,tags,captoin\na,cat,\n", "utf-8", r"did you mean `caption` instead of 'captoin'\?"),
        ("image;tags\na.jpg;cat\n", "utf-8", r"separated by `;`: save the table as CSV with commas"),
        ("", "utf-8", r"columns are none; must be"),
        ("image,tags\na.jpg,cat,dog\n", "utf-8", r"tags\.csv:2: does not have 2 fields; separate several tags by `;`"),
        ("image,tags,split\na.jpg,cat,training\n", "utf-8", r"tags\.csv:2: split 'training' must be train, val, test"),
        ("image,tags\nFrüh.jpg,cat\n", "latin-1", r"tags\.csv: not UTF-8 \(byte 13\); save it in UTF-8"),
        ("image,tags\na.jpg,cat\n ,dog\n", "utf-8", r"tags\.csv:3: names no image; write the photo's path"),
        ("image,tags\na.jpg,cat\n/,dog\n", "utf-8", r"tags\.csv:3: names no image"),
        ("image,tags,tags\na.jpg,cat,dog\n", "utf-8", r"tags\.csv: column 'tags' is duplicated; keep one"),
        ('image,tags\na.jpg,"cat\nb.jpg,dog\n', "utf-8", r"tags\.csv:2: the row that begins here is not CSV"),
    ],
)
def test_odd_tables_are_refused(tmp_path: Path, text: str, encoding: str, message: str) -> None:
    table(tmp_path, text, encoding)
    with pytest.raises(DataError, match=message):
        read_folder_split(tmp_path, "train", settings())


def test_a_missing_table_is_shown_how(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"tags\.csv: no such table of tags; write one in UTF-8, such as\nimage,tags"):
        read_folder_split(tmp_path, "train", settings())
