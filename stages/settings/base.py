"""What all settings models share: strictness, the number types, and paths that rules name."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
SplitName = Literal["train", "val", "test"]


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
