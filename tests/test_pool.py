"""What the processes of a pool import: a CRF or a decoded image needs no torch."""

import importlib
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.errors import DataError
from stages.pool import over_processes

RULES = Path(__file__).parents[1] / "workflow/rules"
# Each command with a pool, and what runs in the pool's processes.
WORKERS = {
    "stages.data.demo.compose": "stages.data.demo.material:compose_pictures",
    "stages.data.make_index": "stages.data.problems:examine_image",
    "stages.data.make_truth": "stages.data.make_truth:write_true_mask",
    "stages.evaluate.measure_doubt": "stages.evaluate.doubt:doubt_image",
    "stages.refine.choose_threshold": "stages.refine.agreement:agreement_counts",
    "stages.refine.make_masks": "stages.refine.pseudo_masks:write_pseudo_mask",
    "stages.refine.make_sure_regions": "stages.refine.sure_regions:write_sure_regions",
    "stages.report.make_gallery": "stages.report.make_gallery:write_numbered",
    "stages.segment.predict_shard": "stages.segment.labels:write_labels",
}
# The gallery's processes draw the maps in matplotlib's colours.
NEEDED = {"stages.report.make_gallery": ["matplotlib"]}
HEAVY = ("torch", "torchvision", "timm", "mmengine", "mmcv", "mmseg", "open_clip", "transformers", "matplotlib")


def heavy_modules(work: Callable) -> list[str]:
    """What of HEAVY this process has imported. `work` brings its module along, as in a job of the pool."""
    return [name for name in HEAVY if name in sys.modules]


def test_every_command_with_a_pool_is_here() -> None:
    rules = "".join(path.read_text(encoding="utf-8") for path in RULES.glob("*.smk"))
    shells = [shell for shell in rules.split("shell:")[1:] if "--processes" in shell]
    assert {re.findall(r"python -m ([\w.]+)", shell)[0] for shell in shells} == set(WORKERS)


@pytest.mark.parametrize("command", WORKERS)
def test_processes_of_a_pool_import_what_they_need(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spawned process runs the module of its command again, then imports that of its work."""
    module, _, name = WORKERS[command].partition(":")
    work = getattr(importlib.import_module(module), name)
    monkeypatch.setitem(sys.modules, "__main__", importlib.import_module(command))
    assert list(over_processes(heavy_modules, [(work,)], 1, title=command)) == [NEEDED.get(command, [])]


def without_memory(path: Path) -> None:
    raise MemoryError(f"Unable to allocate 72. GiB for {path}")


def killed(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (without_memory, r"^a\.jpg: the memory is not enough; use fewer --processes"),
        (killed, "^a process was killed, probably because the memory was not enough; use fewer --processes"),
    ],
)
def test_memory_that_runs_out_is_told_with_the_image(work: Callable, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(over_processes(work, [(Path("a.jpg"),)] * 9, 1, title="test"))
