"""Settings of the stage `localize`."""

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)

from stages.settings.backbones import CnnBackbone, HybridBackbone, VitBackbone
from stages.settings.base import (
    NUMBER,
    Count,
    CountOrZero,
    CropSide,
    Flag,
    Positive,
    Scale,
    ShareOrZero,
    ShareRange,
    Strict,
    Weight,
)
from stages.settings.methods import (
    CamSettings,
    ClipEsSettings,
    ClipSettings,
    MctformerSettings,
    MmcstSettings,
    TsCamSettings,
)


class LocalizerTraining(Strict):
    """Training of the localization transformer."""

    crop: CropSide = Field(224, description="side of the training crop, pixels")
    crop_area: ShareRange = Field((0.5, 1.0), description="share of the image's area that a crop covers")
    interpolation: Literal["bilinear", "bicubic"] = Field("bilinear", description="how crops are resized")
    randaugment: Annotated[int, Field(ge=0, le=10), NUMBER] = Field(
        0,
        description="strength of RandAugment, 0 to 10 (timm's m9 is 9): two rounds, each applying one of 14 changes of"
        " colour or shape half the time; 0 turns it off",
    )
    erasing: ShareOrZero = Field(0.0, description="share of the crops in which a random rectangle is replaced by noise")
    epochs: Count = Field(60, description="passes over the training images")
    warmup_epochs: Weight = Field(5, description="epochs of linear warm-up before the cosine")
    batch_size: Count = Field(64, description="images per step, over all GPUs")
    learning_rate: Positive = Field(1e-4, description="peak learning rate of AdamW")
    final_rate: Positive | None = Field(
        None, description="learning rate at the end of the cosine; if omitted, a hundredth of the peak"
    )
    weight_decay: Weight = Field(0.05, description="AdamW weight decay")
    gradient_clip: Annotated[float, Field(gt=0), NUMBER] | None = Field(
        1.0, description="largest norm of the gradient; null: no clipping"
    )
    workers: CountOrZero = Field(0, description="processes that load images; 0 loads in the main one")
    checkpoint_every: Count = Field(1, description="epochs between checkpoints")

    @model_validator(mode="after")
    def rate_falls(self) -> "LocalizerTraining":
        if self.final_rate is not None and self.final_rate > self.learning_rate:
            raise ValueError(
                f"final_rate: {self.final_rate} is above learning_rate ({self.learning_rate}), where the cosine starts;"
                " lower it"
            )
        return self


class MapSettings(Strict):
    """From images to localization maps."""

    size: Count | None = Field(
        224, description="shorter side of the image at scale 1, pixels; null: the image's own, for sets of small images"
    )
    scales: Annotated[tuple[Scale, ...], Field(min_length=1)] = Field(
        (1.0,), description="image scales whose maps are summed"
    )
    flip: Flag = Field(True, description="add the maps of the mirrored image")
    source: Literal["text", "visual", "sum"] = Field("sum", description="which tokens' maps are used")
    representation: Literal["global", "local", "global_local"] | None = Field(
        None, description="class tokens that maps are read from; if omitted, those used in training"
    )
    class_attention: Flag = Field(False, description="multiply the maps by class-to-patch attention")
    patch_affinity: Flag = Field(False, description="smooth the maps by patch-to-patch attention")
    attention_blocks: Count | None = Field(
        None,
        description="last blocks whose class-to-patch attention is averaged; if omitted, 3, or all for mctformer plus",
    )
    affinity_blocks: Count | None = Field(
        None, description="last blocks whose patch-to-patch attention is averaged; if omitted, all, as in MCTformer"
    )
    stride: Count = Field(4, description="maps are stored at the image's size divided by this")
    batch_size: Count = Field(8, description="images of similar size that run at once, each with its mirrored copy")


# Settings that a training does not depend on: how maps are made, and whose classes; a changed one trains nothing again,
# and the trained localizer's file holds none of them.
NOT_OF_TRAINING = ("maps", "classes", "class_threshold", "splits")


def _train_first(splits: Any) -> Any:
    if not isinstance(splits, list | tuple) or list(splits) not in (["train"], ["train", "val"]):
        raise ValueError("must be [train] or [train, val]")
    return splits


LearnedSplits = Annotated[
    tuple[Literal["train", "val"], ...],
    BeforeValidator(_train_first),
    WithJsonSchema({"enum": [["train"], ["train", "val"]]}),
]


class LocalizeSettings(Strict):
    """A localizer: the paper's, or a rival."""

    method: MmcstSettings | CamSettings | TsCamSettings | MctformerSettings | ClipSettings | ClipEsSettings = Field(
        MmcstSettings(), discriminator="kind", description="the localizer, `mmcst` (the paper's) or a rival"
    )
    backbone: VitBackbone | HybridBackbone | CnnBackbone = Field(
        VitBackbone(),
        discriminator="kind",
        description="image encoder: `cnn` for cam, `vit` or `hybrid` for the others",
    )
    classes: Literal["tags", "predicted"] = Field(
        "tags",
        description="classes that get a map: the image's tags; `predicted` adds the classifier's predictions for"
        " images whose tags are not known: without tags, and no negatives of train",
    )
    class_threshold: Annotated[float, Field(gt=0, lt=1), NUMBER] = Field(
        0.5, description="lowest probability at which the classifier counts a class as present"
    )
    training: LocalizerTraining = LocalizerTraining()
    maps: MapSettings = MapSettings()
    splits: LearnedSplits = Field(
        ("train",),
        description="splits whose tags are used for training, by the experiment and all that it is compared with; add"
        " val if its maps are needed and its tags are known anyway. Pseudo masks of val never train a segmenter",
    )

    @model_validator(mode="after")
    def backbone_fits_the_method(self) -> "LocalizeSettings":
        kind = self.method.kind
        if not self.method.on_clip and (kind == "cam") != (self.backbone.kind == "cnn"):
            wanted = "`cnn`" if kind == "cam" else "`vit` or `hybrid`"
            raise ValueError(f"method {kind!r} needs backbone.kind {wanted}, not {self.backbone.kind!r}")
        return self
