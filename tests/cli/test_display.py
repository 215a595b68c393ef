"""What the display shows of Snakemake's events: made up ones, and those of a small real run."""

import logging
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from snakemake.logging import DefaultFormatter
from snakemake_interface_logger_plugins.common import LogEvent

from stages.cli.display import Display
from tests.workflow.tiny import REPOSITORY, environment

PLAN = {"make_index": 2, "train_localizer": 1, "make_maps": 4, "all": 1, "total": 8}


class Screen:
    """A display on paper, and the clock that its records have."""

    def __init__(self, width: int = 80) -> None:
        self.now = 1000.0
        self._paper = StringIO()
        console = Console(file=self._paper, width=width)
        self.display = Display(console, say=DefaultFormatter(show_failed_logs=True).format, clock=lambda: self.now)

    def say(self, event: LogEvent | None = None, text: str = "", level: int = logging.INFO, **values: Any) -> None:
        record = logging.LogRecord("snakemake", level, "", 0, text, None, None)
        vars(record).update(values, created=self.now, **({"event": event} if event else {}))
        self.display.take(record)

    def plan(self, jobs: dict[str, int]) -> None:
        self.say(LogEvent.WORKFLOW_STARTED, basedir=str(REPOSITORY))
        self.say(None, "Building DAG of jobs...")
        self.say(LogEvent.RUN_INFO, "Job stats: ...", stats=jobs)

    def begin(self, job: int, rule: str, **values: Any) -> None:
        nothing = {"rule_msg": None, "output": [], "wildcards": {}, "log": []}
        self.say(LogEvent.JOB_INFO, jobid=job, rule_name=rule, **(nothing | values))

    def finish(self, job: int) -> None:
        self.say(LogEvent.JOB_FINISHED, f"Finished jobid: {job}", job_id=job)
        self.say(LogEvent.PROGRESS, done=1, total=8)

    def fail(self, job: int, rule: str, log: Path) -> None:
        rest = {"rule_msg": None, "input": [], "output": ["x.png"], "conda_env": None, "shellcmd": "python", "aux": {}}
        self.say(LogEvent.JOB_ERROR, level=logging.ERROR, jobid=job, rule_name=rule, log=[str(log)], **rest)

    def lines(self) -> list[str]:
        self.display.close()
        return [line.rstrip() for line in self._paper.getvalue().splitlines()]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_a_line_per_stage(tmp_path: Path) -> None:
    screen = Screen()
    screen.plan(PLAN)
    for job in (1, 2):
        screen.begin(job, "make_index")
    screen.now += 4
    screen.finish(1)
    screen.finish(2)
    screen.begin(3, "train_localizer", rule_msg="Training the localizer. Follow it with: tail -f train.log")
    screen.now += 70
    screen.finish(3)
    shard = tmp_path / "0"
    shard.mkdir()
    for number in range(25):
        (shard / f"{number}.png").touch()
    screen.begin(4, "make_maps", output=[str(shard)], wildcards={"split": "val", "shard": "0"})
    screen.now += 10
    screen.finish(4)
    screen.begin(5, "make_maps", wildcards={"split": "val", "shard": "1"})
    screen.now += 2
    lines = screen.lines()
    assert lines[0] == "Training the localizer. Follow it with: tail -f train.log"
    table = {line.split()[0]: line for line in lines[1:] if line}
    assert list(table) == [
        *("stage", "data", "encode", "localize", "refine", "segment", "evaluate", "report", "all"),
    ]
    assert table["stage"].split() == ["stage", "done", "images/s", "time", "left", "now"]
    assert "2 of 2" in table["data"]
    assert table["data"].endswith("took 4 s")
    assert table["encode"].endswith("nothing to do")
    assert cells(table["localize"].replace("━", " ").replace("╸", " ").replace("╺", " ")) == [
        *("localize", "2 of 5", "2.5", "28 s", "make_maps 2 s"),
    ]
    assert "4 of 7" in table["all"]
    assert table["all"].endswith("1 min 26 s so far")
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    screen = Screen(width)
    screen.plan({"train_localizer": 1, "make_sure_regions": 2, "choose_threshold": 1})
    for job, rule in enumerate(("train_localizer", "make_sure_regions", "make_sure_regions", "choose_threshold")):
        screen.begin(job, rule)
    screen.now += 4000
    lines = screen.lines()
    assert len([line for line in lines if line]) == 9
    assert max(map(len, lines)) <= width
    assert "refine" in lines[4]


def test_a_failure_is_told_as_snakemake_tells_it_and_once_more_at_the_end(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("step 1\nerror: photo.jpg: cannot be read as an image; replace it\n")
    screen = Screen()
    screen.plan(PLAN)
    screen.begin(3, "train_localizer")
    screen.now += 5
    screen.fail(3, "train_localizer", log)
    screen.say(None, "Shutting down, this might take some time.")
    screen.say(None, "Exiting because a job execution failed. Look below for error messages", logging.ERROR)
    lines = screen.lines()
    told = lines.index("Error in rule train_localizer:")
    assert f"    log: {log} (check log file(s) for error details)" in lines[told:]
    assert lines.index(f"Logfile {log}:") < lines.index("error: photo.jpg: cannot be read as an image; replace it")
    assert "Shutting down, this might take some time." in lines
    assert "Exiting because a job execution failed. Look below for error messages" in lines
    assert next(line for line in lines if line.startswith("localize")).endswith("failed: train_localizer")
    assert lines[-3:] == [
        "failed: train_localizer",
        f"  its log: {log}",
        "  it ends: error: photo.jpg: cannot be read as an image; replace it",
    ]


def test_a_job_that_is_tried_again_and_done_is_no_failure(tmp_path: Path) -> None:
    screen = Screen()
    screen.plan(PLAN)
    screen.begin(3, "train_localizer")
    screen.fail(3, "train_localizer", tmp_path / "none.log")
    screen.say(None, "Trying to restart job 3.")
    screen.begin(3, "train_localizer")
    screen.finish(3)
    lines = screen.lines()
    assert "Trying to restart job 3." in lines
    assert not [line for line in lines if "failed: " in line]


def test_what_snakemake_says_without_a_run_is_kept() -> None:
    screen = Screen()
    screen.say(LogEvent.WORKFLOW_STARTED, basedir=str(REPOSITORY))
    screen.say(None, "Nothing to be done (all requested files are present and up to date).")
    screen.say(LogEvent.ERROR, "WorkflowError: a.yaml: no such setting", logging.ERROR)
    assert screen.lines() == [
        "WorkflowError: a.yaml: no such setting",
        "Nothing to be done (all requested files are present and up to date).",
    ]


SNAKEFILE = """
rule all:
    input: "a/0", "b.txt"
rule make_maps:
    output: directory("a/{shard}")
    log: "maps-{shard}.log"
    shell: "mkdir -p {output} && touch {output}/x.png"
rule make_page:
    input: "a/0"
    output: "b.txt"
    log: "page.log"
    shell: "echo 'error: no paper; fill it in' > {log}; exit 1"
"""


def test_snakemake_finds_the_display_and_sends_it_such_events(tmp_path: Path) -> None:
    """Its output is no terminal, so the table is printed once, as it was last."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "workflow").symlink_to(REPOSITORY / "workflow")
    folders = [str(REPOSITORY), str(REPOSITORY / "workflow/plugins")]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", "--logger", "tagmask", "--show-failed-logs"],
        cwd=tmp_path,
        env=environment() | {"COLUMNS": "80", "PYTHONPATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    lines = done.stderr.splitlines()
    localize = next(line for line in lines if line.startswith("localize"))
    assert "1 of 1" in localize
    assert "took" in localize
    assert next(line for line in lines if line.startswith("report")).rstrip().endswith("failed: make_page")
    assert "Error in rule make_page:" in lines
    end = lines.index("failed: make_page")
    assert lines[end + 1 : end + 3] == ["  its log: page.log", "  it ends: error: no paper; fill it in"]
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path / ".snakemake/log")  # Snakemake's whole log is kept, too  # noqa: PTH208
