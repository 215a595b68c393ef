"""Archives from elsewhere write nothing but plain files below their folder."""

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
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
    with pytest.raises(DataError, match=r"a\.tar: (is not a .tar, .tgz or .zip|cannot be unpacked)"):
        unpack(path, tmp_path / "out", strip="", most_bytes=10_000)
    assert files_below(tmp_path / "out") == {}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_that_is_cut_between_two_files_is_refused(tmp_path: Path, mode: str) -> None:
    """Each file of the archive takes a block of 512 bytes for its name and one for its content."""
    path = make_tar(tmp_path / "a.tar", (entry("a.txt"), b"one"), (entry("b.txt"), b"two"))
    cut = path.read_bytes()[:1024]
    path.write_bytes(gzip.compress(cut) if mode == "w:gz" else cut)
    with pytest.raises(DataError, match=r"a\.tar: has no end-of-archive mark, so it is truncated"):
        unpack(path, tmp_path / "out", strip="", most_bytes=10_000)


def test_damage_within_compressed_data_is_named(tmp_path: Path) -> None:
    content = np.random.default_rng(0).integers(0, 256, 50_000, dtype=np.uint8).tobytes()
    for path in (make_tar(tmp_path / "a.tgz", (entry("a.txt"), content), mode="w:gz"), tmp_path / "a.zip"):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("a.txt", bytes(50_000))
        whole = bytearray(path.read_bytes())
        middle = len(whole) // 2 if path.suffix == ".tgz" else 40
        whole[middle : middle + 20] = b"\xff" * 20
        path.write_bytes(whole)
        with pytest.raises(DataError, match=rf"{path.name}: cannot be unpacked"):
            unpack(path, tmp_path / path.stem / path.suffix, strip="", most_bytes=100_000)


def test_a_folder_that_is_a_link_to_elsewhere_is_not_followed(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", (entry("images/a.txt"), b"one"))
    for folder in ("out", "elsewhere"):
        (tmp_path / folder).mkdir()
    (tmp_path / "out/images").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"out/images: leads through a link to .*elsewhere, out of"):
        unpack(path, tmp_path / "out", strip="", most_bytes=100)
    assert files_below(tmp_path / "elsewhere") == {}
    (tmp_path / "linked").symlink_to(tmp_path / "elsewhere")  # the root itself may be one
    assert unpack(path, tmp_path / "linked", strip="", most_bytes=100) == 1


def test_a_file_of_a_zip_that_is_shorter_than_it_says_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"x" * 5000)
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace((5000).to_bytes(4, "little"), (6000).to_bytes(4, "little")))
    with pytest.raises(DataError, match=r"'a\.txt' is shorter than it says; fetch the archive again"):
        unpack(tmp_path / "a.zip", tmp_path / "out", strip="", most_bytes=10_000)
    assert files_below(tmp_path / "out") == {}
