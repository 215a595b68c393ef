"""Image encoders of the localizers."""

import re
from math import lcm
from typing import Annotated, Literal

from pydantic import Field, model_validator

from stages.settings.base import Count, CountOrZero, Flag, OutputStride, Positive, Share, ShareBelowOne, Strict


class VitBackbone(Strict):
    """A plain timm ViT, as in the paper."""

    kind: Literal["vit"] = "vit"
    model: str = Field(
        "vit_base_patch16_224.dino",
        description="plain timm ViT, with added or rotary positions; if it has no class token, those of the classes"
        " start at random",
    )
    image_size: Count | None = Field(
        None,
        description="side, in pixels, of the image whose patches each have a learned position, interpolated for other"
        " sizes; if omitted, the model's own. Of no effect on rotary positions",
    )
    tokens_from_block: CountOrZero = Field(
        0, description="block at which class tokens enter; earlier blocks are frozen"
    )
    drop_path: ShareBelowOne = Field(
        0.0,
        description="share of training images for which the last block's branches are dropped; less for earlier blocks",
    )
    last_norm: Flag = Field(
        False,
        description="add a norm after the last block; the mean over a class token is then always 0, and all patches"
        " have the same length",
    )

    @model_validator(mode="after")
    def image_has_a_patch(self) -> "VitBackbone":
        patch = re.search(r"patch(\d+)", self.model)
        if patch and self.image_size is not None and self.image_size < int(patch[1]):
            raise ValueError(
                f"image_size: {self.image_size} is below the side of a patch of {self.model}, {patch[1]}; raise it"
            )
        return self


class HybridBackbone(Strict):
    """New transformer blocks over a frozen timm CNN."""

    kind: Literal["hybrid"]
    model: str = Field("tf_efficientnet_lite0", description="timm CNN, frozen")
    strides: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        (16, 32), description="feature maps used, by stride; the first defines the patches"
    )
    width: Count = Field(192, description="width D of the tokens")
    blocks: Count = Field(4, description="new transformer blocks")
    heads: Count = Field(6, description="attention heads per block")
    layer_scale: Positive = Field(0.1, description="initial value of the learned factor on each new block's branches")
    last_norm: Flag = Field(
        False,
        description="add a norm after the last block; the mean over a class token is then always 0, and all patches"
        " have the same length",
    )
    dropout: ShareBelowOne = Field(0.0, description="dropout of whole frozen feature channels")
    views: CountOrZero = Field(
        0,
        description="random views of each image whose frozen features are computed once; 0 computes them at every step",
    )

    @model_validator(mode="after")
    def width_divides(self) -> "HybridBackbone":
        if self.width % self.heads:
            raise ValueError(
                f"width: {self.width} cannot be divided among {self.heads} heads; set a multiple of {self.heads}, or"
                " other `heads`"
            )
        if self.width % 4:
            raise ValueError(
                f"width: {self.width} is not a multiple of 4, as sines and cosines of both coordinates need; set"
                f" {_multiple(self.width, lcm(4, self.heads))}"
            )
        return self


def _multiple(number: int, of: int) -> int:
    """The nearest multiple, and not 0."""
    return max(1, round(number / of)) * of


class CnnBackbone(Strict):
    """A timm CNN alone, for class activation maps."""

    kind: Literal["cnn"]
    model: str = Field("resnet50", description="timm CNN")
    strides: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        (16,),
        description="feature maps used, by stride, stacked on the grid of the first; of those with equal stride,"
        " the last",
    )
    output_stride: OutputStride = Field(
        16, description="image size divided by the size of the CNN's last features; 32 leaves the CNN as it was trained"
    )
    frozen: Flag = Field(False, description="keep the CNN fixed and train only the classifier")
    rate: Share = Field(0.1, description="the CNN's learning rate as a share of the classifier's")
    dropout: ShareBelowOne = Field(0.0, description="dropout of whole feature channels")
    views: CountOrZero = Field(
        0,
        description="random views of each image whose features are computed once (frozen CNN only); 0 computes"
        " them at every step",
    )

    @model_validator(mode="after")
    def views_are_of_a_frozen_cnn(self) -> "CnnBackbone":
        if self.views and not self.frozen:
            raise ValueError("`views` caches features and so needs a frozen CNN; set `frozen: true` or `views: 0`")
        return self


class FrozenNetwork(Strict):
    """A pretrained network of which the features of patches are compared, and nothing is trained."""

    model: str = Field(
        "vit_base_patch8_224.dino",
        description="timm ViT, whose patches are compared, or timm CNN; `encode.weights` says where its weights come"
        " from",
    )
    strides: Annotated[tuple[Count, ...], Field(min_length=1)] | None = Field(
        None,
        description="a CNN's feature maps, by stride, stacked on the grid of the first; not for a ViT, whose patches"
        " have one stride",
    )


FrozenPlace = Literal["localize.method.proxy", "refine.affinity"]


class FrozenBackbone(FrozenNetwork):
    """A frozen network among the backbones that are checked before their weights are loaded, with the setting that
    chooses it."""

    kind: Literal["frozen"] = "frozen"
    place: FrozenPlace = Field(description="the setting that chooses it")

    @classmethod
    def of(cls, network: FrozenNetwork, place: FrozenPlace) -> "FrozenBackbone":
        """The network that another section describes, without what else that says."""
        return cls(model=network.model, strides=network.strides, place=place)


class TowerBackbone(Strict):
    """A packaged image tower (`encode.clip`) among the backbones that are checked before their weights are loaded, with
    what the localizer on it asks of it."""

    kind: Literal["image_tower"] = "image_tower"
    model: str
    method: str = Field(description="the localizer's `method.kind`")
    needs: str = Field("", description="the setting of the method for which the tower must attend")
    cure: str = Field("", description="what to do if it does not")
