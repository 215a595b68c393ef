"""Composes the demo set in VOC layout: pictures, masks, tags, and the training cut-outs and backgrounds themselves."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image
from tqdm import tqdm

from stages.data.demo.cutouts import Cutout, read_background, read_cutout
from stages.data.demo.lists import ListedBackground, ListedCutout
from stages.data.demo.painting import paint
from stages.data.demo.scenes import Picture, plan_pictures
from stages.errors import DataError
from stages.files import atomic_folder, read_json, write_csv
from stages.images import write_mask
from stages.index import LABEL_SEPARATOR
from stages.settings import DataSettings, DemoSettings
from stages.vocabulary import SPLITS

log = logging.getLogger(__name__)

JPEG_QUALITY = 92
LONGEST_BACKGROUND = 800  # pixels, of the backgrounds kept for the training of the demo's CLIP


@dataclass(frozen=True)
class Material:
    """What a split is composed from, in memory."""

    split: str
    cutouts: tuple[Cutout, ...]
    backgrounds: tuple[Image.Image, ...]


@dataclass(frozen=True)
class Job:
    """Some pictures of a split, by number. One process composes them; each picture has its own random numbers."""

    numbers: range
    plan: tuple[Picture, ...]
    material: Material
    classes: tuple[str, ...]
    settings: DemoSettings
    seed: int
    folder: Path


def read_material(
    split: str, files: Mapping[str, Path], cutouts: Iterable[ListedCutout], backgrounds: Iterable[ListedBackground]
) -> Material:
    """Reads the listed cut-outs and backgrounds of a split; `files` says where each listed file is."""
    return Material(
        split,
        tuple(read_cutout(find(files, item.file), label=item.label) for item in cutouts if item.split == split),
        tuple(read_background(find(files, item.file)) for item in backgrounds if item.split == split),
    )


def read_sources(path: Path) -> dict[str, Path]:
    """Where each listed file is, from what `fetch` wrote. Raises DataError if it is something else."""
    sources = read_json(path)
    if not isinstance(sources, dict) or "files" not in sources:
        raise DataError(f"{path}: has no entry `files`; delete it and run `fetch` again")
    return {name: Path(place) for name, place in sources["files"].items()}


def find(files: Mapping[str, Path], name: str) -> Path:
    """Where a listed file is. Raises DataError if it is not among the sources."""
    if name not in files:
        raise DataError(f"{name}: not among the unpacked sources; delete the demo's cache folder and run `fetch` again")
    return files[name]


def compose_set(
    output: Path,
    files: Mapping[str, Path],
    cutouts: Sequence[ListedCutout],
    backgrounds: Sequence[ListedBackground],
    *,
    settings: DataSettings,
    seed: int,
    processes: int = 1,
) -> None:
    """Composes all splits into the folder `output`, completely or not at all. Equal seeds give equal bytes.

    Raises DataError if a source is missing or unreadable, or a class or split has none.
    """
    started = perf_counter()
    listed = [item for item in cutouts if item.label in settings.classes]
    with atomic_folder(output) as folder:
        for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
            (folder / name).mkdir(parents=True)
        rows: list[tuple[str, str, str]] = []
        for split in SPLITS:
            material = read_material(split, files, listed, backgrounds)
            if split == "train":
                write_material(folder, material)
            rows += compose_split(folder, material, settings=settings, seed=seed, processes=processes)
        write_csv(folder / "tags.csv", [("id", "labels", "caption"), *rows])
    log.info("%d pictures in %.1f s: %s", len(rows), perf_counter() - started, output)


def compose_split(
    folder: Path, material: Material, *, settings: DataSettings, seed: int, processes: int
) -> list[tuple[str, str, str]]:
    """Composes the pictures of one split; returns their rows of tags.csv in order."""
    demo = settings.demo
    count = {"train": demo.train, "val": demo.val, "test": demo.test}[material.split]
    plan = plan_pictures(
        [cutout.label for cutout in material.cutouts],
        classes=settings.classes,
        backgrounds=len(material.backgrounds),
        pictures=count,
        most=demo.most_objects,
        rng=np.random.default_rng(np.random.SeedSequence([seed, SPLITS.index(material.split)])),
    )
    # Enough jobs for the bar to move, few enough that sending the material to each costs little.
    cuts = np.linspace(0, count, min(count, 4 * processes) + 1).astype(int)
    jobs = [
        Job(range(start, end), tuple(plan), material, settings.classes, demo, seed, folder)
        for start, end in pairwise(cuts.tolist())
    ]
    rows: list[tuple[str, str, str]] = []
    with tqdm(total=count, desc=f"compose {material.split}", unit="image") as bar:
        for done in run_jobs(jobs, processes):
            rows += done
            bar.update(len(done))
    (folder / "ImageSets/Segmentation" / f"{material.split}.txt").write_text("".join(f"{row[0]}\n" for row in rows))
    return rows


def run_jobs(jobs: Sequence[Job], processes: int) -> Iterable[list[tuple[str, str, str]]]:
    """Runs jobs in this process or in several; results come in order."""
    if processes == 1:
        yield from map(compose_pictures, jobs)
        return
    # A spawned process imports this module anew, and inherits no locks held by numpy or logging.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(compose_pictures, jobs)


def compose_pictures(job: Job) -> list[tuple[str, str, str]]:
    """Composes and writes the pictures of a job; returns (id, labels, caption) of each."""
    place = SPLITS.index(job.material.split)
    rows = []
    for number in job.numbers:
        # A picture's random numbers depend only on its own place, so neither order nor processes change it.
        rng = np.random.default_rng(np.random.SeedSequence([job.seed, place, number]))
        picture = job.plan[number]
        painting = paint(
            job.material.backgrounds[picture.background],
            [job.material.cutouts[cutout] for cutout in picture.cutouts],
            classes=job.classes,
            settings=job.settings,
            rng=rng,
        )
        name = f"{job.material.split}-{number:05d}"
        painting.image.save(job.folder / "JPEGImages" / f"{name}.jpg", quality=JPEG_QUALITY)
        write_mask(job.folder / "SegmentationClass" / f"{name}.png", painting.mask)
        labels = sorted({cutout.label for cutout in painting.cutouts}, key=job.classes.index)
        caption = " ".join(cutout.caption for cutout in painting.cutouts if cutout.caption)
        rows.append((name, LABEL_SEPARATOR.join(labels), caption))
    return rows


def write_material(folder: Path, material: Material) -> None:
    """Writes the split's cut-outs (RGBA, with class and caption in a CSV) and backgrounds, for packaged towers."""
    for name in ("Cutouts", "Backgrounds"):
        (folder / name / material.split).mkdir(parents=True)
    rows = []
    for place, cutout in enumerate(material.cutouts):
        image = f"Cutouts/{material.split}/{place:03d}.png"
        cutout.image.save(folder / image)
        rows.append((image, cutout.label, cutout.caption))
    write_csv(folder / "Cutouts" / f"{material.split}.csv", [("image", "class", "caption"), *rows])
    for place, background in enumerate(material.backgrounds):
        small = background.copy()
        small.thumbnail((LONGEST_BACKGROUND, LONGEST_BACKGROUND), Image.Resampling.LANCZOS)
        small.save(folder / f"Backgrounds/{material.split}/{place:03d}.jpg", quality=JPEG_QUALITY)
