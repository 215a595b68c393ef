"""Several splits as one index."""

from pathlib import Path

import pytest

from stages.data import join_indexes
from stages.errors import DataError
from stages.index import Record, read_index, write_index


def test_records_keep_their_split_and_a_made_mask_its_place(tmp_path: Path) -> None:
    made = str(tmp_path.absolute() / "masks/b.png")
    train, val = Record("a", "a.jpg", "m/a.png", ("cat",), "train"), Record("b", "b.jpg", made, (), "val", "A dog.")
    write_index(tmp_path / "train.csv", [train])
    write_index(tmp_path / "val.csv", [val])
    paths = [str(tmp_path / f"{split}.csv") for split in ("train", "val")]
    join_indexes.run(["--indexes", *paths, "--output", str(tmp_path / "train+val.csv")])
    assert read_index(tmp_path / "train+val.csv") == [train, val]


def test_an_id_of_two_splits_is_told(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_index(tmp_path / f"{split}.csv", [Record("a", f"{split}/a.jpg", "", ("cat",), split)])
    with pytest.raises(DataError, match=r"val.csv: id 'a' is also in train"):
        join_indexes.join_indexes([tmp_path / "train.csv", tmp_path / "val.csv"])
