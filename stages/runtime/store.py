"""A store that experiments share: what a command made from the same settings, code and inputs is reused, not made
again.

Off unless the setting `store` names a folder. An entry is stored under its key (`stages.runtime.store_key`), so it
never gets stale, and experiments that differ only in `refine` share everything before it.
"""

import errno
import logging
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from stages.files import read_json, remove_leftovers, write_json
from stages.runtime.store_key import Call, digest_value, key_of, parse_call

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "TAGMASK_STORE"  # the workflow sets it from the config
MANIFEST = "manifest.json"
USERS = "users.txt"  # next to the manifest: a line `name<tab>path` for each result that shares an output


def store_folder() -> Path | None:
    """The store; None if there is none, and in the processes that a training over several GPUs starts."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return Path(folder) if folder and "LOCAL_RANK" not in os.environ else None


def run_stored(
    run: Callable[[list[str] | None], None], outputs: Sequence[str], folder: Path, *, truth_unless: str | None = None
) -> None:
    """Takes the outputs of this process's command from the store, or runs it and puts them there.

    outputs: names of the options whose paths the command writes.
    truth_unless: as in `key_of`.

    If outputs cannot be stored, they stay in place, and the log says why.
    """
    call = parse_call(sys.modules["__main__"].__spec__.name, sys.argv[1:])  # type: ignore[union-attr]
    targets = {name: Path(call.values(name)[0]) for name in outputs if call.values(name)}
    key = key_of(call, outputs, folder, truth_unless=truth_unless)
    for target in targets.values():
        remove_leftovers(target)
    if fetch(folder, key, targets):
        return
    run(None)
    try:
        keep(folder, key, targets, call)
    except OSError as error:
        log.warning("%s: not stored for other experiments (%s); the outputs are in place", folder, error)


def fetch(folder: Path, key: str, targets: dict[str, Path]) -> bool:
    """Puts an entry's outputs into place; returns whether there was an entry.

    An entry whose files have changed since (it shares some with results) is dropped, and the log says so.
    """
    entry = folder / key[:2] / key
    if not (entry / MANIFEST).is_file():
        return False
    manifest = read_json(entry / MANIFEST)
    for name, digest in manifest["outputs"].items():
        if digest_value(str(entry / name)) != digest:
            log.warning("%s: %s was changed after it was stored; it is dropped and made again", entry, name)
            shutil.rmtree(entry)
            return False
    for name, target in targets.items():
        _share(entry / name, target)
    _note_users(entry, targets)
    log.info("taken from the store, made at %s: %s", manifest["made"], ", ".join(map(str, targets.values())))
    return True


def keep(folder: Path, key: str, targets: dict[str, Path], call: Call) -> None:
    """Puts the outputs of a command into the store."""
    entry = folder / key[:2] / key
    # Not a folder by tempfile, which only its owner could read.
    temporary = entry.with_name(f".{key[:8]}-{uuid.uuid4().hex}")
    temporary.mkdir(parents=True)
    try:
        for name, target in targets.items():
            _share(target, temporary / name)
        outputs = {name: digest_value(str(temporary / name)) for name in targets}
        made = datetime.now(UTC).isoformat(timespec="seconds")
        _note_users(temporary, targets)
        write_json(temporary / MANIFEST, {"command": call.module, "made": made, "outputs": outputs})
        temporary.rename(entry)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # another run stored the same entry first
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def entries_of(folder: Path) -> list[Path]:
    """The entries of a store."""
    return sorted(path.parent for path in folder.glob(f"??/*/{MANIFEST}") if not path.parent.name.startswith("."))


def unused(folder: Path) -> list[Path]:
    """Entries whose outputs are in no results any more: those that used them are gone, or contain something else."""
    return [entry for entry in entries_of(folder) if not _is_used(entry)]


def size_of(entry: Path) -> int:
    """Bytes of an entry's files."""
    return sum(path.stat().st_size for path in entry.rglob("*") if path.is_file())


def _is_used(entry: Path) -> bool:
    outputs = read_json(entry / MANIFEST)["outputs"]
    lines = dict.fromkeys((entry / USERS).read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("\t") for line in lines)
    return any(Path(path).exists() and digest_value(path) == outputs[name] for name, _, path in pairs)


def _note_users(entry: Path, targets: dict[str, Path]) -> None:
    with (entry / USERS).open("a", encoding="utf-8") as stream:
        stream.write("".join(f"{name}\t{target.absolute()}\n" for name, target in targets.items()))


def _share(source: Path, target: Path) -> None:
    """Makes `target` the same as `source`; it appears whole or not at all.

    Files in a folder are shared by hard links (copied across file systems). A single file is copied: Snakemake sets the
    time of every output, and with a shared file the results of other experiments would seem to have changed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as name:
        new = Path(name) / "new"
        if source.is_dir():
            shutil.copytree(source, new, copy_function=_link_file)
            if target.is_dir():
                shutil.rmtree(target)
        else:
            shutil.copyfile(source, new)
        new.replace(target)


def _link_file(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
            raise
        shutil.copy2(source, target)
