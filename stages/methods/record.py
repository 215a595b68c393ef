"""What a record of a method holds: who published it, where its code is, and what its paper reports."""

from dataclasses import dataclass

NO_PUBLIC_CODE = "no public code"
# Code exists, but comes without a licence.
NOT_STATED = "licence not stated"
UNKNOWN = "licence unknown"


@dataclass(frozen=True)
class Paper:
    """Where a method was published."""

    authors: str
    title: str
    venue: str
    year: int


@dataclass(frozen=True, kw_only=True)
class MapFigures:
    """Published mIoU of localization maps, percent: at the background threshold that is best on the scored set.

    voc: PASCAL VOC 2012, the 1,464 images of train.  coco: COCO 2014 train.  refined: of the masks after a CRF, VOC
    train.  second_hand: read in another paper than the method's own.
    """

    backbone: str
    voc: float | None = None
    coco: float | None = None
    refined: float | None = None
    second_hand: bool = False


@dataclass(frozen=True, kw_only=True)
class SegmenterFigures:
    """Published mIoU of a segmenter trained on the method's pseudo masks, or of a method in one stage, percent.

    network: DeepLab's version, or the decoder; empty if not known.  supervision: what is known of a training image.
    second_hand: as in `MapFigures`.
    """

    backbone: str = ""
    network: str = ""
    supervision: str = "labels"
    voc_val: float | None = None
    voc_test: float | None = None
    coco_val: float | None = None
    second_hand: bool = False


@dataclass(frozen=True, kw_only=True)
class SingleLabelFigures:
    """Published scores of maps of OpenImages30k's test images by wsolevaluation's protocol, percent."""

    backbone: str
    piou: float | None = None
    pxap: float | None = None
    second_hand: bool = False


Figures = MapFigures | SegmenterFigures | SingleLabelFigures


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A published method.

    title: its name in tables.  papers: one per version, oldest first.  code: address of the authors' code, None if
    there is none or it is not known.  code_licence: of that code.  published: what its paper reports.
    """

    title: str
    papers: tuple[Paper, ...]
    code: str | None = None
    code_licence: str = UNKNOWN
    published: tuple[Figures, ...] = ()

    @property
    def maps(self) -> tuple[MapFigures, ...]:
        """The figures of its maps."""
        return tuple(own for own in self.published if isinstance(own, MapFigures))

    @property
    def segmenters(self) -> tuple[SegmenterFigures, ...]:
        """The figures of its segmenters."""
        return tuple(own for own in self.published if isinstance(own, SegmenterFigures))

    @property
    def single_label(self) -> tuple[SingleLabelFigures, ...]:
        """The figures of its maps of images with one tag."""
        return tuple(own for own in self.published if isinstance(own, SingleLabelFigures))


@dataclass(frozen=True, kw_only=True)
class MethodRecord(Reference):
    """A method that tagmask has, written from the paper.

    kind: its name in the settings.  trained: whether it is trained at all.
    """

    kind: str
    trained: bool = True
