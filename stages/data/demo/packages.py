"""The demo's source packages: found or downloaded, checked by version and SHA-256, and unpacked."""

import logging
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from stages.data.demo.lists import SHARE, Package
from stages.errors import DataError
from stages.files import atomic_folder, sha256_of

log = logging.getLogger(__name__)

ARCHIVES = ("https://deb.debian.org/debian/pool/main", "https://snapshot.debian.org")
TAIL = 4  # last lines of a failed program's messages that the error repeats


def fetch_packages(packages: Sequence[Package], cache: Path, own: Path | None) -> list[Path]:
    """Makes the packages' files available; returns the roots of the unpacked trees, in the order of `packages`.

    Takes the .deb files from the folder `own` if it is given, else from `cache`, where apt-get puts whatever is missing
    or has the wrong checksum. Raises DataError if a file cannot be obtained, is a different one, or cannot be unpacked.
    """
    if own is None:
        download(packages, cache)
        folder = cache
    else:
        folder = own
    faults = [fault for package in packages if (fault := find_fault(folder / package.file, package))]
    if faults:
        raise DataError("\n".join([f"data.demo.packages: {folder} must contain {needs(packages)}", *faults]))
    return [unpack(folder / package.file, package, cache) for package in packages]


def needs(packages: Sequence[Package]) -> str:
    """The packages' names and versions, for messages."""
    return ", ".join(f"{package.name} {package.version}" for package in packages)


def find_fault(path: Path, package: Package) -> str | None:
    """What is wrong with a package's file, or None."""
    if not path.is_file():
        return f"{path}: no such file"
    found = sha256_of(path)
    if found == package.sha256:
        return None
    version = read_version(path)
    return f"{path}: version {version}, SHA-256 {found}; needed version {package.version}, SHA-256 {package.sha256}"


def read_version(path: Path) -> str:
    """The version that a .deb file states, or `unreadable`."""
    try:
        command = ["dpkg-deb", "--field", str(path), "Version"]
        field = subprocess.run(command, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "unreadable"
    return field.stdout.strip()


def download(packages: Sequence[Package], cache: Path) -> None:
    """Downloads into `cache` whatever is missing there or has the wrong checksum. Needs neither root nor installation.

    Raises DataError that names the packages and both cures if apt-get is missing or fails.
    """
    wanted = [package for package in packages if find_fault(cache / package.file, package)]
    if not wanted:
        log.info("%s: all packages are present", cache)
        return
    if shutil.which("apt-get") is None:
        raise no_packages(packages, "apt-get is missing on this machine", [])
    cache.mkdir(parents=True, exist_ok=True)
    started = perf_counter()
    log.info("downloading %s", needs(wanted))
    # Into a separate folder, then renamed: an interrupted download never has a package's name.
    with tempfile.TemporaryDirectory(dir=cache, prefix=".download-") as temporary:
        # As root, apt would run the download as the user _apt, who may not write here, and print a warning.
        command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download"]
        command += [f"{package.name}={package.version}" for package in wanted]
        done = subprocess.run(command, cwd=temporary, capture_output=True, text=True)
        if done.returncode != 0:
            raise no_packages(packages, "apt-get download failed", done.stderr.splitlines())
        for package in wanted:
            path = Path(temporary) / package.file
            if fault := find_fault(path, package):
                raise no_packages(packages, "apt-get downloaded a different file", [fault])
            path.replace(cache / package.file)
    log.info("downloaded %d of the packages in %.0f s: %s", len(wanted), perf_counter() - started, cache)


def no_packages(packages: Sequence[Package], reason: str, details: Sequence[str]) -> DataError:
    """The error that says which packages are needed and how to get them."""
    lines = [
        f"the demo's source packages could not be obtained: {reason}",
        *(f"  {line}" for line in details[-TAIL:]),
        f"Needed: {needs(packages)}.",
        "On Debian or Ubuntu: if the package lists are empty or old, run `apt-get update` as root and try again.",
        f"Elsewhere, or if apt has other versions: get {', '.join(package.file for package in packages)} from"
        f" {' or '.join(ARCHIVES)}, put them into one folder, and name it in the setting data.demo.packages.",
    ]
    return DataError("\n".join(lines))


def unpack(path: Path, package: Package, cache: Path) -> Path:
    """Unpacks a checked .deb into the cache, unless already done; returns the root of the tree.

    Raises DataError if dpkg-deb is missing or fails.
    """
    # The checksum in the name ties the tree to this file; thanks to the rename, a tree that exists is complete.
    root = cache / "unpacked" / f"{package.name}_{package.version}_{package.sha256[:12]}"
    if root.is_dir():
        return root
    with atomic_folder(root) as temporary:
        try:
            done = subprocess.run(["dpkg-deb", "-x", str(path), str(temporary)], capture_output=True, text=True)
        except FileNotFoundError as error:
            raise DataError(
                f"{path}: dpkg-deb is missing on this machine, so the demo's packages ({needs([package])}) cannot be "
                "unpacked; install the package dpkg of your distribution"
            ) from error
        if done.returncode != 0:
            raise DataError(f"{path}: dpkg-deb cannot unpack it ({done.stderr.strip()}); is the disk full?")
    return root


def find_files(names: Sequence[str], roots: Sequence[Path]) -> dict[str, str]:
    """Absolute path of each listed file in the unpacked trees. Raises DataError if one is missing."""
    found = {}
    for name in names:
        places = [root / SHARE / name for root in roots if (root / SHARE / name).is_file()]
        if not places:
            raise DataError(f"{name}: in none of {', '.join(map(str, roots))}; delete the unpacked folders and rerun")
        found[name] = str(places[0].resolve())
    return found
