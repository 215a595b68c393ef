"""Time and memory of indexing a dataset of COCO's size, made up: 80,000 images, 600,000 objects.

Three commands, each in a process of its own, as the workflow runs them: the tags alone (the JSON is read and the index
rows are made), the whole index (every image is decoded and checked as well) and the true masks. The images are links to
one photograph of COCO's usual size. Seconds depend on the machine; the ratio is of pycocotools' reading to Python's own
reading of the same JSON, in one process each.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from stages.files import write_json

OBJECTS_AN_IMAGE = 7.5  # COCO 2014: 604,907 in 82,783
VERTICES = 22  # makes the file as long as COCO's: about 530 bytes an object
SIZE = (640, 480)
LINKS = 10_000  # of one file; file systems allow no more than some ten thousands
POLL = 0.2  # most seconds between two looks at the memory; a process that just started is looked at more often

READ = (
    "import sys, time; from pathlib import Path; from stages.data.readers import read_split;"
    "from stages.settings import DataSettings; started = time.perf_counter();"
    "settings = DataSettings.model_validate_json(sys.argv[1]);"
    "records, _ = read_split(Path(sys.argv[2]), 'train', settings); print(len(records), time.perf_counter() - started)"
)
PLAIN = "import json, sys; json.load(open(sys.argv[1]))"
COCO = "import sys; from pycocotools.coco import COCO; COCO(sys.argv[1])"


def make_dataset(root: Path, images: int, seed: int = 0) -> None:
    """Writes annotations/instances_train2014.json with 80 categories, and the images as hard links."""
    chance = random.Random(seed)
    (root / "annotations").mkdir(parents=True)
    (root / "train2014").mkdir()
    noise = Image.effect_noise((SIZE[0] // 8, SIZE[1] // 8), 60).resize(SIZE, Image.Resampling.BICUBIC)
    Image.merge("RGB", (noise, noise.rotate(90), noise.rotate(180))).save(root / "photo.jpg", quality=92)
    with (root / "annotations/instances_train2014.json").open("w") as stream:
        names = [{"file_name": f"COCO_train2014_{number:012d}.jpg", "id": number} for number in range(1, images + 1)]
        stream.write('{"images": ')
        json.dump([{**name, "height": SIZE[1], "width": SIZE[0]} for name in names], stream)
        stream.write(', "categories": ')
        json.dump([{"id": number, "name": f"class {number}"} for number in range(1, 81)], stream)
        stream.write(', "annotations": [')
        for number in range(round(images * OBJECTS_AN_IMAGE)):
            stream.write((", " if number else "") + json.dumps(make_object(number, images, chance)))
        stream.write("]}")
    for place, name in enumerate(names):
        photo = root / f"photo-{place // LINKS}.jpg"
        if not photo.is_file():
            shutil.copy(root / "photo.jpg", photo)
        os.link(photo, root / "train2014" / name["file_name"])


def make_object(number: int, images: int, chance: random.Random) -> dict:
    """A polygon around a point, of VERTICES corners."""
    middle, radius = (chance.uniform(60, 580), chance.uniform(60, 420)), chance.uniform(5, 60)
    angles = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    corners = np.stack([middle[0] + radius * np.cos(angles), middle[1] + radius * np.sin(angles)], axis=1)
    return {
        "id": number + 1,
        "image_id": number % images + 1,
        "category_id": chance.randint(1, 80),
        "iscrowd": 0,
        "area": round(3.14 * radius**2, 2),
        "bbox": [
            round(middle[0] - radius, 2),
            round(middle[1] - radius, 2),
            round(2 * radius, 2),
            round(2 * radius, 2),
        ],
        "segmentation": [np.round(corners.ravel(), 2).tolist()],
    }


def measure(*command: str) -> tuple[float, float]:
    """Seconds, and the most memory in GiB that the command and its children held together (shared pages once)."""
    started, most = time.perf_counter(), 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        most = max(most, sum(map(memory_of, family_of(process.pid))))
        time.sleep(min(POLL, (time.perf_counter() - started) / 10))
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)[:200]} ended with {process.returncode}")
    return time.perf_counter() - started, most / 2**30


def family_of(pid: int) -> list[int]:
    """A process and all that it started."""
    family = [pid]
    for parent in family:
        for tasks in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                family += [int(child) for child in tasks.read_text().split()]
            except OSError:  # ended meanwhile
                continue
    return family


def memory_of(pid: int) -> int:
    """Bytes of a process, pages shared with others counted by their share; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def run(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--json", type=Path, required=True, help="where the figures go")
    options.add_argument("--images", type=int, default=80_000)
    options.add_argument("--processes", type=int, default=2)
    args = options.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "coco", Path(folder) / "results"
        make_dataset(root, args.images)
        path = root / "annotations/instances_train2014.json"
        names = ",".join(f'"class {number}"' for number in range(1, 81))
        settings = f'{{"format":"coco","root":"anywhere","classes":[{names}]}}'
        python, processes = sys.executable, str(args.processes)
        common = ("--settings", settings, "--split", "train", "--root", str(root), "--processes", processes)
        commands = {
            "tags": (python, "-c", READ, settings, str(root)),
            "index": (python, "-m", "stages.data.make_index", *common, "--output", str(out / "train.csv")),
            "masks": (python, "-m", "stages.data.make_truth", *common, "--output", str(out / "masks")),
        }
        figures: dict[str, float] = {"images": args.images, "json_megabytes": path.stat().st_size / 1e6}
        for name, command in commands.items():
            seconds, memory = measure(*command)
            figures |= {f"{name}_seconds": seconds, f"{name}_images_a_second": args.images / seconds}
            figures |= {f"{name}_gib": memory}
            print(f"{name}: {seconds:.0f} s, {args.images / seconds:.0f} images/s, {memory:.2f} GiB")
        plain, _ = measure(python, "-c", PLAIN, str(path))
        coco, _ = measure(python, "-c", COCO, str(path))
        figures["pycocotools_over_plain_json"] = coco / plain
        print(f"pycocotools over json.load: {coco / plain:.2f} x")
    write_json(args.json, {name: round(value, 3) for name, value in figures.items()})


if __name__ == "__main__":
    run()
