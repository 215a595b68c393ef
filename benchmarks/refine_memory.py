"""Peak memory of refine's jobs over shards of several sizes, on a finished experiment: it must not grow with them.

Each job runs as the workflow runs it, a process of its own; what is noted is the largest process of each.

    python -m benchmarks.refine_memory --results results/demo --config configs/demo.yaml --json memory.json
"""

import argparse
import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from stages.experiment import read_experiment, section_json
from stages.files import write_json
from stages.index import read_index, write_index
from stages.shards import read_shard, write_shard


def peak_megabytes(command: Sequence[str]) -> float:
    """The largest resident set of a command and the processes it starts, MB. Raises CalledProcessError if it fails."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_maxrss / 1024


def cut_shard(results: Path, folder: Path, count: int) -> None:
    """An index and a shard of maps of the first `count` images of train."""
    records = {record.id: record for record in read_index(results / "data/train.csv")}
    shards = sorted((results / "localize/maps/train").glob("*.safetensors"))
    images = list(itertools.islice((image for shard in shards for image in read_shard(shard)), count))
    if len(images) < count:
        raise SystemExit(f"error: {results} has maps of {len(images)} training images, not of {count}; see --counts")
    write_shard(folder / "maps.safetensors", images)
    write_index(folder / "train.csv", [records[image.id] for image in images])


def measure(results: Path, root: Path, settings: str, count: int) -> dict[str, float]:
    """Peak of each job over `count` images, MB."""
    networks = sorted(results.glob("refine/affinity/*/affinity.safetensors"))
    with TemporaryDirectory() as name:
        folder = Path(name)
        cut_shard(results, folder, count)
        shared = [
            *("--settings", settings, "--index", str(folder / "train.csv"), "--root", str(root)),
            *("--maps", str(folder / "maps.safetensors"), "--processes", "2"),
        ]
        walk = ["--affinity", str(networks[0])] if networks else []
        jobs = {
            "make_masks": [*shared, *walk, "--threshold", "0.4", "--output", str(folder / "masks")],
            "choose_threshold": [*shared, "--output", str(folder / "threshold.json")],
        }
        if networks:
            jobs["make_sure_regions"] = [*shared, "--output", str(folder / "regions")]
        return {
            job: round(peak_megabytes([sys.executable, "-m", f"stages.refine.{job}", *options]), 1)
            for job, options in jobs.items()
        }


def run(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, required=True, help="results/<experiment>, finished up to refine")
    parser.add_argument("--config", type=Path, required=True, help="its config, with background_threshold auto")
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 400], help="images of a shard")
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args(arguments)
    experiment = read_experiment(yaml.safe_load(args.config.read_text()), source=str(args.config))
    root = experiment.data.root or args.results / "data/set"
    settings = section_json(experiment, "refine", without=["ignore_band"])
    figures = {count: measure(args.results, root, settings, count) for count in args.counts}
    write_json(args.json, {str(count): own for count, own in figures.items()})
    print("| job | " + " | ".join(f"{count} images" for count in figures) + " |")
    print("| --- | " + " | ".join("---" for _ in figures) + " |")
    for job in figures[args.counts[0]]:
        print(f"| {job} | " + " | ".join(f"{own[job]:.0f} MB" for own in figures.values()) + " |")


if __name__ == "__main__":
    run()
