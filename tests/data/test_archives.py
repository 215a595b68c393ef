"""Archives of a dataset: downloads that break off and go on, checksums, and what is said without internet."""

import errno
import functools
import hashlib
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stages.data import fetch_dataset
from stages.data.archives import Archive, fetch_sources, list_sources, read_sources
from stages.data.download import DownloadError, download
from stages.errors import DataError
from stages.runtime.command import disk_fault
from stages.settings import DataSettings

CONTENT = bytes(range(256)) * 40_000  # ten megabytes
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server:
    """A web server of one file. cuts: how many bytes each of the next answers sends before the connection drops."""

    def __init__(self, content: bytes) -> None:
        self.content, self.cuts, self.ranges = content, list[int](), list[str | None]()
        self.takes_ranges, self.status = True, 0
        handler = functools.partial(Handler, self)
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/file.tar"


class Handler(BaseHTTPRequestHandler):
    def __init__(self, server: Server, *arguments) -> None:
        self.state = server
        super().__init__(*arguments)

    def do_GET(self) -> None:
        state, asked = self.state, self.headers.get("Range")
        state.ranges.append(asked)
        if state.status:
            self.send_error(state.status)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.takes_ranges else 0
        if start >= len(state.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(state.content) - start))
        self.end_headers()
        rest = state.content[start:]
        self.wfile.write(rest[: state.cuts.pop(0)] if state.cuts else rest)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server(CONTENT)
    thread = threading.Thread(target=state.http.serve_forever)
    thread.start()
    yield state
    state.http.shutdown()
    thread.join()
    state.http.server_close()


def test_a_download_that_breaks_off_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.cuts = [3_000_000, 4_000_000]
    download(server.url, tmp_path / "file.tar", md5=MD5, wait=0)
    assert (tmp_path / "file.tar").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=3000000-", "bytes=7000000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["file.tar"]


def test_the_part_of_a_killed_run_is_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.tar.part").write_bytes(CONTENT[:5_000_000])
    download(server.url, tmp_path / "file.tar", md5=MD5, wait=0)
    assert server.ranges == ["bytes=5000000-"]
    (tmp_path / "whole.part").write_bytes(CONTENT)  # killed before it was renamed
    download(server.url, tmp_path / "whole", md5=MD5, wait=0)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "file.tar").read_bytes() == CONTENT


def test_a_server_without_ranges_is_asked_for_all(server: Server, tmp_path: Path) -> None:
    server.takes_ranges, server.cuts = False, [1_000]
    download(server.url, tmp_path / "file.tar", md5=MD5, wait=0)
    assert (tmp_path / "file.tar").read_bytes() == CONTENT


def test_after_some_tries_it_gives_up_and_keeps_what_it_has(server: Server, tmp_path: Path) -> None:
    server.cuts = [1_000, *[0] * 3]
    with pytest.raises(DownloadError, match="broke off|IncompleteRead"):
        download(server.url, tmp_path / "file.tar", md5=MD5, tries=3, wait=0)
    assert (tmp_path / "file.tar.part").stat().st_size == 1_000
    assert len(server.ranges) == 3
    server.status = 503
    with pytest.raises(DownloadError, match="503"):
        download(server.url, tmp_path / "file.tar", md5=MD5, tries=3, wait=0)
    assert len(server.ranges) == 6
    server.status = 404  # no use in trying again
    with pytest.raises(DownloadError, match="404"):
        download(server.url, tmp_path / "file.tar", md5=MD5, tries=3, wait=0)
    assert len(server.ranges) == 7


def test_tries_are_counted_anew_when_a_download_gets_further(server: Server, tmp_path: Path) -> None:
    server.cuts = [1_000] * 7
    download(server.url, tmp_path / "file.tar", md5=MD5, tries=2, wait=0)
    assert (tmp_path / "file.tar").read_bytes() == CONTENT
    assert len(server.ranges) == 8


def test_a_full_disk_is_neither_tried_again_nor_called_a_missing_archive(
    server: Server, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_) -> bool:
        raise OSError(errno.ENOSPC, "No space left on device", "file.tar.part")

    monkeypatch.setattr("stages.data.download._fetch_rest", full)
    with pytest.raises(OSError, match="No space left") as error:
        fetch_sources([archive], tmp_path / "root")
    assert "free some space" in str(disk_fault(error.value, None))
    monkeypatch.setattr("stages.data.unpack.write_member", full)
    (tmp_path / "root/archives").mkdir(parents=True, exist_ok=True)
    (tmp_path / "root/archives/file.tar").write_bytes(server.content)
    with pytest.raises(OSError, match="No space left"):
        fetch_sources([archive], tmp_path / "root")


def test_another_file_is_not_taken(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=f"MD5 is {MD5}, must be 0123"):
        download(server.url, tmp_path / "file.tar", md5="0123", wait=0)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def archive(server: Server, tmp_path: Path) -> Archive:
    """An archive on the server with one image in VOC's folder."""
    inner = tmp_path / "made"
    (inner / "kit/voc/images").mkdir(parents=True)
    (inner / "kit/voc/images/a.jpg").write_text("a picture")
    (inner / "kit/readme.txt").write_text("not ours")
    with tarfile.open(tmp_path / "made.tar", "w") as tar:
        tar.add(inner / "kit", arcname="kit")
    server.content = (tmp_path / "made.tar").read_bytes()
    md5 = hashlib.md5(server.content).hexdigest()
    return Archive("file.tar", server.url, md5, ("train",), "", "kit/voc", "", 10_000, ("images",), "all images")


def test_fetched_once_and_unpacked_below_the_root(server: Server, archive: Archive, tmp_path: Path) -> None:
    root = tmp_path / "root"
    assert fetch_sources([archive], root) == {"file.tar": "unpacked: 1 files"}
    assert (root / "images/a.jpg").read_text() == "a picture"
    assert not (root / "readme.txt").exists()
    (root / "archives/file.tar").unlink()
    assert fetch_sources([archive], root) == {"file.tar": "unpacked before: 1 files"}
    assert len(server.ranges) == 1


def test_an_archive_put_there_by_hand_is_taken_if_it_is_the_one(
    server: Server, archive: Archive, tmp_path: Path
) -> None:
    place = tmp_path / "root/archives/file.tar"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"an error page")
    with pytest.raises(DataError, match=r"file\.tar: MD5 is .*; delete the file"):
        fetch_sources([archive], tmp_path / "root")
    place.write_bytes(server.content)
    assert fetch_sources([archive], tmp_path / "root") == {"file.tar": "unpacked: 1 files"}
    assert server.ranges == []


def test_a_dataset_that_is_there_by_other_means_is_left_alone(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "root/images").mkdir(parents=True)
    assert fetch_sources([archive], tmp_path / "root") == {"file.tar": "in place, put there by other means"}


def test_without_internet_all_files_are_named(server: Server, archive: Archive, tmp_path: Path) -> None:
    server.status = 404
    registered = Archive("test.tar", None, None, ("test",), "", "", "", 1, ("test.txt",), "to registered users alone")
    with pytest.raises(DataError) as error:
        fetch_sources([archive, registered], tmp_path / "root")
    lines = str(error.value).splitlines()
    assert lines[0] == f"data.fetch: put into {tmp_path / 'root/archives'} and run again:"
    assert lines[1].startswith(f"  file.tar from {server.url}, MD5 {archive.md5}: all images [HTTP Error 404")
    assert lines[2] == (
        "  test.tar: to registered users alone (or leave test out of segment.predict and evaluate)"
        " [its licence requires each user to download it]"
    )
    (tmp_path / "root/images").mkdir(parents=True)
    with pytest.raises(DataError, match=r"run again:\n  test\.tar"):  # what is used is needed
        fetch_sources([archive, registered], tmp_path / "root")


def test_only_what_the_splits_need_is_fetched() -> None:
    with_sbd, without = (
        DataSettings(format="voc", root=Path("anywhere"), classes=("a", "b"), voc=voc) for voc in ({"sbd": "SBD"}, {})
    )
    trainval, sbd, test = (archive.file for archive in list_sources("voc"))
    assert [archive.file for archive in read_sources(with_sbd, ["train", "val"])] == [trainval, sbd]
    assert [archive.file for archive in read_sources(without, ["train", "val"])] == [trainval]
    assert [archive.file for archive in read_sources(without, ["train", "val", "test"])] == [trainval, test]


@pytest.mark.parametrize("format", ["voc", "coco"])
def test_the_lists_of_the_datasets_are_whole(format: str) -> None:
    archives = list_sources(format)
    assert all(len(archive.md5 or "") == 32 for archive in archives if archive.url)
    assert all(archive.gives and archive.most_bytes > 10**9 for archive in archives)
    with pytest.raises(DataError, match="no archives are known for data.format 'csv'"):
        list_sources("csv")


def test_the_command_says_what_was_done(tmp_path: Path) -> None:
    root = tmp_path / "coco"
    for name in ("train2014", "val2014", "annotations"):
        (root / name).mkdir(parents=True)
    for split in ("train", "val"):
        (root / f"annotations/instances_{split}2014.json").write_text("{}")
    settings = '{"format":"coco","root":"anywhere","classes":["a","b"]}'
    paths = ["--root", str(root), "--output", str(tmp_path / "fetched.json")]
    fetch_dataset.run(["--settings", settings, "--splits", "train", "val", *paths])
    assert (tmp_path / "fetched.json").read_text().count("in place") == 3
