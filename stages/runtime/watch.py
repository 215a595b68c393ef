"""A job that outlives its Snakemake would write next to the job that a rerun starts, so it ends with it."""

import logging
import os
import threading
import time
from pathlib import Path
from typing import NoReturn

log = logging.getLogger(__name__)

PARENT_VARIABLE = "TAGMASK_SNAKEMAKE"  # process number of the Snakemake that started the job; the workflow sets it
INTERVAL = 0.5  # seconds between checks
KILLED = 137  # exit status of a process that was killed


def end_with_snakemake() -> None:
    """Ends this process once the Snakemake that started it is gone, by a thread that checks every half second; at once
    if it went while this process was still importing modules.

    Does nothing if no Snakemake started it, or if the system has no /proc.
    """
    if not Path("/proc/self").exists():
        return
    given = os.environ.get(PARENT_VARIABLE)
    found = find_snakemake(int(given) if given else os.getppid())
    if found is not None:
        threading.Thread(target=_watch, args=found, daemon=True).start()
    elif given:
        _end(int(given))


def find_snakemake(pid: int) -> tuple[int, str] | None:
    """The nearest ancestor from `pid` on that is Snakemake, as (pid, start time); None if there is none."""
    while pid > 1:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            start, parent = _status_of(pid)
        except OSError:
            return None
        if any(Path(word).name == "snakemake" for word in words[:3]):
            return pid, start
        pid = parent
    return None


def _watch(pid: int, start: str) -> None:
    while True:
        try:
            same = _status_of(pid)[0] == start
        except OSError:
            same = False
        if not same:
            _end(pid)
        time.sleep(INTERVAL)


def _end(pid: int) -> NoReturn:
    log.error("Snakemake (process %d) is gone; this job ends with it, and a rerun makes its output", pid)
    os._exit(KILLED)  # nothing needs cleaning up: outputs appear whole or not at all


def _status_of(pid: int) -> tuple[str, int]:
    """Start time and parent of a process. Raises OSError if it is gone, or dead but not yet reaped."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if fields[0] in ("Z", "X"):
        raise ProcessLookupError(pid)
    return fields[19], int(fields[1])
