"""What holds for all tests: full precision on whatever machine they run, and cores that are shared out between the
processes that test side by side (pytest-xdist)."""

import os
from typing import Any

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


# Files whose tests look at one run: all in one process. (`--dist loadgroup` of pytest-xdist 3.8 knows no groups under
# pytest 9.2, whose items have no `_nodeid`.)
TOGETHER = {f"tests/workflow/test_{name}.py" for name in ("command_line", "refiners", "sweep")}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Every test goes to the process that is free first, but for the files of TOGETHER."""
    from xdist.scheduler import LoadScopeScheduling

    class ByRun(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if file in TOGETHER else nodeid

    return ByRun(config, log)
