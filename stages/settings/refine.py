"""Settings of the stage `refine`."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from stages.settings.backbones import FrozenNetwork
from stages.settings.base import (
    NUMBER,
    Count,
    CountOrZero,
    CropSide,
    Exponent,
    ExponentRange,
    Positive,
    Share,
    ShareBelowOne,
    ShareOrZero,
    Strict,
    Weight,
    number,
)
from stages.settings.crf import CRF_SETS, Crf


def _threshold(value: Any) -> float | str:
    if value in ("auto", "oracle"):
        return str(value)
    share = None if isinstance(value, bool) else number(value)
    if not isinstance(share, int | float) or not 0 < share <= 1:
        raise ValueError("must be a number above 0 and up to 1, `auto` or `oracle`")
    return float(share)


# Decided by the function, in one line, not once for each type.
BackgroundThreshold = Annotated[
    float | str,
    BeforeValidator(_threshold),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1}, {"enum": ["auto", "oracle"]}]}),
]


class AutoThreshold(Strict):
    """How `background_threshold: auto` chooses, without true masks (docs/method.md)."""

    images: Count = Field(100, description="training images used, spread evenly over the index")
    steps: Annotated[int, Field(ge=2), NUMBER] = Field(
        20, description="thresholds tried: 1/steps, 2/steps, ... below 1"
    )
    crf: Crf = Field(
        CRF_SETS["irn"], description="the CRF that seeds are compared with: psa, deeplab, irn, mctformer, or values"
    )


class NoAffinity(Strict):
    """Maps go to the CRF unchanged."""

    kind: Literal["none"] = "none"


class AffinityTraining(Strict):
    """Training of the affinity network."""

    crop: CropSide = Field(448, description="side of the training crop, pixels")
    epochs: Count = Field(8, description="passes over the training images")
    batch_size: Count = Field(8, description="images per step")
    learning_rate: Positive = Field(1.0, description="initial rate of the new layers, SGD with polynomial decay")
    backbone_rate: ShareOrZero = Field(
        0.1, description="rate of the backbone as a share of the new layers'; 0 freezes it"
    )
    weight_decay: Weight = Field(5e-4, description="weight decay of the convolutions")
    workers: CountOrZero = Field(0, description="processes that load images; 0 loads in the main one")
    checkpoint_every: Count = Field(1, description="epochs between checkpoints")


class LearnedAffinity(Strict):
    """A network that predicts which neighbours belong together, learned from sure regions (PSA, CVPR 2018)."""

    kind: Literal["learned"]
    backbone: str = Field(
        "resnet38", description="resnet38, or a timm CNN; `encode.weights` says where its weights come from"
    )
    strides: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        (8, 16, 32), description="feature maps used of a timm CNN, by stride; the first defines the nodes"
    )
    channels: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        (64, 128, 256), description="channels that each feature map is reduced to"
    )
    radius: Annotated[int, Field(ge=2), NUMBER] = Field(5, description="nodes closer than this are neighbours")
    sure_powers: ExponentRange = Field(
        (4.0, 24.0), description="background scores (1 - max)^power of the two CRFs that mark sure regions"
    )
    sure_crf: Crf = Field(
        CRF_SETS["psa"], description="settings of these CRFs: psa, deeplab, irn, mctformer, or values"
    )
    training: AffinityTraining = AffinityTraining()

    @model_validator(mode="after")
    def sizes_agree(self) -> "LearnedAffinity":
        resnet38 = self.backbone == "resnet38"
        maps = 3 if resnet38 else len(self.strides)
        if len(self.channels) != maps:
            raise ValueError(f"channels: {len(self.channels)} numbers for {maps} feature maps; give one for each")
        stride = 8 if resnet38 else self.strides[0]
        if self.training.crop % stride:
            nearest = max(1, round(self.training.crop / stride)) * stride
            raise ValueError(
                f"training.crop: {self.training.crop} is not a multiple of the stride {stride}; set {nearest}"
            )
        return self


class AttentionAffinity(Strict):
    """Patch-to-patch attention of the localizer's own blocks; nothing is trained."""

    kind: Literal["attention"]
    blocks: Count = Field(3, description="last blocks whose attention is averaged")


class FeaturesAffinity(FrozenNetwork):
    """Similarity of the patch features of a frozen network, best a self-supervised ViT such as DINO; nothing is
    trained."""

    kind: Literal["features"]
    model: str = Field(
        "vit_small_patch8_224.dino",
        description="timm ViT, whose patches are the nodes, or timm CNN; `encode.weights` says where its weights come"
        " from",
    )
    size: Count = Field(448, description="shorter side of the image whose features are compared, pixels")
    threshold: ShareBelowOne = Field(
        0.2, description="cosine that counts as no affinity, as every lower one; 1 stays 1, and between it rises evenly"
    )
    radius: Annotated[int, Field(ge=2), NUMBER] | None = Field(
        5, description="patches closer than this are neighbours; null: all are, however far apart"
    )


class WalkSettings(Strict):
    """Random walk of the scores over the nodes."""

    beta: Exponent = Field(8.0, description="exponent of the affinities")
    doublings: CountOrZero = Field(6, description="t: the walk has 2^t steps")


class RefineSettings(Strict):
    """From maps to pseudo masks."""

    background: Literal["threshold", "power"] = Field(
        "threshold", description="background score: the threshold everywhere, or (1 - max of the maps)^power"
    )
    background_threshold: BackgroundThreshold = Field(
        0.4,
        description="background score, for maps scaled to [0, 1]; auto: chosen without true masks; oracle: the best on"
        " the first split of `evaluate.maps`, which needs true masks and is only for tables",
    )
    background_power: Exponent = Field(4.0, description="exponent of the background score (`background: power`)")
    auto: AutoThreshold = AutoThreshold()
    affinity: NoAffinity | LearnedAffinity | AttentionAffinity | FeaturesAffinity = Field(
        NoAffinity(), discriminator="kind", description="what the random walk follows; none: no walk"
    )
    walk: WalkSettings = WalkSettings()
    crf: Crf = Field(CRF_SETS["irn"], description="dense CRF at the end: psa, deeplab, irn, mctformer, or values")
    ignore_band: tuple[Share, Share] | None = Field(
        None,
        description="two thresholds: in the training masks, pixels whose label differs between them are ignored (255)",
    )
    ignore_below: Share | None = Field(
        None,
        description="in the training masks, pixels whose label has a lower probability after the CRF are ignored (255),"
        " CLIP-ES's 0.95; without a CRF, whose score has a lower share of the sum of scores",
    )
    mended: Path | None = Field(
        None,
        description="masks of training images mended by hand, which replace their pseudo masks: a folder of labelme's"
        " JSON files or of indexed PNGs, named as the photos, or a COCO JSON file; never written to",
    )

    @model_validator(mode="after")
    def band_has_two_sides(self) -> "RefineSettings":
        if self.ignore_band and self.ignore_band[0] >= self.ignore_band[1]:
            raise ValueError(f"ignore_band: {list(self.ignore_band)} must be increasing; put the lower threshold first")
        return self

    @property
    def ignores(self) -> bool:
        """Whether the training masks are others than those that are scored: with ignored pixels."""
        return self.ignore_band is not None or self.ignore_below is not None

    @model_serializer(mode="wrap")
    def without_unset(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves later settings out where they are not set, so that results made before there were any stay valid."""
        values = handler(self)
        for name in ("mended", "ignore_below"):
            if getattr(self, name) is None:
                values.pop(name, None)  # not there if the caller has excluded it
        return values
