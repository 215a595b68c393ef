"""The key of a command in the store: a hash over the command, its code, its settings, the versions of the packages that
affect its results, and the content of everything it reads."""

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from stages.errors import DataError
from stages.files import read_json, sha256_of, write_json
from stages.index import read_index
from stages.runtime.source_hash import hash_of_command

# Options that change how a command works, not its result; `--code` is hashed anew.
WITHOUT_EFFECT = ("code", "work", "processes", "gpus")
# Packages that compute, or decode images: another version may give other numbers.
PACKAGES = (
    *("numpy", "pillow", "scipy", "scikit-learn", "torch", "torchvision", "timm", "open_clip_torch", "transformers"),
    *("onedl-mmcv", "onedl-mmengine", "onedl-mmsegmentation"),
)


@dataclass(frozen=True)
class Call:
    """A command with its options in order: name (without dashes) and values."""

    module: str
    options: tuple[tuple[str, tuple[str, ...]], ...]

    def values(self, name: str) -> tuple[str, ...]:
        """The values of an option; empty if it is not given."""
        return next((values for option, values in self.options if option == name), ())


def parse_call(module: str, arguments: Sequence[str]) -> Call:
    """The command line of a stage, whose options are all of the form `--name value ...`."""
    options: list[tuple[str, list[str]]] = []
    for word in arguments:
        if word.startswith("--"):
            options.append((word.removeprefix("--"), []))
        else:
            options[-1][1].append(word)
    return Call(module, tuple((name, tuple(values)) for name, values in options))


def key_of(call: Call, outputs: Sequence[str], folder: Path, *, truth_unless: str | None = None) -> str:
    """Hash of everything that the outputs depend on. `folder` also caches the digests of datasets, by size and time.

    truth_unless: the command reads the true masks of its index, unless this option gives it others; None for never.
    """
    reads_truth = truth_unless is not None and not call.values(truth_unless)
    described: list[Any] = [call.module, hash_of_command(call.module, Path(__file__).parents[2]), package_versions()]
    for name, values in sorted(call.options):
        if name in outputs or name in WITHOUT_EFFECT:
            continue
        if name == "root":
            described.append([name, digest_root(call, Path(values[0]), folder, truth=reads_truth)])
        elif name == "settings":
            described.append([name, values[0], *(sha256_of(path) for path in files_named(json.loads(values[0])))])
        else:
            described.append([name, *map(digest_value, values)])
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()


@functools.cache
def package_versions() -> tuple[tuple[str, str], ...]:
    """The installed versions of PACKAGES."""
    return tuple((name, metadata.version(name)) for name in PACKAGES)


def digest_root(call: Call, root: Path, folder: Path, *, truth: bool) -> str:
    """Hash over what a command reads of a dataset: all of it, or the images of its index, and their true masks if it
    reads them (`truth`)."""
    index = call.values("index")
    if not index:
        return digest_tree(root)
    records = read_index(Path(index[0]))
    names = [record.image for record in records]
    if truth:
        names += [record.mask for record in records if record.mask]
    return digest_files(root, names, folder)


def digest_value(value: str) -> str:
    """A file or folder by its content, anything else unchanged."""
    if not value:
        return value  # as a path, it would be the folder of the run, with all its results
    path = Path(value)
    if path.is_dir():
        return digest_tree(path)
    return sha256_of(path) if path.is_file() else value


def digest_tree(folder: Path) -> str:
    """Hash over names and contents of all files below a folder."""
    # Snakemake leaves a job's timestamp in its folder.
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".snakemake_timestamp")
    return _digest_pairs((path.relative_to(folder).as_posix(), sha256_of(path)) for path in files)


def digest_files(root: Path, names: Sequence[str], folder: Path) -> str:
    """Hash over names and contents of files below `root`. Contents are read once, and again if size or time change.

    Raises DataError for a missing file.
    """
    name = hashlib.sha256("\n".join([str(root.absolute()), *names]).encode()).hexdigest()
    known_path = folder / "digests" / f"{name}.json"
    known = read_json(known_path) if known_path.is_file() else {}
    found: dict[str, list] = {}
    for file in names:
        try:
            status = (root / file).stat()
        except OSError as error:
            raise DataError(f"{root / file}: no such file; check the dataset folder (`data.root`)") from error
        same = file in known and known[file][:2] == [status.st_size, status.st_mtime_ns]
        found[file] = [status.st_size, status.st_mtime_ns, known[file][2] if same else sha256_of(root / file)]
    if found != known:
        write_json(known_path, found)
    # A mask that tagmask made has an absolute path, and the location of the results must not count.
    named = ((Path(file).name if Path(file).is_absolute() else file, entry[2]) for file, entry in found.items())
    return _digest_pairs(named)


def files_named(settings: Any) -> Iterator[Path]:
    """Files named in settings: the user's own weights."""
    if isinstance(settings, dict):
        for value in settings.values():
            yield from files_named(value)
    elif isinstance(settings, list):
        for value in settings:
            yield from files_named(value)
    elif isinstance(settings, str) and Path(settings).suffix and Path(settings).is_file():
        yield Path(settings)


def _digest_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    total = hashlib.sha256()
    for name, content in pairs:
        total.update(f"{name}\0{content}\n".encode())
    return total.hexdigest()
