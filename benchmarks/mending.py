"""What mending masks brings: the most doubtful against as many at random, on a finished experiment with true masks.

python -m benchmarks.mending --config configs/demo.yaml --doubt doubt-train.csv --json mending.json

True masks stand for masks mended by hand. Each arm is an experiment of its own, `<experiment>-mended-<arm>`: a copy of
the finished one up to its pseudo masks, with `refine.mended`; the workflow does the rest. Runs from a clone's folder;
finished arms are kept.
"""

import argparse
import csv
import shutil
import statistics
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from stages.evaluate.confusion import confusion_matrix, mean_iou
from stages.evaluate.scores import read_score
from stages.evaluate.table_formats import markdown_table
from stages.experiment import read_settings
from stages.files import atomic_folder, write_json, write_text
from stages.images import read_mask
from stages.index import Record, read_classes, read_index
from stages.mask_folders import find_masks

NONE = "none"
SPLITS = ("val", "test")
# What arms have in common; the features that the localizer was trained on are large, and not needed any more.
SHARED = ("data", "encode", "localize", "refine")
FINISHED = ("segment", "evaluate")  # shared by the arm without mended masks
DRAWS = 50  # choices at random, for the mean of pseudo masks
LEFT = shutil.ignore_patterns("features", "map_features", "mended*", "with_mended", "variants")


@dataclass(frozen=True)
class Arm:
    """An experiment in which the masks of `ids` are mended."""

    name: str
    ids: tuple[str, ...]


def read_doubts(path: Path) -> list[str]:
    """Ids, the most doubtful first, of a CSV with the columns id and doubt; rows of single classes are passed over."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [(float(row["doubt"]), row["id"]) for row in csv.DictReader(stream) if not row.get("class")]
    return [name for _, name in sorted(rows, key=lambda pair: (-pair[0], pair[1]))]


def choose_arms(doubtful: Sequence[str], counts: Sequence[int], *, seed: int) -> list[Arm]:
    """No mask, and for each count as many at random and the most doubtful ones."""
    drawn = np.random.default_rng(seed).permutation(sorted(doubtful)).tolist()
    arms = [Arm(NONE, ())]
    for count in counts:
        arms += [Arm(f"random-{count}", tuple(drawn[:count])), Arm(f"doubtful-{count}", tuple(doubtful[:count]))]
    return arms


def prepare(arm: Arm, config: Path, folder: Path, seeds: Sequence[int]) -> Path:
    """Writes the config and mended masks of an arm below `folder`, and copies what it shares. Returns the config."""
    settings: dict[str, Any] = dict(read_settings(config))
    source, name = Path("results") / settings["experiment"], f"{settings['experiment']}-mended-{arm.name}"
    settings |= {"experiment": name, "compare": settings.get("compare", {}) | {"segmenter_seeds": list(seeds)}}
    if arm.ids:
        mended = folder / name
        settings["refine"] = settings.get("refine", {}) | {"mended": str(mended)}
        if {path.stem for path in mended.glob("*.png")} != set(arm.ids):  # none yet, or those of other doubts
            write_mended(
                arm,
                read_index(source / "data/train.csv"),
                Path(settings["data"].get("root") or source / "data/set"),
                mended,
            )
    for stage in SHARED if arm.ids else SHARED + FINISHED:
        target = Path("results") / name / stage
        if not target.is_dir():
            with atomic_folder(target) as whole:
                shutil.copytree(source / stage, whole, ignore=LEFT, dirs_exist_ok=True)
    write_text(folder / f"{name}.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
    return folder / f"{name}.yaml"


def write_mended(arm: Arm, records: Sequence[Record], root: Path, folder: Path) -> None:
    """The true masks of an arm's images, as `<id>.png`."""
    masks = {record.id: record.mask for record in records}
    with atomic_folder(folder) as whole:
        for name in arm.ids:
            shutil.copyfile(root / masks[name], whole / f"{name}.png")


def scores_of(results: Path, seed: int, own: int) -> dict[str, Path]:
    """The score files of a segmenter's seed, and of the pseudo masks."""
    place = results / "evaluate" if seed == own else results / f"evaluate/segmenters/{seed}"
    return {
        "pseudo masks, train": results / "evaluate/pseudo_masks-train.json",
        **{f"segmenter, {split}": place / f"segmenter-{split}.json" for split in SPLITS},
    }


def confusions_of(results: Path, root: Path) -> dict[str, NDArray[np.int64]]:
    """The confusion matrix of each training image's pseudo mask, by id."""
    classes = len(read_classes(results / "data/classes.txt"))
    records = read_index(results / "data/train.csv")
    masks = find_masks(sorted((results / "refine/masks/train").iterdir()), [record.id for record in records])
    return {
        record.id: confusion_matrix(read_mask(root / record.mask), read_mask(masks[record.id]), classes)
        for record in records
    }


def miou_with(confusions: Mapping[str, NDArray[np.int64]], ids: Collection[str]) -> float:
    """mIoU of the pseudo masks, percent, where those of `ids` are the true ones."""
    total = sum(np.diag(own.sum(axis=1)) if name in ids else own for name, own in confusions.items())
    return float(mean_iou(np.asarray(total)))


def at_random(confusions: Mapping[str, NDArray[np.int64]], count: int) -> list[float]:
    """The same for DRAWS choices at random."""
    draws = [np.random.default_rng([count, draw]).permutation(sorted(confusions)) for draw in range(DRAWS)]
    return [miou_with(confusions, set(draw[:count].tolist())) for draw in draws]


def run_arm(config: Path, targets: Sequence[Path], cores: int) -> None:
    """Makes the scores of an arm."""
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--quiet", "--configfile", str(config), "--"]
    subprocess.run([*command, *map(str, targets)], check=True)


def figures_of(results: Path, seeds: Sequence[int], own: int) -> dict[str, list[float]]:
    """mIoU by what was scored, for each seed that is there; of pseudo masks once."""
    found: dict[str, list[float]] = {}
    for seed in seeds:
        for name, path in scores_of(results, seed, own).items():
            if path.is_file() and not (name.startswith("pseudo") and name in found):
                found.setdefault(name, []).append(read_score(path).miou)
    return found


def words(values: Sequence[float]) -> str:
    """Mean and sample deviation, and how many there are."""
    if len(values) < 2:
        return f"{values[0]:.1f}" if values else ""
    return f"{statistics.fmean(values):.1f} ± {statistics.stdev(values):.1f}"


def table(figures: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """All arms as Markdown."""
    columns = ["pseudo masks, train", *(f"segmenter, {split}" for split in SPLITS)]
    rows = [
        [name, *(words(own.get(column, [])) for column in columns), str(len(own.get(columns[1], [])))]
        for name, own in figures.items()
    ]
    return markdown_table(["mended", *columns, "seeds"], rows)


def masks_table(none: float, masks: Mapping[str, Sequence[float]]) -> str:
    """mIoU of the pseudo masks of train as Markdown. masks: by how many are mended, of the doubtful ones first, then of
    each choice at random."""
    rows = [["0", f"{none:.1f}", f"{none:.1f}"]]
    rows += [[count, f"{doubtful:.1f}", words(drawn)] for count, (doubtful, *drawn) in masks.items()]
    return markdown_table(["mended", "the most doubtful", "at random"], rows)


def run(arguments: list[str] | None = None) -> None:
    """Command line."""
    command = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    command.add_argument("--config", type=Path, required=True, help="config of the finished experiment")
    command.add_argument("--doubt", type=Path, required=True, help="doubts of train (CSV: id, doubt)")
    command.add_argument("--counts", type=int, nargs="+", default=[10, 60], help="masks to mend")
    command.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="of the segmenter; none: masks alone")
    command.add_argument("--draw", type=int, default=0, help="seed of the masks at random")
    command.add_argument("--folder", type=Path, default=Path("mending"), help="for configs and mended masks")
    command.add_argument("--cores", type=int, default=2)
    command.add_argument("--json", type=Path, required=True, help="all figures")
    args = command.parse_args(arguments)
    settings = read_settings(args.config)
    own, results = settings.get("seed", 0), Path("results") / settings["experiment"]
    doubtful = read_doubts(args.doubt)
    confusions = confusions_of(results, Path(settings["data"].get("root") or results / "data/set"))
    masks = {
        str(count): [miou_with(confusions, doubtful[:count]), *at_random(confusions, count)] for count in args.counts
    }
    print(masks_table(miou_with(confusions, ()), masks), flush=True)
    if not args.seeds:
        write_json(args.json, {"none": miou_with(confusions, ()), "doubtful_then_random": masks})
        return
    chosen = choose_arms(doubtful, args.counts, seed=args.draw)
    arms = {arm: prepare(arm, args.config, args.folder, args.seeds) for arm in chosen}
    places = {arm: Path("results") / f"{settings['experiment']}-mended-{arm.name}" for arm in arms}
    for seed in args.seeds:  # so that every arm has a seed before any has two
        for arm, config in arms.items():
            run_arm(config, list(scores_of(places[arm], seed, own).values()), args.cores)
            figures = {other.name: figures_of(places[other], args.seeds, own) for other in arms}
            write_json(args.json, {"ids": {other.name: other.ids for other in arms}, "miou": figures})
            print(f"seed {seed}, {arm.name}\n{table(figures)}", flush=True)


if __name__ == "__main__":
    run()
