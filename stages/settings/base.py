"""What all settings models share: strictness, the number types, and paths named in rules."""

import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from stages.vocabulary import SCORED_SPLIT, SPLITS

Number = TypeVar("Number", int, float)
Item = TypeVar("Item")


def number(value: Any) -> Any:
    """A number that is written as text becomes one: YAML reads `1e-3` as text, and Snakemake's `--config` every number
    below a section. true and false, which Python counts as 1 and 0, are none."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    if isinstance(value, str):
        for kind in (int, float):  # float would round large whole numbers
            try:
                return kind(value)
            except ValueError:
                continue
    return value


def _true_or_false(value: Any) -> bool:
    """true or false, and these words, which Snakemake's `--config` leaves as text below a section."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


# Every number of the settings has this, after its bounds.
NUMBER = BeforeValidator(number)
Flag = Annotated[bool, BeforeValidator(_true_or_false)]
Share = Annotated[float, Field(gt=0, le=1), NUMBER]
ShareOrZero = Annotated[float, Field(ge=0, le=1), NUMBER]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1), NUMBER]
# Bounds that leave all that makes sense: beyond, networks and CRFs overflow to NaN, and libraries refuse.
Positive = Annotated[float, Field(gt=0, le=1e6), NUMBER]
Weight = Annotated[float, Field(ge=0, le=1e6), NUMBER]
Exponent = Annotated[float, Field(gt=0, le=1000), NUMBER]
Scale = Annotated[float, Field(ge=0.01, le=100), NUMBER]
Temperature = Annotated[float, Field(ge=1e-4, le=1e4), NUMBER]
Count = Annotated[int, Field(ge=1, le=2**31 - 1), NUMBER]
Rounds = Annotated[int, Field(ge=1, le=20), NUMBER]  # each is a whole training
CropSide = Annotated[int, Field(ge=16, le=2**31 - 1), NUMBER]
CountOrZero = Annotated[int, Field(ge=0, le=2**31 - 1), NUMBER]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1), NUMBER]  # NumPy's range
OutputStride = Annotated[Literal[8, 16, 32], NUMBER]
# A split, or several scored as one: `train+val`.
ScoredSplit = Annotated[str, Field(pattern=f"^{SCORED_SPLIT}$")]


def parts_of(split: str) -> tuple[str, ...]:
    """The splits scored together under one name: train and val for `train+val`."""
    return tuple(split.split("+"))


def joined(splits: Iterable[str]) -> str:
    """The name of several splits scored together: `train+val`."""
    return "+".join(sorted(set(splits), key=SPLITS.index))


def ascending(pair: tuple[Number, Number]) -> tuple[Number, Number]:
    """Checks a pair of a smallest and a largest value."""
    if pair[0] > pair[1]:
        raise ValueError(f"the first number must not be above the second; write [{pair[1]}, {pair[0]}]")
    return pair


def unique(values: tuple[Item, ...]) -> tuple[Item, ...]:
    """Checks a list in which a repeated value would be counted twice."""
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"lists {value} twice; list it once")
    return values


def not_blank(text: str) -> str:
    """Checks a text that stands for something: it has more than spaces and invisible characters."""
    if all(unicodedata.category(character)[0] in "CZ" for character in text):
        raise ValueError("must not be empty or blank")
    return text


def without_braces(path: Path) -> Path:
    """Checks a path that is an input of rules: Snakemake treats `{name}` as a wildcard."""
    if "{" in str(path) or "}" in str(path):
        raise ValueError(
            "contains a brace, which Snakemake treats as a wildcard; rename the folder or file, or give a link to it"
        )
    return path


# The smallest and the largest value of something that is drawn between them.
ShareRange = Annotated[tuple[Share, Share], AfterValidator(ascending)]
ScaleRange = Annotated[tuple[Scale, Scale], AfterValidator(ascending)]
ExponentRange = Annotated[tuple[Exponent, Exponent], AfterValidator(ascending)]
CountRange = Annotated[tuple[Count, Count], AfterValidator(ascending)]
Once = AfterValidator(unique)
Words = Annotated[str, AfterValidator(not_blank)]
RulePath = Annotated[Path, AfterValidator(without_braces)]


class Strict(BaseModel):
    """Unknown keys are rejected; values do not change after loading."""

    # A number that is infinite or NaN passes most bounds, and makes everything after it NaN.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def null_as_text(cls, given: Any) -> Any:
        """Reads null, which Snakemake's `--config` leaves as text below a section."""
        if not isinstance(given, dict) or not any(value == "null" for value in given.values()):
            return given
        return {name: None if value == "null" and cls._takes_null(name) else value for name, value in given.items()}

    @classmethod
    def _takes_null(cls, name: Any) -> bool:
        kinds = get_args(cls.model_fields[name].annotation) if name in cls.model_fields else ()
        return type(None) in kinds and str not in kinds
