"""The plain ways of refinement give what ours give (the command checks it), and the command writes its ratios."""

import json
from pathlib import Path

import pytest

from benchmarks.refine import run


def test_the_command_writes_the_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ratios.json"
    options = ["--size", "48", "64", "--classes", "4", "--images", "1", "--pairs", "1"]
    run(["--json", str(path), *options, "--processes", "2"])
    ratios = json.loads(path.read_text())
    assert set(ratios) == {"crf_all_classes", "sweep_pass_a_threshold", "crf_one_process"}
    assert all(ratio > 0 for ratio in ratios.values())
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(ratios)
