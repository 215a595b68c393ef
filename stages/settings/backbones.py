"""Image encoders of the localizers."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stages.settings.base import Count, Positive, Share, Strict


class VitBackbone(Strict):
    """Any timm ViT, as in the paper."""

    kind: Literal["vit"] = "vit"
    model: str = Field("vit_base_patch16_224.dino", description="timm ViT")
    image_size: Count | None = Field(
        None,
        description="side of the image, pixels, whose patches have a learned position each; for other sizes these are"
        " interpolated; left out: the model's own",
    )
    tokens_from_block: Annotated[int, Field(ge=0)] = Field(
        0, description="block at which class tokens enter; blocks before it are frozen"
    )
    drop_path: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="share of training images for which the last block's branches are left out; less for those before",
    )
    last_norm: bool = Field(
        False,
        description="a norm after the last block; with one the mean over a class token is 0 whatever the token, and all"
        " patches are equally long",
    )


class HybridBackbone(Strict):
    """New transformer blocks over a frozen timm CNN."""

    kind: Literal["hybrid"]
    model: str = Field("tf_efficientnet_lite0", description="timm CNN, frozen")
    strides: tuple[Count, ...] = Field((16, 32), description="feature maps used, by stride; the first sets the patches")
    width: Count = Field(192, description="width D of the tokens")
    blocks: Count = Field(4, description="new transformer blocks")
    heads: Count = Field(6, description="attention heads a block")
    layer_scale: Positive = Field(0.1, description="start of the learned factor of each new block's branches")
    last_norm: bool = Field(
        False,
        description="a norm after the last block; with one the mean over a class token is 0 whatever the token, and all"
        " patches are equally long",
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="dropout of whole frozen feature channels")
    views: Annotated[int, Field(ge=0)] = Field(
        0, description="random views of each image whose frozen features are computed once; 0 computes them every step"
    )


class CnnBackbone(Strict):
    """A timm CNN alone, for class activation maps."""

    kind: Literal["cnn"]
    model: str = Field("resnet50", description="timm CNN")
    strides: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        (16,), description="feature maps used, by stride, stacked on the grid of the first; of equal strides the last"
    )
    output_stride: Literal[8, 16, 32] = Field(
        16, description="image size over the size of the CNN's last features; 32 leaves the CNN as it was trained"
    )
    frozen: bool = Field(False, description="keep the CNN as it is and learn the classifier alone")
    rate: Share = Field(0.1, description="the CNN's learning rate as a share of the classifier's")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="dropout of whole feature channels")
    views: Annotated[int, Field(ge=0)] = Field(
        0, description="of a frozen CNN: random views of each image whose features are computed once; 0: every step"
    )

    @model_validator(mode="after")
    def views_are_of_a_frozen_cnn(self) -> "CnnBackbone":
        if self.views and not self.frozen:
            raise ValueError("`views` keeps features of a CNN that does not learn; set `frozen: true` or `views: 0`")
        return self
