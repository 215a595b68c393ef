"""Settings of the stage `segment`."""

from typing import Annotated, Literal

from pydantic import Field

from stages.settings.base import Count, Positive, Share, SplitName, Strict


class SegmentSettings(Strict):
    """DeepLab in mmsegmentation, trained on masks."""

    backbone: str = Field("resnet101", description="timm CNN; its weights come from `encode.weights`")
    output_stride: Literal[8, 16, 32] = Field(
        16, description="image size over the size of the backbone's last features; 32 for a timm model without dilation"
    )
    decoder_channels: Count = Field(256, description="channels of the atrous pyramid and the decoder")
    crop: Count = Field(321, description="side of the training crop, pixels")
    scales: tuple[Positive, Positive] = Field((0.5, 2.0), description="random resize before the crop")
    batch_size: Annotated[int, Field(ge=2)] = Field(16, description="images a step; batch norm needs two or more")
    iterations: Count = Field(20000, description="training steps")
    warmup_iterations: Annotated[int, Field(ge=0)] = Field(500, description="steps of linear warm-up before the decay")
    learning_rate: Positive = Field(1e-3, description="AdamW learning rate of the decoder at its peak")
    backbone_rate: Share = Field(0.1, description="the backbone's learning rate as a share of the decoder's")
    frozen_stages: Annotated[int, Field(ge=0)] = Field(0, description="first backbone stages that stay as they are")
    frozen_norm: bool = Field(False, description="keep the statistics of the backbone's batch norms as they are")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.01, description="AdamW weight decay")
    background_weight: Positive = Field(1.0, description="weight of background in the cross-entropy")
    checkpoint_every: Count = Field(1000, description="steps between checkpoints")
    workers: Annotated[int, Field(ge=0)] = Field(0, description="processes that load images; 0 loads in the main one")
    test_scales: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field((1.0,), description="scales, averaged")
    test_flip: bool = Field(False, description="average with the mirrored image")
    predict: tuple[SplitName, ...] = Field(("val", "test"), description="splits to predict")
