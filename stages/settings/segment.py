"""Settings of the stage `segment`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stages.settings.base import (
    NUMBER,
    Count,
    CountOrZero,
    CropSide,
    Flag,
    Once,
    OutputStride,
    Positive,
    Rounds,
    Scale,
    ScaleRange,
    Share,
    ShareBelowOne,
    Strict,
    Weight,
)
from stages.settings.crf import Crf
from stages.vocabulary import SplitName


class CrossEntropyLoss(Strict):
    """Takes the masks as correct."""

    kind: Literal["cross_entropy"] = "cross_entropy"


class BootstrappedLoss(Strict):
    """For noisy masks: the target is partly the model's own most likely class (Reed et al., ICLR 2015 workshop,
    "hard")."""

    kind: Literal["bootstrapped"]
    kept: Share = Field(
        0.8, description="weight of the mask's class; the rest goes to the class that the model predicts"
    )


class NetworkSettings(Strict):
    """The network, which is built and run once before any training."""

    model: str = Field(
        "deeplabv3plus",
        description="its mmengine overlay: a name in configs/segment, or the path of your own file (.py)",
    )
    backbone: str = Field(
        "resnet101",
        description="timm CNN or plain ViT, resnet38, or mit_b0 to mit_b5; `encode.weights` says where its weights come"
        " from",
    )
    output_stride: OutputStride | None = Field(
        None,
        description="image size divided by the size of the backbone's last features; if omitted, the overlay's own",
    )
    decoder_channels: Count | None = Field(None, description="channels of the decoder; if omitted, the overlay's own")
    frozen_stages: CountOrZero = Field(
        0, description="number of first backbone stages to freeze; of a ViT, blocks: all of them freeze it as a whole"
    )
    frozen_norm: Flag = Field(False, description="keep the statistics of the backbone's batch norms fixed")


class SegmenterTraining(Strict):
    """Training of the segmenter."""

    loss: CrossEntropyLoss | BootstrappedLoss = Field(
        CrossEntropyLoss(), discriminator="kind", description="loss to minimise, on pixels that are not 255"
    )
    class_weights: dict[str, Positive] = Field(
        {}, description="class, or `background` -> weight of its pixels in the loss; 1 for all others"
    )
    crop: CropSide = Field(321, description="side of the training crop, pixels")
    scales: ScaleRange = Field((0.5, 2.0), description="random resize before the crop")
    colours: Flag = Field(True, description="random changes of brightness, contrast, saturation and hue")
    batch_size: Annotated[int, Field(ge=2), NUMBER] = Field(
        16, description="images per step over all GPUs; batch norm needs at least two"
    )
    iterations: Count = Field(20000, description="training steps")
    warmup_iterations: CountOrZero = Field(500, description="steps of linear warm-up before the decay")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="AdamW, or SGD with `momentum`")
    momentum: ShareBelowOne = Field(
        0.9,
        description="momentum of SGD. MCTformer's code means to decay weights but passes the number as the momentum,"
        " so the published figures use neither: 0 with `weight_decay: 0`. The usual choice is 0.9 with a decay",
    )
    learning_rate: Positive = Field(1e-3, description="peak learning rate of the decoder")
    backbone_rate: Share = Field(0.1, description="the backbone's learning rate as a share of the decoder's")
    weight_decay: Weight = Field(0.01, description="weight decay, except of norms and biases")
    ema_decay: ShareBelowOne = Field(
        0.0,
        description="the segmenter is the exponential moving average of the weights over steps, with this decay; 0: the"
        " weights of the last step",
    )
    checkpoint_every: Count = Field(1000, description="steps between checkpoints")
    workers: CountOrZero = Field(0, description="processes that load images; 0 loads in the main one")

    @model_validator(mode="after")
    def warmup_ends(self) -> "SegmenterTraining":
        if self.warmup_iterations >= self.iterations:
            raise ValueError(
                f"warmup_iterations: {self.warmup_iterations} must be below iterations ({self.iterations})"
            )
        return self


class InferenceSettings(Strict):
    """From a trained segmenter to predictions."""

    scales: Annotated[tuple[Scale, ...], Field(min_length=1)] = Field((1.0,), description="image scales, fused")
    flip: Flag = Field(False, description="fuse with the mirrored image")
    fusion: Literal["mean", "max"] = Field(
        "mean",
        description="each class's probability over scales and mirror image: their mean, or the largest (MCTformer's)",
    )
    window: Count | None = Field(
        None,
        description="side of a window that slides over the scaled image by two thirds of its side; if omitted, the"
        " whole image",
    )
    crf: Crf | None = Field(
        None, description="dense CRF on predictions: psa, deeplab, irn, mctformer, or values; default none"
    )


class SegmentSettings(Strict):
    """A segmenter in mmsegmentation, trained on masks."""

    network: NetworkSettings = NetworkSettings()
    training: SegmenterTraining = SegmenterTraining()
    rounds: Rounds = Field(
        1,
        description="trainings, each from the start: the first on pseudo masks, each next one on the masks that the"
        " segmenter before it, told the tags, predicts on train; the last is the experiment's segmenter",
    )
    inference: InferenceSettings = InferenceSettings()
    predict: Annotated[tuple[SplitName, ...], Once] = Field(("val", "test"), description="splits to predict")
