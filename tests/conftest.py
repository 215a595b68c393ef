"""What holds for all tests: full precision on whatever machine they run, and cores that are shared out between the
processes that test side by side (pytest-xdist)."""

import os

import pytest

# With bfloat16 in hardware the stages compute in it, and equations could be tested to three digits only. The limit
# holds for the programs that tests start, too; it must be set before torch asks the processor.
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"

PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if PROCESSES > 1:  # before torch is imported, too
    os.environ["OMP_NUM_THREADS"] = str(max(1, len(os.sched_getaffinity(0)) // PROCESSES))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side, runs of the workflow come first: each takes a minute, and the short tests after them fill both
    processes to the end."""
    if PROCESSES > 1:
        items.sort(key=lambda item: item.get_closest_marker("workflow") is None)
