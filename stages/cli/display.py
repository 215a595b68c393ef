"""The display of a run in a terminal: a table with a line per stage, and above it what needs the user's attention."""

import time
from collections.abc import Callable
from logging import WARNING, LogRecord
from pathlib import Path
from threading import Lock
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text
from snakemake_interface_logger_plugins.common import LogEvent

from stages.cli.progress import Row, Run, Working, duration, rules_by_stage

BAR = 12  # columns
WITH_BARS = 72  # columns of the terminal
IN_THE_TABLE = frozenset(
    {
        *(LogEvent.JOB_STARTED, LogEvent.PROGRESS, LogEvent.RESOURCES_INFO, LogEvent.GROUP_INFO),
        *(LogEvent.RULEGRAPH, LogEvent.DEBUG_DAG),
    }
)


def terminal() -> Console:
    """Where Snakemake writes its own messages."""
    return Console(stderr=True)


class Display:
    """Takes Snakemake's log records and shows the run."""

    def __init__(
        self, console: Console, *, say: Callable[[LogRecord], str], clock: Callable[[], float] = time.time
    ) -> None:
        """say: the words in which Snakemake itself prints a record.  clock: that of the records."""
        self._console, self._say, self._clock = console, say, clock
        self._run = Run({}, began=clock())
        self._held: list[LogRecord] = []  # messages on the way to a plan, which matter only if there will be none
        self._lock = Lock()  # of the run: the thread that refreshes the table reads it
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=2)
        self._closed = False

    def take(self, record: LogRecord) -> None:
        """Shows a record: in the table, above it, or not at all."""
        values: Any = record  # an event's values are attributes of its record
        event = getattr(record, "event", None)
        if event == LogEvent.WORKFLOW_STARTED:
            self._run = Run(rules_by_stage(Path(values.basedir)), began=record.created)
        elif event == LogEvent.RUN_INFO:
            with self._lock:
                self._run.plan(values.stats)
            self._live.start(refresh=True)
        elif event == LogEvent.JOB_INFO:
            self._begin(values)
        elif event == LogEvent.JOB_FINISHED:
            with self._lock:
                self._run.finish(values.job_id, record.created)
        elif event == LogEvent.JOB_ERROR:
            self._fail(values)
        elif event is None and record.levelno < WARNING and not self._run.failures:
            if not self._live.is_started:
                self._held.append(record)
        elif event not in IN_THE_TABLE:
            self._print(self._say(record), style="red" if record.levelno > WARNING else "")

    def close(self) -> None:
        """The table stays as it was last, and below it is what failed. Calls after the first do nothing."""
        if self._closed:
            return
        self._closed = True
        if self._live.is_started:
            self._live.stop()
            if not self._console.is_terminal:
                self._console.line()  # in a terminal, rich ends the table's last line itself
        else:
            for record in self._held:
                self._print(self._say(record))
        for failure in self._run.failures.values():
            self._print(f"failed: {failure.rule}", style="bold red")
            for path in failure.logs:
                self._print(f"  its log: {path}")
            if failure.last_line:
                self._print(f"  it ends: {failure.last_line}")

    def _begin(self, values: Any) -> None:
        outputs = map(Path, values.output if "shard" in (values.wildcards or {}) else ())
        with self._lock:
            self._run.begin(values.jobid, values.rule_name, outputs, values.created, [Path(log) for log in values.log])
        if values.rule_msg:
            self._print(values.rule_msg)

    def _fail(self, values: Any) -> None:
        logs = [Path(path) for path in values.log]
        with self._lock:
            self._run.fail(values.jobid, values.rule_name, logs, values.created)
        self._print(self._say(values), style="red")

    def _print(self, text: str, style: str = "") -> None:
        if text and text != "None":  # what Snakemake makes of an event without a message
            self._console.print(Text.from_ansi(text, style=style), soft_wrap=True)

    def _table(self) -> Table:
        with self._lock:
            rows = self._run.rows(self._clock())
        return table_of(rows, width=self._console.width)


def table_of(rows: list[Row], *, width: int) -> Table:
    """The table of a run, for a terminal of so many columns."""
    bars = width >= WITH_BARS
    columns = [
        Column("stage", no_wrap=True),
        *([Column("", width=BAR)] if bars else []),
        Column("done", justify="right", no_wrap=True),
        Column("images/s", justify="right", no_wrap=True),
        Column("time left", justify="right", no_wrap=True),
        Column("now", no_wrap=True, overflow="ellipsis", ratio=1),
    ]
    table = Table(*columns, box=None, padding=(0, 2, 0, 0), pad_edge=False, expand=True, header_style="bold")
    for row in rows:
        bar = ProgressBar(total=max(row.total, 1), completed=row.done, width=BAR) if row.total else ""
        cells = [
            row.stage,
            *([bar] if bars else []),
            f"{row.done} of {row.total}" if row.total else "",
            "" if row.images_per_second is None else speed(row.images_per_second),
            time_left(row),
            Text(words_of(row), style="bold red" if row.failed else ""),
        ]
        table.add_row(*cells, style="" if row.running or row.failed or row.stage == "all" else "dim")
    return table


def speed(images_per_second: float) -> str:
    """Images per second with as many decimals as are of interest."""
    return f"{images_per_second:.{0 if images_per_second >= 100 else 1 if images_per_second >= 1 else 2}f}"


def time_left(row: Row) -> str:
    """The time left: `-` until there is an estimate, nothing for what is done."""
    if row.done == row.total:
        return ""
    return "-" if row.left is None else duration(row.left)


def words_of(row: Row) -> str:
    """What a stage is doing, or how long it took."""
    if row.stage == "all" and (row.running or (row.done < row.total and not row.failed)):
        return f"{duration(row.took)} so far"
    if row.failed:
        return f"failed: {', '.join(row.failed)}" if row.stage != "all" else f"failed after {duration(row.took)}"
    if row.done == row.total:
        return f"took {duration(row.took)}" if row.total else "nothing to do"
    return ", ".join(map(words_of_jobs, row.running))


def words_of_jobs(working: Working) -> str:
    """What jobs of one rule are doing.

    >>> words_of_jobs(Working("train_localizer", 1, 80, 200)), words_of_jobs(Working("make_maps", 2, 9, None))
    ('train_localizer 1 min 20 s (3 min 20 s left)', '2 make_maps 9 s')
    """
    many = f"{working.jobs} " if working.jobs > 1 else ""
    left = "" if working.left is None else f" ({duration(working.left)} left)"
    return f"{many}{working.rule} {duration(working.seconds)}{left}"
