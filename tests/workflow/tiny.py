"""The tiny experiment: 24 drawn images, random weights, and Snakemake's command line for them."""

import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import open_clip
import timm
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from stages.images import write_mask
from stages.index import Record, write_index

REPOSITORY = Path(__file__).parents[2]
TINY = REPOSITORY / "tests/configs/tiny.yaml"
SIZES = {"train": 12, "val": 6, "test": 6}
SIDE = 72
# The jobs that follow every score and prediction, and those that follow pseudo masks.
SHOWN = dict.fromkeys(("make_page", "make_gallery", "write_provenance", "write_cards", "all"), 1)
AFTER_MASKS = {"train_segmenter": 1, "predict": 4, "summarize": 1, **SHOWN}


def environment() -> dict[str, str]:
    """The environment of a rule: this Python first, the project importable from any folder, nothing from a hub."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY), "HF_HUB_OFFLINE": "1"}


def command(*options: str | Path, config: Path = TINY) -> list[str]:
    """Snakemake's command line with two cores, from any folder."""
    snakefile = REPOSITORY / "Snakefile"
    # The config comes last: --configfile takes every word up to the next option.
    settings = ["--cores", "2", "--snakefile", str(snakefile), "--configfile", str(config)]
    return [sys.executable, "-m", "snakemake", *map(str, options), *settings]


def jobs_of(output: str) -> dict[str, int]:
    """Job counts by rule from what Snakemake prints; empty where there is nothing to do."""
    table = re.search(r"^job +count\n-[- ]+\n(.*?)^total", output, re.MULTILINE | re.DOTALL)
    return {} if table is None else {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)", table[1], re.M)}


def draw_image(split: str, number: int) -> tuple[Image.Image, np.ndarray, tuple[str, ...]]:
    """A red disc, a blue square or both over noise, with the true mask and the tags."""
    random = np.random.default_rng([len(split), number])
    image = Image.fromarray(random.integers(60, 160, (SIDE, SIDE + 8, 3), dtype=np.uint8))
    mask = Image.new("L", image.size)
    tags = [("red disc",), ("blue square",), ("red disc", "blue square")][number % 3]
    for name, box, value, colour in (
        ("red disc", (6, 20, 38, 52), 1, (210, 30, 30)),
        ("blue square", (44, 16, 74, 46), 2, (30, 30, 210)),
    ):
        if name in tags:
            for canvas, fill in ((image, colour), (mask, value)):
                draw = ImageDraw.Draw(canvas)
                (draw.ellipse if value == 1 else draw.rectangle)(box, fill=fill)
    return image, np.asarray(mask, dtype=np.uint8), tags


def write_dataset(root: Path) -> None:
    """The dataset as a user would bring it: images, masks, and a CSV a split."""
    for split, count in SIZES.items():
        records = []
        for number in range(count):
            name = f"{split}-{number:02d}"
            image, mask, tags = draw_image(split, number)
            (root / "images").mkdir(parents=True, exist_ok=True)
            image.save(root / f"images/{name}.jpg", quality=95)
            write_mask(root / f"masks/{name}.png", mask)
            records.append(Record(name, f"images/{name}.jpg", f"masks/{name}.png", tags, split))
        write_index(root / f"{split}.csv", records)


def write_weights(folder: Path) -> None:
    """Random weights, in the files that the tiny config names."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    save_file(timm.create_model("test_efficientnet").state_dict(), folder / "cnn.safetensors")
    clip = open_clip.create_model("ViT-S-32-alt", pretrained=None).state_dict()
    save_file({name: value.contiguous() for name, value in clip.items()}, folder / "clip.safetensors")


def link_clone(folder: Path) -> Path:
    """Makes `folder` the clone in which a user would stand. Returns it."""
    for name in ("Snakefile", "workflow", "profiles", "stages", "configs", "environment.yml"):
        (folder / name).symlink_to(REPOSITORY / name)
    return folder


def write_inputs(folder: Path, weights: Path | None = None) -> Path:
    """Makes a clone of `folder`, with the tiny dataset and weights in it: linked if a folder of them is given, else
    written. Returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    link_clone(folder)
    write_dataset(folder / "set")
    if weights:
        (folder / "weights").symlink_to(weights)
    else:
        write_weights(folder / "weights")
    return folder


def copy_run(source: Path, target: Path) -> Path:
    """Copies a folder with the tiny experiment, so that a test may change its files. Returns the copy.

    Snakemake's own logs stay behind: another process may be planning in `source`.
    """
    logs = str(source / ".snakemake")
    return Path(
        shutil.copytree(source, target, symlinks=True, ignore=lambda folder, _: {"log"} if folder == logs else set())
    )
