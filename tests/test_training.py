"""Work folders that know what they belong to, and curves gathered from all runs in them."""

import csv
import json
from pathlib import Path

import pytest
import torch
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

from stages.devices import bfloat16_is_fast, pick_device
from stages.settings import CrfSettings
from stages.training import fingerprint_of, point_to_whole_checkpoint, prepare_work, write_curves


def write_scalars(work: Path, run: str, text: str) -> None:
    path = work / run / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def read_curves(path: Path) -> list[tuple[str, ...]]:
    with path.open(newline="") as stream:
        return [tuple(row) for row in csv.reader(stream)]


def test_a_fingerprint_follows_everything_that_training_depends_on(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    known = fingerprint_of(CrfSettings(), seed=0, code="x", files=[tmp_path / "a"])
    assert fingerprint_of(CrfSettings(), seed=0, code="x", files=[tmp_path / "a"]) == known
    assert fingerprint_of(CrfSettings(iterations=3), seed=0, code="x", files=[tmp_path / "a"]) != known
    assert fingerprint_of(CrfSettings(), seed=1, code="x", files=[tmp_path / "a"]) != known
    assert fingerprint_of(CrfSettings(), seed=0, code="y", files=[tmp_path / "a"]) != known
    (tmp_path / "a").write_text("2")
    assert fingerprint_of(CrfSettings(), seed=0, code="x", files=[tmp_path / "a"]) != known


def test_a_new_folder_has_nothing_to_resume(tmp_path: Path) -> None:
    assert not prepare_work(tmp_path / "work", {"seed": "0"})
    assert json.loads((tmp_path / "work/fingerprint.json").read_text()) == {"seed": "0"}


def test_a_folder_of_the_same_run_is_resumed_once_it_has_a_checkpoint(tmp_path: Path) -> None:
    work = tmp_path / "work"
    prepare_work(work, {"seed": "0"})
    assert not prepare_work(work, {"seed": "0"})
    write_checkpoint(work, 1)
    assert prepare_work(work, {"seed": "0"})
    assert (work / "last_checkpoint").is_file()


def test_a_folder_of_another_run_is_emptied(tmp_path: Path) -> None:
    work = tmp_path / "work"
    prepare_work(work, {"seed": "0"})
    (work / "last_checkpoint").write_text("epoch_1.pth")
    assert not prepare_work(work, {"seed": "1"})
    assert [path.name for path in work.iterdir()] == ["fingerprint.json"]


def test_a_folder_without_a_fingerprint_is_emptied(tmp_path: Path) -> None:
    (tmp_path / "last_checkpoint").write_text("epoch_1.pth")
    assert not prepare_work(tmp_path, {"seed": "0"})
    assert not (tmp_path / "last_checkpoint").exists()


def test_curves_of_a_resumed_run_are_one_curve(tmp_path: Path) -> None:
    work = tmp_path / "work"
    write_scalars(work, "20260101_000000", '{"loss": 3.0, "step": 1}\n{"loss": 2.0, "step": 2}\n')
    write_scalars(
        work, "20260101_000100", '{"loss": 1.5, "lr": 0.1, "step": 2, "epoch": 2}\n{"loss": 1.0, "step": 3}\n'
    )
    write_curves(tmp_path / "training.csv", work)
    assert read_curves(tmp_path / "training.csv") == [
        ("step", "name", "value"),
        ("1", "loss", "3.0"),
        ("2", "loss", "1.5"),  # the run that went on says it last
        ("2", "lr", "0.1"),
        ("3", "loss", "1.0"),
    ]


def test_a_line_that_a_killed_run_left_half_written_is_left_out(tmp_path: Path) -> None:
    work = tmp_path / "work"
    write_scalars(work, "20260101_000000", '{"loss": 3.0, "step": 1}\n{"loss": 2.')
    write_curves(tmp_path / "training.csv", work)
    assert read_curves(tmp_path / "training.csv")[1:] == [("1", "loss", "3.0")]


def test_the_optimizer_wrapper_computes_in_bfloat16_where_that_is_fast() -> None:
    layer = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    wrapper = OPTIM_WRAPPERS.build({"type": "Bfloat16OptimWrapper", "optimizer": optimizer})
    device = pick_device()
    layer.to(device)
    with wrapper.optim_context(layer):
        assert layer(torch.zeros(1, 2, device=device)).dtype == (
            torch.bfloat16 if bfloat16_is_fast(device) else torch.float32
        )


def write_checkpoint(work: Path, epoch: int) -> Path:
    path = work / f"epoch_{epoch}.pth"
    torch.save({"weights": torch.arange(1000) + epoch}, path)
    (work / "last_checkpoint").write_text(str(path))
    return path


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255  # one bit pattern in the middle, the length stays
    path.write_bytes(bytes(content))


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = write_checkpoint(tmp_path, 9), write_checkpoint(tmp_path, 10)
    assert point_to_whole_checkpoint(tmp_path)
    assert (tmp_path / "last_checkpoint").read_text() == str(second)
    assert caplog.text == ""
    damage(second)
    assert point_to_whole_checkpoint(tmp_path)
    assert (tmp_path / "last_checkpoint").read_text() == str(first)
    assert "epoch_10.pth: this checkpoint is damaged" in caplog.text
    assert not second.exists()


def test_without_a_whole_checkpoint_the_training_starts_afresh(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_checkpoint(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:100])
    assert not point_to_whole_checkpoint(tmp_path)
    assert not (tmp_path / "last_checkpoint").exists()
    assert "the training starts afresh" in caplog.text
    assert not point_to_whole_checkpoint(tmp_path)
