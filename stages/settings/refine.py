"""Settings of the stage `refine`."""

from typing import Annotated

from pydantic import Field

from stages.settings.base import Positive, Share, Strict


class CrfSettings(Strict):
    """Dense CRF (Kraehenbuehl and Koltun, NeurIPS 2011)."""

    iterations: Annotated[int, Field(ge=0)] = Field(10, description="mean-field iterations; 0 leaves the CRF out")
    bilateral_position: Positive = Field(50.0, description="standard deviation of position, bilateral kernel, pixels")
    bilateral_colour: Positive = Field(5.0, description="standard deviation of colour, bilateral kernel, 0..255")
    bilateral_weight: Annotated[float, Field(ge=0)] = Field(10.0, description="weight of the bilateral kernel")
    gaussian_position: Positive = Field(3.0, description="standard deviation of position, smoothness kernel, pixels")
    gaussian_weight: Annotated[float, Field(ge=0)] = Field(3.0, description="weight of the smoothness kernel")


class RefineSettings(Strict):
    """Maps to pseudo masks."""

    background_threshold: Share = Field(0.4, description="score of background, against maps scaled to [0, 1]")
    crf: CrfSettings = CrfSettings()
