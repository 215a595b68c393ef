"""Source packages: what is downloaded, what is refused, what the errors say. apt-get and dpkg-deb are stand-ins."""

import hashlib
import json
from pathlib import Path

import pytest

from stages.data.demo import fetch_packages as fetch
from stages.data.demo.lists import SHARE, Package
from stages.data.demo.packages import fetch_packages, find_files
from stages.errors import DataError

BYTES = {"stamps": b"stamps 1.0", "walls": b"walls 2.0"}
PACKAGES = [
    Package("stamps", "1.0", hashlib.sha256(BYTES["stamps"]).hexdigest()),
    Package("walls", "2.0", hashlib.sha256(BYTES["walls"]).hexdigest()),
]
# Writes NAME_VERSION_all.deb for each NAME=VERSION, and notes what it was asked for.
APT = """#!/bin/sh
for wanted; do case "$wanted" in *=*/*|*::*) ;; *=*)
  echo "$wanted" >> "$APT_LOG"; printf "${wanted%%=*} ${wanted##*=}" > "${wanted%%=*}_${wanted##*=}_all.deb" ;;
esac; done
"""
# `-x FILE FOLDER` puts the file itself where packages put theirs; `--field FILE Version` reads its second word.
DPKG = """#!/bin/sh
if [ "$1" = --field ]; then read name version < "$2" || true; echo "$version"; exit; fi
mkdir -p "$3/usr/share" && cp "$2" "$3/usr/share/" && echo x >> "$DPKG_LOG"
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of stand-ins, first on PATH; each logs its calls there."""
    folder = tmp_path / "programs"
    folder.mkdir()
    install(folder, "apt-get", APT)
    install(folder, "dpkg-deb", DPKG)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("APT_LOG", str(folder / "apt.log"))
    monkeypatch.setenv("DPKG_LOG", str(folder / "dpkg.log"))
    return folder


def install(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)


def asked(programs: Path) -> list[str]:
    log = programs / "apt.log"
    return log.read_text().split() if log.is_file() else []


def test_downloads_and_unpacks_once(programs: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    roots = fetch_packages(PACKAGES, cache, None)
    assert asked(programs) == ["stamps=1.0", "walls=2.0"]
    assert [(root / SHARE).is_dir() for root in roots] == [True, True]
    assert fetch_packages(PACKAGES, cache, None) == roots
    assert len(asked(programs)) == 2
    assert len((programs / "dpkg.log").read_text().split()) == 2
    assert sorted(path.name for path in cache.iterdir()) == ["stamps_1.0_all.deb", "unpacked", "walls_2.0_all.deb"]


def test_only_the_wrong_file_comes_again(programs: Path, tmp_path: Path) -> None:
    fetch_packages(PACKAGES, tmp_path / "cache", None)
    (tmp_path / "cache/walls_2.0_all.deb").write_bytes(b"walls 2")
    fetch_packages(PACKAGES, tmp_path / "cache", None)
    assert asked(programs)[2:] == ["walls=2.0"]
    assert (tmp_path / "cache/walls_2.0_all.deb").read_bytes() == BYTES["walls"]


def test_without_apt_the_error_names_packages_and_setting(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError) as caught:
        fetch_packages(PACKAGES, tmp_path / "cache", None)
    message = str(caught.value)
    assert "apt-get is missing" in message
    assert "stamps 1.0, walls 2.0" in message
    assert "data.demo.packages" in message
    assert not (tmp_path / "cache").exists()


def test_empty_lists_are_told_with_their_cure(programs: Path, tmp_path: Path) -> None:
    install(programs, "apt-get", "#!/bin/sh\necho 'E: Unable to locate package stamps' >&2\nexit 100\n")
    with pytest.raises(DataError) as caught:
        fetch_packages(PACKAGES, tmp_path / "cache", None)
    message = str(caught.value)
    assert "E: Unable to locate package stamps" in message
    assert "run `apt-get update` as root" in message
    assert "stamps 1.0, walls 2.0" in message
    assert "data.demo.packages" in message
    assert list((tmp_path / "cache").iterdir()) == []


def test_another_file_from_apt_is_refused(programs: Path, tmp_path: Path) -> None:
    other = [Package("stamps", "1.0", "0" * 64)]
    with pytest.raises(DataError, match=r"version 1\.0, SHA-256 [0-9a-f]{64}; needed version 1\.0, SHA-256 0000"):
        fetch_packages(other, tmp_path / "cache", None)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_folder_of_ones_own(programs: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "stamps_1.0_all.deb").write_bytes(BYTES["stamps"])
    (own / "walls_2.0_all.deb").write_bytes(b"walls 3.0\n")
    with pytest.raises(DataError) as caught:
        fetch_packages(PACKAGES, tmp_path / "cache", own)
    assert "data.demo.packages" in str(caught.value)
    assert "walls_2.0_all.deb: version 3.0" in str(caught.value)
    (own / "walls_2.0_all.deb").write_bytes(BYTES["walls"])
    assert len(fetch_packages(PACKAGES, tmp_path / "cache", own)) == 2
    assert asked(programs) == []


def test_missing_or_failing_dpkg_leaves_nothing(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    install(programs, "dpkg-deb", '#!/bin/sh\nmkdir "$3/half"; echo "no space" >&2; exit 2\n')
    with pytest.raises(DataError, match=r"stamps_1\.0_all\.deb: dpkg-deb cannot unpack it \(no space\)"):
        fetch_packages(PACKAGES, cache, None)
    assert list((cache / "unpacked").iterdir()) == []
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"dpkg-deb is missing.*stamps 1\.0"):
        fetch_packages(PACKAGES, cache, None)


def test_find_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / SHARE).mkdir(parents=True)
        (tmp_path / name / SHARE / f"{name}.png").touch()
    roots = [tmp_path / "one", tmp_path / "two"]
    assert find_files(["two.png"], roots) == {"two.png": str(tmp_path / "two" / SHARE / "two.png")}
    with pytest.raises(DataError, match=r"three\.png: in none of"):
        find_files(["three.png"], roots)


def test_command_lists_the_sources(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "read_packages", lambda: PACKAGES)
    monkeypatch.setattr(fetch, "read_cutout_list", list)
    monkeypatch.setattr(fetch, "read_background_list", list)
    output = tmp_path / "sources.json"
    settings = {"format": "demo", "classes": ["bird", "coin"], "demo": {"cache": str(tmp_path / "cache")}}
    fetch.run(["--settings", json.dumps(settings), "--output", str(output)])
    assert json.loads(output.read_text()) == {"files": {}}
