"""The profiles as Snakemake reads them: alone and beside the default one; GPUs, partitions, states of jobs."""

import json
import re
import shutil
import subprocess
import sys
from logging import getLogger
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import yaml
from snakemake_executor_plugin_slurm.partitions import get_best_partition, read_partition_file
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string

from tests.workflow.conftest import Snakemake
from tests.workflow.tiny import REPOSITORY, environment

CLUSTERS = ("slurm", "cluster-generic")
FORMS = [f"{option}{name}" for name in CLUSTERS for option in ("--profile profiles/", "--workflow-profile ")]
STATUS = REPOSITORY / "workflow/profiles/cluster-generic/status.sh"
PARSE = """
import json
from snakemake.cli import parse_args
_, args = parse_args(None)
names = ("executor", "cores", "jobs", "nolock", "retries", "rerun_incomplete", "slurm_partition_config")
found = {name: getattr(args, name) for name in names}
for name in ("gpu", "mem_mb"):
    found[name] = args.resources[name].value if name in args.resources else None
print(json.dumps(found, default=str))
"""
# The controller's and the accounting's answers: exit status and words, as Slurm 22.05 gives them.
NO_CONTROLLER = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
NO_SUCH_JOB = "slurm_load_jobs error: Invalid job id specified"
NO_ACCOUNTING = "Slurm accounting storage is disabled"
NO_DATABASE = "sacct: error: Problem talking to the database: Connection refused"


class Bag(dict):
    """A job's resources, which the plugin reads as keys and as attributes."""

    __getattr__ = dict.__getitem__


def parsed(*options: str, **variables: str) -> dict[str, object]:
    """Snakemake's settings from a command line in the repository."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE, *options],
        cwd=REPOSITORY,
        env=environment() | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("options", ["", "--profile none", "-n all"])
def test_one_machine_uses_its_cores_and_one_gpu_without_a_lock(options: str) -> None:
    found = parsed(*options.split())
    assert found["executor"] is None
    assert int(found["cores"]) >= 1
    assert found["mem_mb"] == psutil.virtual_memory().total // 10**6
    assert (found["gpu"], found["nolock"], found["retries"], found["rerun_incomplete"]) == (1, True, 0, True)


def test_the_command_line_wins_over_the_default_profile() -> None:
    found = parsed("--cores", "3", "--resources", "gpu=4")
    assert (str(found["cores"]), found["gpu"]) == ("3", 4)


@pytest.mark.parametrize("form", FORMS)
def test_a_cluster_is_not_held_to_this_machines_cores_and_gpus(form: str) -> None:
    found = parsed(*form.split())
    assert found["executor"] == form.replace("/", " ").split()[-1]
    assert (found["cores"], found["gpu"], found["mem_mb"], found["nolock"]) == (None, None, None, False)
    assert (int(found["jobs"]), found["retries"], found["rerun_incomplete"]) == (64, 1, True)


def test_a_profile_in_the_environment_and_an_executor_alone_are_clusters_too() -> None:
    assert parsed(SNAKEMAKE_PROFILE="profiles/slurm")["gpu"] is None
    assert parsed("--executor", "slurm", "--jobs", "5")["gpu"] is None


def test_a_personal_profile_without_an_executor_is_one_machine(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("printshellcmds: true\n")
    found = parsed("--profile", str(tmp_path))
    assert (found["gpu"], found["nolock"]) == (1, True)


@pytest.mark.parametrize("form", FORMS)
def test_a_training_over_four_gpus_is_planned_with_four(form: str, snakemake: Snakemake, tiny_folder: Path) -> None:
    option, name = form.split()
    profile = REPOSITORY / "workflow/profiles" / Path(name).name
    changed = ("train_localizer:gpu=4", "embed_images:mem_mb=32000*attempt")
    result = snakemake(tiny_folder, "--dry-run", "--printshellcmds", option, profile, "--set-resources", *changed)
    assert result.returncode == 0, result.stdout
    (training,) = (line for line in result.stdout.splitlines() if "python -m stages.localize.train " in line)
    assert "--gpus 4 " in training
    (embedding,) = re.findall(r"^rule embed_images:\n(.*?)\n\n", result.stdout, re.MULTILINE | re.DOTALL)
    assert "mem_mb=32000," in embedding


def write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


GPUS = [(0, "main"), (1, "gpu"), (4, "gpu"), (8, "gpu")]


def resources(gpu: int) -> dict[str, int | str]:
    return {"gpu": gpu, "mem_mb": 8000, "runtime": 1440, "nodes": 1}


@pytest.mark.parametrize(("gpu", "expected"), GPUS)
def test_slurm_has_a_partition_for_jobs_with_gpus(gpu: int, expected: str) -> None:
    partitions = read_partition_file(REPOSITORY / "workflow/profiles/slurm/partitions.yaml")
    job = SimpleNamespace(name="job", threads=8, resources=resources(gpu))
    assert get_best_partition(partitions, job, getLogger()) == expected


def test_a_job_of_slurm_with_four_gpus_is_one_task_on_one_node() -> None:
    params = dict.fromkeys(("run_uuid", "slurm_logfile", "comment_str", "account", "partition", "workdir"), "x")
    job = SimpleNamespace(name="job", threads=8, resources=Bag(resources(4)), is_group=lambda: False)
    words = (get_submit_command(job, params) + set_gres_string(job)).split()
    assert {"--nodes=1", "--cpus-per-task=8", "--gpus=4"} <= set(words)
    assert not [word for word in words if "ntasks" in word]  # Slurm's default: one a node


@pytest.mark.parametrize(("gpu", "expected"), GPUS)
def test_the_generic_profile_submits_jobs_with_gpus_to_their_partition(gpu: int, expected: str, tmp_path: Path) -> None:
    """Its submit command, in a real shell."""
    profile = yaml.safe_load((REPOSITORY / "workflow/profiles/cluster-generic/config.yaml").read_text())
    named = dict(entry.split("=") for entry in profile["default-resources"])
    command = profile["cluster-generic-submit-cmd"]
    write_program(tmp_path / "sbatch", 'echo "$@"')
    done = subprocess.run(
        command.format(rule="train", threads=8, resources=SimpleNamespace(**(named | resources(gpu)))),
        shell=True,
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    words = done.stdout.split()
    assert {f"--partition={expected}", f"--gpus={gpu}", "--nodes=1", "--ntasks=1", "--cpus-per-task=8"} <= set(words)


def run_status(folder: Path) -> subprocess.CompletedProcess[str]:
    """The script about job 7, with the programs in `folder` and no others of Slurm, which this machine may have."""
    for tool in ("bash", "grep", "cut", "head"):
        (folder / tool).symlink_to(shutil.which(tool) or tool)
    return subprocess.run(
        ["bash", str(STATUS), "7"], env={"PATH": str(folder)}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("controller", "accounting", "expected"),
    [
        ((0, "JobId=7 JobName=a JobState=RUNNING Reason=None"), None, "running"),
        ((0, "JobId=7 JobName=a JobState=COMPLETED Reason=None"), None, "success"),
        ((0, "JobId=7 JobName=a JobState=OUT_OF_MEMORY Reason=None"), None, "failed"),
        ((1, NO_CONTROLLER), (0, "COMPLETED"), "running"),
        ((1, "slurm_load_jobs error: Socket timed out on send/recv operation"), None, "running"),
        ((1, NO_SUCH_JOB), (0, "COMPLETED"), "success"),
        ((1, NO_SUCH_JOB), (0, "CANCELLED by 0"), "failed"),
        ((1, NO_SUCH_JOB), (0, ""), "failed"),
        ((1, NO_SUCH_JOB), (1, NO_ACCOUNTING), "failed"),
        ((1, NO_SUCH_JOB), None, "failed"),
        ((1, NO_SUCH_JOB), (1, NO_DATABASE), "running"),
    ],
)
def test_a_job_has_failed_only_where_slurm_says_so(
    controller: tuple[int, str], accounting: tuple[int, str] | None, expected: str, tmp_path: Path
) -> None:
    for name, answer in {"scontrol": controller, "sacct": accounting}.items():
        if answer is not None:
            status, words = answer
            write_program(tmp_path / name, f"echo '{words}' >&{1 if status == 0 else 2}; exit {status}")
    done = run_status(tmp_path)
    assert (done.stdout, done.returncode) == (f"{expected}\n", 0), done.stderr


def test_without_slurms_commands_the_state_is_an_error(tmp_path: Path) -> None:
    done = run_status(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no scontrol on PATH")
