"""The state of an experiment after real runs of Snakemake."""

import base64
from pathlib import Path

import pytest

from stages.cli.status import BEGUN, read_summary
from tests.workflow.tiny import TINY, copy_run

pytestmark = pytest.mark.workflow


def test_what_is_stale_and_what_a_kill_left_is_told(finished: Path, tmp_path: Path) -> None:
    """Through real Snakemake: a whole run, a changed setting, and the marker of a job that did not end."""
    folder = copy_run(finished, tmp_path / "copied")
    assert not any(own.stale for own in read_summary(folder, TINY))
    changed = folder / "changed.yaml"
    changed.write_text(TINY.read_text().replace("crf:\n    iterations: 2", "crf:\n    iterations: 5"))
    stale = {own.rule: own.state for own in read_summary(folder, changed) if own.stale}
    assert stale["make_masks"] == "params changed"
    assert stale["score_masks"] == "ok"  # waits for the masks
    assert not {"train_localizer", "make_maps", "make_index"} & set(stale)
    name = "results/tiny/localize/maps/val/1.safetensors"
    marker = folder / ".snakemake/incomplete" / base64.urlsafe_b64encode(name.encode()).decode()
    marker.parent.mkdir(exist_ok=True)
    marker.write_text("{}")
    begun = [own for own in read_summary(folder, TINY) if own.state == BEGUN]
    assert [(own.path, own.stale) for own in begun] == [(name, True)]
