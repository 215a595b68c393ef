"""Where the paths of the command line are: in the caller's folder; configs and workflow may be tagmask's own."""

from pathlib import Path

from stages.errors import DataError, SettingsError
from stages.program import program


def home(directory: Path) -> Path:
    """The folder to work in, with the user's config and results. Raises DataError if there is none, or no workflow for
    it."""
    if not directory.is_dir():
        raise DataError(f"{directory}: no such folder; make it, or correct --directory or TAGMASK_HOME")
    if not any((folder / "Snakefile").is_file() for folder in (directory, program())):
        raise DataError(f"{program()}: no Snakefile here, so this tagmask is not whole; install it again")
    return directory


def snakefile_words(folder: Path) -> list[str]:
    """Snakemake's option for the workflow: none if `folder` has its own Snakefile, as a clone does."""
    return [] if (folder / "Snakefile").is_file() else ["--snakefile", str(program() / "Snakefile")]


def from_here(path: Path, folder: Path) -> Path:
    """A path relative to the caller's folder, for a command that runs in `folder`: as typed if they are one."""
    return path if folder.resolve() == Path.cwd() else path.absolute()


def existing(path: Path, folder: Path) -> Path:
    """The same for a path of something that exists; if only `folder` has it, such as one of its configs, it is that."""
    if not path.exists() and (folder / path).exists():
        return path
    return from_here(path, folder)


def config_in(config: Path, folder: Path) -> Path:
    """`existing` for a config, which may also be one of tagmask's own: `configs/demo.yaml`, or `demo` for short. Raises
    SettingsError if there is none."""
    for path in [config] if config.suffix else [config, Path(f"configs/{config}.yaml")]:
        found = existing(path, folder)
        if (folder / found).is_file():
            return found
        if (program() / path).is_file():
            return program() / path
    if (folder / existing(config, folder)).exists():
        return existing(config, folder)  # a folder: whoever reads it says so
    places = dict.fromkeys((Path.cwd(), folder.resolve()))
    own = ", ".join(sorted(path.stem for path in (program() / "configs").glob("*.yaml")))
    raise SettingsError(
        f"{config}: cannot be read as a config: no such file in {' or '.join(map(str, places))}; correct the path, or"
        f" take one of tagmask's own: {own}"
    )
