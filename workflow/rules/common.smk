# Shared by the rules: the checked config, the plan made from it, and helpers that fill in directives from them.
import functools
import re
import shlex
from pathlib import Path

from stages.errors import TagmaskError
from stages.experiment import section_json
from stages.packages import check_forks
from stages.plan import Plan
from stages.plan.checks import checked_experiment
from stages.plan.mended import KINDS as MENDED_KINDS
from stages.program import sources_of
from stages.segment.overlay import overlay_path
from stages.settings import parts_of
from stages.repeated_keys import refuse_repeated_keys
from stages.runtime.source_hash import hash_of_command
from stages.vocabulary import MASK_STAGES, SCORED_SPLIT, SPLITS


def relative(path):
    """The path as the user would type it."""
    return str(Path(path).relative_to(Path.cwd()) if Path(path).is_relative_to(Path.cwd()) else path)


def any_of(names):
    """A regular expression that matches only these wildcard values."""
    return "|".join(map(re.escape, names))


try:
    check_forks()
    refuse_repeated_keys(Path(relative(path)) for path in workflow.configfiles)
    experiment = checked_experiment(config, source=", ".join(map(relative, workflow.configfiles)) or "config")
except TagmaskError as error:
    raise WorkflowError(str(error))
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


# Threads that spin while waiting slow each other down fivefold when anything else runs on the machine. A job's shell
# records which Snakemake started it, so that the job ends with it (stages/runtime/watch.py), even if Snakemake dies while
# the job starts.
shell.prefix(
    "export OMP_WAIT_POLICY=PASSIVE TAGMASK_SNAKEMAKE=$PPID; "
    + (f"export TAGMASK_STORE={shlex.quote(str(experiment.store))}; " if experiment.store else "")
)


def needs(megabytes, *, minutes, gpu=0, each=0):
    """The resources of a job: memory in MB on the first try, as much again on each retry; time; GPUs.

    each: further megabytes for each of its processes, of which it starts as many as it has threads.
    """
    return {
        "gpu": gpu,
        "mem_mb": lambda wildcards, attempt, threads: (megabytes + each * threads) * attempt,
        "runtime": minutes,
    }


# Pixels of the images that a job works on: an image of COCO, unless the config bounds them.
PIXELS = experiment.data.longest_side**2 if experiment.data.longest_side else 640 * 480


def crf_process(bytes_of_pixel):
    """The megabytes of a process that runs CRFs: Python, and so many bytes for each pixel of an image. Measured with
    five classes, on noise, where the lattice of colours is largest."""
    return 60 + bytes_of_pixel * PIXELS // 10**6


def shown(path, caption, category, **labels):
    """An output shown in Snakemake's own report."""
    return report(path, caption=f"../report/{caption}.rst", category=category, labels=labels)


def settings(section, only=(), without=()):
    """A params function: a section of the config as JSON. A rule reruns when this text changes, so it contains only what
    its command uses. A function, because Snakemake takes `{name}` in a text for a wildcard, and a class may be called
    anything."""
    text = section_json(experiment, section, only=only, without=without)
    return lambda wildcards: text


def whole_config(wildcards):
    """All settings of the experiment as JSON."""
    return experiment.model_dump_json()


@functools.cache
def code_hash(command):
    return hash_of_command(command, sources_of(Path(workflow.basedir)))


def code_of(command):
    """A params function: the hash of a command's source code, so that outputs are made again when it changes. A function,
    so that a job on a cluster, which reads the workflow anew, reads its own command's sources alone."""
    return lambda wildcards: code_hash(command)


def given(*names):
    """A params function: the named inputs that the job has, as command line options of the same names."""
    return lambda wildcards, input: " ".join(f"--{name} {input[name]}" for name in names if name in input.keys())


def dataset_root(wildcards):
    """The folder that the paths in an index are relative to: a function, since it is a user's or a rule's."""
    return plan.dataset.root


def longest_side(wildcards):
    """The size at which larger images are labelled and predicted, as an option; none if there is no bound."""
    side = experiment.data.longest_side
    return f"--longest-side {side}" if side else ""


def negatives(splits):
    """The option that says in which of the splits images without tags show none of the classes; empty if in none."""
    found = [split for split in splits if split in experiment.negatives]
    return " ".join(["--negatives", *found] if found else [])


def results_folder(wildcards):
    """The results folder, for commands that look for files in it."""
    return plan.files.results


def localizer_of(wildcards):
    """The localizer of a job."""
    return plan.localizers.by_folder[wildcards.localizer]


def refiner_of(wildcards):
    """The refiner of a job."""
    return plan.refiners.by_folder[wildcards.refiner]


def segmenter_of(wildcards):
    """The segmenter of a job."""
    return plan.segmenters.by_folder[wildcards.segmenter]


def scored_of(wildcards):
    """The masks that a job scores."""
    return plan.scored_masks(wildcards.scored, wildcards.stage, wildcards.split)
