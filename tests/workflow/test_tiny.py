"""The tiny experiment through real Snakemake: every stage, then what reruns, and what survives a kill."""

import csv
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from stages.shards import read_shard
from tests.workflow.conftest import Snakemake
from tests.workflow.final_files import final_files
from tests.workflow.kills import STAGES, kill_at_random, longest_jobs
from tests.workflow.tiny import (
    AFTER_MASKS,
    REPOSITORY,
    SHOWN,
    SIZES,
    TINY,
    command,
    copy_run,
    environment,
    jobs_of,
    write_inputs,
)

pytestmark = pytest.mark.workflow


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished folder, whose files a test may change."""
    return copy_run(finished, tmp_path / "copied")


def test_a_run_that_was_killed_in_every_stage_ends_like_an_unbroken_one(
    finished: Path, weights: Path, tmp_path: Path
) -> None:
    """A kill a stage, of a job here and of Snakemake itself there; `make test-kills` has more of them."""
    tally = kill_at_random(write_inputs(tmp_path, weights), kills=len(STAGES), seed=1, longest=longest_jobs(finished))
    assert tally.kills == len(STAGES)
    assert final_files(tmp_path) == final_files(finished)


def test_every_stage_leaves_its_files(finished: Path) -> None:
    results = finished / "results/tiny"
    for split, count in SIZES.items():
        assert len((results / f"data/{split}.csv").read_text().splitlines()) == count + 1
    for split in ("train", "val"):
        maps = [
            image.id for shard in "01" for image in read_shard(results / f"localize/maps/{split}/{shard}.safetensors")
        ]
        masks = [path.stem for path in (results / f"refine/masks/{split}").glob("*/*.png")]
        assert sorted(maps) == sorted(masks) == [f"{split}-{number:02d}" for number in range(SIZES[split])]
    for split in ("val", "test"):
        predictions = list((results / f"segment/pseudo_masks/predictions/{split}").glob("*/*.png"))
        assert len(predictions) == SIZES[split]
    assert (results / "report/index.html").stat().st_size > 10_000


def test_every_score_says_what_it_is(finished: Path) -> None:
    scores = {path.stem: json.loads(path.read_text()) for path in (finished / "results/tiny/evaluate").glob("*.json")}
    assert set(scores) == {
        "maps-train", "maps-val", "pseudo_masks-train", "pseudo_masks-val", "segmenter-val", "segmenter-test",
    }  # fmt: skip
    for name, score in scores.items():
        assert f"{score['stage']}-{score['split']}" == name
        assert score["images"] == SIZES[score["split"]]
        assert score["seed"] == 3
        assert 0 <= score["miou"] <= 100
        assert set(score["per_class"]) == {"background", "red disc", "blue square"}


def test_the_second_run_has_nothing_to_do(snakemake: Snakemake, finished: Path) -> None:
    result = snakemake(finished)
    assert result.returncode == 0
    assert "Nothing to be done" in result.stdout
    assert jobs_of(result.stdout) == {}


def test_another_segmenter_hides_no_change_of_the_localizer(
    snakemake: Snakemake, finished: Path, tmp_path: Path
) -> None:
    text = TINY.read_text().replace("decoder_channels: 8", "decoder_channels: 16").replace("epochs: 1\n", "epochs: 2\n")
    config = tmp_path / "changed.yaml"
    config.write_text(text)
    jobs = jobs_of(snakemake(finished, "--dry-run", config=config).stdout)
    assert jobs == {
        **dict.fromkeys(("resolve_model", "train_localizer"), 1),
        **{"make_maps": 4, "make_masks": 4, "score_maps": 2, "score_masks": 4},
        **AFTER_MASKS,
    }


def test_an_overlay_that_does_not_fit_is_told_before_anything_is_trained(
    snakemake: Snakemake, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = copy_run(tiny_folder, tmp_path / "copied")
    overlay = (REPOSITORY / "configs/segment/deeplabv3plus.py").read_text()
    (folder / "wrong.py").write_text(overlay.replace("DepthwiseSeparableASPPHead", "NoSuchHead"))
    config = folder / "wrong.yaml"
    config.write_text(TINY.read_text().replace("decoder_channels: 8", "model: wrong.py\n    decoder_channels: 8"))
    result = snakemake(folder, config=config)
    assert result.returncode != 0
    assert "wrong.py" in result.stdout
    assert "NoSuchHead" in result.stdout
    assert not (folder / "logs/tiny/localize/train.log").exists()


def test_a_deleted_shard_is_made_again_with_what_depends_on_it(warm_snakemake: Snakemake, copied: Path) -> None:
    shard = copied / "results/tiny/localize/maps/val/1.safetensors"
    before = shard.read_bytes()
    shard.unlink()
    result = warm_snakemake(copied)
    assert result.returncode == 0, result.stdout
    assert jobs_of(result.stdout) == {
        "make_maps": 1,
        "make_masks": 1,
        "score_maps": 1,
        "score_masks": 1,
        "summarize": 1,
        **SHOWN,
    }
    assert shard.read_bytes() == before


def test_a_truncated_shard_is_named_refused_and_made_again(warm_snakemake: Snakemake, copied: Path) -> None:
    """No score of half a shard: every job that reads it fails, and what follows them is not made."""
    unbroken = final_files(copied)
    shard = copied / "results/tiny/localize/maps/val/1.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])
    result = warm_snakemake(copied, "--keep-going")
    assert result.returncode != 0
    refusals = re.findall(r"error: (\S+): not a whole shard of maps .*; delete it and rerun `localize`", result.stdout)
    assert set(refusals) == {"results/tiny/localize/maps/val/1.safetensors"}
    assert not (copied / "results/tiny/refine/masks/val/1").exists()
    assert not (copied / "results/tiny/evaluate/maps-val.json").exists()
    shard.unlink()
    assert warm_snakemake(copied).returncode == 0
    assert final_files(copied) == unbroken


def test_snakemakes_own_report_is_written(snakemake: Snakemake, copied: Path) -> None:
    result = snakemake(copied, "--report", "report.html")
    assert result.returncode == 0, result.stdout
    page = (copied / "report.html").read_text()
    assert "Score of" in page  # a caption
    assert "evaluate/summary.csv" in page


def test_an_image_that_cannot_be_read_is_told_before_training(
    snakemake: Snakemake, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = copy_run(tiny_folder, tmp_path / "copied")
    image = folder / "set/images/test-03.jpg"
    image.write_bytes(image.read_bytes()[:500])
    result = snakemake(folder, "results/tiny/localize/localizer.safetensors")
    assert result.returncode != 0
    assert "set/images/test-03.jpg: cannot be read as an image" in result.stdout
    assert not (folder / "logs/tiny/localize/train.log").exists()


COMPARED = """
compare:
  localizer_seeds: [3]
  localizers:
    cam:
      method: {kind: cam}
      backbone: {kind: cnn, model: test_efficientnet, output_stride: 32, frozen: true, views: 1}
    clip: {method: {kind: clip}}
    clip_proxy:
      method: {kind: clip, attention: proxy, proxy: {model: test_efficientnet, strides: [16]}, window: 64, step: 32}
    clip_es: {method: {kind: clip_es, box_threshold: 0.7}}
"""
BACKGROUNDS = "encode:\n  backgrounds: [noise, paper]\n"


def test_localizers_are_compared_in_one_table(snakemake: Snakemake, copied: Path) -> None:
    config = copied / "compared.yaml"
    config.write_text(TINY.read_text().replace("encode:\n", BACKGROUNDS) + COMPARED)
    result = snakemake(copied, "compare_localizers", config=config)
    assert result.returncode == 0, result.stdout
    # The experiment's own localizer is a row of the table, and was trained and scored before.
    assert jobs_of(result.stdout) == {
        **{
            "freeze_features": 1,
            "freeze_map_features": 2,
            "embed_backgrounds": 1,
            "save_image_tower": 1,
            "train_localizer": 4,
            "make_maps": 8,
            "score_maps": 4,
        },
        **dict.fromkeys(("measure_localizers", "write_table", "make_table_page", "compare_localizers"), 1),
    }
    with (copied / "results/tiny/evaluate/compare_localizers.csv").open(newline="") as stream:
        rows = {row["row"]: row for row in csv.DictReader(stream)}
    assert list(rows) == ["cam", "clip", "clip_proxy", "clip_es", "mmcst"]
    for name, row in rows.items():
        assert (row["split"], row["images"], row["seeds"]) == ("val", str(SIZES["val"]), "3")
        assert 0 <= float(row["miou"]) <= 100
        assert float(row["images_per_second"]) > 0
        assert float(row["training_memory_mb"] or "nan") > 100
        assert bool(row["epoch_seconds"]) == (not name.startswith("clip"))  # nothing is trained
    own = json.loads((copied / "results/tiny/evaluate/maps-val.json").read_text())
    assert float(rows["mmcst"]["miou"]) == pytest.approx(own["miou"], abs=0.01)
    page = (copied / "results/tiny/report/compare_localizers.html").read_text()
    assert page.count("<figure>") == 2 * (1 + 5)  # two images, each with its maps by five localizers
    assert snakemake(copied, "compare_localizers", config=config).stdout.count("Nothing to be done") == 1


EPOCHS = 20


def last_epoch(work: Path) -> int:
    """The epoch of the last checkpoint in a work folder, 0 where there is none yet."""
    pointer = work / "last_checkpoint"
    found = re.search(r"epoch_(\d+)\.pth$", pointer.read_text().strip()) if pointer.is_file() else None
    return int(found[1]) if found else 0


def test_a_killed_training_is_resumed_by_the_same_command(snakemake: Snakemake, copied: Path) -> None:
    config = copied / "long.yaml"
    config.write_text(TINY.read_text().replace("epochs: 1\n", f"epochs: {EPOCHS}\n"))
    target = "results/tiny/localize/localizer.safetensors"
    work = copied / "results/tiny/work/localize/own"
    run = subprocess.Popen(
        command(target, config=config),
        cwd=copied,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    patience = time.monotonic() + 180
    while last_epoch(work) < 2:  # the finished run's own checkpoint is of epoch 1
        assert run.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < patience, "no checkpoint after three minutes"
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    epoch = last_epoch(work)
    assert epoch < EPOCHS

    result = snakemake(copied, target, config=config)
    assert result.returncode == 0, result.stdout
    log = (copied / "logs/tiny/localize/train.log").read_text()
    assert "resuming from its last checkpoint" in log
    trained = {int(number) for number in re.findall(r"Epoch\(train\) +\[(\d+)\]", log)}
    assert trained == set(range(epoch + 1, EPOCHS + 1))
    assert last_epoch(work) == EPOCHS
