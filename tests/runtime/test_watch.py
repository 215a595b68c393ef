"""A job ends with the Snakemake that started it."""

import os
import subprocess
import sys
import time
from pathlib import Path

from stages.runtime.watch import KILLED, PARENT_VARIABLE, find_snakemake
from tests.workflow.tiny import environment

JOB = """
import sys, time
from stages.runtime.watch import end_with_snakemake
end_with_snakemake()
print("ready", flush=True)
time.sleep(60)
"""
# Stands for Snakemake: a program of that name that starts a job by a shell, as Snakemake does.
PARENT = "import subprocess, sys; subprocess.run(['bash', '-c', 'exec 3>&1; ' + sys.argv[1]])"


def test_no_snakemake_is_no_ancestor() -> None:
    assert find_snakemake(1) is None
    assert find_snakemake(999_999_999) is None


def test_a_job_whose_snakemake_went_before_it_was_ready_ends_at_once(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / "job.py").write_text(JOB)
    started = {**environment(), PARENT_VARIABLE: str(gone.pid)}
    done = subprocess.run([sys.executable, str(tmp_path / "job.py")], env=started, capture_output=True, text=True)
    assert done.returncode == KILLED
    assert done.stdout == ""


def test_a_job_whose_snakemake_was_killed_ends_by_itself(tmp_path: Path) -> None:
    (tmp_path / "snakemake").write_text(PARENT)
    (tmp_path / "job.py").write_text(JOB)
    shell = f"{sys.executable} {tmp_path / 'job.py'}; echo $? > {tmp_path / 'status'}"
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "snakemake"), shell], env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    time.sleep(0.2)
    os.kill(parent.pid, 9)
    parent.wait()
    until = time.monotonic() + 50  # the job itself would go on for 60
    while not (tmp_path / "status").exists() or not (tmp_path / "status").read_text():
        assert time.monotonic() < until, "the job lives on"
        time.sleep(0.05)
    assert int((tmp_path / "status").read_text()) == KILLED
