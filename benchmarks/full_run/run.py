"""Runs the configs of published datasets as they are, to the end, on a few photographs and random weights.

Overridden are only paths, weights files, epochs, iterations and image counts (`overrides.ALLOWED`, checked before the
run). Prints each job's times and peak memory; fails where a run fails or a job takes more memory than the limit.

    python -m benchmarks.full_run.run --work results/full-size

The table is also left in the work folder, as jobs.md and jobs.json. What is done is not done again: delete the folder
to measure anew.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from benchmarks.full_run.overrides import (
    backbone_file,
    clip_file,
    clip_model,
    forbidden_changes,
    has_clip_file,
    merged,
    override,
)
from benchmarks.full_run.photographs import SIZES, SPLITS, write_set
from benchmarks.full_run.table import Job, as_json, markdown, read_jobs, too_large
from benchmarks.full_run.watch import JobWatch, Usage
from benchmarks.full_run.weights import write_backbone, write_clip
from stages.experiment import read_experiment
from stages.files import write_json
from tests.workflow.tiny import REPOSITORY, environment, link_clone


def full_configs() -> tuple[str, ...]:
    """The configs of published datasets by name: all of configs/ that have one of their formats, VOC's first."""
    configs = {
        path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in (REPOSITORY / "configs").glob("*.yaml")
    }
    found = [name for name, config in configs.items() if config["data"]["format"] in SIZES]
    return tuple(sorted(found, key=lambda name: (list(SIZES).index(configs[name]["data"]["format"]), name)))


def prepare(name: str, work: Path, counts: dict[str, int], cache: Path) -> Path:
    """Writes what a config's run needs and is not there yet: its set, weights and overriding config. Returns the last.

    Raises SystemExit where the overriding config would change what it may not.
    """
    config = yaml.safe_load((REPOSITORY / f"configs/{name}.yaml").read_text(encoding="utf-8"))
    experiment = read_experiment(config, source=name)
    root = work / f"sets/{name}-{'-'.join(map(str, counts.values()))}"
    changes = override(experiment, root=root, weights=work / "weights", counts=counts)
    forbidden = forbidden_changes(experiment, read_experiment(merged(config, changes), source=f"{name}, overridden"))
    if forbidden:
        raise SystemExit(f"error: {name}: overriding would change {', '.join(forbidden)}")
    if not root.is_dir():
        write_set(root, experiment.data, counts, cache)
    for model in experiment.encode.weights:
        if not backbone_file(work / "weights", model).is_file():
            write_backbone(model, backbone_file(work / "weights", model))
    if has_clip_file(experiment) and not clip_file(work / "weights", experiment).is_file():
        write_clip(clip_model(experiment), clip_file(work / "weights", experiment))
    path = work / f"{name}-override.yaml"
    path.write_text(yaml.safe_dump(changes, sort_keys=False), encoding="utf-8")
    return path


def run_workflow(name: str, work: Path, changes: Path, cores: int) -> int:
    """Runs `all` of a config with its overriding config, and notes what its jobs use in a file. Returns the status."""
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--directory", str(work)]
    command += ["--snakefile", str(work / "Snakefile")]
    command += ["--configfile", f"configs/{name}.yaml", str(changes), "--", "all"]
    with JobWatch(work / "logs" / name) as watch:
        status = subprocess.run(command, cwd=work, env=environment(), check=False).returncode
    # A run that goes on where one was broken off keeps what was noted of the jobs that had ended.
    usage = {**read_usage(work, name), **watch.jobs}
    write_json(usage_file(work, name), {job: dataclasses.asdict(used) for job, used in usage.items()})
    return status


def usage_file(work: Path, name: str) -> Path:
    """Where it is noted what a config's jobs use."""
    return work / f"{name}-usage.json"


def read_usage(work: Path, name: str) -> dict[str, Usage]:
    """What earlier runs noted."""
    path = usage_file(work, name)
    noted = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {job: Usage(**used) for job, used in noted.items()}


def make_clone(work: Path) -> None:
    """Makes the work folder one in which the workflow runs, with the repository's files linked."""
    if not (work / "Snakefile").exists():
        work.mkdir(parents=True, exist_ok=True)
        link_clone(work)


def run(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for sets, weights and results; 5 GB a config")
    configs = full_configs()
    parser.add_argument(
        "--configs", nargs="+", default=configs, choices=configs, help="the configs to run; all if left out"
    )
    parser.add_argument("--images", type=int, nargs=3, default=(12, 6, 6), help="images of train, val and test")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--limit", type=float, default=20.0, help="GiB that no job may take")
    parser.add_argument("--cache", type=Path, default=Path(".cache/demo-sources"), help="folder of the demo's packages")
    args = parser.parse_args(arguments)
    work, started = args.work.resolve(), time.monotonic()
    make_clone(work)
    found: dict[str, list[Job]] = {}
    faults = []
    for name in args.configs:
        changes = prepare(name, work, dict(zip(SPLITS, args.images, strict=True)), args.cache.resolve())
        if run_workflow(name, work, changes, args.cores):
            faults.append(f"{name}: the run failed; see above")
        found[name] = read_jobs(work / "results" / name / "benchmarks", read_usage(work, name))
        write_json(work / "jobs.json", {name: as_json(jobs) for name, jobs in found.items()})
    table = "\n".join(markdown(found))
    (work / "jobs.md").write_text(f"{table}\n", encoding="utf-8")
    print(table)
    print(f"\n{time.monotonic() - started:.0f} s in all")
    faults += too_large(found, args.limit)
    if faults:
        raise SystemExit("\n".join(f"error: {fault}" for fault in faults))


if __name__ == "__main__":
    run()
