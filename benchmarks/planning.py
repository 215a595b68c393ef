"""Time that Snakemake takes to plan COCO in full: 82,081 and 40,137 made-up records in 32 shards, a dry run.

python -m benchmarks.planning --json figures.json

The plan must not grow with the number of images, so the other way is the same plan of a hundredth of them. Both are
run in turn as whole processes; seconds depend on the machine.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from stages.data.left_out import write_left_out
from stages.files import write_json
from stages.index import Record, write_index

REPOSITORY = Path(__file__).parents[1]
COCO = REPOSITORY / "configs/coco14.yaml"
IMAGES = {"train": 82_081, "val": 40_137}
SHARDS = 32


def write_planned(folder: Path, images: Mapping[str, int] = IMAGES) -> Path:
    """As much of a COCO run as planning looks at: annotations, indexes, folders of masks. Returns its config."""
    annotations = folder / "datasets/COCO2014/annotations"
    annotations.mkdir(parents=True)
    for split, count in images.items():
        (annotations / f"instances_{split}2014.json").write_text("{}")
        name = f"COCO_{split}2014"
        records = [
            Record(f"{name}_{n:012d}", f"{split}2014/{name}_{n:012d}.jpg", "", ("dog",), split) for n in range(count)
        ]
        # An index is made of the masks; if it were older than they are, it would be planned again.
        (folder / f"results/coco14/data/masks/{split}").mkdir(parents=True)
        write_index(folder / f"results/coco14/data/{split}.csv", records)
        write_left_out(folder / f"results/coco14/data/left_out/{split}.csv", [])
    (folder / "datasets/res38_cls.pth").touch()  # planning looks whether it is there
    text = COCO.read_text(encoding="utf-8")
    if "shards: 128" not in text:
        raise ValueError(f"{COCO}: has not `shards: 128`, which this benchmark replaces; correct it here")
    config = folder / "coco14.yaml"
    config.write_text(text.replace("shards: 128", f"shards: {SHARDS}"), encoding="utf-8")
    return config


def plan(folder: Path, config: Path) -> float:
    """Seconds of a dry run. Raises CalledProcessError when it fails."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "--cores", "2"]
    command += ["--snakefile", str(REPOSITORY / "Snakefile"), "--configfile", str(config)]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def run(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--json", type=Path, required=True, help="where the figures go")
    options.add_argument("--pairs", type=int, default=5)
    args = options.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        full, small = Path(place) / "full", Path(place) / "small"
        plans = {
            "full": (full, write_planned(full)),
            "small": (small, write_planned(small, {split: count // 100 for split, count in IMAGES.items()})),
        }
        seconds: dict[str, list[float]] = {name: [] for name in plans}
        for _ in range(args.pairs):
            for name, (folder, config) in plans.items():
                seconds[name].append(plan(folder, config))
    ratio = statistics.median(more / less for more, less in zip(seconds["full"], seconds["small"], strict=True))
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{sum(IMAGES.values()):,} records: {middle['full']:.1f} s (longest {max(seconds['full']):.1f} s)")
    print(f"a hundredth of them: {middle['small']:.1f} s; ratio {ratio:.2f}")
    write_json(args.json, {"full_seconds": round(middle["full"], 2), "full_over_hundredth": round(ratio, 3)})


if __name__ == "__main__":
    run()
