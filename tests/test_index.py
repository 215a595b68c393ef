"""The index: read back as written, and refused where it is not one."""

from pathlib import Path

import numpy as np
import pytest

from stages.errors import DataError
from stages.index import Record, evenly_spaced, read_classes, read_index, shard_of, tagged, write_classes, write_index

RECORDS = [
    Record("a", "images/a.jpg", "masks/a.png", ("traffic light", "dog"), "train", 'a "dog", waiting'),
    Record("b", "images/b.jpg", "", (), "train"),
]


def test_an_index_is_read_back(tmp_path: Path) -> None:
    write_index(tmp_path / "train.csv", RECORDS)
    assert read_index(tmp_path / "train.csv") == RECORDS


def test_the_file_is_plain_csv(tmp_path: Path) -> None:
    write_index(tmp_path / "train.csv", RECORDS)
    assert (tmp_path / "train.csv").read_text().splitlines() == [
        "id,image,mask,labels,split,caption",
        'a,images/a.jpg,masks/a.png,traffic light;dog,train,"a ""dog"", waiting"',
        "b,images/b.jpg,,,train,",
    ]


def test_a_missing_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.csv: no such index"):
        read_index(tmp_path / "train.csv")


def test_other_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("id,image\na,a.jpg\n")
    with pytest.raises(DataError, match=r"columns are \['id', 'image'\]"):
        read_index(tmp_path / "train.csv")


def test_an_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    write_index(tmp_path / "train.csv", [RECORDS[0], RECORDS[0]])
    with pytest.raises(DataError, match="'a' is duplicated"):
        read_index(tmp_path / "train.csv")


def test_classes_are_read_back_in_order(tmp_path: Path) -> None:
    write_classes(tmp_path / "classes.txt", ("road sign", "bird"))
    assert read_classes(tmp_path / "classes.txt") == ("road sign", "bird")


def test_missing_classes_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"classes\.txt: no such class list"):
        read_classes(tmp_path / "classes.txt")


def test_evenly_spaced_places_are_numpy_s() -> None:
    for items in range(60):
        for count in range(1, 70):
            places = np.unique(np.linspace(0, items - 1, min(count, items)).round().astype(int)).tolist()
            assert evenly_spaced(range(items), count) == places


def test_shards_hold_every_image_once_and_differ_by_one_at_most() -> None:
    records = [Record(str(number), "", "", (), "val") for number in range(11)]
    shards = [shard_of(records, shard, 4) for shard in range(4)]
    assert sorted((record for shard in shards for record in shard), key=lambda record: int(record.id)) == records
    assert [len(shard) for shard in shards] == [3, 3, 3, 2]


def test_what_a_reader_found_wrong_is_in_no_index(tmp_path: Path) -> None:
    write_index(tmp_path / "train.csv", [Record("a", "a.jpg", "", ("dog",), "train", fault="broken")])
    assert read_index(tmp_path / "train.csv") == [Record("a", "a.jpg", "", ("dog",), "train")]


def test_training_takes_the_images_with_tags() -> None:
    assert tagged(RECORDS) == RECORDS[:1]


def test_a_file_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    text = 'id,image,mask,labels,split,caption\r\nä,"a, b.jpg",,dog,train,\r\n'
    (tmp_path / "train.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_index(tmp_path / "train.csv") == [Record("ä", "a, b.jpg", "", ("dog",), "train")]


def test_a_quote_that_is_not_closed_and_a_column_twice_are_refused(tmp_path: Path) -> None:
    """The reader of Python's library would take all that follows for one field, and lose its rows."""
    path = tmp_path / "train.csv"
    header = "id,image,mask,labels,split,caption\n"
    path.write_text(header + 'a,a.jpg,,dog,train,\nb,b.jpg,,dog,train,"two dogs\nc,c.jpg,,dog,train,\n')
    with pytest.raises(DataError, match=r"train\.csv:3: the row that begins here is not CSV"):
        read_index(path)
    path.write_text(header + 'a,a.jpg,,dog,train,"the "big" dog"\n')
    with pytest.raises(DataError, match=r"train\.csv:2: the row that begins here is not CSV .* each quote within"):
        read_index(path)
    path.write_text(header.replace("caption", "id"))
    with pytest.raises(DataError, match=r"train\.csv: column 'id' is duplicated"):
        read_index(path)
    path.write_text('"' + header)
    with pytest.raises(DataError, match=r"train\.csv:1: the row that begins here is not CSV"):
        read_index(path)


def test_another_encoding_and_a_row_of_other_length_are_named(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    header = "id,image,mask,labels,split,caption\n"
    path.write_bytes((header + "ä,a.jpg,,dog,train,\n").encode("latin-1"))
    with pytest.raises(DataError, match=r"train\.csv: not UTF-8 \(byte 35\); save it"):
        read_index(path)
    for row in ("a,a.jpg,,dog\n", "a,a.jpg,,dog,train,a dog, and a cat\n"):
        path.write_text(header + "b,b.jpg,,dog,train,\n" + row)
        with pytest.raises(DataError, match=r"train\.csv:3: does not have 6 fields"):
            read_index(path)
