"""Reads a config file as an Experiment. Errors name a wrong setting's dotted path, value and likely right key."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stages.errors import SettingsError
from stages.repeated_keys import RepeatedKeyError, UniqueKeyLoader
from stages.setting_faults import describe, problems_of, shown
from stages.settings import Experiment, method_fault
from stages.variants import variant_settings

# What PyYAML raises for text that it cannot read, and for values that are not of the type of their tag (`!!int ""`).
NOT_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError, RecursionError)
MOST_VALUES = 100_000  # of a config


def read_experiment(config: Mapping[str, Any], *, source: str) -> Experiment:
    """Validates a config. Raises SettingsError with one line per wrong setting, prefixed with `source`."""
    _check_shape(config, source)
    try:
        return Experiment.model_validate(config)
    except ValidationError as error:
        lines = [f"{source}: {describe(problem, config)}" for problem in problems_of(error)]
        raise SettingsError("\n".join(lines)) from error


def read_config(path: Path) -> Experiment:
    """Reads a config file as an Experiment. Raises SettingsError if it cannot be read or is wrong."""
    return read_experiment(read_settings(path), source=str(path))


def read_settings(path: Path) -> Mapping[str, Any]:
    """The content of a config file. Raises SettingsError unless it is settings by name, as YAML in UTF-8."""
    try:
        content = yaml.load(path.read_bytes().decode("utf-8-sig"), Loader=UniqueKeyLoader)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read as a config: {error.strerror}; correct the path") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: cannot be read as a config: not UTF-8; save it in UTF-8") from error
    except RepeatedKeyError as error:
        raise SettingsError(f"{path}: {error}") from error
    except NOT_YAML as error:
        raise SettingsError(f"{path}: cannot be read as a config: {_yaml_fault(error)}; correct it") from error
    _check_shape(content, str(path))
    return content


def _yaml_fault(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1} is not YAML ({error.problem})"
    return f"not YAML ({' '.join(str(error).split()) or type(error).__name__})"


def _check_shape(content: Any, source: str) -> None:
    """Raises SettingsError unless a config is settings by name, and of the size of one."""
    if not isinstance(content, Mapping):
        found = "it is empty" if content is None else f"it is {shown(content)}"
        raise SettingsError(f"{source}: a config has settings by name (`experiment: birds`), but {found}")
    try:
        size = _size(content, {})
    except RecursionError:
        size = MOST_VALUES + 1
    if size > MOST_VALUES:
        raise SettingsError(
            f"{source}: more than {MOST_VALUES} values, or an alias (`*name`) within itself; shorten it"
        )
    for path, value in _foreign(content):
        cure = "write it as text" if isinstance(value, bytes) else "write it as a list, [a, b]"
        raise SettingsError(f"{source}: {path}: no value of a setting is of this type (given: {shown(value)}); {cure}")


def _foreign(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Values of YAML's types that no setting has: bytes, which pydantic would take as text, and sets, as lists in any
    order. With their dotted paths."""
    if isinstance(value, bytes | set | frozenset):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _foreign(inner, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _foreign(inner, f"{path}.{place}")


def _size(value: Any, known: dict[int, int]) -> int:
    """The number of values in a config, where one that aliases repeat counts each time."""
    if not isinstance(value, Mapping | list | tuple):
        return 1
    if id(value) not in known:
        known[id(value)] = MOST_VALUES + 1  # until it is known: of a value within itself
        inner = [*value.keys(), *value.values()] if isinstance(value, Mapping) else value
        known[id(value)] = 1 + sum(_size(part, known) for part in inner)
    return known[id(value)]


def check_variants(experiment: Experiment, *, source: str) -> None:
    """Validates the localizers of `compare.localizers`. Raises SettingsError as `read_experiment` does."""
    for name, overrides in experiment.compare.localizers.items():
        place = f"{source}: compare.localizers.{name}"
        if name == experiment.localize.method.kind:
            raise SettingsError(f"{place}: this is the name of the experiment's own localizer; choose another")
        try:
            settings = variant_settings(experiment.localize, overrides)
        except ValidationError as error:
            config = {"localize": dict(overrides)}
            problems = [problem | {"loc": ("localize", *problem["loc"])} for problem in problems_of(error)]
            raise SettingsError(_lines_of_variant(problems, config, "localize", place)) from error
        if settings.splits != experiment.localize.splits:
            raise SettingsError(f"{place}.splits: all localizers learn from the same images; set localize.splits")
        model = settings.backbone.model
        if not settings.method.on_clip and model not in experiment.encode.weights:
            raise SettingsError(f"{place}: encode.weights has no entry for {model}")
        if fault := method_fault(settings, experiment.encode):
            raise SettingsError(f"{place}.{fault}")
    _check_refiners(experiment, source=source)


def _check_refiners(experiment: Experiment, *, source: str) -> None:
    for name, overrides in experiment.compare.refiners.items():
        place = f"{source}: compare.refiners.{name}"
        try:
            refine = variant_settings(experiment.refine, overrides)
        except ValidationError as error:
            config = {"refine": dict(overrides)}
            problems = [problem | {"loc": ("refine", *problem["loc"])} for problem in problems_of(error)]
            raise SettingsError(_lines_of_variant(problems, config, "refine", place)) from error
        if "mended" in overrides:
            raise SettingsError(
                f"{place}.mended: rows are compared as they are made; set refine.mended, or leave it out"
            )
        whole = experiment.model_dump() | {"refine": refine.model_dump()}
        try:
            Experiment.model_validate(whole)
        except ValidationError as error:  # what does not fit the other sections
            raise SettingsError(
                "\n".join(f"{place}: {describe(problem, whole)}" for problem in problems_of(error))
            ) from error


def _lines_of_variant(problems: Sequence[ErrorDetails], config: Mapping[str, Any], section: str, place: str) -> str:
    """One line per problem of a variant, with the variant's place instead of that of the section it changes."""
    setting = place.split(": ", 1)[1]
    lines = [describe(problem, config).replace(f"`{section}.", f"`{setting}.") for problem in problems]
    return "\n".join(f"{place}{line.removeprefix(section)}" for line in lines)


def section_json(experiment: Experiment, section: str, *, only: Sequence[str] = (), without: Sequence[str] = ()) -> str:
    """One section as compact JSON with its defaults filled in, for a command's `--settings`.

    `only` keeps these settings (plus `format` and `classes` of `data`, which have no defaults), `without` drops these;
    both take dotted paths below the section. A dropped setting has its default when the command reads it, so drop only
    what the command does not use.
    """
    values = getattr(experiment, section).model_dump(mode="json")
    if only:
        required = [
            name for name, field in type(getattr(experiment, section)).model_fields.items() if field.is_required()
        ]
        values = _pick(values, [*required, *only])
    for path in without:
        *parents, last = path.split(".")
        branch = values
        for parent in parents:
            branch = branch[parent]
        del branch[last]
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False)


def _pick(values: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    picked: dict[str, Any] = {}
    for path in paths:
        *parents, last = path.split(".")
        source, target = values, picked
        for parent in parents:
            source, target = source[parent], target.setdefault(parent, {})
        target[last] = source[last]
    return picked
