"""Settings of the stage `localize`."""

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from stages.settings.backbones import CnnBackbone, FrozenNetwork, HybridBackbone, VitBackbone
from stages.settings.base import (
    NUMBER,
    Count,
    CountOrZero,
    CropSide,
    Exponent,
    Flag,
    Positive,
    Scale,
    Share,
    ShareOrZero,
    ShareRange,
    Strict,
    Temperature,
    Weight,
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


class VisualContext(Strict):
    """The local tokens: which patches a class attends to, and what they add to its token (docs/method.md)."""

    attention: Literal["map", "softmax"] = Field(
        "map",
        description="map: the class's own map, scaled to [0, 1] and raised to `power`; softmax: of the product of"
        " tokens and patches / sqrt(D), as the paper draws it",
    )
    power: Exponent = Field(2.0, description="exponent of the map (`attention: map`)")
    centred: Flag = Field(True, description="subtract from each patch the mean patch of its image")
    matched: Flag = Field(True, description="scale local tokens to the length of their class tokens")
    scores: Literal["tokens", "context"] = Field(
        "tokens",
        description="maps that the image scores, and so the classification loss, are pooled from: those of the class"
        " tokens alone, or those with context",
    )


class Method(Strict):
    """Settings common to all localizers. `language_source` is what the image-language context compares with."""

    @property
    def language_source(self) -> Literal["image", "caption", "none"]:
        """`none` for localizers without such a context."""
        return "none"

    @property
    def frozen_network(self) -> FrozenNetwork | None:
        """The network beside the localizer's own whose patch features it compares; None if there is none."""
        return None

    @property
    def on_clip(self) -> bool:
        """Whether it is training-free, on the image tower of `encode.clip`, in place of a backbone that is trained."""
        return False


class MmcstSettings(Method):
    """The localization transformer (MMCST) and every switch that the published tables vary."""

    kind: Literal["mmcst"] = "mmcst"
    tokens: Literal["visual", "multimodal"] = Field("multimodal", description="class tokens: visual only, or with text")
    representation: Literal["global", "local", "global_local"] = Field(
        "global_local", description="tokens alone, their visual context alone, or both; `global` turns context off"
    )
    context: VisualContext = VisualContext()
    text_context_weight: Positive = Field(1.0, description="lambda 1, weight of the local textual tokens")
    visual_context_weight: Positive = Field(1.0, description="lambda 2, weight of the local visual tokens")
    pooling_decay: Share = Field(0.996, description="decay d of global weighted ranking pooling")
    language_context: Literal["none", "caption_l1", "caption_contrastive", "image_contrastive"] = Field(
        "image_contrastive", description="prior and loss of the image-language context"
    )
    language_weight: Weight = Field(1.0, description="w, weight of the image-language loss")
    temperature: Temperature = Field(0.07, description="tau of the contrastive loss")

    @property
    def language_source(self) -> Literal["image", "caption", "none"]:
        """What the image-language context compares with."""
        return self.language_context.split("_")[0]  # type: ignore[return-value]

    @model_validator(mode="after")
    def language_needs_text(self) -> "MmcstSettings":
        if self.tokens == "visual" and self.language_context != "none":
            raise ValueError(
                f"language_context {self.language_context!r} needs textual tokens; with `tokens: visual` set it to"
                " `none`"
            )
        return self


class CamSettings(Method):
    """A linear classifier over pooled CNN features (Zhou et al., CVPR 2016); `backbone.kind: cnn`."""

    kind: Literal["cam"]


class TsCamSettings(Method):
    """One class token, whose attention multiplies patch maps (TS-CAM, Gao et al., ICCV 2021)."""

    kind: Literal["ts_cam"]


class MctformerSettings(Method):
    """Multi-class tokens: MCTformer V2 (Xu et al., CVPR 2022) and MCTformer+ (Xu et al., TPAMI 2024)."""

    kind: Literal["mctformer"]
    version: Literal["v2", "plus"] = Field(
        "plus",
        description="v2 pools patch maps by their mean; plus pools by ranking, contrasts class tokens, and takes the"
        " square root of patch maps times class attention",
    )
    contrast_weight: Weight = Field(1.0, description="weight of the contrastive-class-token loss (plus)")
    pooling_decay: Share = Field(0.996, description="decay d of global weighted ranking pooling (plus)")


class OnClip(Method):
    """Settings common to the training-free localizers on `encode.clip`."""

    @property
    def on_clip(self) -> bool:
        """They are."""
        return True


class ProxySettings(FrozenNetwork):
    """The frozen network whose patch similarities are the attention, and how they become weights (ProxyCLIP)."""

    beta: Weight = Field(
        1.2, description="share of an image's mean cosine that is subtracted from each; what is negative then is 0"
    )
    gamma: Positive = Field(3.0, description="factor of the difference, before the softmax")


class ClipSettings(OnClip):
    """Similarity of CLIP's patch features and class texts; nothing is trained. With `attention` as in MaskCLIP (Zhou et
    al.), SCLIP (Wang et al.) or ProxyCLIP (Lan et al.; ECCV 2022, 2024 and 2024)."""

    kind: Literal["clip"]
    temperature: Temperature = Field(
        0.1, description="temperature of the softmax over classes that weights each patch's similarities"
    )
    attention: Literal["value", "self", "proxy"] = Field(
        "value",
        description="what a patch sees of the others in the last block. value: nothing (MaskCLIP); self: by their"
        " queries' and by their keys' similarity (SCLIP), not with a CNN; proxy: by the similarity of a frozen"
        " network's features, `proxy` (ProxyCLIP)",
    )
    proxy: ProxySettings = ProxySettings()
    window: Count | None = Field(
        None,
        description="side, in pixels, of the overlapping windows whose similarities are averaged, a multiple of CLIP's"
        " patch; if omitted, the whole image. SCLIP: 224 with `step: 112`, and `localize.maps.size: 336`; ProxyCLIP:"
        " 336 with 112, at 336",
    )
    step: Count | None = Field(
        None,
        description="pixels from one window to the next, a multiple of CLIP's patch; if omitted, half a window",
    )

    @model_validator(mode="after")
    def windows_overlap(self) -> "ClipSettings":
        if self.step is not None and self.window is None:
            raise ValueError(f"step: {self.step} is the distance of windows; give `window` too, or leave it out")
        if self.step is not None and self.window is not None and self.step > self.window:
            raise ValueError(
                f"step: {self.step} leaves gaps between windows of {self.window} pixels; set {self.window} or less"
            )
        return self

    @model_serializer(mode="wrap")
    def without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out what is not set or not used, so that results made before there was such a setting stay valid."""
        values = handler(self)
        unused = {
            "attention": self.attention == "value",
            "proxy": self.attention != "proxy",
            "window": self.window is None,
            "step": self.step is None,
        }
        return {name: value for name, value in values.items() if not unused.get(name)}

    @property
    def frozen_network(self) -> FrozenNetwork | None:
        return self.proxy if self.attention == "proxy" else None


class ClipEsSettings(OnClip):
    """Grad-CAM of CLIP's similarity with the image's tags against background texts, refined by its attention (CLIP-ES,
    Lin et al., CVPR 2023); nothing is trained. Needs `encode.backgrounds`."""

    kind: Literal["clip_es"]
    temperature: Temperature = Field(
        0.01,
        description="cosines of image and texts are divided by it before the softmax over tags and backgrounds; 0.01 is"
        " CLIP's own",
    )
    embedding: Literal["patches", "tower"] = Field(
        "patches",
        description="image embedding that is compared with the texts: of the mean of the last patches, as in the paper,"
        " or the tower's own (CLIP's class token); the same for a CNN",
    )
    steps: CountOrZero | None = Field(
        None,
        description="t, how often maps are multiplied by the affinity of patches; 0 turns it off; if omitted, 2, or 0"
        " for a CNN, which has no attention",
    )
    attention_blocks: Count = Field(8, description="last blocks whose attention is averaged to that affinity")
    sinkhorn: Count = Field(
        3, description="rounds of Sinkhorn's normalisation of that attention, of its columns and then of its rows"
    )
    box_threshold: Share = Field(
        0.4,
        description="lambda: affinities lead from within the boxes around each region where the map, scaled to [0, 1],"
        " reaches it",
    )


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
