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
from pathlib import Path

from tests.workflow.final_files import final_files
from tests.workflow.tiny import REPOSITORY, TINY, environment, write_inputs

SLURM = REPOSITORY / "tests/cluster/slurm.sh"
# How each profile is named on the command line: one as a user's, one as the workflow's, so that both forms are run.
FORMS = {"slurm": ("--profile", "profiles/slurm"), "cluster-generic": ("--workflow-profile", "cluster-generic")}


def snakemake(folder: Path, *options: str) -> None:
    """Runs the tiny experiment in a folder. Raises CalledProcessError when it fails."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), *options]
    # The config comes last: --configfile takes every word up to the next option.
    subprocess.run([*command, "--configfile", str(TINY)], cwd=folder, env=environment(), check=True)


def compare(first: dict[str, str], second: dict[str, str]) -> int:
    """Prints how many files were compared and which differ; returns the number of differences."""
    names = sorted(first.keys() | second.keys())
    different = [name for name in names if first.get(name) != second.get(name)]
    print(f"{len(names)} final files compared, {len(different)} differ", *different, sep="\n  ")
    return len(different)


def print_jobs(folder: Path) -> None:
    """The jobs of a run that Slurm knows, with their states, and how many of each state and partition there were."""
    # The slurm profile notes the rule as comment, the other as name.
    fields = "%.6i %.10T %.6M %.4C %.8m %.9P  %k %j"
    listed = subprocess.run(
        ["squeue", "--states=all", "--sort=i", f"--format={fields}"], capture_output=True, text=True, check=True
    )
    print(listed.stdout)
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
        local = write_inputs(folder / "local")
        snakemake(local, "--cores", "2")
        expected = final_files(local)
        for profile in args.profile:
            cluster = write_inputs(folder / profile)
            # A node of two cores cannot run a job of eight threads; and threads must be those of the local run.
            snakemake(cluster, *FORMS[profile], "--max-threads", "2")
            print(f"\nThrough the profile {profile}:")
            print_jobs(cluster)
            differences += compare(expected, final_files(cluster))
    except subprocess.CalledProcessError as error:
        print(f"error: {' '.join(map(str, error.cmd))[:300]} ended with {error.returncode}", file=sys.stderr)
        return 1
    finally:
        subprocess.run(["bash", str(SLURM), "stop"], check=False)
        if not args.folder:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(run())
