"""Settings are strict, frozen and described."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from stages.settings import CrfSettings, DataSettings, EvaluateSettings, Experiment, RefineSettings


def models_below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A settings model and every one that it holds."""
    yield model
    for field in model.model_fields.values():
        yield from held(field.annotation)


def held(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from models_below(annotation)
    for part in getattr(annotation, "__args__", ()):
        yield from held(part)


ALL = sorted(set(models_below(Experiment)), key=lambda model: model.__name__)


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.__name__)
def test_every_setting_is_described(model: type[BaseModel]) -> None:
    assert model.__doc__
    for name, field in model.model_fields.items():
        # A section is described by its model, a choice between models by its name.
        assert field.description or name == "kind" or list(held(field.annotation)), name


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.__name__)
def test_every_model_is_strict_and_frozen(model: type[BaseModel]) -> None:
    assert model.model_config["extra"] == "forbid"
    assert model.model_config["frozen"]


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        RefineSettings.model_validate({"crf": {"steps": 3}})


def test_a_value_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        CrfSettings().iterations = 3


def test_settings_of_data_that_contradict_each_other_are_refused() -> None:
    data = {"root": "somewhere", "classes": ("cat", "dog")}
    for changes, message in (
        ({"format": "csv", "fetch": True}, "`fetch` can download `voc` and `coco`, not 'csv'"),
        ({"format": "coco", "coco": {"encoding": "raw_id"}}, "`encoding` describes `masks`"),
    ):
        with pytest.raises(ValidationError, match=message):
            DataSettings(**data, **changes)


@pytest.mark.parametrize("path", ["my {set}", "a}b"])
def test_braces_in_paths_that_rules_name_are_refused(path: str) -> None:
    """Snakemake would take them for wildcards, and say so in words about its own rules."""
    for changes in ({"root": path}, {"root": "somewhere", "captions": f"{path}/captions.jsonl"}):
        with pytest.raises(ValidationError, match="contains a brace, which Snakemake treats as a wildcard; rename"):
            DataSettings(format="csv", classes=("cat", "dog"), **changes)
    with pytest.raises(ValidationError, match="contains a brace"):
        EvaluateSettings(train_list=path)


@pytest.mark.parametrize("name", ["", " ", "a;b", " c", "c ", "a\nb"])
def test_a_class_name_that_tables_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="is not a class name: it must not be empty, begin or end with a space"):
        DataSettings(format="csv", root=Path("somewhere"), classes=("cat", name))


def test_photos_are_bounded_where_users_bring_them() -> None:
    common = {"root": "photos", "classes": ["a", "b"]}
    sides = {
        kind: DataSettings.model_validate({"format": kind, **common}).longest_side
        for kind in ("demo", "voc", "coco", "openimages", "folder", "csv")
    }
    assert sides == {"demo": None, "voc": None, "coco": None, "openimages": None, "folder": 500, "csv": 500}
    for side in (None, 800):
        assert DataSettings.model_validate({"format": "folder", **common, "longest_side": side}).longest_side == side
    with pytest.raises(ValidationError, match="longest_side"):
        DataSettings.model_validate({"format": "folder", **common, "longest_side": 0})
