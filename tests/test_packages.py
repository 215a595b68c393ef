"""Packages that are in tagmask's way, each made up as a folder of metadata."""

import sys
from pathlib import Path

import pytest

from stages.errors import TagmaskError
from stages.packages import FORKS, check_forks, check_opencv, version_of


def install(folder: Path, package: str, version: str) -> None:
    """As much of an installed package as importlib.metadata looks at."""
    place = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")


def test_the_forks_alone_are_fine() -> None:
    check_forks()
    check_opencv()
    assert all(version_of(fork) for fork in FORKS.values())


@pytest.mark.parametrize("package", FORKS)
def test_a_package_of_upstream_is_named_with_its_cure(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, package, "2.1.0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TagmaskError) as caught:
        check_forks()
    message = str(caught.value)
    fork = f"{FORKS[package]}=={version_of(FORKS[package])}"
    assert message.startswith(f"{package} 2.1.0: installed beside {FORKS[package]}, whose files it overwrites")
    assert f"`pip uninstall --yes {package}` and then `pip install --force-reinstall --no-deps {fork}`" in message
    assert "\n" not in message


def test_several_are_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "mmcv", "2.1.0")
    install(tmp_path, "mmcv-lite", "2.0.0")
    install(tmp_path, "mmengine", "0.10.4")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TagmaskError, match="mmcv 2.1.0, mmcv-lite 2.0.0, mmengine 0.10.4: installed beside") as caught:
        check_forks()
    assert str(caught.value).count("onedl-mmcv==") == 1


def test_an_opencv_that_cannot_be_imported_is_told_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')\n"
    (tmp_path / "cv2.py").write_text(text)
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        TagmaskError, match=r"libGL.so.1: cannot open .* over it: `pip install --force-reinstall"
    ) as caught:
        check_opencv()
    assert f"opencv-python-headless=={version_of('opencv-python')}`" in str(caught.value)
