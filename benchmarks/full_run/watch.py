"""Peak memory of every job of a running workflow.

Snakemake's own benchmarks sample a job twice a minute after its start, and add up what its processes share. Here each
job is sampled twice a second, as the sum of its processes' proportional set sizes: what processes share is counted
once.
"""

import threading
from pathlib import Path
from types import TracebackType

PROC = Path("/proc")
INTERVAL = 0.5  # seconds


def job_of(process: Path, logs: Path) -> str | None:
    """The job of a process of /proc: the log that its output goes to, below `logs`, without its ending."""
    try:
        output = (process / "fd/1").readlink()
    except OSError:  # it has ended, or is another user's
        return None
    return str(output.relative_to(logs).with_suffix("")) if output.is_relative_to(logs) else None


def proportional_set(process: Path) -> int:
    """Bytes of memory of a process of /proc; pages that several share are divided among them. 0 once it has ended."""
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


class JobWatch:
    """Samples memory by job while it is open. peaks: job -> bytes."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs.resolve()
        self.peaks: dict[str, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def sample(self) -> None:
        """Looks at all processes once."""
        now: dict[str, int] = {}
        for process in PROC.glob("[0-9]*"):
            job = job_of(process, self.logs)
            if job is not None:
                now[job] = now.get(job, 0) + proportional_set(process)
        for job, memory in now.items():
            self.peaks[job] = max(memory, self.peaks.get(job, 0))

    def _watch(self) -> None:
        while not self._ended.wait(INTERVAL):
            self.sample()

    def __enter__(self) -> "JobWatch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
