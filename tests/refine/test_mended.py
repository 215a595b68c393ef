"""Mended masks as the stage leaves them, and in the place of pseudo masks."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.data.left_out import write_left_out
from stages.errors import DataError
from stages.files import sha256_of
from stages.images import read_mask, write_mask
from stages.index import Record, write_classes, write_index
from stages.refine import add_mended, read_mended
from stages.refine.mended import MendedRow, read_mended_list
from stages.settings import RefineSettings

PSEUDO = np.array([[1, 1, 0], [2, 0, 0]], dtype=np.uint8)
MENDED = np.array([[255, 1, 1], [255, 0, 2]], dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three training images, pseudo masks of all, a mended one of b."""
    records = [Record(name, f"{name}.png", "", ("cat", "dog"), "train") for name in "abc"]
    for record in records:
        Image.new("RGB", (3, 2)).save(tmp_path / record.image)
        write_mask(tmp_path / f"made/{record.id}.png", PSEUDO)
    write_index(tmp_path / "train.csv", records)
    write_index(tmp_path / "val.csv", [])
    write_left_out(tmp_path / "left_out.csv", [])
    write_classes(tmp_path / "classes.txt", ["cat", "dog"])
    write_mask(tmp_path / "mended by me/b.png", MENDED)
    return tmp_path


def read(folder: Path) -> list[MendedRow]:
    settings = json.dumps({"mended": str(folder / "mended by me")})
    paths = {"indexes": "train.csv", "left-out": "left_out.csv", "root": ".", "classes": "classes.txt"}
    paths |= {"list": "out/mended.csv", "output": "out/mended"}
    words = [word for name, path in paths.items() for word in (f"--{name}", str(folder / path))]
    read_mended.run(["--settings", settings, *words])
    return read_mended_list(folder / "out/mended.csv")


def add(folder: Path, *more: str) -> dict[str, np.ndarray]:
    words = ["--masks", str(folder / "made"), "--mended", str(folder / "out/mended"), "--output", str(folder / "added")]
    add_mended.run([*words, *more])
    return {path.stem: read_mask(path) for path in (folder / "added").glob("*.png")}


def test_mended_masks_are_read_once_into_pngs_by_id(folder: Path) -> None:
    source = folder / "mended by me/b.png"
    assert read(folder) == [MendedRow("b", "b.png", str(source), sha256_of(source))]
    assert [path.name for path in (folder / "out/mended").iterdir()] == ["b.png"]
    np.testing.assert_array_equal(read_mask(folder / "out/mended/b.png"), MENDED)


def test_the_segmenter_learns_from_mended_masks_as_they_are(folder: Path) -> None:
    read(folder)
    masks = add(folder)
    assert set(masks) == {"a", "b", "c"}
    np.testing.assert_array_equal(masks["b"], MENDED)
    for name in "ac":
        assert (folder / f"added/{name}.png").read_bytes() == (folder / f"made/{name}.png").read_bytes()


def test_scored_masks_have_a_class_in_every_pixel(folder: Path) -> None:
    read(folder)
    np.testing.assert_array_equal(add(folder, "--fill")["b"], [[1, 1, 1], [2, 0, 2]])


def test_a_fault_leaves_nothing(folder: Path) -> None:
    write_mask(folder / "mended by me/nobody.png", MENDED)
    with pytest.raises(DataError, match="nobody.png: is of no photo"):
        read(folder)
    assert not (folder / "out/mended").exists()
    assert not (folder / "out/mended.csv").exists()


def test_an_absent_setting_is_in_no_settings(folder: Path) -> None:
    """So that results that were made before there was such a setting stay valid."""
    assert "mended" not in RefineSettings().model_dump(mode="json")
    assert RefineSettings(mended=Path("a b")).model_dump(mode="json")["mended"] == "a b"
    assert RefineSettings.model_validate_json(RefineSettings(mended=Path("x")).model_dump_json()).mended == Path("x")
