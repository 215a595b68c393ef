"""What a run has done so far, stage by stage: counted from Snakemake's events, which the caller passes on."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from safetensors import safe_open

from stages.cli.training_log import seconds_left
from stages.report.timings import STAGES

RULE = re.compile(r"^(?:rule (\w+):|use rule \w+ as (\w+) with:)", re.MULTILINE)


@dataclass
class Clock:
    """Seconds in which at least one job ran."""

    past: float = 0.0
    since: float | None = None

    def start(self, at: float) -> None:
        self.since = at if self.since is None else self.since

    def stop(self, at: float) -> None:
        self.past, self.since = self.at(at), None

    def at(self, now: float) -> float:
        """The seconds until `now`."""
        return self.past + self.running(now)

    def running(self, now: float) -> float:
        """Those since jobs have been running without a break."""
        return 0.0 if self.since is None else max(0.0, now - self.since)


@dataclass
class Step:
    """The jobs of one rule.

    images: of finished jobs.  lasted: seconds in which jobs ran, until the last finish.  running: jobs with their logs.
    """

    stage: str
    total: int
    done: int = 0
    images: int = 0
    lasted: float = 0.0
    running: dict[int, Sequence[Path]] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)

    @property
    def images_per_second(self) -> float | None:
        """The images of all jobs that ran side by side; None until a job over images is finished."""
        return self.images / self.lasted if self.images and self.lasted else None

    def seconds_left(self, now: float) -> float | None:
        """At the pace of the finished jobs, or of a training by its own log; None until there is either."""
        if self.done >= self.total:
            return 0.0
        if not self.done:
            return self.told_left(now) if self.total == 1 else None
        return max(0.0, (self.total - self.done) * self.lasted / self.done - (self.clock.at(now) - self.lasted))

    def told_left(self, now: float) -> float | None:
        """What the log of the one running job says; None if several run, or if it says nothing."""
        if len(self.running) != 1:
            return None
        told = (seconds_left(log, now) for logs in self.running.values() for log in logs)
        return next((left for left in told if left is not None), None)


class Working(NamedTuple):
    """Running jobs of one rule. seconds: since when; left: by the job's own log, if it says so."""

    rule: str
    jobs: int
    seconds: float
    left: float | None


@dataclass(frozen=True)
class Failure:
    """A job that failed and has not begun again."""

    rule: str
    logs: tuple[Path, ...]

    @property
    def last_line(self) -> str:
        """The last line of its logs, which is the error; empty if they say nothing."""
        lines = [line.strip() for path in self.logs if path.is_file() for line in lines_of(path)]
        return next((line for line in reversed(lines) if line), "")


@dataclass(frozen=True)
class Row:
    """A stage, or all of the run, at one moment.

    left: seconds; None without an estimate.  failed: rules.  took: seconds in which jobs ran.
    """

    stage: str
    done: int
    total: int
    images_per_second: float | None
    left: float | None
    running: Sequence[Working]
    failed: Sequence[str]
    took: float


class Run:
    """The jobs of one start of Snakemake. Times are seconds since 1970."""

    def __init__(self, stages: Mapping[str, str], began: float) -> None:
        """stages: by rule. Rules without one are targets, which do no work and do not count."""
        self.stages = stages
        self.began = began
        self.steps: dict[str, Step] = {}
        self.failures: dict[int, Failure] = {}
        self._clocks = {stage: Clock() for stage in STAGES}
        self._rules: dict[int, str] = {}
        self._outputs: dict[int, tuple[Path, ...]] = {}
        self._over_images: dict[str, Step] = {}  # of a stage, the last step that finished a job over images

    def plan(self, jobs: Mapping[str, int]) -> None:
        """Takes the number of jobs to run by rule."""
        for rule, count in jobs.items():
            if rule in self.stages:
                self.steps[rule] = Step(self.stages[rule], count)

    def begin(self, job: int, rule: str, outputs: Iterable[Path], at: float, logs: Sequence[Path] = ()) -> None:
        """A job begins, perhaps once more after it failed. outputs: of a job over a shard of images; else none."""
        self.failures.pop(job, None)
        if rule not in self.stages:
            return
        step = self.steps.setdefault(rule, Step(self.stages[rule], 1))
        self._rules[job], self._outputs[job] = rule, tuple(outputs)
        step.running[job] = logs
        step.clock.start(at)
        self._clocks[step.stage].start(at)

    def finish(self, job: int, at: float) -> None:
        """A job has finished, and its outputs are there."""
        step = self._end(job, at)
        if step is None:
            return
        step.done += 1
        step.total = max(step.total, step.done)
        step.lasted = step.clock.at(at)
        images = sum(map(images_in, self._outputs[job]))
        if images:
            step.images += images
            self._over_images[step.stage] = step

    def fail(self, job: int, rule: str, logs: Iterable[Path], at: float) -> None:
        """A job has failed; unless it begins again, for good."""
        self.failures[job] = Failure(rule, tuple(logs))
        self._end(job, at)

    def _end(self, job: int, at: float) -> Step | None:
        step = self.steps[self._rules[job]] if job in self._rules else None
        if step is None or job not in step.running:
            return None
        del step.running[job]
        if not step.running:
            step.clock.stop(at)
        if not any(other.running for other in self.steps.values() if other.stage == step.stage):
            self._clocks[step.stage].stop(at)
        return step

    def rows(self, now: float) -> list[Row]:
        """A row for each stage, in order, and one for all of the run."""
        rows = [self._row(stage, now) for stage in STAGES]
        done, total = sum(row.done for row in rows), sum(row.total for row in rows)
        failed = [rule for row in rows for rule in row.failed]
        left = sum_of(row.left for row in rows)
        running = [each for row in rows for each in row.running]
        return [*rows, Row("all", done, total, None, left, running, failed, now - self.began)]

    def _row(self, stage: str, now: float) -> Row:
        steps = {rule: step for rule, step in self.steps.items() if step.stage == stage}
        over_images = self._over_images.get(stage)
        return Row(
            stage,
            done=sum(step.done for step in steps.values()),
            total=sum(step.total for step in steps.values()),
            images_per_second=over_images.images_per_second if over_images else None,
            left=sum_of(step.seconds_left(now) for step in steps.values()),
            running=[
                Working(rule, len(step.running), step.clock.running(now), step.told_left(now))
                for rule, step in steps.items()
                if step.running
            ],
            failed=list(dict.fromkeys(own.rule for own in self.failures.values() if own.rule in steps)),
            took=self._clocks[stage].at(now),
        )


def sum_of(seconds: Iterable[float | None]) -> float | None:
    """The sum; None if one is not known."""
    total = 0.0
    for each in seconds:
        if each is None:
            return None
        total += each
    return total


def rules_by_stage(folder: Path) -> dict[str, str]:
    """The stage of each rule of the workflow in `folder`: the name of the file that it is in."""
    files = {stage: folder / f"workflow/rules/{stage}.smk" for stage in STAGES}
    texts = {stage: path.read_text(encoding="utf-8") for stage, path in files.items() if path.is_file()}
    return {own or changed: stage for stage, text in texts.items() for own, changed in RULE.findall(text)}


def images_in(output: Path) -> int:
    """The images that a finished job over a shard went over: its masks, or the maps in its file; 0 for others."""
    if output.is_dir():
        return sum(path.suffix == ".png" for path in output.iterdir())
    if output.suffix == ".safetensors" and output.is_file():
        with safe_open(output, "numpy") as tensors:
            return sum(name.endswith("/maps") for name in tensors.keys())  # noqa: SIM118, it is no mapping
    return 0


def lines_of(path: Path) -> list[str]:
    """The lines of a log, whatever bytes are in it."""
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(45.2), duration(125), duration(4325)
    ('45 s', '2 min 5 s', '1 h 12 min')
    """
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
