"""What all settings models share: strictness, the number types, and paths named in rules."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from stages.vocabulary import SCORED_SPLIT, SPLITS

Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
# A split, or several scored as one: `train+val`.
ScoredSplit = Annotated[str, Field(pattern=f"^{SCORED_SPLIT}$")]


def parts_of(split: str) -> tuple[str, ...]:
    """The splits scored together under one name: train and val for `train+val`."""
    return tuple(split.split("+"))


def joined(splits: Iterable[str]) -> str:
    """The name of several splits scored together: `train+val`."""
    return "+".join(sorted(set(splits), key=SPLITS.index))


def without_braces(path: Path) -> Path:
    """Checks a path that is an input of rules: Snakemake treats `{name}` as a wildcard."""
    if "{" in str(path) or "}" in str(path):
        raise ValueError(
            "contains a brace, which Snakemake treats as a wildcard; rename the folder or file, or give a link to it"
        )
    return path


RulePath = Annotated[Path, AfterValidator(without_braces)]


class Strict(BaseModel):
    """Unknown keys are rejected; values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
