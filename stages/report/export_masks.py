"""Writes masks of an experiment for annotation tools and trainers: COCO, labelme, YOLO or PNG (`tagmask export`)."""

import argparse
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from stages.data.mended_places import MANIFEST, MANIFEST_COLUMNS
from stages.errors import DataError, SettingsError
from stages.experiment import read_config, read_experiment
from stages.files import atomic_folder, read_json, write_csv
from stages.images import IGNORE, read_mask
from stages.index import Record, read_index
from stages.mask_folders import find_masks
from stages.mask_formats.names import name_of
from stages.mask_formats.photos import MaskedPhoto, name_of_photo
from stages.mask_formats.regions import Region, regions_of
from stages.refine.mended import read_mended_list
from stages.report.export_choices import Format, Masks
from stages.report.exporters import EXPORTERS, Target
from stages.runtime.command import main, output_path
from stages.segment.rounds import round_folder
from stages.settings import Experiment
from stages.vocabulary import SPLITS

log = logging.getLogger(__name__)

PROVENANCE = "provenance.json"  # written at the end of a run, with all its settings
TOLERANCE = 0.5


@dataclass
class Counts:
    """What was written of a split."""

    images: int = 0
    empty: int = 0
    regions: Counter[str] = field(default_factory=Counter)
    holes: int = 0
    ignored: int = 0
    points: int = 0
    small: int = 0

    def add(self, photo: MaskedPhoto, regions: Sequence[Region], points: int, classes: Sequence[str]) -> None:
        self.images += 1
        self.empty += not regions
        self.regions.update(name_of(region.value, classes) for region in regions)
        self.holes += sum(region.has_hole for region in regions)
        self.ignored += bool((photo.mask == IGNORE).any())
        self.points += points

    def words(self, split: str) -> str:
        """A line for the user."""
        named = ", ".join(f"{name} {count:,}" for name, count in self.regions.most_common())
        line = f"{split}: {self.images:,} images, {self.regions.total():,} regions ({named or 'none'})"
        line += f", {self.holes:,} with holes, {self.empty:,} images without any"
        line += f", {self.points:,} points" if self.points else ""
        return f"{line}; {self.small:,} regions left out as too small" if self.small else line


def experiment_of(results: Path, config: Path | None) -> Experiment:
    """The settings of the run that filled the folder `results`. Raises SettingsError if nothing says them."""
    if config is not None:
        return read_config(config)
    if not results.is_dir():
        raise DataError(f"--results: no folder {results}; name results/<experiment>")
    path = results / PROVENANCE
    if not path.is_file():
        raise SettingsError(f"{results}: no {PROVENANCE} yet, which has the settings; name the config with --config")
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("settings"), dict):
        raise DataError(f"{path}: no whole provenance; name the config with --config")
    return read_experiment(content["settings"], source=str(path))


def folder_of(masks: str, experiment: Experiment) -> str:
    """Where a kind of masks is, below the results: predictions are of the segmenter of the last round."""
    predictions = f"segment/{round_folder(experiment.segment.rounds)}/predictions"
    return predictions if masks == "predictions" else "refine/masks"


def chosen_splits(results: Path, experiment: Experiment, masks: str, named: str | None) -> list[str]:
    """The splits to export, or all that have such masks. Raises DataError if one has none."""
    folder = folder_of(masks, experiment)
    there: list[str] = [split for split in SPLITS if (results / folder / split).is_dir()]
    wanted = list(dict.fromkeys(name.strip() for name in named.split(",") if name.strip())) if named else there
    missing = [split for split in wanted if split not in there]
    if missing or not wanted:
        cure = "; add it to segment.predict and run again" if masks == "predictions" and missing else ""
        raise DataError(
            f"{results}: no {masks} of {missing[0] if missing else 'any split'} (there are those of"
            f" {', '.join(there) or 'none'}){cure or '; run the workflow, or choose others with --splits'}"
        )
    return wanted


def masks_of(
    results: Path, experiment: Experiment, masks: str, split: str, records: Sequence[Record]
) -> dict[str, tuple[Path, bool]]:
    """The mask of each image of a split by id, and whether it was mended by hand: such ones stand for pseudo masks."""
    folders = [results / folder_of(masks, experiment) / split / str(shard) for shard in range(experiment.data.shards)]
    found = {name: (path, False) for name, path in find_masks(folders, (record.id for record in records)).items()}
    listed = results / "refine/mended.csv"
    if masks == "pseudo_masks" and split == "train" and experiment.refine.mended is not None and listed.is_file():
        mended = [row.id for row in read_mended_list(listed) if row.id in found]
        found |= {name: (results / f"refine/mended/{name}.png", True) for name in mended}
    return found


def photos_of(
    results: Path, experiment: Experiment, masks: str, splits: Sequence[str]
) -> Iterator[tuple[MaskedPhoto, int]]:
    """The photos with their masks, one in memory at a time, and how many there are in all.

    Raises DataError, before the first, if masks are missing or two photos would have one file.
    """
    root = experiment.data.root or results / "data/set"
    if not root.is_dir():
        raise DataError(f"data.root: no folder {root}; export where the photos are, in the folder that the run was in")
    listed = []
    for split in splits:
        records = read_index(results / f"data/{split}.csv")
        found = masks_of(results, experiment, masks, split, records)
        listed += [(record, split, *found[record.id]) for record in records]
    names: dict[str, str] = {}
    for record, *_ in listed:
        other = names.setdefault(name_of_photo(record), record.image)
        if other != record.image:
            raise DataError(
                f"{other} and {record.image} would have one file; export their splits one by one (--splits), or rename"
                " one of them"
            )
    for record, split, path, mended in listed:
        name, place = name_of_photo(record), root / record.image
        photo = MaskedPhoto(record.image, name, place, split, read_mask(path), mended)
        yield photo, len(listed)


def export(target: Target, kind: Format, photos: Iterator[tuple[MaskedPhoto, int]]) -> dict[str, Counts]:
    """Writes photos in a format of EXPORTERS into the target's folder; returns what was written of each split."""
    exporter = EXPORTERS[kind](target)
    counts: dict[str, Counts] = {}
    hashes: list[tuple[str, str]] = []
    shown = tqdm(desc="export", unit="image", mininterval=1)
    for photo, total in photos:
        shown.total = total
        everything = list(regions_of(photo.mask))
        regions = [region for region in everything if region.area >= target.smallest]
        said, points = exporter.add(photo, regions)
        count = counts.setdefault(photo.split, Counts())
        count.add(photo, regions, points, target.classes)
        count.small += len(everything) - len(regions)
        if said and not photo.mended:  # what was mended before stays mended
            hashes.append((photo.image, said))
        shown.update()
    shown.close()
    exporter.finish()
    if hashes:
        write_csv(target.folder / MANIFEST, [MANIFEST_COLUMNS, *hashes])
    return counts


def run(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--results", type=Path, required=True, help="results/<experiment>")
    options.add_argument("--format", choices=list(Format), required=True, help="what to write")
    options.add_argument("--masks", choices=list(Masks), default=Masks.pseudo_masks, help="which masks")
    options.add_argument("--splits", help="train, val, test, joined by commas; default: all that have such masks")
    options.add_argument("--config", type=Path, help="the experiment's config; default: its last whole run's settings")
    options.add_argument("--rle", action="store_true", help="coco: run lengths, which keep every pixel, not polygons")
    options.add_argument("--tolerance", type=float, default=TOLERANCE, help="pixels by which polygons may cut corners")
    options.add_argument("--smallest", type=int, default=1, help="leave out regions of fewer pixels, but not in PNGs")
    options.add_argument("--output", type=output_path, required=True, help="the folder to write")
    args = options.parse_args(arguments)
    if not 0 <= args.tolerance <= 100:
        raise SettingsError(f"--tolerance: {args.tolerance:g}; give pixels from 0 (all corners) to 100")
    if args.rle and args.format != "coco":
        raise SettingsError(f"--rle: {args.format} has no run lengths; leave it out, or choose --format coco")
    if args.smallest > 1 and args.format == "png":
        raise SettingsError("--smallest: a PNG has every pixel; leave it out, or choose another format")
    if args.output.is_dir() and any(args.output.iterdir()):
        raise DataError(f"{args.output}: is not empty, and nothing is written over; name a new folder")
    experiment = experiment_of(args.results, args.config)
    splits = chosen_splits(args.results, experiment, args.masks, args.splits)
    photos = photos_of(args.results, experiment, args.masks, splits)
    with atomic_folder(args.output) as folder:
        target = Target(folder, args.output, experiment.data.classes, args.rle, args.tolerance, args.smallest)
        counts = export(target, Format(args.format), photos)
    for split, count in counts.items():
        print(count.words(split))
    lost = sum(count.ignored for count in counts.values())
    if args.format == "yolo" and lost:
        log.warning("%d images have ignored pixels, which YOLO cannot hold: they are background there", lost)
    log.info("%s: %s", args.output, args.masks.replace("_", " "))


if __name__ == "__main__":
    main(run)
