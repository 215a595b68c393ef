"""The trials of configs/trials, on top of the configs that their first line names."""

import re
from pathlib import Path

import pytest
import yaml

from benchmarks.full_run.overrides import merged
from stages.experiment import read_experiment
from stages.plan import Plan
from tests.workflow.tiny import REPOSITORY

TRIALS = sorted((REPOSITORY / "configs/trials").glob("*.yaml"))


def bases(trial: Path) -> list[str]:
    first = trial.read_text(encoding="utf-8").partition(":")[0]
    return re.findall(r"configs/\w+\.yaml", first)


def test_every_trial_names_a_config_that_it_goes_on_top_of() -> None:
    assert TRIALS
    assert all(bases(trial) for trial in TRIALS)


@pytest.mark.parametrize(
    ("trial", "base"), [(trial, base) for trial in TRIALS for base in bases(trial)], ids=lambda value: Path(value).stem
)
def test_a_trial_is_a_config_that_compares_what_its_base_does_not(trial: Path, base: str) -> None:
    config = yaml.safe_load((REPOSITORY / base).read_text(encoding="utf-8"))
    changes = yaml.safe_load(trial.read_text(encoding="utf-8"))
    own, tried = read_experiment(config, source=base), read_experiment(merged(config, changes), source=trial.name)
    rows = set(Plan(tried).localizers.by_folder) | set(Plan(tried).refiners.by_folder)
    added = rows - set(Plan(own).localizers.by_folder) - set(Plan(own).refiners.by_folder)
    assert added or tried.segment != own.segment
