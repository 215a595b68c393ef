"""The tiny experiment through a one-machine Slurm, and compared with a run on this machine: `make test-slurm`.

    python -m tests.cluster.run [--profile slurm|cluster-generic] [--folder FOLDER]

Exit status 0: all final files are equal. 1: they are not, or something failed. 3: Slurm cannot start here.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.workflow.final_files import final_files
from tests.workflow.tiny import REPOSITORY, TINY, environment, write_inputs, write_weights

SLURM = REPOSITORY / "tests/cluster/slurm.sh"
# How each profile is named on the command line: one as a user's, one as the workflow's, so that both forms are run.
FORMS = {"slurm": ("--profile", "profiles/slurm"), "cluster-generic": ("--workflow-profile", "cluster-generic")}


def snakemake(folder: Path, *options: str) -> None:
    """Runs the tiny experiment in a folder; what is printed goes to a log beside it. When it fails, raises
    CalledProcessError with the log's end."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), *options]
    # The config comes last: --configfile takes every word up to the next option.
    command += ["--configfile", str(TINY)]
    log = folder.with_suffix(".log")
    with log.open("w") as stream:
        done = subprocess.run(
            command, cwd=folder, env=environment(), stdout=stream, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, "\n".join(log.read_text().splitlines()[-100:]))


def run_all(folder: Path, profiles: Sequence[str]) -> None:
    """Runs the tiny experiment on this machine and through each profile, in folders of these names: side by side, since
    most of the time through Slurm is waiting."""
    # A node of two cores cannot run a job of eight threads; and threads must be those of the local run.
    weights = folder / "weights"
    write_weights(weights)
    runs = {"local": ("--cores", "2"), **{profile: (*FORMS[profile], "--max-threads", "2") for profile in profiles}}
    with ThreadPoolExecutor(len(runs)) as pool:
        started = [
            pool.submit(snakemake, write_inputs(folder / name, weights), *options) for name, options in runs.items()
        ]
    for one in started:
        one.result()


def compare(first: dict[str, str], second: dict[str, str]) -> int:
    """Prints how many files were compared and which differ; returns the number of differences."""
    names = sorted(first.keys() | second.keys())
    different = [name for name in names if first.get(name) != second.get(name)]
    print(f"{len(names)} final files compared, {len(different)} differ", *different, sep="\n  ")
    return len(different)


def print_queue() -> None:
    """The jobs that Slurm knows, with their states."""
    # The slurm profile notes the rule as comment, the other as name.
    fields = "%.6i %.10T %.6M %.4C %.8m %.9P  %k %j"
    listed = subprocess.run(
        ["squeue", "--states=all", "--sort=i", f"--format={fields}"], capture_output=True, text=True, check=True
    )
    print(listed.stdout)


def print_jobs(folder: Path) -> None:
    """How many jobs of a run Slurm knows, by state and partition."""
    jobs = subprocess.run(["scontrol", "--oneliner", "show", "jobs"], capture_output=True, text=True, check=True).stdout
    kinds = Counter(
        (job["JobState"], job["Partition"], job["NumNodes"], job["NumTasks"])
        for line in jobs.splitlines()
        if (job := dict(word.split("=", 1) for word in line.split() if "=" in word)).get("WorkDir") == str(folder)
    )
    for (state, partition, nodes, tasks), count in sorted(kinds.items()):
        print(f"{count} jobs {state} in partition {partition}, nodes: {nodes}, tasks: {tasks}")


def run(arguments: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--profile", choices=tuple(FORMS), nargs="+", default=["slurm"])
    options.add_argument("--folder", type=Path, help="working folder, kept; without: a temporary one")
    args = options.parse_args(arguments)
    folder = (args.folder or Path(tempfile.mkdtemp(prefix="tagmask-slurm-"))).resolve()
    started = subprocess.run(["bash", str(SLURM), "start", str(folder / "daemons")], check=False)
    if started.returncode:
        subprocess.run(["bash", str(SLURM), "stop"], check=False)
        return started.returncode
    try:
        differences = 0
        run_all(folder, args.profile)
        expected = final_files(folder / "local")
        print_queue()
        for profile in args.profile:
            print(f"\nThrough the profile {profile}:")
            print_jobs(folder / profile)
            differences += compare(expected, final_files(folder / profile))
    except subprocess.CalledProcessError as error:
        print(error.output, file=sys.stderr)
        print(f"error: {' '.join(map(str, error.cmd))[:300]} ended with {error.returncode}", file=sys.stderr)
        return 1
    finally:
        subprocess.run(["bash", str(SLURM), "stop"], check=False)
        if not args.folder:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(run())
