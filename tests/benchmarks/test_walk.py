"""The dense walk gives what ours gives (the command checks it); inputs and results are kept for other programs."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.walk import plain, run


def test_the_command_writes_ratios_inputs_and_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--grid", "6", "9", "--channels", "5", "--doublings", "2", "6", "--pairs", "1"]
    files = ["--inputs", str(tmp_path / "inputs.safetensors"), "--walked", str(tmp_path / "walked.safetensors")]
    run(["--json", str(tmp_path / "ratios.json"), *options, *files])
    ratios = json.loads((tmp_path / "ratios.json").read_text())
    assert set(ratios) == {"walk_6x9_2^2", "walk_6x9_2^6"}
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(ratios)
    inputs, walked = load_file(tmp_path / "inputs.safetensors"), load_file(tmp_path / "walked.safetensors")
    assert inputs["features"].shape == (1, 5, 6, 9)
    torch.testing.assert_close(walked["6"], plain(inputs, 6), rtol=1e-4, atol=1e-6)
