"""Settings of the stages `evaluate` and `report`."""

from typing import Annotated, Literal

from pydantic import Field

from stages.settings.base import NUMBER, Count, Once, RulePath, ScoredSplit, Strict
from stages.vocabulary import SplitName


class EvaluateSettings(Strict):
    """What is scored, and how finely thresholds are swept."""

    thresholds: Annotated[int, Field(ge=10, le=1000), NUMBER] = Field(
        100, description="steps of the threshold sweep over [0, 1]"
    )
    maps: Annotated[tuple[ScoredSplit, ...], Once] = Field(
        ("train", "val"),
        description="splits whose maps and pseudo masks are scored; `train+val` scores the images of both together",
    )
    voc_competition: Literal["comp5", "comp6"] = Field(
        "comp6",
        description="for `voc_submission`: comp5 is for methods that learn from VOC's images alone, comp6 for anything"
        " else, such as pretrained backbones, SBD's masks or CLIP",
    )
    segmenter: Annotated[tuple[SplitName, ...], Once] = Field(
        ("val", "test"), description="splits with true masks on which predictions are scored"
    )
    train_list: RulePath | None = Field(
        None,
        description="file of ids, one per line: in train, only these images are scored; VOC's published figures are"
        " for the 1,464 in ImageSets/Segmentation/train.txt",
    )
    doubt: Annotated[tuple[SplitName, ...], Once] = Field(
        (),
        description="splits whose pseudo masks get a doubt each, found without true masks, and a gallery sorted by it;"
        " the target `doubt` makes those of train and val in any case",
    )
    localization: Annotated[tuple[SplitName, ...], Once] = Field(
        (),
        description="splits whose maps are scored as in wsolevaluation, PxAP and pIoU, with the threshold chosen on"
        " val; for data.format openimages",
    )


class ReportSettings(Strict):
    """The HTML page."""

    panels: Count = Field(12, description="val images shown, each from image to prediction")
