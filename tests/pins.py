"""Whether the versions that the project asks for are there for each of its Pythons, as wheels, and fit together. uv
resolves them and installs nothing: it reads the packages' metadata alone, where pip downloads all of them.

    python -m tests.pins        exit status 1, and uv's words, where they do not
"""

import subprocess
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
CONSTRAINTS = REPOSITORY / ".constraints.txt"
# Published as source code only; the first three are plain Python.
WITHOUT_WHEELS = {"connection_pool", "onedl-mmcv", "onedl-mmsegmentation", "pydensecrf2"}


def pythons() -> list[str]:
    """The versions of Python that pyproject.toml names, such as 3.12."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [name.rpartition(" ")[2] for name in project["classifiers"] if "Python :: 3." in name]


def packages() -> list[str]:
    """All that an environment consists of."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return [line.partition("==")[0] for line in lines if line and not line.startswith("#")]


def resolve(python: str) -> subprocess.CompletedProcess[str]:
    """uv's answer for a version of Python, from its first release on, on this kind of machine."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--all-extras", "--quiet"]
    command += ["--python-version", python, "--constraints", str(CONSTRAINTS)]
    for package in sorted(set(packages()) - WITHOUT_WHEELS):
        command += ["--only-binary", package]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def main() -> int:
    """Prints a line for each version of Python. Returns the exit status."""
    status = 0
    for python in pythons():
        done = resolve(python)
        answer = "the pins fit together" if done.returncode == 0 else done.stderr.strip()
        print(f"Python {python}: {answer}", flush=True)
        status = status or done.returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
