"""Tables with fewer photographs in train: which are taken, what is kept, and settings that fit over the config."""

import csv
from collections import Counter
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from benchmarks import few_images
from stages.errors import DataError
from stages.experiment import read_experiment
from stages.index import Record
from tests.workflow.tiny import REPOSITORY

CONFIG = REPOSITORY / "configs/msrc.yaml"


def record(number: int, *labels: str) -> Record:
    return Record(str(number), f"{number}.jpg", "", labels, "train")


# 40 cows, 20 cats and 10 photographs of a face and its body.
RECORDS = [
    *(record(number, "cow") for number in range(40)),
    *(record(number, "cat") for number in range(40, 60)),
    *(record(number, "face", "body") for number in range(60, 70)),
]


@pytest.mark.parametrize("count", [7, 14, 35])
def test_the_first_ones_show_the_classes_in_the_shares_of_all(count: int) -> None:
    first = few_images.in_shares(RECORDS, seed=3)[:count]
    shown = Counter(label for one in first for label in one.labels)
    assert shown == {"cow": 4 * count / 7, "cat": 2 * count / 7, "face": count / 7, "body": count / 7}


def test_every_photograph_comes_once_and_the_seed_says_which_come_first() -> None:
    orders = [few_images.in_shares(RECORDS, seed=seed) for seed in (0, 0, 1)]
    assert all(sorted(order, key=lambda one: int(one.id)) == RECORDS for order in orders)
    assert orders[0] == orders[1] != orders[2]


def write_folder(root: Path) -> None:
    """34 photographs of train and 6 of val, of two classes; the photographs themselves are not read."""
    rows = [(f"{n}.jpg", "cow" if n % 2 else "cow;cat", "train" if n < 34 else "val", f"{n}.png") for n in range(40)]
    with (root / "tags.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("image", "tags", "split", "mask"), *rows])
    for row in rows:
        (root / row[0]).touch()


def run_on(folder: Path, photos: str) -> Path:
    output = folder / "few"
    few_images.run(
        ["--config", str(CONFIG), "--root", str(folder), "--photos", photos, "--output", str(output)],
    )
    return output


def test_photographs_move_from_train_to_val_and_keep_tags_and_masks(tmp_path: Path) -> None:
    write_folder(tmp_path)
    with (run_on(tmp_path, "10") / "10.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    splits = {row["image"]: row["split"] for row in rows}
    assert Counter(splits.values()) == {"train": 10, "val": 30}
    assert all(splits[f"{number}.jpg"] == "val" for number in range(34, 40))
    with (tmp_path / "tags.csv").open(newline="") as stream:
        before = {row["image"]: (row["tags"], row["mask"]) for row in csv.DictReader(stream)}
    assert {row["image"]: (row["tags"], row["mask"]) for row in rows} == before


def test_a_training_takes_as_many_steps_as_with_all_photographs(tmp_path: Path) -> None:
    write_folder(tmp_path)
    config = yaml.safe_load(CONFIG.read_text())
    given = read_experiment(config, source="msrc").localize.training
    update_config(config, yaml.safe_load((run_on(tmp_path, "10") / "10.yaml").read_text()))
    few = read_experiment(config, source="few")
    # 40 photographs are one step of 32 an epoch, and so are 10: nothing to make up for.
    assert few.localize.training.epochs == given.epochs
    settings = few_images.settings_over(
        read_experiment(yaml.safe_load(CONFIG.read_text()), source="msrc"),
        root=tmp_path,
        table=tmp_path / "25.csv",
        photos=100,
        of=275,
    )
    # 8 steps an epoch with all, 3 with 100: 8 epochs become 21, and one of warm-up 2 2/3.
    assert settings["localize"]["training"]["epochs"] == 21
    assert settings["localize"]["training"]["warmup_epochs"] == pytest.approx(8 / 3)
    assert few.localize.splits == ("train",)


def test_a_number_that_train_has_not_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    with pytest.raises(DataError, match="--photos: 35 is not between 1 and the 34 photographs of train"):
        run_on(tmp_path, "35")
