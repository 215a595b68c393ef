"""Freed memory is used again: its pages are not fetched from the system a second time."""

import platform
import resource
import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource
import numpy as np
from stages.runtime.memory import keep_freed_memory

keep_freed_memory()
for turn in range(20):
    if turn == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [np.ones(1 << 20, dtype=np.float64) for _ in range(4)]  # 32 MiB
    blocks.append(np.ones(1 << 23, dtype=np.float64))  # 64 MiB in one
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_freed_memory_is_used_again() -> None:
    faults = int(subprocess.run([sys.executable, "-c", COUNT_FAULTS], check=True, capture_output=True).stdout)
    pages = 18 * (96 << 20) // resource.getpagesize()  # all that are written to
    assert faults < pages / 20
