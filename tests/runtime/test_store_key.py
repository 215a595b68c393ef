"""The key of stored work: equal for the same work, another for whatever changes it."""

import json
import os
from pathlib import Path

import pytest

from stages.errors import DataError
from stages.index import Record, write_index
from stages.runtime.store_key import Call, digest_files, digest_value, files_named, key_of, parse_call

MODULE = "stages.localize.make_maps"
TRAINS = "stages.segment.train"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two images and their index."""
    root = tmp_path / "set"
    root.mkdir()
    for name in "ab":
        (root / f"{name}.jpg").write_text(name)
    records = [Record(name, f"{name}.jpg", "", ("cat",), "train") for name in "ab"]
    write_index(tmp_path / "train.csv", records)
    return root


def call(folder: Path, **changes: str) -> Call:
    (folder / "localizer").write_text("weights")
    options = {
        "settings": "{}",
        "index": str(folder / "train.csv"),
        "root": str(folder / "set"),
        "localizer": str(folder / "localizer"),
        "shard": "0",
        "processes": "2",
        "output": str(folder / "maps"),
    }
    words = [word for name, value in {**options, **changes}.items() for word in (f"--{name}", value)]
    return parse_call(MODULE, words)


def key(folder: Path, **changes: str) -> str:
    return key_of(call(folder, **changes), ["output"], folder / "store")


def test_options_are_parsed_with_all_their_values() -> None:
    parsed = parse_call("m", ["--maps", "a", "b", "--told", "--threshold", "-1"])
    assert parsed.options == (("maps", ("a", "b")), ("told", ()), ("threshold", ("-1",)))
    assert parsed.values("maps") == ("a", "b")
    assert parsed.values("nothing") == ()


def test_the_same_work_elsewhere_has_the_same_key(dataset: Path, tmp_path: Path) -> None:
    first = key(tmp_path)
    assert key(tmp_path, output="elsewhere", processes="8", work="w", gpus="4", code="x") == first
    moved = tmp_path / "moved"
    dataset.rename(moved)
    assert key(tmp_path, root=str(moved)) == first
    (tmp_path / "copy").write_text("weights")
    assert key(tmp_path, root=str(moved), localizer=str(tmp_path / "copy")) == first


def test_whatever_the_output_depends_on_changes_the_key(dataset: Path, tmp_path: Path) -> None:
    keys = {key(tmp_path), key(tmp_path, settings='{"size": 1}'), key(tmp_path, shard="1"), key(tmp_path, told="")}
    (tmp_path / "other").write_text("other weights")
    keys.add(key(tmp_path, localizer=str(tmp_path / "other")))
    keys.add(key_of(parse_call("stages.refine.make_masks", []), [], tmp_path / "store"))
    (dataset / "a.jpg").write_text("c")  # as long as before
    keys.add(key(tmp_path))
    assert len(keys) == 7


def test_an_empty_value_is_not_the_folder_of_the_run() -> None:
    assert digest_value("") == ""


def test_a_file_that_settings_name_counts_by_its_content(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.pt").write_text("one")
    settings = json.dumps({"clip": {"pretrained": str(tmp_path / "clip.pt"), "model": "ViT.B"}, "list": ["x.txt"]})
    assert list(files_named(json.loads(settings))) == [tmp_path / "clip.pt"]
    before = key(tmp_path, settings=settings)
    (tmp_path / "clip.pt").write_text("two")
    assert key(tmp_path, settings=settings) != before


def test_images_are_read_again_only_when_they_changed(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr("stages.runtime.store_key.sha256_of", lambda path: read.append(path.name) or path.read_text())

    def digest() -> str:
        return digest_files(dataset, ["a.jpg", "b.jpg"], tmp_path / "store")

    assert digest() == digest()
    assert read == ["a.jpg", "b.jpg"]
    before = digest()
    os.utime(dataset / "a.jpg", (1, 1))
    assert digest() == before
    assert read == ["a.jpg", "b.jpg", "a.jpg"]
    (dataset / "b.jpg").unlink()
    with pytest.raises(DataError, match=r"b\.jpg: no such file"):
        digest()


def test_true_masks_count_where_they_are_read(dataset: Path, tmp_path: Path) -> None:
    (dataset / "a.png").write_text("mask")
    write_index(tmp_path / "train.csv", [Record("a", "a.jpg", "a.png", ("cat",), "train")])

    def keys() -> list[str]:
        options = ["--index", str(tmp_path / "train.csv"), "--root", str(dataset)]
        told = [*options, "--masks", str(dataset.parent / "pseudo")]
        commands = (TRAINS, options, "masks"), (TRAINS, told, "masks"), (MODULE, options, None)
        return [
            key_of(parse_call(module, words), [], tmp_path / "store", truth_unless=unless)
            for module, words, unless in commands
        ]

    (dataset.parent / "pseudo").mkdir()
    before = keys()
    (dataset / "a.png").write_text("edited")
    after = keys()
    assert after[0] != before[0]
    assert after[1:] == before[1:]


def test_another_version_of_a_package_has_another_key(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key(tmp_path)
    monkeypatch.setattr("stages.runtime.store_key.package_versions", lambda: (("torch", "9.9"),))
    assert key(tmp_path) != before
