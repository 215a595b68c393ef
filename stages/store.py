"""A store that experiments share: what a command made of like settings, code and inputs is linked, not made again.

Off unless the setting `store` names a folder. A key is a hash over the command, its code, its settings and the content
of what it reads; so an entry never gets stale, and experiments that differ in `refine` alone share what lies before it.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stages.errors import DataError
from stages.files import read_json, sha256_of, write_json
from stages.index import read_index
from stages.source_hash import hash_of_command

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "TAGMASK_STORE"  # the workflow sets it from the config
# Options that change how a command works, not what comes of it; `--code` is hashed anew.
WITHOUT_EFFECT = ("code", "work", "processes", "gpus")
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Call:
    """A command with its options in their order: name (without dashes) and values."""

    module: str
    options: tuple[tuple[str, tuple[str, ...]], ...]

    def values(self, name: str) -> tuple[str, ...]:
        """The values of an option; none where it is not given."""
        return next((values for option, values in self.options if option == name), ())


def store_folder() -> Path | None:
    """The store, or None where there is none, and in the processes that a training over several GPUs starts."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return Path(folder) if folder and "LOCAL_RANK" not in os.environ else None


def run_stored(run: Callable[[list[str] | None], None], outputs: Sequence[str], folder: Path) -> None:
    """Takes the outputs of this process's command from the store, or runs it and puts them there.

    outputs: names of the options whose paths the command writes.
    """
    call = parse_call(sys.modules["__main__"].__spec__.name, sys.argv[1:])  # type: ignore[union-attr]
    targets = {name: Path(call.values(name)[0]) for name in outputs if call.values(name)}
    key = key_of(call, outputs, folder)
    if fetch(folder, key, targets):
        return
    run(None)
    keep(folder, key, targets, call)


def parse_call(module: str, arguments: Sequence[str]) -> Call:
    """The command line of a stage, whose options are all of the form `--name value ...`."""
    options: list[tuple[str, list[str]]] = []
    for word in arguments:
        if word.startswith("--"):
            options.append((word.removeprefix("--"), []))
        else:
            options[-1][1].append(word)
    return Call(module, tuple((name, tuple(values)) for name, values in options))


def key_of(call: Call, outputs: Sequence[str], folder: Path) -> str:
    """Hash of everything that the outputs depend on. `folder` also keeps the digests of datasets, by size and time."""
    described: list[Any] = [call.module, hash_of_command(call.module, Path(__file__).parents[1])]
    for name, values in sorted(call.options):
        if name in outputs or name in WITHOUT_EFFECT:
            continue
        if name == "root":
            index = call.values("index")
            content = digest_images(Path(values[0]), Path(index[0]), folder) if index else digest_tree(Path(values[0]))
            described.append([name, content])
        elif name == "settings":
            described.append([name, values[0], *(sha256_of(path) for path in files_named(json.loads(values[0])))])
        else:
            described.append([name, *map(digest_value, values)])
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()


def digest_value(value: str) -> str:
    """A file or folder by its content, anything else as it is."""
    path = Path(value)
    if path.is_dir():
        return digest_tree(path)
    return sha256_of(path) if path.is_file() else value


def digest_tree(folder: Path) -> str:
    """Hash over names and contents of all files below a folder."""
    # Snakemake leaves the time of a job in its folder.
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".snakemake_timestamp")
    return _digest_pairs((path.relative_to(folder).as_posix(), sha256_of(path)) for path in files)


def digest_images(root: Path, index: Path, folder: Path) -> str:
    """Hash over names and contents of an index's images. Contents are read once, and again when size or time change."""
    name = hashlib.sha256(f"{root.absolute()}\n{sha256_of(index)}".encode()).hexdigest()
    known_path = folder / "digests" / f"{name}.json"
    known = read_json(known_path) if known_path.is_file() else {}
    found: dict[str, list] = {}
    for record in read_index(index):
        try:
            status = (root / record.image).stat()
        except OSError as error:
            raise DataError(f"{root / record.image}: no such image; check the dataset folder (`data.root`)") from error
        same = record.image in known and known[record.image][:2] == [status.st_size, status.st_mtime_ns]
        content = known[record.image][2] if same else sha256_of(root / record.image)
        found[record.image] = [status.st_size, status.st_mtime_ns, content]
    if found != known:
        write_json(known_path, found)
    return _digest_pairs((image, content) for image, (_, _, content) in found.items())


def files_named(settings: Any) -> Iterator[Path]:
    """Files that settings name: weights of the user's own."""
    if isinstance(settings, dict):
        for value in settings.values():
            yield from files_named(value)
    elif isinstance(settings, list):
        for value in settings:
            yield from files_named(value)
    elif isinstance(settings, str) and Path(settings).suffix and Path(settings).is_file():
        yield Path(settings)


def fetch(folder: Path, key: str, targets: dict[str, Path]) -> bool:
    """Links an entry to where its outputs are wanted; whether there was one.

    An entry whose files were changed since (it shares them with results) is dropped, and the log says so.
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
        _link(entry / name, target)
    log.info("taken from the store, made at %s: %s", manifest["made"], ", ".join(map(str, targets.values())))
    return True


def keep(folder: Path, key: str, targets: dict[str, Path], call: Call) -> None:
    """Puts the outputs of a command into the store."""
    entry = folder / key[:2] / key
    entry.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=entry.parent, prefix=f".{key[:8]}-"))
    try:
        for name, target in targets.items():
            _link(target, temporary / name)
        outputs = {name: digest_value(str(temporary / name)) for name in targets}
        made = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(temporary / MANIFEST, {"command": call.module, "made": made, "outputs": outputs})
        temporary.rename(entry)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # another run was first with the same
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def unused(folder: Path) -> list[Path]:
    """Entries that no results share files with any more."""
    entries = [path.parent for path in folder.glob(f"*/*/{MANIFEST}")]
    return [entry for entry in sorted(entries) if all(path.stat().st_nlink == 1 for path in _files(entry))]


def size_of(entry: Path) -> int:
    """Bytes of an entry's files."""
    return sum(path.stat().st_size for path in _files(entry))


def _files(entry: Path) -> Iterator[Path]:
    yield from (path for path in entry.rglob("*") if path.is_file() and path.name != MANIFEST)


def _link(source: Path, target: Path) -> None:
    """Makes `target` the same as `source`, a file or a folder, by hard links; by copies on another file system. Appears
    whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as name:
        new = Path(name) / "new"
        if source.is_dir():
            shutil.copytree(source, new, copy_function=_link_file)
            if target.is_dir():
                shutil.rmtree(target)
        else:
            _link_file(source, new)
        new.replace(target)


def _link_file(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
            raise
        shutil.copy2(source, target)


def _digest_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    total = hashlib.sha256()
    for name, content in pairs:
        total.update(f"{name}\0{content}\n".encode())
    return total.hexdigest()
