"""A disk that is full or read-only: one clear error, nothing half written, and the same command goes on later."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stages.runtime.command import disk_fault, output_folder
from tests.workflow.tiny import environment

SETTINGS = '{"format":"csv","root":"x","classes":["cat","dog"]}'


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def write_classes(output: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stages.data.list_classes", "--settings", SETTINGS, "--output", str(output)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(bytes(2 << 20))
    return ballast


def test_a_full_disk_is_named_and_the_same_command_goes_on(disk: Path) -> None:
    ballast = fill(disk)
    done = write_classes(disk / "results/classes.txt")
    assert done.returncode == 1
    assert "No space left on device; free some space and run the same command again" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(disk.rglob("classes*"))
    ballast.unlink()
    assert write_classes(disk / "results/classes.txt").returncode == 0
    assert (disk / "results/classes.txt").read_text() == "cat\ndog\n"


def test_read_only_results_are_named(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    done = write_classes(disk / "results/classes.txt")
    assert done.returncode == 1
    assert "Read-only file system; the results are on a read-only file system; run where they can be" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_library_s_own_words_for_a_full_disk(disk: Path, tmp_path: Path) -> None:
    error = RuntimeError("PytorchStreamWriter failed writing file data/12: file write failed")
    assert disk_fault(error, tmp_path) is None
    fill(disk)
    assert "the disk is full (PytorchStreamWriter failed" in str(disk_fault(error, disk))


def test_other_errors_are_not_the_disk_s(tmp_path: Path) -> None:
    assert disk_fault(ValueError("no"), None) is None
    assert disk_fault(FileNotFoundError(errno.ENOENT, "No such file", "a"), tmp_path) is None
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "results/a")
    assert str(disk_fault(denied, None)).startswith(
        "results/a: Permission denied; no permission; get write access to the folder"
    )


def test_the_folder_of_the_output_or_the_next_above_it(tmp_path: Path) -> None:
    assert output_folder(["x", "--output", str(tmp_path / "a/b/c.txt")]) == tmp_path
    assert output_folder(["x", "--index", "y"]) is None
