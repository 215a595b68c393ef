"""Settings of the stage `data`."""

import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from stages.class_names import background_fault
from stages.settings.base import (
    NUMBER,
    Count,
    CountRange,
    Flag,
    Once,
    RulePath,
    Share,
    ShareBelowOne,
    ShareRange,
    Strict,
)
from stages.vocabulary import SplitName

PHOTO_SIDE = 500  # longest side of VOC's images, for which CRFs and networks have been tuned
# Formats of a user's own lists, where an image without tags shows none of the classes.
LISTED = ("folder", "csv")


class DemoSettings(Strict):
    """The demo set: photographic cut-outs pasted over photographs."""

    cache: Path = Field(Path(".cache/demo-sources"), description="folder for the downloaded source packages")
    packages: Path | None = Field(None, description="your own folder with the three .deb files, where apt is missing")
    train: Count = Field(600, description="training images")
    val: Count = Field(150, description="validation images")
    test: Count = Field(150, description="test images")
    sides: CountRange = Field((240, 320), description="smallest and largest image side, pixels")
    object_sizes: ShareRange = Field(
        (0.35, 0.75), description="smallest and largest object: its longer side as a share of the image's shorter side"
    )
    most_objects: Annotated[int, Field(ge=1, le=3), NUMBER] = Field(3, description="most objects in one image")
    min_visible: Share = Field(0.5, description="an object is tagged only if at least this share of it is visible")


class VocSettings(Strict):
    """A dataset in the layout of PASCAL VOC: JPEGImages, SegmentationClass, ImageSets/Segmentation."""

    train: str = Field("train_aug", description="name of the split file used for training")
    val: str = Field("val", description="name of the split file used for validation")
    test: str = Field("test", description="name of the split file used for testing; its masks may be missing")
    masks: str = Field("SegmentationClassAug", description="folder of palette masks under the dataset root")
    difficult: Flag = Field(
        True, description="whether objects annotated as difficult count as tags; if not, some images may have none"
    )
    sbd: Path | None = Field(
        None,
        description="folder of SBD below the dataset root (cls/*.mat, train.txt, val.txt): supplies masks missing from"
        " `masks`, and the list train_aug if it is missing",
    )


Encoding = Literal["contiguous", "raw_id", "raw_id_plus_91", "stuff"]


class CocoSettings(Strict):
    """COCO's own files: annotations/instances_<name>.json and the folder <name> of images."""

    train: str = Field("train2014", description="name of the images used for training")
    val: str = Field("val2014", description="name of the images used for validation")
    untagged: Annotated[tuple[SplitName, ...], Once] = Field(
        (),
        description="splits that keep the images without any object: all 82,783 of train, not 82,081; all 40,504 of"
        " val, not 40,137. In train they get empty masks, and training from tags skips them",
    )
    captions: Flag = Field(
        False, description="whether to read annotations/captions_<name>.json: the first caption of each image"
    )
    masks: Path | None = Field(
        None,
        description="folder below the dataset root with third-party masks, <name>/<file>.png; if omitted, masks are"
        " drawn from the JSON",
    )
    encoding: Encoding | None = Field(
        None,
        description="values of these masks: 1 to 80 | category ids, up to 90 | the same plus 91 | COCO-Stuff's, ids"
        " minus one and stuff from 91; if omitted, detected by comparing the masks with the JSON, or refused",
    )

    @model_validator(mode="after")
    def encoding_is_of_masks(self) -> "CocoSettings":
        if self.encoding is not None and self.masks is None:
            raise ValueError("`encoding` describes `masks`, which is not set")
        return self


class OpenImagesSettings(Strict):
    """The benchmark of Choe et al. (CVPR 2020): lists in <metadata>/<split>/, images and masks below the root."""

    metadata: Path = Field(
        Path("metadata"),
        description="folder below the dataset root with <split>/class_labels.txt and <split>/localization.txt",
    )
    masks: Path = Field(
        Path(), description="folder below the dataset root that the paths in localization.txt are relative to"
    )


class FolderSettings(Strict):
    """A folder of photos and a table of their tags."""

    table: Path = Field(
        Path("tags.csv"),
        description="CSV below the dataset root with the columns image,tags and, optionally, split, mask, caption",
    )
    val: ShareBelowOne = Field(
        0.1, description="share of the images without a split that goes to val; drawn by name, so it stays the same"
    )
    test: ShareBelowOne = Field(0.0, description="share of them that goes to test")

    @model_validator(mode="after")
    def some_are_left(self) -> "FolderSettings":
        if self.val + self.test >= 1:
            raise ValueError(f"val ({self.val}) and test ({self.test}) leave no image for train; lower them")
        return self


# Invisible, but part of words: Persian and Indic scripts join and separate letters by them.
JOINERS = "\u200c\u200d"


def spelling_of(name: str) -> str:
    """What is left of a class's name where case, spaces, Unicode form and invisible characters do not count."""
    visible = "".join(character for character in name if unicodedata.category(character) != "Cf")
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", visible).casefold()).split())


def without_background(classes: Any) -> Any:
    """Checks the classes of a config before their number: what is left without the background may be none."""
    if not isinstance(classes, list | tuple) or not all(isinstance(name, str) for name in classes):
        return classes  # pydantic says what they must be
    if fault := background_fault(classes):
        raise ValueError(fault)
    if not classes:
        raise ValueError("no class is listed; list every tag, in the order of the mask values")
    return classes


class DataSettings(Strict):
    """The images, the classes, and how many jobs the work on images is split into."""

    format: Literal["demo", "voc", "coco", "openimages", "folder", "csv"] = Field(
        description="demo set | VOC layout | COCO's own files | the OpenImages30k benchmark | photos and a table of"
        " their tags | one index CSV per split; in the last two, an image without tags shows none of the classes"
    )
    root: RulePath | None = Field(None, description="dataset folder; paths in the index are relative to it")
    classes: Annotated[tuple[str, ...], Field(min_length=1, max_length=254), BeforeValidator(without_background)] = (
        Field(description="class names in mask order: the first is mask value 1; background is 0 and not listed")
    )
    captions: RulePath | None = Field(
        None,
        description='JSONL file with one caption per image, {"id": ..., "caption": ...}; takes precedence over the'
        " dataset's own",
    )
    expected: dict[SplitName, Count] = Field(
        {},
        description="images that a split must list; any other number is an error, so that scores are for known splits",
    )
    on_error: Literal["stop", "skip"] = Field(
        "stop",
        description="if images cannot be used: stop before training | leave them out, and list them in data/left_out"
        " and in the report",
    )
    fetch: Flag = Field(
        False, description="whether to download missing files into `root` where the licence allows (voc, coco)"
    )
    shards: Count = Field(4, description="jobs that the work on a split's images is divided into")
    longest_side: Annotated[int, Field(ge=32), NUMBER] | None = Field(
        None,
        description="pixels: a longer image is labelled, learned by the segmenter and predicted at this size, and its"
        " masks are enlarged to its own, so that photos of many megapixels take neither minutes nor gigabytes each;"
        " nothing: at its own size. If omitted, 500 for folder and csv, nothing for the others, whose scores are for"
        " full size",
    )
    demo: DemoSettings = DemoSettings()
    voc: VocSettings = VocSettings()
    coco: CocoSettings = CocoSettings()
    openimages: OpenImagesSettings = OpenImagesSettings()
    folder: FolderSettings = FolderSettings()

    @model_validator(mode="before")
    @classmethod
    def photos_are_bounded(cls, given: Any) -> Any:
        """Fills in `longest_side` where users bring their own photos."""
        if isinstance(given, dict) and "longest_side" not in given and given.get("format") in ("folder", "csv"):
            return given | {"longest_side": PHOTO_SIDE}
        return given

    @property
    def untagged(self) -> tuple[SplitName, ...]:
        """Splits that may contain images without tags, besides val and test."""
        return ("train",) if self.format in LISTED else self.coco.untagged if self.format == "coco" else ()

    @property
    def has_negatives(self) -> bool:
        """Whether an image without tags shows none of the classes, and is learned from as such. COCO's images without
        an object, of which some show one that was not annotated, are not."""
        return self.format in LISTED

    @model_validator(mode="after")
    def one_class_has_negatives(self) -> "DataSettings":
        if len(self.classes) == 1 and not self.has_negatives:
            raise ValueError(
                f"only {self.classes[0]!r} is listed, but two classes are the least in format {self.format!r}: a class"
                " is learned from images with its tag against images without; add what else the images show, or list"
                " images that show none of it with an empty tag (formats `folder` and `csv`)"
            )
        return self

    @model_validator(mode="after")
    def classes_are_names(self) -> "DataSettings":
        for name in self.classes:
            if not name or name != name.strip() or ";" in name or len(name.splitlines()) > 1:
                raise ValueError(
                    f"`classes`: {name!r} is not a class name: it must not be empty, begin or end with a space, or"
                    " contain `;`, which separates tags, or a line break; rename it"
                )
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("a class name is duplicated in `classes`")
        spellings: dict[str, str] = {}
        for name in self.classes:
            hidden = next((own for own in name if unicodedata.category(own) in ("Cc", "Cf") and own not in JOINERS), "")
            if hidden:
                raise ValueError(
                    f"`classes`: {name!r} contains a tab or an invisible character, {hidden!a}; type it anew"
                )
            first = spellings.setdefault(spelling_of(name), name)
            if first != name:
                raise ValueError(
                    f"`classes`: {first!r} and {name!r} differ only in case, spaces or Unicode form; list one of them,"
                    " or rename it"
                )
        return self

    @model_validator(mode="after")
    def root_is_given(self) -> "DataSettings":
        if self.format != "demo" and self.root is None:
            raise ValueError(f"format {self.format!r} needs `root`, the folder that holds the dataset")
        if self.fetch and self.format not in ("voc", "coco"):
            raise ValueError(f"`fetch` can download `voc` and `coco`, not {self.format!r}; leave it out")
        return self
