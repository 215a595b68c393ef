"""Snakemake's answers to command lines that start no job, without its start: a process that has imported Snakemake, and
nothing of this project, forks for each of them.

    python -m tests.workflow.planner        reads requests and answers with exit statuses, a line each
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

REPOSITORY = Path(__file__).parents[2]
LIBRARIES = ("snakemake.cli", "snakemake.dag", "snakemake.report", "pydantic", "jsonschema", "yte", "pulp")


class Planner:
    """The process, and what it is asked. A context manager: it ends with the block."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.workflow.planner"],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, command: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
        """Exit status and output, both streams as one, of `python -m snakemake ...` in a folder."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.NamedTemporaryFile() as output:
            request = {"words": command[3:], "folder": str(folder), "environment": environment, "output": output.name}
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline()), output.read().decode()

    def __enter__(self) -> "Planner":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()


def answer(words: list[str], folder: str, environment: dict[str, str], output: str) -> NoReturn:
    """Becomes the Snakemake that was asked for."""
    from snakemake.cli import main

    status: Any = 1
    try:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream in (1, 2):
            os.dup2(os.open(output, os.O_WRONLY | os.O_APPEND), stream)
        sys.path[0] = folder  # the project is that of the folder, if it is a clone
        sys.argv = ["snakemake", *words]
        main()
    except SystemExit as ended:
        status = ended.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0 if status is None else 1)


def serve() -> None:
    """Answers requests until there are no more."""
    for library in LIBRARIES:
        importlib.import_module(library)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            answer(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
