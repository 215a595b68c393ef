"""The processes behind `tagmask`: Snakemake and the stages' commands, and what is said when they have ended."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.cli.places import snakefile_words
from stages.cli.progress import duration
from stages.data.left_out import read_left_out
from stages.packages import check_forks, check_opencv
from stages.program import job_environment

SHOWN = ["--logger", "tagmask"]  # the plugin in workflow/plugins
# Options of Snakemake with which it runs nothing, or says more or less than the display would.
UNSHOWN = {"-n", "--dry-run", "--dryrun", "-q", "--quiet", "--verbose", "--logger", "--debug-dag"}
# Options with which settings come from elsewhere than the config.
ADDING = {"--config", "-C", "--configfile", "--configfiles"}
# Options with which jobs may run elsewhere, so that the cores of this machine are irrelevant.
ELSEWHERE = {"--profile", "--workflow-profile", "--executor", "-e"}
# As shells say it: 128 and the number of the signal.
INTERRUPTED = 130
SHOW_CURSOR = "\x1b[?25h"


def run_module(*words: str | Path, folder: Path) -> int:
    """Runs a Python module in `folder`. Returns its exit status, or INTERRUPTED if it ended after Ctrl-C. Raises
    TagmaskError if packages are wrong."""
    check_forks()
    check_opencv()
    interrupted = False
    with subprocess.Popen([sys.executable, "-m", *map(str, words)], cwd=folder, env=job_environment()) as process:
        while True:
            try:
                status = process.wait()
                break
            except KeyboardInterrupt:
                interrupted = True  # the terminal has told the module too, which ends its jobs and then itself
    if SHOWN[-1] in words and status < 0:  # killed, so it has not put the terminal right
        print(SHOW_CURSOR, end="", file=sys.stderr)
    return INTERRUPTED if interrupted and status else status


def snakemake_words(config: Path, folder: Path, *more: str) -> list[str | Path]:
    """Snakemake's arguments for a config, in `folder`. Targets follow `--`: --configfile would swallow them."""
    return ["snakemake", *more, *snakefile_words(folder), "--configfile", config, "--"]


def cores_words(cores: str | None, options: Sequence[str]) -> list[str]:
    """Snakemake's option for the cores: those asked for, or all of this machine's if jobs run here."""
    elsewhere = "SNAKEMAKE_PROFILE" in os.environ or any(word.partition("=")[0] in ELSEWHERE for word in options)
    if cores is None and elsewhere:
        return []
    return ["--cores", cores or "all"]


def sets_more(options: Sequence[str]) -> bool:
    """Whether options of Snakemake change settings of the config, or add another."""
    return any(word.partition("=")[0] in ADDING for word in options)


def shows_progress(options: Sequence[str]) -> bool:
    """Whether a run of Snakemake with these options is shown as a line per stage: in a terminal."""
    in_terminal = sys.stdout.isatty() and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return in_terminal and not any(word.partition("=")[0] in UNSHOWN for word in options)


def ended(
    folder: Path, settings: Mapping[str, Any], targets: Sequence[str], seconds: float, options: Sequence[str]
) -> list[str]:
    """What is said after a run: which images were left out, where the pages of its targets are, and how long it
    took."""
    # With settings in `options`, the experiment may have another name.
    given = sets_more(options)
    results = folder / "results" / str(settings.get("experiment"))
    names = ["index" if target == "all" else target for target in targets]
    pages = [] if given else [page for name in names if (page := results / f"report/{name}.html").is_file()]
    lost = [] if given else sorted((results / "data/left_out").glob("*.csv"))
    return [
        *(words for path in lost if (words := left_out_words(path))),
        *(f"The page: {page.resolve()}" for page in pages),
        f"It took {duration(seconds)}.",
    ]


def left_out_words(path: Path) -> str:
    """How many images of a split were left out, the first of them, and where the others are; empty if none was."""
    rows = read_left_out(path)
    if not rows:
        return ""
    images = "1 image" if len(rows) == 1 else f"{len(rows):,} images"
    return f"Left out of {path.stem}: {images}; the first is {rows[0].id} ({rows[0].problem}). All are in {path}"
