"""Settings are strict, frozen and described."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, BeforeValidator, ValidationError

from stages.settings import (
    CrfSettings,
    DataSettings,
    EvaluateSettings,
    Experiment,
    InferenceSettings,
    NetworkSettings,
    RefineSettings,
    SegmenterTraining,
)


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


def leaves(annotation: Any, metadata: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The plain types that an annotation holds, but not the keys of a dict, each with what is annotated around it."""
    inner = get_args(annotation)
    if get_origin(annotation) is Literal:
        yield type(inner[0]), metadata
    elif get_origin(annotation) is Annotated:
        yield from leaves(inner[0], (*metadata, *inner[1:]))
    elif inner:
        for part in inner[1:] if get_origin(annotation) is dict else inner:
            yield from leaves(part, metadata)
    else:
        yield annotation, metadata


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.__name__)
def test_every_number_is_read_in_one_way(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        for kind, metadata in leaves(field.annotation, tuple(field.metadata)):
            if kind in (int, float, bool):
                assert any(isinstance(own, BeforeValidator) for own in metadata), name


@pytest.mark.parametrize(("text", "value"), [("1e-3", 1e-3), ("5", 5), (" 0.5 ", 0.5), ("1E+2", 100)])
def test_numbers_as_text_are_numbers(text: str, value: float) -> None:
    """YAML 1.1 reads 1e-3, without a point, as text; Snakemake every number in `--config 'refine={...}'`."""
    assert SegmenterTraining.model_validate({"learning_rate": text}).learning_rate == value
    assert SegmenterTraining.model_validate({"class_weights": {"cat": text}}).class_weights == {"cat": value}


def test_what_the_command_line_leaves_as_text_is_read() -> None:
    given = {"iterations": "1e3", "warmup_iterations": "3", "colours": "false", "scales": ["0.5", "2"]}
    read = SegmenterTraining.model_validate(given)
    assert read == SegmenterTraining(iterations=1000, warmup_iterations=3, colours=False, scales=(0.5, 2.0))
    assert NetworkSettings.model_validate({"output_stride": "16", "decoder_channels": "null"}).output_stride == 16
    assert NetworkSettings.model_validate({"output_stride": "null"}).output_stride is None
    assert InferenceSettings.model_validate({"crf": "null"}).crf is None
    threshold = RefineSettings.model_validate({"background_threshold": "0.3"}).background_threshold
    assert isinstance(threshold, float)
    assert threshold == 0.3


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ("iterations", True), ("learning_rate", True), ("learning_rate", ""), ("iterations", "3.5"), ("colours", 1),
        ("colours", "yes"), ("colours", 0.0), ("scales", [True, 2]), ("class_weights", {"cat": True}),
        ("iterations", "many"), ("learning_rate", "nan"), ("learning_rate", "1e999"),
    ],
)  # fmt: skip
def test_what_is_no_number_or_no_choice_is_refused(settings: str, value: object) -> None:
    with pytest.raises(ValidationError, match=settings):
        SegmenterTraining.model_validate({settings: value})


@pytest.mark.parametrize("value", [True, False, None, 0, 1.5, "nan", "half", [0.5]])
def test_a_background_threshold_is_a_share_or_a_word(value: object) -> None:
    with pytest.raises(ValidationError, match="must be a number above 0 and up to 1, `auto` or `oracle`") as caught:
        RefineSettings.model_validate({"background_threshold": value})
    assert caught.value.error_count() == 1


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
