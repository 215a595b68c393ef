"""Out, mended by hand, and back: masks of a finished run are exported, some are mended, and the next run learns from
them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from stages.images import read_mask, write_mask
from stages.refine.mended import read_mended_list
from tests.workflow.conftest import Snakemake
from tests.workflow.tiny import SHOWN, TINY, copy_run, draw_image, environment, jobs_of

pytestmark = pytest.mark.workflow

# Two shards of masks that are learned from, two that are scored; the localizer and what makes masks are not there.
MENDED = {
    "read_mended": 1,
    "add_mended": 4,
    "train_segmenter": 1,
    "predict": 4,
    "score_masks": 3,
    "summarize": 1,
    **SHOWN,
}


def with_mended(folder: Path, mended: Path, name: str = "mended.yaml", **refine: object) -> Path:
    config = yaml.safe_load(TINY.read_text())
    config["refine"] |= {"mended": str(mended), **refine}
    (folder / name).write_text(yaml.safe_dump(config))
    return folder / name


def tagmask(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stages.cli", *words]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def test_mended_masks_are_learned_and_nothing_before_is_made_again(
    snakemake: Snakemake, warm_snakemake: Snakemake, finished: Path, tmp_path: Path
) -> None:
    folder = copy_run(finished, tmp_path / "run")
    exported = tagmask(folder, "export", "results/tiny", "--format", "png", "--splits", "train", "-o", "to-mend")
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout.startswith("train: 12 images, ")
    truth = draw_image("train", 3)[1]
    own = truth.copy()
    own[:5] = 255
    write_mask(folder / "to-mend/images/train-03.png", own)
    config = with_mended(tmp_path, Path("to-mend"))
    planned = snakemake(folder, "--dry-run", config=config)
    assert jobs_of(planned.stdout) == MENDED, planned.stdout
    before = {path: path.stat().st_mtime_ns for path in (folder / "to-mend").rglob("*.png")}
    made = {path: path.read_bytes() for path in (folder / "results/tiny/refine/masks").rglob("*.png")}
    result = warm_snakemake(folder, config=config)
    assert result.returncode == 0, result.stdout

    results = folder / "results/tiny"
    # The user's files and the method's own masks are as they were.
    assert {path: path.stat().st_mtime_ns for path in (folder / "to-mend").rglob("*.png")} == before
    assert {path: path.read_bytes() for path in (folder / "results/tiny/refine/masks").rglob("*.png")} == made
    (row,) = read_mended_list(results / "refine/mended.csv")
    assert (row.id, row.file) == ("train-03", "to-mend/images/train-03.png")
    learned = {path.stem: read_mask(path) for path in (results / "refine/with_mended/learned").glob("*/*.png")}
    np.testing.assert_array_equal(learned.pop("train-03"), own)
    for path, content in made.items():
        if path.stem in learned:
            assert next((results / "refine/with_mended/learned").glob(f"*/{path.name}")).read_bytes() == content
    score = json.loads((results / "evaluate/pseudo_masks-train.json").read_text())
    assert (score["images"], score["mended"]) == (12, 1)
    assert json.loads((results / "evaluate/segmenter-val.json").read_text())["mended"] is None
    provenance = json.loads((results / "provenance.json").read_text())
    assert (provenance["mended"]["masks"], provenance["mended"]["list"]) == (1, "refine/mended.csv")
    page = (results / "report/index.html").read_text()
    assert "1 training mask was mended by hand" in page
    assert "<td>12, 1 mended</td>" in page
    assert "1 of these masks were mended by hand" in (results / "segment/README.md").read_text()

    # Another mask is mended: the same again. Nothing changes: nothing to do.
    assert jobs_of(snakemake(folder, "--dry-run", config=config).stdout) == {}
    write_mask(folder / "to-mend/images/train-04.png", draw_image("train", 4)[1])
    assert jobs_of(snakemake(folder, "--dry-run", config=config).stdout) == MENDED


def test_the_ignore_band_is_of_the_masks_that_are_not_mended(
    snakemake: Snakemake, finished: Path, tmp_path: Path
) -> None:
    write_mask(tmp_path / "mended/train-03.png", draw_image("train", 3)[1])
    config = with_mended(tmp_path, tmp_path / "mended", ignore_band=[0.3, 0.5])
    planned = snakemake(finished, "--dry-run", "--printshellcmds", config=config)
    jobs = jobs_of(planned.stdout)
    assert (jobs["make_banded_masks"], jobs["add_mended"], jobs["read_mended"]) == (2, 4, 1)
    assert "train_localizer" not in jobs
    (learned,) = [
        line for line in planned.stdout.splitlines() if "with_mended/learned/0 " in line and "add_mended" in line
    ]
    assert "--masks results/tiny/refine/banded/0 " in learned
    (scored,) = [
        line for line in planned.stdout.splitlines() if "with_mended/scored/0 " in line and "add_mended" in line
    ]
    assert "--masks results/tiny/refine/masks/train/0 " in scored


def test_a_folder_without_masks_is_told_before_anything_runs(
    snakemake: Snakemake, finished: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    refused = snakemake(finished, "--dry-run", config=with_mended(tmp_path, tmp_path / "empty"))
    assert refused.returncode != 0
    assert "refine.mended: " in refused.stdout
    assert "holds no mask (JSON of labelme, or PNG); put the mended masks there" in refused.stdout


def test_a_mask_of_no_photo_is_told_before_training(
    warm_snakemake: Snakemake, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = copy_run(tiny_folder, tmp_path / "run")
    write_mask(folder / "mended/nobody.png", draw_image("train", 3)[1])
    result = warm_snakemake(folder, config=with_mended(tmp_path, Path("mended")))
    assert result.returncode != 0
    assert "mended/nobody.png: is of no photo of the dataset" in (folder / "logs/tiny/refine/mended.log").read_text()
    assert not (folder / "results/tiny/localize/localizer.safetensors").exists()


def test_check_names_it_too(tiny_folder: Path, tmp_path: Path) -> None:
    folder = copy_run(tiny_folder, tmp_path / "run")
    config = with_mended(tmp_path, Path("mended"))
    write_mask(folder / "mended/images/train-03.png", draw_image("train", 3)[1])
    checked = tagmask(folder, "check", "-c", str(config))
    assert checked.returncode == 0, checked.stderr
    assert "mended: 1 masks of train in mended, 0 more as they were exported" in checked.stdout
    write_mask(folder / "mended/images/val-03.png", draw_image("val", 3)[1])
    refused = tagmask(folder, "check", "-c", str(config))
    assert refused.returncode == 1
    assert "images/val-03.jpg is an image of val, but only masks of train are learned from" in refused.stderr
