"""The smallest config there is, changed, and what is said of it."""

from typing import Any

import pytest

from stages.errors import SettingsError
from stages.experiment import read_experiment


def demo_config() -> dict[str, Any]:
    return {
        "experiment": "few",
        "data": {"format": "demo", "classes": ["cat", "dog"]},
        "encode": {"weights": {"resnet18": "timm"}},
        "localize": {"backbone": {"kind": "hybrid", "model": "resnet18"}},
        "segment": {"network": {"backbone": "resnet18"}},
    }


def change(config: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """The config with one more setting, `path` dotted."""
    *parents, last = path.split(".")
    branch = config
    for parent in parents:
        branch = branch.setdefault(parent, {})
    branch[last] = value
    return config


def message_of(config: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        read_experiment(config, source="few.yaml")
    return str(caught.value)
