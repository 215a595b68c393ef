"""Plans of the configs that come along, for the tests."""

import copy

import yaml

from stages.experiment import read_experiment
from stages.plan import Plan
from tests.workflow.tiny import REPOSITORY

DEMO = yaml.safe_load((REPOSITORY / "configs/demo.yaml").read_text())
MSRC = yaml.safe_load((REPOSITORY / "configs/msrc.yaml").read_text())
VOC = yaml.safe_load((REPOSITORY / "configs/voc12.yaml").read_text())


def plan_of(config: dict, **changes: object) -> Plan:
    """The plan of a config with some of its sections updated."""
    changed = copy.deepcopy(config)
    for section, values in changes.items():
        if isinstance(values, dict):
            changed.setdefault(section, {}).update(values)
        else:
            changed[section] = values
    return Plan(read_experiment(changed, source="test"))
