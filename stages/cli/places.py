"""Where paths of the command line are: in the caller's folder, from wherever the clone is used."""

from pathlib import Path

from stages.errors import DataError, SettingsError


def home(directory: Path) -> Path:
    """The folder to work in. Raises DataError if it contains no Snakefile."""
    if not (directory / "Snakefile").is_file():
        raise DataError(
            f"{directory.resolve()}: no Snakefile here; go to your clone of tagmask, or set --directory or TAGMASK_HOME"
        )
    return directory


def from_here(path: Path, folder: Path) -> Path:
    """A path relative to the caller's folder, for a command that runs in `folder`: as typed if they are one."""
    return path if folder.resolve() == Path.cwd() else path.absolute()


def existing(path: Path, folder: Path) -> Path:
    """The same for a path of something that exists; if only `folder` has it, such as one of its configs, it is that."""
    if not path.exists() and (folder / path).exists():
        return path
    return from_here(path, folder)


def config_in(config: Path, folder: Path) -> Path:
    """`existing` for a config. Raises SettingsError if there is none."""
    found = existing(config, folder)
    if not (folder / found).exists():
        places = dict.fromkeys((Path.cwd(), folder.resolve()))
        raise SettingsError(
            f"{config}: cannot be read as a config: no such file in {' or '.join(map(str, places))}; correct the path"
        )
    return found
