"""The store of shared results: the same work is done once, and nothing else is taken for the same."""

import json
import os
from pathlib import Path

import pytest

from stages.errors import DataError
from stages.index import Record, write_index
from stages.store import Call, digest_images, fetch, files_named, keep, key_of, parse_call, run_stored, unused

MODULE = "stages.localize.make_maps"


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


def test_a_file_that_settings_name_counts_by_its_content(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.pt").write_text("one")
    settings = json.dumps({"clip": {"pretrained": str(tmp_path / "clip.pt"), "model": "ViT.B"}, "list": ["x.txt"]})
    assert list(files_named(json.loads(settings))) == [tmp_path / "clip.pt"]
    before = key(tmp_path, settings=settings)
    (tmp_path / "clip.pt").write_text("two")
    assert key(tmp_path, settings=settings) != before


def test_images_are_read_again_only_when_they_changed(dataset: Path, tmp_path: Path, monkeypatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr("stages.store.sha256_of", lambda path: read.append(Path(path)) or Path(path).read_text())
    digests = [digest_images(dataset, tmp_path / "train.csv", tmp_path / "store") for _ in range(2)]
    assert digests[0] == digests[1]
    assert [path.name for path in read].count("a.jpg") == 1
    os.utime(dataset / "a.jpg", (1, 1))
    assert digest_images(dataset, tmp_path / "train.csv", tmp_path / "store") == digests[0]
    assert [path.name for path in read].count("a.jpg") == 2
    (dataset / "b.jpg").unlink()
    with pytest.raises(DataError, match=r"b\.jpg: no such image"):
        digest_images(dataset, tmp_path / "train.csv", tmp_path / "store")


def test_files_and_folders_are_kept_and_fetched_by_links(tmp_path: Path) -> None:
    (tmp_path / "made/deep").mkdir(parents=True)
    (tmp_path / "made/deep/a.png").write_text("mask")
    (tmp_path / "curves.csv").write_text("1")
    store, made = tmp_path / "store", {"output": tmp_path / "made", "curves": tmp_path / "curves.csv"}
    keep(store, "abcd", made, Call("m", ()))
    keep(store, "abcd", made, Call("m", ()))  # by a second run at the same time
    wanted = {"output": tmp_path / "other/made", "curves": tmp_path / "other/curves.csv"}
    assert not fetch(store, "ffff", wanted)
    assert fetch(store, "abcd", wanted)
    assert (tmp_path / "other/made/deep/a.png").samefile(tmp_path / "made/deep/a.png")
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ["curves.csv", "made"]
    assert sorted(path.name for path in (store / "ab").iterdir()) == ["abcd"]


def test_an_entry_that_was_changed_is_dropped_with_a_warning(tmp_path: Path, caplog) -> None:
    (tmp_path / "mask.png").write_text("mask")
    keep(tmp_path / "store", "abcd", {"output": tmp_path / "mask.png"}, Call("m", ()))
    (tmp_path / "mask.png").write_text("edited in place")
    assert not fetch(tmp_path / "store", "abcd", {"output": tmp_path / "new.png"})
    assert "was changed after it was stored" in caplog.text
    assert not (tmp_path / "store/ab/abcd").exists()


def test_unused_entries_are_those_without_results(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        keep(tmp_path / "store", name * 2, {"output": tmp_path / name}, Call("m", ()))
    (tmp_path / "one").unlink()
    assert [entry.name for entry in unused(tmp_path / "store")] == ["oneone"]


def test_a_command_runs_once(dataset: Path, tmp_path: Path, monkeypatch) -> None:
    runs: list[int] = []

    def run(_: list[str] | None) -> None:
        runs.append(1)
        (tmp_path / "maps").write_text("maps")

    class Spec:
        name = MODULE

    words = [word for name, values in call(tmp_path).options for word in (f"--{name}", *values)]
    monkeypatch.setattr("sys.argv", ["make_maps", *words])
    monkeypatch.setattr("__main__.__spec__", Spec)
    for _ in range(2):
        run_stored(run, ["output"], tmp_path / "store")
        assert (tmp_path / "maps").read_text() == "maps"
        (tmp_path / "maps").unlink()
    assert runs == [1]
