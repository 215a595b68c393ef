"""Learned affinity, a chosen threshold and the ignore band through real Snakemake, and the table of refiners."""

import csv
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from stages.files import read_json
from stages.images import read_mask
from tests.workflow.conftest import Snakemake
from tests.workflow.tiny import SIZES, TINY, copy_run, jobs_of

pytestmark = pytest.mark.workflow

LEARNED = """
refine:
  background_threshold: auto
  auto: {images: 6, steps: 5, crf: {iterations: 2}}
  affinity:
    kind: learned
    backbone: test_efficientnet
    strides: [8, 16]
    channels: [8, 8]
    sure_powers: [1.0, 3.0]
    sure_crf: {iterations: 1}
    training: {crop: 32, epochs: 1, batch_size: 4, learning_rate: 0.1, backbone_rate: 0}
  walk: {doublings: 3}
  ignore_band: [0.2, 0.6]
  crf:
    iterations: 2
compare:
  refiners:
    features: {affinity: {kind: features, model: test_efficientnet, strides: [16], size: 64}}
"""
MASKS = [f"results/tiny/refine/banded/{shard}" for shard in (0, 1)]


@pytest.fixture(scope="module")
def folder(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished folder, so that the localizer is there."""
    return copy_run(finished, tmp_path_factory.mktemp("refiners") / "copied")


@pytest.fixture(scope="module")
def config(folder: Path) -> Path:
    path = folder / "learned.yaml"
    path.write_text(TINY.read_text().replace("\nrefine:\n  crf:\n    iterations: 2\n", LEARNED))
    assert "learned" in path.read_text()
    return path


@pytest.fixture(scope="module")
def refined(warm_snakemake: Snakemake, folder: Path, config: Path) -> subprocess.CompletedProcess[str]:
    """What Snakemake printed when it made the table and the training masks."""
    result = warm_snakemake(folder, "compare_refiners", *MASKS, config=config)
    assert result.returncode == 0, result.stdout
    return result


def test_the_table_has_a_row_for_each_way(refined: subprocess.CompletedProcess[str], folder: Path) -> None:
    jobs = jobs_of(refined.stdout)
    assert (jobs["make_sure_regions"], jobs["train_affinity"], jobs["choose_threshold"]) == (2, 1, 1)
    assert jobs["make_masks"] == 7 * 2
    with (folder / "results/tiny/evaluate/compare_refiners.csv").open(newline="") as stream:
        rows = {row["row"]: row for row in csv.DictReader(stream)}
    walks = ["attention walk", "attention walk, CRF", "affinity walk", "affinity walk, CRF"]
    assert list(rows) == ["maps above the threshold", "CRF", *walks, "features"]
    for row in rows.values():
        assert (row["split"], row["images"]) == ("val", str(SIZES["val"]))
        assert 0 <= float(row["miou"]) <= 100
    note = (folder / "results/tiny/evaluate/compare_refiners.md").read_text()
    assert "chosen without true masks" in note
    page = (folder / "results/tiny/report/compare_refiners.html").read_text()
    assert page.count("<figure>") == 2 * (1 + 7 + 1)  # two images, each with seven refiners' masks and the true one


def test_a_score_says_how_its_threshold_was_chosen(refined: subprocess.CompletedProcess[str], folder: Path) -> None:
    score = read_json(folder / "results/tiny/evaluate/pseudo_masks-val.json")
    assert score["threshold_source"] == "auto"
    (file,) = (folder / "results/tiny/refine/threshold").glob("auto-*.json")
    assert score["threshold"] == read_json(file)["threshold"]


def test_the_band_is_in_the_training_masks_alone(refined: subprocess.CompletedProcess[str], folder: Path) -> None:
    def values(pattern: str) -> set[int]:
        masks = (folder / "results/tiny/refine").glob(pattern)
        return {int(value) for path in masks for value in np.unique(read_mask(path))}

    assert 255 in values("banded/*/*.png")
    assert 255 not in values("masks/val/*/*.png")


def test_a_training_setting_of_the_affinity_trains_it_again_and_marks_nothing_anew(
    refined: subprocess.CompletedProcess[str], warm_snakemake: Snakemake, folder: Path, config: Path
) -> None:
    changed = folder / "changed_affinity.yaml"
    changed.write_text(config.read_text().replace("epochs: 1, batch_size: 4", "epochs: 2, batch_size: 4"))
    jobs = jobs_of(warm_snakemake(folder, "--dry-run", *MASKS, config=changed).stdout)
    assert jobs == {"train_affinity": 1, "make_banded_masks": 2}


def test_an_oracle_threshold_is_marked_and_comes_from_the_maps_score(
    refined: subprocess.CompletedProcess[str], warm_snakemake: Snakemake, folder: Path
) -> None:
    config = folder / "oracle.yaml"
    config.write_text(TINY.read_text().replace("refine:\n", "refine:\n  background_threshold: oracle\n"))
    target = "results/tiny/evaluate/pseudo_masks-val.json"
    result = warm_snakemake(folder, target, config=config)
    assert result.returncode == 0, result.stdout
    score = json.loads((folder / target).read_text())
    maps = read_json(folder / "results/tiny/evaluate/maps-train.json")
    assert (score["threshold_source"], score["threshold"]) == ("oracle", max(0.01, maps["threshold"]))
