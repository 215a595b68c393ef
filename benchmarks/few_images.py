"""How good localizers are when there are few photographs: tables of tags in which fewer of them are in train.

    python -m benchmarks.few_images --config configs/msrc.yaml --root datasets/msrc --photos 25 50 --output results/few
    snakemake --cores 2 --configfile configs/msrc.yaml results/few/25.yaml -- compare_localizers

The first writes, for each number, a table and settings to lay over the config. Photographs that are left out of train
go to val: all are scored together (`train+val`), whatever the number. A smaller number's photographs are among those of
a larger one, and show the classes in about the same shares. Epochs grow such that each training takes as many steps as
the config's would on all photographs; `KIND_epochs` is the experiment's own localizer with the config's epochs.
"""

import argparse
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from stages.data.folder_reader import read_folder_split
from stages.errors import DataError, SettingsError
from stages.experiment import read_config
from stages.files import write_csv, write_text
from stages.index import LABEL_SEPARATOR, Record, tagged
from stages.runtime.command import main
from stages.settings import Experiment

CHECKPOINTS = 4  # per training: with one an epoch, many short epochs would mostly write them


def in_shares(records: Sequence[Record], *, seed: int) -> list[Record]:
    """The records in an order in which the first ones, however many, show the classes in about the shares of all of
    them: next comes, at random, one of the class of which the smallest share is taken."""
    random = np.random.default_rng(seed)
    left = [records[place] for place in random.permutation(len(records))]
    totals = Counter(label for record in records for label in record.labels)
    taken: Counter[str] = Counter()
    ordered = []
    while left:
        shown = {label for record in left for label in record.labels}
        wanted = min(sorted(shown), key=lambda label: taken[label] / totals[label])
        following = next(record for record in left if wanted in record.labels)
        left.remove(following)
        taken.update(following.labels)
        ordered.append(following)
    return ordered


def table_rows(ordered: Sequence[Record], others: Sequence[Record], photos: int) -> list[tuple[str, ...]]:
    """A table of tags with the first `photos` records in train, all others in val."""
    splits = ["train"] * photos + ["val"] * (len(ordered) - photos + len(others))
    rows = [
        (record.image, LABEL_SEPARATOR.join(record.labels), split, record.mask, record.caption)
        for record, split in zip([*ordered, *others], splits, strict=True)
    ]
    return [("image", "tags", "split", "mask", "caption"), *rows]


def settings_over(experiment: Experiment, *, root: Path, table: Path, photos: int, of: int) -> dict[str, Any]:
    """The settings that differ from the config's, with `photos` of the `of` photographs in train."""
    training = experiment.localize.training
    per_epoch, full = (max(1, count // training.batch_size) for count in (photos, of))
    epochs = round(training.epochs * full / per_epoch)
    given = {"epochs": training.epochs, "warmup_epochs": training.warmup_epochs}
    return {
        "experiment": f"{experiment.experiment}_few_{photos}",
        "data": {"root": str(root), "folder": {"table": str(table.absolute())}},
        "localize": {
            "splits": ["train"],
            "training": {
                "epochs": epochs,
                "warmup_epochs": training.warmup_epochs * full / per_epoch,
                "checkpoint_every": max(1, epochs // CHECKPOINTS),
            },
        },
        "compare": {
            "split": "train+val",
            "localizers": {f"{experiment.localize.method.kind}_epochs": {"training": given}},
        },
    }


def run(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--config", type=Path, required=True, help="config of a folder of photographs with masks")
    options.add_argument("--root", type=Path, required=True, help="the folder")
    options.add_argument("--photos", type=int, nargs="+", required=True, help="numbers of training photographs")
    options.add_argument("--seed", type=int, default=0, help="which photographs are taken")
    options.add_argument("--output", type=Path, required=True, help="folder for tables and settings")
    args = options.parse_args(arguments)
    experiment = read_config(args.config)
    if experiment.data.format != "folder":
        raise SettingsError(f"{args.config}: data.format must be `folder` (given: {experiment.data.format!r})")
    train, val = (tagged(read_folder_split(args.root, split, experiment.data)[0]) for split in ("train", "val"))
    ordered = in_shares(train, seed=args.seed)
    for photos in args.photos:
        if not 0 < photos <= len(train):
            raise DataError(f"--photos: {photos} is not between 1 and the {len(train)} photographs of train")
        table = args.output / f"{photos}.csv"
        write_csv(table, table_rows(ordered, val, photos))
        settings = settings_over(experiment, root=args.root, table=table, photos=photos, of=len(train) + len(val))
        write_text(table.with_suffix(".yaml"), yaml.safe_dump(settings, sort_keys=False))
        logging.info("%s: %d photographs, %d epochs", table, photos, settings["localize"]["training"]["epochs"])


if __name__ == "__main__":
    main(run)
