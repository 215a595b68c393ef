"""Where a result comes from: settings, versions, commit, hardware, seeds, and checksums of inputs and outputs."""

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from stages.files import digest, sha256_of
from stages.index import read_index
from stages.refine.mended import read_mended_list
from stages.runtime.store_key import digest_tree


def commit_of(folder: Path | None) -> dict[str, Any]:
    """The commit of a git checkout, and how many files differ from it; nulls if `folder` is not a checkout."""
    if folder is None:
        return {"commit": None, "changed_files": None}
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "changed_files": len(_git(folder, "status", "--porcelain").splitlines())}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "changed_files": None}


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Versions of Python and every installed package, by name."""
    found = {distribution.name: distribution.version for distribution in metadata.distributions()}
    return {"python": platform.python_version(), **dict(sorted(found.items(), key=lambda pair: pair[0].lower()))}


def hardware() -> dict[str, Any]:
    """This machine: system, processor, cores, memory in GiB, GPUs."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "system": platform.platform(),
        "processor": processor(Path("/proc/cpuinfo")),
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "gpus": gpus(),
    }


def gpus() -> list[str]:
    """The names of this machine's NVIDIA GPUs, from their driver's own program; none if there is no driver."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return listed.stdout.splitlines()


def processor(info: Path) -> str:
    """The processor's name as the kernel reports it, or Python's if there is no such file."""
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def split_checksums(index: Path, root: Path) -> dict[str, Any]:
    """Counts of a split, and one SHA-256 each over its index, its images and its masks, in the index's order."""
    records = read_index(index)
    images = [root / record.image for record in records]
    masks = [root / record.mask for record in records if record.mask]
    return {
        "images": len(records),
        "index_sha256": sha256_of(index),
        "images_sha256": digest(images),
        "masks": len(masks),
        "masks_sha256": digest(masks),
    }


def mended_checksums(listed: Path, results: Path) -> dict[str, Any]:
    """Number of the masks mended by hand, SHA-256 of their list, which has that of each file of the user's, and one
    over the masks as they were read, in the order of their ids."""
    masks = [results / f"refine/mended/{row.id}.png" for row in read_mended_list(listed)]
    (named,) = file_checksums([listed], results).items()
    return {"masks": len(masks), "list": named[0], "list_sha256": named[1], "masks_sha256": digest(masks)}


def file_checksums(paths: Sequence[Path], results: Path) -> dict[str, str]:
    """SHA-256 of each file or folder, by its path below the results; for those elsewhere, by the path as given."""
    names = {path: path.relative_to(results) if path.is_relative_to(results) else path for path in paths}
    return {name.as_posix(): digest_tree(path) if path.is_dir() else sha256_of(path) for path, name in names.items()}
