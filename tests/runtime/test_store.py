"""The store of shared results: the same work is done once, and what is shared spoils nothing."""

import os
import stat
from pathlib import Path

import pytest

from stages.runtime import store
from stages.runtime.store import fetch, keep, run_stored, unused
from stages.runtime.store_key import Call

CALL = Call("m", ())


def test_files_and_folders_are_kept_and_fetched(tmp_path: Path) -> None:
    (tmp_path / "made/deep").mkdir(parents=True)
    (tmp_path / "made/deep/a.png").write_text("mask")
    (tmp_path / "curves.csv").write_text("1")
    folder, made = tmp_path / "store", {"output": tmp_path / "made", "curves": tmp_path / "curves.csv"}
    keep(folder, "abcd", made, CALL)
    keep(folder, "abcd", made, CALL)  # by a second run at the same time
    wanted = {"output": tmp_path / "other/made", "curves": tmp_path / "other/curves.csv"}
    assert not fetch(folder, "ffff", wanted)
    assert fetch(folder, "abcd", wanted)
    assert (tmp_path / "other/made/deep/a.png").samefile(tmp_path / "made/deep/a.png")
    assert (tmp_path / "other/curves.csv").read_text() == "1"
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ["curves.csv", "made"]
    assert sorted(path.name for path in (folder / "ab").iterdir()) == ["abcd"]


def test_a_new_time_of_one_experiments_file_is_not_anothers(tmp_path: Path) -> None:
    """Snakemake sets the times of what a job made; an older result must not seem to have changed by it."""
    (tmp_path / "first.safetensors").write_text("weights")
    keep(tmp_path / "store", "abcd", {"output": tmp_path / "first.safetensors"}, CALL)
    os.utime(tmp_path / "first.safetensors", (1000, 1000))
    fetch(tmp_path / "store", "abcd", {"output": tmp_path / "second.safetensors"})
    os.utime(tmp_path / "second.safetensors", (2000, 2000))
    assert (tmp_path / "first.safetensors").stat().st_mtime == 1000


def test_an_entry_that_was_changed_is_dropped_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/a.png").write_text("mask")
    keep(tmp_path / "store", "abcd", {"output": tmp_path / "masks"}, CALL)
    (tmp_path / "masks/a.png").write_text("edited in place")
    assert not fetch(tmp_path / "store", "abcd", {"output": tmp_path / "new"})
    assert "was changed after it was stored" in caplog.text
    assert not (tmp_path / "store/ab/abcd").exists()


@pytest.mark.parametrize("copied", [False, True])
def test_entries_are_unused_once_no_results_hold_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copied: bool
) -> None:
    def refuse(*_) -> None:
        raise OSError(18, "Invalid cross-device link")

    if copied:  # as on another file system
        monkeypatch.setattr(os, "link", refuse)
    for name in ("kept", "gone", "replaced", "taken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_text(name)
        keep(tmp_path / "store", f"{name}-key", {"output": tmp_path / name}, CALL)
    assert unused(tmp_path / "store") == []
    fetch(tmp_path / "store", "taken-key", {"output": tmp_path / "another/experiment"})
    for name in ("gone", "taken", "replaced"):
        (tmp_path / name / "a.png").unlink()
    (tmp_path / "replaced/a.png").write_text("by other settings")
    assert [entry.name for entry in unused(tmp_path / "store")] == ["gone-key", "replaced-key"]


def test_others_may_read_the_store(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_text("mask")
    (tmp_path / "plain").mkdir()
    keep(tmp_path / "store", "abcd", {"output": tmp_path / "mask.png"}, CALL)
    usual = stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    assert stat.S_IMODE((tmp_path / "store/ab/abcd").stat().st_mode) == usual


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Makes this process the command `make_maps`; a list of its runs."""

    class Spec:
        name = "stages.localize.make_maps"

    monkeypatch.setattr("sys.argv", ["make_maps", "--settings", "{}", "--output", str(tmp_path / "maps")])
    monkeypatch.setattr("__main__.__spec__", Spec)
    return []


def run_here(tmp_path: Path, runs: list[int]) -> None:
    def run(_: list[str] | None) -> None:
        runs.append(1)
        (tmp_path / "maps").write_text("maps")

    run_stored(run, ["output"], tmp_path / "store")


def test_a_command_runs_once(tmp_path: Path, runs: list[int]) -> None:
    for _ in range(2):
        run_here(tmp_path, runs)
        assert (tmp_path / "maps").read_text() == "maps"
        (tmp_path / "maps").unlink()
    assert runs == [1]


def test_what_cannot_be_stored_is_made_all_the_same(
    tmp_path: Path, runs: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_share", full)
    run_here(tmp_path, runs)
    assert (tmp_path / "maps").read_text() == "maps"
    assert "not stored for other experiments" in caplog.text
    assert list((tmp_path / "store").rglob("manifest.json")) == []
