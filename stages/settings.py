"""Every setting of tagmask: one strict model a stage. `workflow/schemas/config.schema.yaml` is generated from here."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
SplitName = Literal["train", "val", "test"]


class Strict(BaseModel):
    """Unknown keys are refused; a value does not change after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# --- data -----------------------------------------------------------------------------------------------------------


class DemoSettings(Strict):
    """The demo set: photographic cut-outs pasted over photographs."""

    cache: Path = Field(Path(".cache/demo-sources"), description="folder for the downloaded source packages")
    packages: Path | None = Field(
        None, description="folder of your own with the three .deb files, where apt is missing"
    )
    train: Count = Field(600, description="training images")
    val: Count = Field(150, description="validation images")
    test: Count = Field(150, description="test images")
    sides: tuple[Count, Count] = Field((240, 320), description="smallest and largest image side, pixels")
    object_sizes: tuple[Share, Share] = Field(
        (0.35, 0.75), description="smallest and largest object, its longer side as a share of the image's shorter side"
    )
    most_objects: Annotated[int, Field(ge=1, le=3)] = Field(3, description="most objects in one image")
    min_visible: Share = Field(0.5, description="a tag stands only where at least this share of its object is visible")


class VocSettings(Strict):
    """A dataset in the layout of PASCAL VOC: JPEGImages, SegmentationClass, ImageSets/Segmentation."""

    train: str = Field("train_aug", description="name of the split file used for training")
    val: str = Field("val", description="name of the split file used for validation")
    test: str = Field("test", description="name of the split file used for testing; its masks may be missing")
    masks: str = Field("SegmentationClassAug", description="folder of palette masks under the dataset root")


class DataSettings(Strict):
    """Which images, which classes, and into how many jobs the work over them is cut."""

    format: Literal["demo", "voc", "csv"] = Field(description="demo set | VOC layout | an index CSV a split")
    root: Path | None = Field(None, description="dataset folder; paths in the index are relative to it")
    classes: Annotated[tuple[str, ...], Field(min_length=2, max_length=254)] = Field(
        description="class names in mask order: the first is mask value 1"
    )
    shards: Count = Field(4, description="jobs into which work over the images of a split is cut")
    demo: DemoSettings = DemoSettings()
    voc: VocSettings = VocSettings()

    @model_validator(mode="after")
    def root_is_given(self) -> "DataSettings":
        if self.format != "demo" and self.root is None:
            raise ValueError(f"format {self.format!r} needs `root`, the folder that holds the dataset")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("a class name stands twice in `classes`")
        return self


# --- encode ---------------------------------------------------------------------------------------------------------


class PretrainedClip(Strict):
    """A published CLIP model, fetched by open_clip or read from a file."""

    kind: Literal["pretrained"] = "pretrained"
    model: str = Field("ViT-B-16", description="open_clip model name")
    pretrained: str = Field("openai", description="open_clip weights tag, or path of a .safetensors or .pt file")


class TowerClip(Strict):
    """An open_clip model made of packaged towers whose projections are trained here. Its results are not CLIP's."""

    kind: Literal["towers"]
    image_tower: str = Field("tf_efficientnet_lite0", description="timm model; its weights come from `encode.weights`")
    image_size: Count = Field(224, description="input side of the image tower, pixels")
    width: Count = Field(256, description="width E of the joint space")
    views: Count = Field(24, description="random compositions of each training cut-out")
    epochs: Count = Field(60, description="passes over all views")
    batch_size: Count = Field(128, description="views a step")
    learning_rate: Positive = Field(1e-3, description="AdamW learning rate of the projections")


class EncodeSettings(Strict):
    """Frozen knowledge: backbone weights, class text embeddings, image embeddings."""

    weights: dict[str, str] = Field(
        {}, description="timm model name -> where its weights come from: `timm`, `package`, or a .safetensors/.pth file"
    )
    clip: PretrainedClip | TowerClip = Field(PretrainedClip(), discriminator="kind", description="the CLIP model")
    templates: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        (
            "a photo of a {}.",
            "a photo of the {}.",
            "a cropped photo of a {}.",
            "a good photo of a {}.",
            "a close-up photo of a {}.",
        ),
        description="prompt templates; their embeddings are averaged for each class",
    )
    synonyms: dict[str, tuple[str, ...]] = Field({}, description="class -> names to use in its prompts in place of it")
    batch_size: Count = Field(32, description="images a step")


# --- localize -------------------------------------------------------------------------------------------------------


class VitBackbone(Strict):
    """Any timm ViT, as in the paper."""

    kind: Literal["vit"] = "vit"
    model: str = Field("vit_base_patch16_224.dino", description="timm ViT")
    tokens_from_block: Annotated[int, Field(ge=0)] = Field(
        0, description="block at which class tokens enter; blocks before it are frozen"
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
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="dropout of whole frozen feature channels")
    views: Annotated[int, Field(ge=0)] = Field(
        0, description="random views of each image whose frozen features are computed once; 0 computes them every step"
    )


class LocalizerTraining(Strict):
    """Training of the localization transformer."""

    crop: Count = Field(224, description="side of the training crop, pixels")
    crop_area: tuple[Share, Share] = Field((0.5, 1.0), description="share of the image's area that a crop covers")
    epochs: Count = Field(60, description="passes over the training images")
    warmup_epochs: Annotated[float, Field(ge=0)] = Field(5, description="epochs of linear warm-up before the cosine")
    batch_size: Count = Field(64, description="images a step, over all GPUs")
    learning_rate: Positive = Field(1e-4, description="AdamW learning rate at its peak")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.05, description="AdamW weight decay")
    workers: Annotated[int, Field(ge=0)] = Field(0, description="processes that load images; 0 loads in the main one")
    checkpoint_every: Count = Field(1, description="epochs between checkpoints")


class MapSettings(Strict):
    """From images to localization maps."""

    size: Count = Field(224, description="shorter side of the image at scale 1, pixels")
    scales: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field((1.0,), description="image scales, summed")
    flip: bool = Field(True, description="add the maps of the mirrored image")
    source: Literal["text", "visual", "sum"] = Field("sum", description="which tokens' maps are used")
    class_attention: bool = Field(False, description="multiply the maps by class-to-patch attention")
    patch_affinity: bool = Field(False, description="smooth the maps by patch-to-patch attention")
    attention_blocks: Count = Field(3, description="last blocks whose attention is averaged")
    stride: Count = Field(4, description="maps are stored at the image's size divided by this")


class LocalizeSettings(Strict):
    """The localization transformer (MMCST) and every switch that the published tables vary."""

    backbone: VitBackbone | HybridBackbone = Field(VitBackbone(), discriminator="kind", description="image encoder")
    tokens: Literal["visual", "multimodal"] = Field("multimodal", description="class tokens: visual only, or with text")
    representation: Literal["global", "local", "global_local"] = Field(
        "global_local", description="tokens alone, their visual context alone, or both; `global` is context off"
    )
    text_context_weight: Positive = Field(1.0, description="lambda 1, weight of the local textual tokens")
    visual_context_weight: Positive = Field(1.0, description="lambda 2, weight of the local visual tokens")
    correlation: Literal["cosine", "dot"] = Field(
        "cosine", description="L2-normalised with learned scale and bias, or the paper's plain product"
    )
    correlation_scale: Positive = Field(1.0, description="factor of the plain product (`correlation: dot`)")
    pooling_decay: Share = Field(0.996, description="decay d of global weighted ranking pooling")
    language_context: Literal["none", "caption_l1", "caption_contrastive", "image_contrastive"] = Field(
        "image_contrastive", description="prior and loss of the image-language context"
    )
    language_weight: Annotated[float, Field(ge=0)] = Field(1.0, description="w, weight of the image-language loss")
    temperature: Positive = Field(0.07, description="tau of the contrastive loss")
    training: LocalizerTraining = LocalizerTraining()
    maps: MapSettings = MapSettings()

    @model_validator(mode="after")
    def language_needs_text(self) -> "LocalizeSettings":
        if self.tokens == "visual" and self.language_context != "none":
            raise ValueError(
                f"language_context {self.language_context!r} works on textual tokens; `tokens: visual` wants none"
            )
        return self


# --- refine ---------------------------------------------------------------------------------------------------------


class CrfSettings(Strict):
    """Dense CRF (Kraehenbuehl and Koltun, NeurIPS 2011)."""

    iterations: Annotated[int, Field(ge=0)] = Field(10, description="mean-field iterations; 0 leaves the CRF out")
    bilateral_position: Positive = Field(50.0, description="standard deviation of position, bilateral kernel, pixels")
    bilateral_colour: Positive = Field(5.0, description="standard deviation of colour, bilateral kernel, 0..255")
    bilateral_weight: Annotated[float, Field(ge=0)] = Field(10.0, description="weight of the bilateral kernel")
    gaussian_position: Positive = Field(3.0, description="standard deviation of position, smoothness kernel, pixels")
    gaussian_weight: Annotated[float, Field(ge=0)] = Field(3.0, description="weight of the smoothness kernel")


class RefineSettings(Strict):
    """Maps to pseudo masks."""

    background_threshold: Share = Field(0.4, description="score of background, against maps scaled to [0, 1]")
    crf: CrfSettings = CrfSettings()


# --- segment --------------------------------------------------------------------------------------------------------


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


# --- evaluate, report -----------------------------------------------------------------------------------------------


class EvaluateSettings(Strict):
    """What is scored, and how finely thresholds are swept."""

    thresholds: Annotated[int, Field(ge=10, le=1000)] = Field(
        100, description="steps of the threshold sweep over [0, 1]"
    )
    maps: tuple[SplitName, ...] = Field(("train", "val"), description="splits whose maps and pseudo masks are scored")
    segmenter: tuple[SplitName, ...] = Field(
        ("val", "test"), description="splits with true masks, to score predictions"
    )


class ReportSettings(Strict):
    """The HTML page."""

    panels: Count = Field(12, description="val images shown from image to prediction")


class Experiment(Strict):
    """One experiment: a complete config file."""

    experiment: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(description="name of the results folder")
    seed: Annotated[int, Field(ge=0)] = Field(0, description="seed of every random choice")
    data: DataSettings
    encode: EncodeSettings
    localize: LocalizeSettings = LocalizeSettings()
    refine: RefineSettings = RefineSettings()
    segment: SegmentSettings = SegmentSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    report: ReportSettings = ReportSettings()

    @model_validator(mode="after")
    def sections_agree(self) -> "Experiment":
        needed = {self.localize.backbone.model, self.segment.backbone}
        if isinstance(self.encode.clip, TowerClip):
            needed.add(self.encode.clip.image_tower)
            if self.data.format != "demo":
                raise ValueError("encode.clip.kind `towers` learns from the demo set's cut-outs; use `pretrained` here")
        missing = sorted(needed - set(self.encode.weights))
        if missing:
            raise ValueError(f"encode.weights says not where the weights of {', '.join(missing)} come from")
        unknown = sorted(set(self.encode.synonyms) - set(self.data.classes))
        if unknown:
            raise ValueError(f"encode.synonyms names {', '.join(unknown)}, which data.classes has not")
        unpredicted = sorted(set(self.evaluate.segmenter) - set(self.segment.predict))
        if unpredicted:
            raise ValueError(f"evaluate.segmenter scores {', '.join(unpredicted)}, which segment.predict leaves out")
        return self
