"""Settings of the dense CRF, which refines maps and, if set, predictions."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from stages.settings.base import NUMBER, CountOrZero, Strict, Weight

Deviation = Annotated[float, Field(ge=1e-3, le=1e6), NUMBER]


class CrfSettings(Strict):
    """Dense CRF (Kraehenbuehl and Koltun, NeurIPS 2011)."""

    iterations: CountOrZero = Field(10, description="mean-field iterations; 0 leaves the CRF out")
    bilateral_position: Deviation = Field(50.0, description="standard deviation of position, bilateral kernel, pixels")
    bilateral_colour: Deviation = Field(5.0, description="standard deviation of colour, bilateral kernel, 0..255")
    bilateral_weight: Weight = Field(10.0, description="weight of the bilateral kernel")
    gaussian_position: Deviation = Field(3.0, description="standard deviation of position, smoothness kernel, pixels")
    gaussian_weight: Weight = Field(3.0, description="weight of the smoothness kernel")


# What four published programs use: PSA (Ahn and Kwak, CVPR 2018), DeepLab (Chen et al., TPAMI 2018) as its PyTorch
# versions have it, IRN (Ahn et al., CVPR 2019), and MCTformer (Xu et al., CVPR 2022) on predictions.
CRF_SETS: Mapping[str, CrfSettings] = {
    "psa": CrfSettings(bilateral_position=80, bilateral_colour=13),
    "deeplab": CrfSettings(
        bilateral_position=67, bilateral_colour=3, bilateral_weight=4, gaussian_position=1, gaussian_weight=3
    ),
    "irn": CrfSettings(),
    "mctformer": CrfSettings(
        bilateral_position=83, bilateral_colour=5, bilateral_weight=3, gaussian_position=4, gaussian_weight=3
    ),
}
CrfName = Literal["psa", "deeplab", "irn", "mctformer"]


def _named(value: Any) -> Any:
    """The values of a preset given by name."""
    if isinstance(value, str) and value not in CRF_SETS:
        none = "; for no CRF, write {iterations: 0}" if value.lower() in ("none", "null", "no", "off", "") else ""
        raise ValueError(f"no CRF preset with this name; choose one of {', '.join(CRF_SETS)}{none}")
    return CRF_SETS[value] if isinstance(value, str) else value


Crf = Annotated[CrfSettings, BeforeValidator(_named, json_schema_input_type=CrfSettings | CrfName)]
