"""What all settings models share: strictness, and the number types."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
SplitName = Literal["train", "val", "test"]


class Strict(BaseModel):
    """Unknown keys are refused; a value does not change after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
