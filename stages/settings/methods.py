"""Settings of each localizer, `localize.method`."""

from typing import Any, Literal, NamedTuple

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from stages.settings.backbones import FrozenNetwork
from stages.settings.base import (
    Count,
    CountOrZero,
    Exponent,
    Flag,
    Positive,
    Share,
    Strict,
    Temperature,
    Weight,
)


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


class NeedsAttention(NamedTuple):
    """A setting that an image tower without attention cannot follow, and what to do then."""

    setting: str
    cure: str


class OnClip(Method):
    """Settings common to the training-free localizers on `encode.clip`."""

    @property
    def on_clip(self) -> bool:
        """They are."""
        return True

    @property
    def needs_attention(self) -> NeedsAttention | None:
        """What needs a tower that attends; None if nothing does."""
        return None


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

    @property
    def needs_attention(self) -> NeedsAttention | None:
        """`attention: self` does."""
        return NeedsAttention("attention: 'self'", "set 'value' or 'proxy'") if self.attention == "self" else None

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

    @property
    def needs_attention(self) -> NeedsAttention | None:
        """Steps of its affinity do."""
        return NeedsAttention(f"steps: {self.steps}", "leave steps out, or set 0") if self.steps else None
