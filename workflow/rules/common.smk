# What the rules share: the checked config, the plan that follows from it, and how a directive is filled in from them.
import functools
import re
import shlex
from pathlib import Path

from snakemake.utils import validate

from stages.errors import SettingsError
from stages.experiment import section_json
from stages.plan import Plan
from stages.plan.checks import checked_experiment
from stages.segment.overlay import overlay_path
from stages.settings import parts_of
from stages.runtime.source_hash import hash_of_command
from stages.vocabulary import MASK_STAGES, SCORED_SPLIT, SPLITS


def relative(path):
    """The path as the user would type it."""
    return str(Path(path).relative_to(Path.cwd()) if Path(path).is_relative_to(Path.cwd()) else path)


def any_of(names):
    """A regular expression of these wildcard values and no others."""
    return "|".join(map(re.escape, names))


try:
    experiment = checked_experiment(config, source=", ".join(map(relative, workflow.configfiles)) or "config")
except SettingsError as error:
    raise WorkflowError(str(error))
validate(config, "../schemas/config.schema.yaml", set_default=False)
plan = Plan(experiment)


pathvars:
    results=plan.files.results,
    logs=plan.files.logs,
    benchmarks=plan.files.benchmarks,


wildcard_constraints:
    split=any_of(SPLITS),
    shard="[0-9]+",
    localizer=any_of(plan.localizers.by_folder),
    refiner=any_of(plan.refiners.by_folder),
    segmenter=any_of(plan.segmenters.by_folder),


# Threads that wait by spinning slow each other down fivefold when anything else runs on the machine. A job's shell knows
# which Snakemake started it, so that the job can end with it (stages/runtime/watch.py), even if it dies while the job starts.
shell.prefix(
    "export OMP_WAIT_POLICY=PASSIVE TAGMASK_SNAKEMAKE=$PPID; "
    + (f"export TAGMASK_STORE={shlex.quote(str(experiment.store))}; " if experiment.store else "")
)


def needs(megabytes, *, minutes, gpu=0):
    """The resources of a job: memory in MB at the first try, as much again at each further one; time; GPUs."""
    return {"gpu": gpu, "mem_mb": lambda wildcards, attempt: megabytes * attempt, "runtime": minutes}


def shown(path, caption, category, **labels):
    """An output that Snakemake's own report shows."""
    return report(path, caption=f"../report/{caption}.rst", category=category, labels=labels)


def settings(section, only=(), without=()):
    """A section of the config as JSON. A rule reruns when this text changes, so it names just what its command uses."""
    return section_json(experiment, section, only=only, without=without)


@functools.cache
def code_of(command):
    """Hash of a command's source code, so that a changed program reruns what it made."""
    return hash_of_command(command, Path(workflow.basedir))


def given(*names):
    """A params function: those of these inputs that the job has, as command line options of the same names."""
    return lambda wildcards, input: " ".join(f"--{name} {input[name]}" for name in names if name in input.keys())


def dataset_root(wildcards):
    """The folder to which the paths in an index are relative: a function, since it is a user's or a rule's."""
    return plan.dataset.root


def results_folder(wildcards):
    """The results as a folder, for commands that look for files in it."""
    return plan.files.results


def localizer_of(wildcards):
    """The localizer that a job is about."""
    return plan.localizers.by_folder[wildcards.localizer]


def refiner_of(wildcards):
    """The refiner that a job is about."""
    return plan.refiners.by_folder[wildcards.refiner]


def segmenter_of(wildcards):
    """The segmenter that a job is about."""
    return plan.segmenters.by_folder[wildcards.segmenter]


def scored_of(wildcards):
    """The masks that a score is about."""
    return plan.scored_masks(wildcards.scored, wildcards.stage, wildcards.split)
