"""Packages that keep tagmask from working: upstream's mmcv beside the fork, and an OpenCV that needs a screen."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution

from stages.errors import TagmaskError

# Packages of upstream, and the fork of each that tagmask uses. Both have the same modules, so the one that is installed
# last overwrites files of the other.
FORKS = {
    "mmcv": "onedl-mmcv",
    "mmcv-full": "onedl-mmcv",
    "mmcv-lite": "onedl-mmcv",
    "mmengine": "onedl-mmengine",
    "mmengine-lite": "onedl-mmengine",
    "mmsegmentation": "onedl-mmsegmentation",
}
HEADLESS = "opencv-python-headless"


def version_of(package: str) -> str | None:
    """The installed version of a package, None if there is none."""
    try:
        return distribution(package).version
    except PackageNotFoundError:
        return None


def check_forks() -> None:
    """Raises TagmaskError if a package of upstream is installed beside its fork."""
    others = {package: version for package in FORKS if (version := version_of(package)) is not None}
    if not others:
        return
    forks = dict.fromkeys(FORKS[package] for package in others)
    pinned = " ".join(f"{fork}=={version}" if (version := version_of(fork)) else fork for fork in forks)
    raise TagmaskError(
        f"{', '.join(f'{package} {version}' for package, version in others.items())}: installed beside"
        f" {', '.join(forks)}, whose files it overwrites; give tagmask an environment of its own, or"
        f" `pip uninstall --yes {' '.join(others)}` and then `pip install --force-reinstall --no-deps {pinned}`"
    )


def check_opencv() -> None:
    """Raises TagmaskError if OpenCV cannot be imported: mmcv requires the one with windows, which needs the system's
    libGL."""
    try:
        import_module("cv2")
    except ImportError as error:
        version = version_of("opencv-python")
        pinned = f"{HEADLESS}=={version}" if version else HEADLESS
        raise TagmaskError(
            f"OpenCV cannot be imported ({error}); install the one for machines without a screen over it:"
            f" `pip install --force-reinstall --no-deps {pinned}`"
        ) from error
