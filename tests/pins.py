"""Whether the versions that the project asks for are there for each of its Pythons, and fit together: pip resolves them
and installs nothing.

    python -m tests.pins        exit status 1, and pip's words, where they do not
"""

import subprocess
import sys
import tempfile
import tomllib
from itertools import chain
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
# Only as source code. Pip does not resolve that for another Python than its own.
WITHOUT_WHEELS = ("pydensecrf2",)


def requirements() -> list[str]:
    """What pyproject.toml asks for, extras too, but for what has no wheels."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    return [requirement for requirement in asked if not requirement.startswith(WITHOUT_WHEELS)]


def pythons() -> list[str]:
    """The versions of Python that pyproject.toml names, such as 3.12."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [name.rpartition(" ")[2] for name in project["classifiers"] if "Python :: 3." in name]


def resolve(python: str, asked: list[str]) -> subprocess.CompletedProcess[str]:
    """Pip's answer for a version of Python on this kind of machine."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"]
        command += ["--python-version", python, "--only-binary", ":all:", "--target", folder]
        command += ["--constraint", str(REPOSITORY / ".constraints.txt"), *asked]
        return subprocess.run(command, capture_output=True, text=True, check=False)


def main() -> int:
    """Prints a line for each version of Python. Returns the exit status."""
    status = 0
    for python in pythons():
        done = resolve(python, requirements())
        print(
            f"Python {python}: {'the pins fit together' if done.returncode == 0 else done.stderr.strip()}", flush=True
        )
        status = status or done.returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
