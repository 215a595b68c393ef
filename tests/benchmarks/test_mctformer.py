"""Our side of the comparison with MCTformer: every method and precision runs, and seconds are written."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import mctformer


@pytest.mark.parametrize("method", mctformer.METHODS)
def test_the_command_writes_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr(mctformer, "CROP", 32)
    monkeypatch.setattr(mctformer, "SIZE", (48, 64))
    monkeypatch.setattr(mctformer, "MAPS", mctformer.MAPS | {"size": 48})
    path = tmp_path / "seconds.json"
    precision = "float32" if method == "v2" else "bfloat16"
    options = ["--method", method, "--precision", precision, "--images", "3", "--batch-size", "2", "--rounds", "1"]
    mctformer.run(["--json", str(path), *options])
    seconds = json.loads(path.read_text())
    assert set(seconds) == {"training_step", "maps"}
    assert all(own > 0 for own in seconds.values())


def test_maps_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mctformer, "SIZE", (48, 64))
    monkeypatch.setattr(mctformer, "MAPS", mctformer.MAPS | {"size": 48})
    localizer = mctformer.build("plus", None)
    photographs = mctformer.read_photographs(None, 3)
    ways = [mctformer.maps(localizer, photographs, size, torch.no_grad)() for size in (1, 2)]
    for one, other in zip(*ways, strict=True):
        assert one.shape == (20, 12, 16)
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
