"""The state of an experiment in few lines."""

import base64
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stages.cli.status import (
    BEGUN,
    Output,
    begun_files,
    describe_status,
    read_summary,
    stage_of,
    state_of,
    why,
    working_jobs,
)
from stages.errors import DataError
from tests.workflow.tiny import TINY, write_inputs


def output(path: str, state: str = "ok", *, stale: bool = False) -> Output:
    return Output(f"results/e/{path}", path.split("/")[-1].split(".")[0], state, stale)


def test_states_and_reasons() -> None:
    done, waiting = output("a"), output("a", stale=True)
    missing, changed = output("a", "missing", stale=True), output("a", "params changed", stale=True)
    assert [state_of(files) for files in ([done], [missing], [done, missing], [done, changed], [waiting])] == [
        "done",
        "missing",
        "partly",
        "stale",
        "stale",
    ]
    assert why([changed, missing, changed, waiting]) == "params changed (2), missing, waits for another step"


def test_stages_are_folders_of_the_results() -> None:
    assert stage_of("results/e/localize/maps/val/0.safetensors") == "localize"
    assert stage_of("results/e/provenance.json") == "report"


def test_the_table() -> None:
    outputs = [output("localize/train.x", "missing", stale=True), output("data/index.csv")]
    assert list(describe_status(outputs, ["stages.localize.train"], "e")) == [
        "e: 1 of 2 files are up to date",
        "stage     step   done  state    why",
        "data      index  1/1   done",
        "localize  train  0/1   missing  missing",
        "running: stages.localize.train",
    ]
    killed = [output("localize/train.x", BEGUN, stale=True)]
    assert list(describe_status(killed, [], "e"))[2:] == [
        "localize  train  0/1   stale  begun, not finished",
        "nothing is running on this machine",
        "`begun, not finished`: a job on another machine is working on it, or was killed; a run makes it again",
    ]


def test_a_running_job_is_told_once_and_of_its_experiment_alone(tmp_path: Path) -> None:
    """A job that forked a helper, whose command line is the same, and one of another experiment."""
    (tmp_path / "stages/data").mkdir(parents=True)
    program = "import os, sys, time; helper = os.fork(); helper and print('ready', flush=True); time.sleep(30)"
    (tmp_path / "stages/data/work.py").write_text(program)
    for package in ("stages", "stages/data"):
        (tmp_path / package / "__init__.py").touch()
    jobs = []
    for experiment in ("mine", "mine_too"):
        words = ["--split", "val", "--shard", "3", "--output", f"results/{experiment}/x"]
        command = [sys.executable, "-m", "stages.data.work", *words]
        jobs.append(subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True))
    try:
        assert [job.stdout.readline() for job in jobs if job.stdout] == ["ready\n"] * 2
        assert working_jobs(tmp_path, "mine") == ["stages.data.work val 3"]
        assert working_jobs(tmp_path, "other") == []
    finally:
        for job in jobs:
            os.killpg(job.pid, signal.SIGKILL)
            job.communicate()


def test_long_names_of_begun_files_are_put_together(tmp_path: Path) -> None:
    name = f"results/e/{'long' * 90}"
    text = base64.urlsafe_b64encode(name.encode()).decode()
    marker = tmp_path / ".snakemake/incomplete" / f"@{text[:254]}" / text[254:]
    marker.parent.mkdir(parents=True)
    marker.write_text("{}")
    assert begun_files(tmp_path) == {name}


def test_snakemakes_summary_is_read(tmp_path: Path) -> None:
    weights = tmp_path / "given"  # planning looks whether they are there
    weights.mkdir()
    for name in ("cnn", "clip"):
        (weights / f"{name}.safetensors").touch()
    write_inputs(tmp_path, weights)
    outputs = read_summary(tmp_path, TINY)
    rules = {own.rule for own in outputs}
    assert {"make_index", "train_localizer", "make_masks", "score_maps", "make_page"} <= rules
    assert all(own.stale for own in outputs)
    assert {own.state for own in outputs} == {"missing"}
    (tmp_path / "wrong.yaml").write_text(TINY.read_text().replace("epochs", "epohcs"))
    with pytest.raises(DataError, match="localize.training.epohcs: no such setting"):
        read_summary(tmp_path, tmp_path / "wrong.yaml")
