"""Words for what pydantic finds wrong with a config: the setting's dotted path, its value, and the cure."""

import datetime
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stages.settings import Experiment
from stages.settings.moved import MOVED

# The key by which a config chooses one of several models for a section (`kind: vit`, `kind: hybrid`).
CHOICE = "kind"
MOST_SHOWN = 300  # characters of a value in a message
# pydantic's types of errors of a section that is no mapping.
NO_SECTION = ("model_type", "model_attributes_type")


def problems_of(error: ValidationError) -> list[ErrorDetails]:
    """What is wrong, each fault once: a list with a wrong element is not too short as well, as pydantic has it."""
    problems = error.errors()
    places = {problem["loc"][:length] for problem in problems for length in range(len(problem["loc"]))}
    return [problem for problem in problems if problem["type"] != "too_short" or problem["loc"] not in places]


def describe(problem: ErrorDetails, config: Mapping[str, Any]) -> str:
    path = _dotted(problem["loc"], config)
    where = ".".join(path)
    if problem["type"] == "extra_forbidden" and where in MOVED:
        return f"{where}: is now `{MOVED[where]}` (given: {shown(problem['input'])}); move it there"
    if problem["type"] == "invalid_key":
        return f"{where}: a setting's name is text (given: {shown(problem['input'])}); put it in quotes, or remove it"
    if problem["type"] in NO_SECTION:
        return f"{where}: {_of_section(path, problem['input'])}"
    if problem["type"].endswith("_type") and problem["input"] is None:
        return f"{where}: is empty; give a value, or remove the line"
    if problem["type"] == "extra_forbidden":
        return f"{where}: no such setting (given: {shown(problem['input'])}); {_suggest(path, config)}"
    if problem["type"] == "missing":
        return f"{where}: must be given"
    if problem["type"] == "union_tag_not_found":
        return f"{where}.{CHOICE}: must be given; it says what kind of {path[-1]} this is"
    if problem["type"] == "union_tag_invalid":
        context = problem["ctx"]
        return f"{where}.{CHOICE}: must be one of {context['expected_tags']} (given: {context['tag']!r})"
    message = _message(problem)
    # Sections as a whole (rules that hold between settings) would print everything below them.
    given = "" if isinstance(problem["input"], Mapping) else f" (given: {shown(problem['input'])})"
    if problem["type"] == "string_type" and isinstance(problem["input"], int | float | datetime.date):
        given += "; put it in quotes"
    return f"{where}: {message}{given}" if where else f"{message}{given}"


def _message(problem: ErrorDetails) -> str:
    """pydantic's message, in the words of a config where they are Python's."""
    given = problem["input"]
    match problem["type"]:
        case "too_short":
            least = problem["ctx"]["min_length"]
            return f"lists too few, at least {least}; add to it, or leave it out for the default"
        case "too_long":
            return f"lists too many, at most {problem['ctx']['max_length']}"
        case "finite_number":
            return "must be a finite number"
        case "tuple_type":
            return f"must be a list; write [{given}]" if isinstance(given, str) else "must be a list"
        case "dict_type":
            return "must be values by name (`name: value`)"
        case "path_type":
            return "must be a path"
        case "int_type" | "int_parsing" | "int_from_float":
            return "must be a whole number"
        case "float_type" | "float_parsing":
            return "must be a number"
    return problem["msg"].removeprefix("Value error, ")


def _of_section(path: Sequence[str], given: Any) -> str:
    """What is wrong with a value where settings by name belong."""
    if given is None:
        return "is empty; write its settings below it, or remove the line"
    kinds = {kind: model for model in _models_at(path) for kind in _kinds(model)}
    if str(given) in kinds and ".".join(path) == "localize.method":
        return f"now holds the method's settings (given: {shown(given)}); write {_as_kind(path, given)}"
    if isinstance(given, str) and given in kinds:
        return f"holds settings by name (given: {shown(given)}); write {_as_kind(path, given)}"
    choices = f", of which `{CHOICE}` is one of {', '.join(kinds)}" if kinds else ""
    return f"must be settings by name{choices} (given: {shown(given)})"


def _as_kind(path: Sequence[str], kind: str) -> str:
    return f"`{path[-1]}: {{{CHOICE}: {kind}}}`"


def _kinds(model: type[BaseModel]) -> tuple[str, ...]:
    field = model.model_fields.get(CHOICE)
    return get_args(field.annotation) if field else ()


def _dotted(location: Sequence[int | str], config: Mapping[str, Any]) -> list[str]:
    """A problem's place as written in the config, without the names that pydantic adds for a chosen model."""
    path: list[str] = []
    value: Any = config
    for position, part in enumerate(location):
        if isinstance(value, Mapping) and part not in value and value.get(CHOICE) == part:
            continue
        if isinstance(value, Mapping) and part not in value and position < len(location) - 1:
            continue  # the default choice of a section that leaves `kind` out
        path.append(str(part))
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list | tuple) and isinstance(part, int) and 0 <= part < len(value):
            value = value[part]
    return path


def _suggest(path: Sequence[str], config: Mapping[str, Any]) -> str:
    """The likely right key: a similar name in the same section, else the same name in another, else all of the
    section."""
    *parents, wrong = path
    siblings = _keys_below(parents, config)
    if kinds := [kind for model in _models_at(parents) if wrong in model.model_fields for kind in _kinds(model)]:
        names = " or ".join(f"`{kind}`" for kind in kinds)
        return f"it is a setting of `{'.'.join([*parents, CHOICE])}` {names}; remove it, or change `{CHOICE}`"
    alike = difflib.get_close_matches(wrong, siblings, n=1)
    if alike:
        return f"did you mean `{'.'.join([*parents, alike[0]])}`?"
    elsewhere = [name for name in all_paths(Experiment) if name.split(".")[-1] == wrong]
    if elsewhere:
        nearest = min(elsewhere, key=lambda name: (name.split(".")[0] != path[0], name.count(".")))
        return f"did you mean `{nearest}`?"
    return f"settings of `{'.'.join(parents) or 'the config'}`: {', '.join(siblings)}"


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The settings models that a field may hold: one, several if `kind` chooses, none for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models(part)]


def _models_at(path: Sequence[str]) -> list[type[BaseModel]]:
    """The settings models that may stand at a place of a config."""
    models: list[type[BaseModel]] = [Experiment]
    for part in path:
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        models = [inner for field in fields for inner in _models(field.annotation)]
    return models


def _keys_below(parents: Sequence[str], config: Mapping[str, Any]) -> list[str]:
    models = _models_at(parents)
    value: Any = config
    for parent in parents:
        value = value.get(parent, {}) if isinstance(value, Mapping) else {}
    chosen = value.get(CHOICE) if isinstance(value, Mapping) else None
    if chosen:
        models = [model for model in models if str(chosen) in _kinds(model)] or models
    return sorted({name for model in models for name in model.model_fields})


def all_paths(model: type[BaseModel], prefix: str = "") -> list[str]:
    """The dotted paths of all settings of a model, for every `kind`."""
    paths = []
    for name, field in model.model_fields.items():
        paths.append(f"{prefix}{name}")
        for inner in _models(field.annotation):
            paths.extend(all_paths(inner, f"{prefix}{name}."))
    return paths


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
