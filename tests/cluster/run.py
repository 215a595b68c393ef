"""The tiny experiment through a one-machine Slurm, and compared with a run on this machine: `make test-slurm`.

    python -m tests.cluster.run [--profile slurm|cluster-generic] [--folder FOLDER]

Exit status 0: all final files are equal. 1: they are not, or a run failed. 3: Slurm cannot start here.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.workflow.final_files import final_files
from tests.workflow.tiny import REPOSITORY, TINY, environment, write_inputs

SLURM = REPOSITORY / "tests/cluster/slurm.sh"
CANNOT_START = 3
# No GPU here; the rules ask for one where it helps.
GPU_RULES = ("embed_images", "train_clip", "freeze_features", "train_localizer", "make_maps", "train_affinity")
WITHOUT_GPU = [f"{rule}:gpu=0" for rule in (*GPU_RULES, "make_masks", "train_segmenter", "predict")]


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


def print_jobs() -> None:
    """The jobs that Slurm knows, with their states."""
    fields = "%.6i %.10T %.6M %.4C %.8m  %k %j"  # the slurm profile notes the rule as comment, the other as name
    listed = subprocess.run(
        ["squeue", "--states=all", "--sort=i", f"--format={fields}"], capture_output=True, text=True
    )
    print(listed.stdout)
    jobs = subprocess.run(["scontrol", "--oneliner", "show", "jobs"], capture_output=True, text=True).stdout
    states = [word.removeprefix("JobState=") for word in jobs.split() if word.startswith("JobState=")]
    print(", ".join(f"{states.count(state)} jobs {state}" for state in sorted(set(states))) or "no jobs")


def run(arguments: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--profile", choices=("slurm", "cluster-generic"), nargs="+", default=["slurm"])
    options.add_argument("--folder", type=Path, help="working folder, kept; without: a temporary one")
    args = options.parse_args(arguments)
    folder = (args.folder or Path(tempfile.mkdtemp(prefix="tagmask-slurm-"))).resolve()
    started = subprocess.run(["bash", str(SLURM), "start", str(folder / "slurm")], check=False)
    if started.returncode:
        return started.returncode
    try:
        differences = 0
        local = write_inputs(folder / "local")
        snakemake(local, "--cores", "2")
        expected = final_files(local)
        for profile in args.profile:
            cluster = write_inputs(folder / profile)
            # As in a user's clone, the profiles lie where Snakemake is started.
            (cluster / "workflow").symlink_to(REPOSITORY / "workflow")
            own = str(REPOSITORY / "workflow/profiles" / profile)
            # A node of two cores cannot run a job of eight threads; and threads must be those of the local run.
            limits = ["--max-threads", "2", "--set-resources", *WITHOUT_GPU]
            snakemake(cluster, "--workflow-profile", own, *limits)
            print(f"\nThrough the profile {profile}:")
            print_jobs()
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
