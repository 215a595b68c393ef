"""Any value at any place of a config is either taken, finite and read back as it was, or refused with its place."""

import json
import math
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.errors import SettingsError
from stages.experiment import check_variants, read_experiment, section_json
from stages.setting_faults import all_paths
from stages.settings import Experiment
from tests.small_config import change, demo_config

SOURCE = "drawn.yaml"
numbers = st.integers(-3, 400) | st.floats() | st.sampled_from([0, 1, 0.5, -1.0, 1e308, 5e-324])
words = st.sampled_from(["{}", "{c}", "a {} {}", "auto", "vit", "train", "val", ".inf", "cat"])
texts = st.text(st.characters(exclude_categories=("C", "Z")), max_size=8) | words
plain = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    plain, lambda own: st.lists(own, max_size=3) | st.dictionaries(texts, own, max_size=2), max_leaves=4
)


def numbers_in(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for own in value:
            yield from numbers_in(own)
    elif isinstance(value, float):
        yield value


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(sorted(all_paths(Experiment))), values), min_size=1, max_size=3))
@example([("localize.training.learning_rate", yaml.safe_load(".inf"))])
@example([("compare.localizers", {"x": {"training": {"learning_rate": math.nan}}})])
@example([("compare.refiners", {"x": {"ignore_band": [0.6, 0.2]}})])
@example([("encode.synonyms", {"cat": []})])
@example([("data", None)])
def test_drawn_settings_are_taken_or_refused_with_their_place(changes: list[tuple[str, Any]]) -> None:
    config: dict[str, Any] = demo_config()
    for path, value in changes:
        try:
            config = change(config, path, value)
        except (AttributeError, TypeError):  # an earlier change put no section there
            continue
    refused = ""
    try:
        experiment = read_experiment(config, source=SOURCE)
        check_variants(experiment, source=SOURCE)
    except SettingsError as error:
        refused = str(error)
    if refused:
        assert all(line.startswith(f"{SOURCE}: ") for line in refused.splitlines()), refused
        return
    assert all(math.isfinite(number) for number in numbers_in(experiment.model_dump()))
    assert Experiment.model_validate_json(experiment.model_dump_json()) == experiment
    for section in ("data", "encode", "localize", "refine", "segment"):
        assert json.loads(section_json(experiment, section), parse_constant=lambda name: 1 / 0)
