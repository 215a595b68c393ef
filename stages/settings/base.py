"""What all settings models share: strictness, the number types, and paths that rules name."""

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
    """The splits that are scored together under a name: train and val of `train+val`."""
    return tuple(split.split("+"))


def joined(splits: Iterable[str]) -> str:
    """The name under which splits stand together: `train+val`."""
    return "+".join(sorted(set(splits), key=SPLITS.index))


def without_braces(path: Path) -> Path:
    """A path that is an input of rules, where Snakemake takes `{name}` for a wildcard."""
    if "{" in str(path) or "}" in str(path):
        raise ValueError(
            "holds a brace, which Snakemake takes for a wildcard; rename the folder or file, or name a link"
        )
    return path


RulePath = Annotated[Path, AfterValidator(without_braces)]


class Strict(BaseModel):
    """Unknown keys are refused; a value does not change after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
