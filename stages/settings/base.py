"""What all settings models share: strictness, the number types, and paths named in rules."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from stages.vocabulary import SCORED_SPLIT, SPLITS

Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Number = TypeVar("Number", int, float)
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


def not_blank(text: str) -> str:
    """Checks a text that stands for something."""
    if not text.strip():
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
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(ascending)]
CountRange = Annotated[tuple[Count, Count], AfterValidator(ascending)]
Words = Annotated[str, AfterValidator(not_blank)]
RulePath = Annotated[Path, AfterValidator(without_braces)]


class Strict(BaseModel):
    """Unknown keys are rejected; values do not change after loading."""

    # A number that is infinite or NaN passes most bounds, and makes everything after it NaN.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
