"""Jobs of stages without the seconds that importing torch takes each: a `python` on PATH that hands `-m stages...` to a
process with the libraries imported, which forks for it. The project's own code is imported by each job as ever.

    python -m tests.workflow.warm_jobs FOLDER       writes FOLDER/python, then serves it until its input ends
"""

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

REPOSITORY = Path(__file__).parents[2]
LIBRARIES = (
    *("torch", "torchvision.transforms.v2", "timm", "open_clip", "mmengine.runner", "mmseg.models", "mmseg.datasets"),
    *("safetensors.torch", "scipy.sparse", "matplotlib.figure", "pydensecrf.densecrf", "PIL.ImageDraw", "pydantic"),
)
# Everything but a command of a stage goes to the real Python. The three standard streams travel with the request.
CLIENT = """#!{python} -IS
import os, sys
words = sys.argv[1:]
if words[:1] != ["-m"] or not words[1].startswith("stages."):
    os.execv({python!r}, [{python!r}, *words])
import json, socket
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
socket.send_fds(server, [b"+"], [0, 1, 2])
request = {{"words": words[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
server.sendall(json.dumps(request).encode() + b"\\n")
sys.exit(int(server.recv(16) or b"137"))
"""


class WarmJobs:
    """The process. A context manager: it ends with the block."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        """folder: a new one for the `python`; its path must be short, for a socket's address is at most 107 letters."""
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.workflow.warm_jobs", str(folder)],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        """The environment with this `python` first."""
        return {**environment, "PATH": f"{self._folder}{os.pathsep}{environment['PATH']}"}

    def __enter__(self) -> "WarmJobs":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()


def serve(folder: Path) -> None:
    """Forks for each request until its input ends, which it does even where the tester was killed."""
    with contextlib.redirect_stdout(sys.stderr):  # some have something to say
        for library in LIBRARIES:
            importlib.import_module(library)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen(64)
    client = folder / "python"
    client.write_text(CLIENT.format(python=sys.executable, address=str(folder / "socket")), encoding="utf-8")
    client.chmod(0o755)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that attend to a request
    print("ready", flush=True)
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            attend(connection)
        connection.close()


def attend(connection: socket.socket) -> NoReturn:
    """Starts the job of a request, waits for it and tells its exit status, as a shell would."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as lines:
        request = json.loads(lines.readline())
    job = os.fork()
    if job == 0:
        connection.close()
        for place, stream in enumerate(streams):
            os.dup2(stream, place)
            os.close(stream)
        become(**request)
    for stream in streams:
        os.close(stream)
    status = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
    with contextlib.suppress(OSError):  # the one that asked is gone
        connection.sendall(str(status if status >= 0 else 128 - status).encode())
    os._exit(0)


def become(words: list[str], folder: str, environment: dict[str, str]) -> NoReturn:
    """Goes on as `python -m stages...`."""
    import torch

    status: Any = 1
    try:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", "1")))
        sys.path[0] = folder  # the project is that of the folder, if it is a clone
        sys.argv = words
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as ended:
        status = ended.code
        if isinstance(status, str):
            print(status, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status if isinstance(status, int) else 0 if status is None else 1)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
