"""How long a training still takes, by its log."""

import re
from datetime import timedelta
from pathlib import Path

TAIL = 1 << 14  # bytes: more than mmengine writes for several steps
ETA = re.compile(rb"\beta: (?:(\d+) days?, )?(\d+):(\d\d):(\d\d)\b")


def seconds_left(log: Path, now: float) -> float | None:
    """mmengine's last estimate, less what has passed since the log was written to; None as long as it has none.

    now: seconds since 1970.
    """
    if not log.is_file():
        return None
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        estimates = ETA.findall(file.read())
    if not estimates:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in estimates[-1])
    told = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
    return max(0.0, told - max(0.0, now - log.stat().st_mtime))
