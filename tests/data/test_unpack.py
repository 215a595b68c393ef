"""Archives from elsewhere write nothing but plain files below their folder."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from stages.data.unpack import unpack
from stages.errors import DataError


def make_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_folder_of_a_tar(tmp_path: Path, mode: str) -> None:
    members = (entry("kit/voc/a b/ü.txt"), b"one"), (entry("kit/voc/c.txt"), b""), (entry("kit/other.txt"), b"three")
    path = make_tar(tmp_path / "a.tar", *members, mode=mode)
    assert unpack(path, tmp_path / "out", strip="kit/voc", most_bytes=100) == 2
    assert files_below(tmp_path / "out") == {"a b/ü.txt": b"one", "c.txt": b""}


def test_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/", "")
        archive.writestr("train/a.jpg", b"x" * 5000)
    assert unpack(tmp_path / "a.zip", tmp_path / "out", strip="", most_bytes=5000) == 1
    assert files_below(tmp_path / "out") == {"train/a.jpg": b"x" * 5000}


def test_what_is_there_is_not_written_again(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", (entry("a.txt"), b"one"), (entry("b.txt"), b"two"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.txt").write_bytes(b"ONE")  # of the same size
    (tmp_path / "out/b.txt").write_bytes(b"t")  # cut off
    unpack(path, tmp_path / "out", strip="", most_bytes=100)
    assert files_below(tmp_path / "out") == {"a.txt": b"ONE", "b.txt": b"two"}


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (entry("/etc/passwd"), "leads out of the folder"),
        (entry("a/../../b.txt"), "leads out of the folder"),
        (entry("..\\b.txt"), "leads out of the folder"),
        (entry("a", tarfile.SYMTYPE, "/etc"), "is a link or device"),
        (entry("a", tarfile.SYMTYPE, "inside.txt"), "is a link or device"),
        (entry("a", tarfile.LNKTYPE, "../outside"), "is a link or device"),
        (entry("a", tarfile.CHRTYPE), "is a link or device"),
        (entry("a", tarfile.FIFOTYPE), "is a link or device"),
    ],
)
def test_paths_out_links_and_devices_are_refused(tmp_path: Path, member: tarfile.TarInfo, message: str) -> None:
    path = make_tar(tmp_path / "a.tar", (member, b""))
    before = set(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=message):
        unpack(path, tmp_path / "out", strip="", most_bytes=100)
    assert set(tmp_path.rglob("*")) == before


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("a")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc")
    with pytest.raises(DataError, match="'a' is a link"):
        unpack(tmp_path / "a.zip", tmp_path / "out", strip="", most_bytes=100)


def test_more_than_agreed_is_refused_before_it_is_written(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", (entry("a.txt"), b"x" * 60), (entry("b.txt"), b"x" * 60))
    with pytest.raises(DataError, match="unpacks to more than 100 bytes"):
        unpack(path, tmp_path / "out", strip="", most_bytes=100)
    assert list(files_below(tmp_path / "out")) == ["a.txt"]


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    """The size in the directory at the zip's end is changed to one byte, as a bomb would have it."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"x" * 5000)
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace((5000).to_bytes(4, "little"), (1).to_bytes(4, "little")))
    with pytest.raises(DataError, match=r"longer than it says|cannot be unpacked"):
        unpack(tmp_path / "a.zip", tmp_path / "out", strip="", most_bytes=100)
    assert files_below(tmp_path / "out") == {}


@pytest.mark.parametrize("keep", [0, 300, 700])
def test_a_truncated_or_other_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = make_tar(tmp_path / "a.tar", (entry("a.txt"), b"x" * 1000))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"a\.tar: (is no .tar, .tgz or .zip|cannot be unpacked)"):
        unpack(path, tmp_path / "out", strip="", most_bytes=10_000)
    assert files_below(tmp_path / "out") == {}
