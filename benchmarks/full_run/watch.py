"""Peak memory and processor time of every job of a running workflow.

Snakemake's own benchmarks sample a job twice a minute after its start, and add up what its processes share. Here each
job is sampled twice a second, as the sum of its processes' proportional set sizes: what processes share is counted
once. Processor time says what a job costs where others use the machine too.
"""

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

PROC = Path("/proc")
INTERVAL = 0.5  # seconds


@dataclass(frozen=True)
class Usage:
    """memory: bytes of all processes of a job at their peak.  cpu: seconds of processor time of all of them."""

    memory: int
    cpu: float


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


def processor_seconds(process: Path) -> float:
    """Seconds of processor time that a process of /proc has taken, in its program and in the kernel. 0 once it has
    ended."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class JobWatch:
    """Samples the jobs that write to a folder of logs, while it is open."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs.resolve()
        self._peaks: dict[str, int] = {}
        self._seconds: dict[str, dict[str, float]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def jobs(self) -> dict[str, Usage]:
        """What each job has used so far."""
        return {job: Usage(peak, sum(self._seconds[job].values())) for job, peak in list(self._peaks.items())}

    def sample(self) -> None:
        """Looks at all processes once."""
        now: dict[str, int] = {}
        for process in PROC.glob("[0-9]*"):
            job = job_of(process, self.logs)
            if job is None:
                continue
            now[job] = now.get(job, 0) + proportional_set(process)
            own = self._seconds.setdefault(job, {})
            own[process.name] = max(own.get(process.name, 0.0), processor_seconds(process))
        for job, memory in now.items():
            self._peaks[job] = max(memory, self._peaks.get(job, 0))

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
