"""How long a training still takes, by its log."""

import os
import re
from datetime import timedelta
from pathlib import Path

TAIL = 1 << 14  # bytes: more than mmengine writes for several steps
ETA = re.compile(rb"\beta: (?:(\d+) days?, )?(\d+):(\d\d):(\d\d)\b")


def seconds_left(log: Path, now: float) -> float | None:
    """mmengine's last estimate, less what has passed since the log was written to; None as long as it has none.

    now: seconds since 1970.
    """
    try:
        file = log.open("rb")
    except FileNotFoundError:  # not begun, or removed just now by Snakemake, which starts jobs afresh
        return None
    with file:
        about = os.fstat(file.fileno())
        file.seek(max(0, about.st_size - TAIL))
        estimates = ETA.findall(file.read())
    if not estimates:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in estimates[-1])
    told = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
    return max(0.0, told - max(0.0, now - about.st_mtime))
