"""Settings of the stage `data`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from stages.settings.base import Count, Share, Strict


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
    difficult: bool = Field(
        True, description="whether objects that the annotation calls difficult give tags; else images may have none"
    )


class DataSettings(Strict):
    """Which images, which classes, and into how many jobs the work over them is cut."""

    format: Literal["demo", "voc", "csv"] = Field(description="demo set | VOC layout | an index CSV a split")
    root: Path | None = Field(None, description="dataset folder; paths in the index are relative to it")
    classes: Annotated[tuple[str, ...], Field(min_length=2, max_length=254)] = Field(
        description="class names in mask order: the first is mask value 1"
    )
    captions: Path | None = Field(
        None,
        description='JSONL file with a caption an image, {"id": ..., "caption": ...}; stands before the dataset\'s own',
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
