"""A second round of the segmenter on a finished run: it learns from what the first, told the tags, makes of train."""

import json
from pathlib import Path

import numpy as np
import pytest

from stages.files import digest, read_json
from stages.images import read_mask, write_mask
from stages.index import read_index
from tests.workflow.conftest import Snakemake
from tests.workflow.planned import command_of
from tests.workflow.tiny import SHOWN, SIZES, TINY, copy_run, draw_image, jobs_of

pytestmark = pytest.mark.workflow

CHANGED = "    decoder_channels: 8\n"


def with_rounds(folder: Path, rounds: int, more: str = "") -> Path:
    text = TINY.read_text()
    assert CHANGED in text
    config = folder / f"rounds{rounds}.yaml"
    config.write_text(text.replace(CHANGED, f"{CHANGED}  rounds: {rounds}\n{more}"))
    return config


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_another_round_trains_once_and_makes_nothing_before_it_again(
    snakemake: Snakemake, finished: Path, tmp_path: Path, rounds: int
) -> None:
    jobs = jobs_of(snakemake(finished, "--dry-run", config=with_rounds(tmp_path, rounds)).stdout)
    more = rounds - 1
    # Two shards of train for each round but the last, and of val and test for the last.
    planned = {"train_segmenter": more, "predict": 2 * more + 4, "score_masks": 2, "summarize": 1, **SHOWN}
    # `rounds: 1` is the default: the page has the same settings.
    assert jobs == (planned if more else {})


def test_the_second_round_learns_from_the_relabelled_masks(
    snakemake: Snakemake, warm_snakemake: Snakemake, finished: Path, tmp_path: Path
) -> None:
    folder = copy_run(finished, tmp_path / "run")
    score_file = "results/tiny/evaluate/segmenter-val.json"
    result = warm_snakemake(folder, score_file, config=with_rounds(tmp_path, 2))
    assert result.returncode == 0, result.stdout
    results = folder / "results/tiny"
    records = read_index(results / "data/train.csv")
    relabelled = {path.stem: path for path in (results / "segment/pseudo_masks/told/train").glob("*/*.png")}
    assert relabelled.keys() == {record.id for record in records}
    for record in records:
        possible = [0, *(1 + ("red disc", "blue square").index(tag) for tag in record.labels)]
        assert np.isin(read_mask(relabelled[record.id]), possible).all()
    # What the training says that it read, against the bytes of these masks.
    read = read_json(results / "work/segment/pseudo_masks-round2/fingerprint.json")["masks"]
    assert read == digest([relabelled[record.id] for record in records])
    assert read != read_json(results / "work/segment/pseudo_masks/fingerprint.json")["masks"]

    score = json.loads((folder / score_file).read_text())
    assert (score["round"], score["images"]) == (2, SIZES["val"])
    assert json.loads((results / "evaluate/pseudo_masks-val.json").read_text())["round"] is None

    # Inference makes training masks, so another one trains the second round again, and not the first.
    flipped = with_rounds(tmp_path, 2, "  inference: {flip: true}\n")
    jobs = jobs_of(snakemake(folder, "--dry-run", score_file, config=flipped).stdout)
    assert jobs == {"train_segmenter": 1, "predict": 2 + 2, "score_masks": 1}


def test_what_is_shown_is_of_the_last_round(snakemake: Snakemake, finished: Path, tmp_path: Path) -> None:
    planned = snakemake(finished, "--dry-run", "--printshellcmds", config=with_rounds(tmp_path, 2))
    commands = {command: line for line in planned.stdout.splitlines() if (command := command_of(line))}
    for command in ("report.make_page", "report.make_gallery"):
        assert "--segmenter pseudo_masks-round2 " in commands[command]
    assert "results/tiny/segment/pseudo_masks-round2/segmenter.safetensors " in commands["report.write_provenance"]
    assert "--round 2 " in commands["evaluate.score_masks"]


def test_masks_mended_by_hand_are_those_of_every_round(snakemake: Snakemake, finished: Path, tmp_path: Path) -> None:
    write_mask(tmp_path / "mended/train-03.png", draw_image("train", 3)[1])
    config = with_rounds(tmp_path, 2)
    config.write_text(config.read_text().replace("refine:\n", f"refine:\n  mended: {tmp_path / 'mended'}\n"))
    planned = snakemake(finished, "--dry-run", "--printshellcmds", config=config)
    jobs = jobs_of(planned.stdout)
    assert (jobs["mend_relabelled"], jobs["add_mended"], jobs["train_segmenter"]) == (2, 4, 2)
    commands = planned.stdout.splitlines()
    (mending,) = [line for line in commands if "segment/pseudo_masks-round2/with_mended/0 " in line and "add_m" in line]
    assert "--masks results/tiny/segment/pseudo_masks/told/train/0 " in mending
    assert "--fill" not in mending  # pixels that are ignored by hand stay ignored
    (training,) = [line for line in commands if "segment.train " in line and "pseudo_masks-round2" in line]
    read = training.split("--masks ")[1].split("--")[0].split()
    assert read == [f"results/tiny/segment/pseudo_masks-round2/with_mended/{shard}" for shard in range(2)]
