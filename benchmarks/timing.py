"""Times ways of doing the same in turn, and gives each one's time over that of ours."""

import logging
import statistics
import time
from collections.abc import Callable, Mapping

import torch

log = logging.getLogger(__name__)

Way = Callable[[], object]

OURS = "ours"
TABLE_HEAD = ("| way | seconds | ours, seconds | ratio |", "| --- | --- | --- | --- |")


def seconds_of(way: Way, device: torch.device) -> float:
    """Wall time of one call."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    way()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def time_ways(ways: Mapping[str, Way], *, pairs: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each way, `pairs` times, in turn; a first round warms up and is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(pairs + 1):
        for name, way in ways.items():
            elapsed = seconds_of(way, device)
            if round_number:
                seconds[name].append(elapsed)
        log.info("round %d of %d: %s", round_number, pairs, ", ".join(ways))
    return seconds


def ratios_to_ours(ways: Mapping[str, Way], *, pairs: int, device: torch.device) -> tuple[dict[str, float], list[str]]:
    """Each other way's time over that of `OURS` in the same round, the median over `pairs` rounds; and table rows."""
    seconds = time_ways(ways, pairs=pairs, device=device)
    ratios, lines = {}, []
    for name in ways:
        if name == OURS:
            continue
        ratios[name] = statistics.median(other / mine for other, mine in zip(seconds[name], seconds[OURS], strict=True))
        medians = statistics.median(seconds[name]), statistics.median(seconds[OURS])
        lines.append(f"| {name} | {medians[0]:.3g} | {medians[1]:.3g} | {ratios[name]:.2f} |")
    return ratios, lines
