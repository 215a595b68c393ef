"""Where tagmask itself is, in a clone or installed by pip, and how jobs find its Python."""

import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent
# Where a wheel has what a clone has at its root (pyproject.toml). No job imports the modules beside it: the hash of a
# job's code covers the data beside its modules.
INSTALLED = PACKAGE / "cli/program"


def clone() -> Path | None:
    """The clone that this package is part of; None if pip installed it."""
    root = PACKAGE.parent
    return root if (root / "Snakefile").is_file() else None


def program() -> Path:
    """The folder with Snakefile, workflow, configs, profiles and environment.yml. It may be read-only."""
    return clone() or INSTALLED


def or_own(path: Path) -> Path:
    """A path or, if only tagmask itself has such a file (`configs/demo.yaml`), that file's."""
    own = program() / path
    return own if own.is_file() and not path.exists() else path


def sources_of(basedir: Path) -> Path:
    """The folder that contains the package `stages` whose commands are the jobs of the Snakefile in `basedir`."""
    return basedir if (basedir / "stages").is_dir() else PACKAGE.parent


def job_environment() -> dict[str, str]:
    """This process's environment, in which `python` is this Python, even where nobody has activated its environment,
    and Snakemake finds the plugin that shows a run."""
    found = {"PATH": str(Path(sys.executable).parent), "PYTHONPATH": str(program() / "workflow/plugins")}
    here = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    return {**os.environ, **{name: _first(folder, here[name]) for name, folder in found.items()}}


def _first(folder: str, path: str) -> str:
    """A search path with a folder at its start."""
    folders = path.split(os.pathsep) if path else []
    return path if folders[:1] == [folder] else os.pathsep.join([folder, *folders])
