"""What every stage command shares: paths, settings as one JSON value, a log, and errors without tracebacks."""

import argparse
import errno
import logging
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from stages.errors import SettingsError, TagmaskError
from stages.files import refuse_broken_folders, remove_leftovers
from stages.runtime.memory import keep_freed_memory
from stages.runtime.store import run_stored, store_folder
from stages.runtime.watch import end_with_snakemake

# Faults of the disk that no stage can fix, and what the user can do.
DISK_CURES = {
    errno.ENOSPC: "free some space and run the same command again: finished files are kept, trainings resume",
    errno.EDQUOT: "your quota is used up: free some space and run the same command again",
    errno.EROFS: "the results are on a read-only file system; run where they can be written",
    errno.EACCES: "no permission; get write access to the folder, or run where results can be written",
}
# Paths at which nothing can be written, in a command line or of an input.
PATH_CURES = {
    errno.ENOTDIR: "a file is there in place of a folder; correct the path, or choose another",
    errno.EISDIR: "a folder is there in place of a file; name a file",
    errno.ENAMETOOLONG: "choose a shorter path",
}

FULL = 1 << 20  # bytes; a disk with less free space is full

Section = TypeVar("Section", bound=BaseModel)


def output_path(text: str) -> Path:
    """The `type` of an option that names an output: its path. Removes what killed runs left beside it.

    Raises DataError if its folder cannot be made.
    """
    path = Path(text)
    refuse_broken_folders(path)
    remove_leftovers(path)
    return path


def parser(
    description: str | None,
    *paths: str,
    many: tuple[str, ...] = (),
    outputs: tuple[str, ...] = (),
    settings: bool = True,
) -> argparse.ArgumentParser:
    """An argument parser with one required `--<name>` path for each of `paths` and, to be written, of `outputs`, one
    `--<name>` list of paths for each of `many`, and `--settings` (JSON) unless the command takes none."""
    arguments = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    if settings:
        arguments.add_argument("--settings", required=True, help="the stage's section of the config, as JSON")
    for name in paths:
        arguments.add_argument(f"--{name}", type=Path, required=True)
    for name in many:
        arguments.add_argument(f"--{name}", type=Path, required=True, nargs="+")
    for name in outputs:
        arguments.add_argument(f"--{name}", type=output_path, required=True)
    return arguments


def parse_settings(model: type[Section], text: str) -> Section:
    """Settings from JSON. Raises SettingsError that lists each wrong field by its path."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise SettingsError(describe(error)) from error


def describe(error: ValidationError, section: str = "") -> str:
    """One line for each wrong setting: its dotted path, what is wrong, and the value given."""
    lines = []
    for problem in error.errors():
        path = ".".join(str(part) for part in ([section] if section else []) + list(problem["loc"]))
        value = "" if problem["type"] == "missing" else f" (given: {problem['input']!r})"
        lines.append(f"{path or 'settings'}: {problem['msg']}{value}")
    return "\n".join(lines)


def main(
    run: Callable[[list[str] | None], None], *, stored: tuple[str, ...] = (), truth_unless: str | None = None
) -> None:
    """Runs a command: log on stderr; a TagmaskError becomes one message and exit status 1.

    stored: options whose paths the command writes, if experiments may share them (`stages.runtime.store`).
    truth_unless: the option whose absence means that such a command reads true masks.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    end_with_snakemake()
    keep_freed_memory()
    try:
        folder = store_folder() if stored else None
        if folder is None:
            run(None)
        else:
            run_stored(run, stored, folder, truth_unless=truth_unless)
    except TagmaskError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    except Exception as error:
        message = disk_fault(error, output_folder(sys.argv))
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        raise SystemExit(1) from error


def output_folder(words: Sequence[str]) -> Path | None:
    """The folder of a command line's `--output`, or the nearest existing one above it."""
    if "--output" not in words[:-1]:
        return None
    folder = Path(words[words.index("--output") + 1]).absolute().parent
    return next((place for place in (folder, *folder.parents) if place.is_dir()), None)


def disk_fault(error: Exception, folder: Path | None) -> str | None:
    """What to tell the user if a fault of the disk or of a path is behind an error; None for any other error.

    Libraries that write files themselves (safetensors, torch) have their own messages for a full disk; so unless the
    error is the system's, the space in `folder` decides.
    """
    if isinstance(error, OSError):
        cure = (DISK_CURES | PATH_CURES).get(error.errno or 0)
        if cure is None:
            return None
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}; {cure}"
    if folder is not None and shutil.disk_usage(folder).free < FULL:
        return f"{folder}: the disk is full ({error}); {DISK_CURES[errno.ENOSPC]}"
    return None
