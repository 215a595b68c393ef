"""Published figures (percent; mIoU unless a column says otherwise) that the report shows next to its own.

The first three tables are as given by Xu et al., CVPR 2023, whose method is MMCST; the last holds what has been
published since. Rows of methods with a record come from it (stages/methods).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stages.methods import CLIP_ES, LOCALIZER_METHODS, MMCST, SINCE, Figures, MapFigures, Reference, SegmenterFigures

NONE = "–"
SECOND_HAND = " †"


@dataclass(frozen=True)
class PublishedTable:
    """One table: its title, column names, rows of text, and a note below it. ends_with_mmcst: whether the last row is
    the paper's."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    ends_with_mmcst: bool = True


def map_rows(method: Reference) -> list[tuple[str, ...]]:
    """The rows of a method in the table of maps."""
    return [(method.title, own.backbone, percent(own.voc), percent(own.coco)) for own in method.maps]


def segmenter_rows(method: Reference) -> list[tuple[str, ...]]:
    """The rows of a method in the table of segmenters."""
    return [
        (method.title, own.backbone, own.network or NONE, own.supervision, *shown(*scores_of(own)))
        for own in method.segmenters
    ]


def single_label_rows(method: Reference) -> list[tuple[str, ...]]:
    """The rows of a method in the table of images with one tag."""
    return [(method.title, own.backbone, percent(own.piou), percent(own.pxap)) for own in method.single_label]


def mark_of(figures: Figures) -> str:
    """What stands behind the name of a method whose figures are second-hand."""
    return SECOND_HAND if figures.second_hand else ""


def shown(*figures: float | None) -> tuple[str, ...]:
    """Figures as cells."""
    return tuple(map(percent, figures))


def scores_of(figures: SegmenterFigures) -> tuple[float | None, ...]:
    """VOC val, VOC test, COCO val."""
    return figures.voc_val, figures.voc_test, figures.coco_val


def percent(value: float | None) -> str:
    """A figure with one decimal.

    >>> percent(66.3), percent(None)
    ('66.3', '–')
    """
    return NONE if value is None else f"{value:.1f}"


def since_rows(methods: Sequence[Reference]) -> list[tuple[str, ...]]:
    """The table of what came after MMCST, by year: figures of segmenters, and PxAP of maps."""
    rows: list[tuple[str, ...]] = []
    for method in sorted(methods, key=lambda own: own.papers[-1].year):
        paper = method.papers[-1]
        words = paper.venue if str(paper.year) in paper.venue else f"{paper.venue} {paper.year}"
        for own in method.segmenters:
            rows.append(
                (method.title + mark_of(own), words, own.backbone, own.supervision, *shown(*scores_of(own), None))
            )
        for one in method.single_label:
            rows.append(
                (method.title + mark_of(one), words, one.backbone, "labels", *shown(None, None, None, one.pxap))
            )
    return rows


_CAM, _TS_CAM, _MCTFORMER = (LOCALIZER_METHODS[kind] for kind in ("cam", "ts_cam", "mctformer"))
MAPS = PublishedTable(
    "Maps (background threshold chosen on the scored set)",
    ("method", "backbone", "VOC train", "COCO train"),
    (
        *map_rows(_CAM),
        ("SEAM", "ResNet38", "55.4", "25.1"),
        ("RIB", "ResNet50", "56.5", "36.5"),
        ("AdvCAM", "ResNet38", "55.6", "37.2"),
        ("CLIMS", "ResNet50", "56.6", NONE),
        ("SIPE", "ResNet50", "58.6", NONE),
        ("W-OoD", "ResNet50", "59.1", NONE),
        ("Du et al.", "ResNet38", "61.5", NONE),
        *map_rows(_TS_CAM),
        *map_rows(_MCTFORMER),
        *map_rows(MMCST),
    ),
)

SEGMENTATION = PublishedTable(
    "Segmenters trained on pseudo masks",
    ("method", "backbone", "DeepLab", "supervision", "VOC val", "VOC test", "COCO val"),
    (
        ("AuxSegNet", "ResNet38", "V1", "labels + saliency", "69.0", "68.6", "33.9"),
        ("L2G", "ResNet38", "V1", "labels + saliency", "72.0", "73.0", "44.2"),
        ("Kweon et al.", "ResNet38", "V1", "labels", "68.4", "68.2", "36.4"),
        ("CDA", "ResNet38", "V1", "labels", "66.1", "66.8", "33.2"),
        *segmenter_rows(_MCTFORMER),
        ("SIPE", "ResNet38", "V1", "labels", "68.2", "69.7", "43.6"),
        ("Yoon et al.", "ResNet38", "V1", "labels", "70.9", "71.7", "44.8"),
        ("CLIMS", "ResNet101", "V2", "labels + language", "69.3", "68.7", NONE),
        *segmenter_rows(MMCST),
    ),
)

SINGLE_LABEL = PublishedTable(
    "Maps of single-label images (OpenImages30k test)",
    ("method", "backbone", "pIoU", "PxAP"),
    (
        *single_label_rows(_CAM),
        ("HAS", "ResNet50", "41.9", "55.1"),
        ("ACoL", "ResNet50", "41.7", "56.4"),
        ("SPG", "ResNet50", "41.8", "55.8"),
        ("ADL", "ResNet50", "42.1", "55.0"),
        ("CutMix", "ResNet50", "42.7", "57.6"),
        ("PAS", "ResNet50", NONE, "60.9"),
        ("IVR", "ResNet50", NONE, "58.9"),
        ("Zhu (CVPR22)", "ResNet50", "49.7", "65.4"),
        ("CREAM", "ResNet50", NONE, "64.7"),
        ("Zhu (ECCV22)", "ResNet50", "52.2", "67.7"),
        *single_label_rows(MMCST),
    ),
)

LATER = PublishedTable(
    "Published since (VOC and COCO: segmenters, mIoU; PxAP: maps of OpenImages30k test)",
    ("method", "published in", "backbone", "supervision", "VOC val", "VOC test", "COCO val", "PxAP"),
    tuple(since_rows((CLIP_ES, *SINCE))),
    note="† second-hand: read elsewhere than in the paper or its code.",
    ends_with_mmcst=False,
)

TABLES = (MAPS, SEGMENTATION, SINGLE_LABEL, LATER)


def published_beside(method: Reference, stage: str, split: str) -> str:
    """What a localizer's paper reports for this stage and split, in words; empty if it reports nothing comparable.

    Of several backbones, the last, which is the largest.

    >>> published_beside(MMCST, "maps", "train")
    '66.3 VOC, 40.9 COCO'
    >>> published_beside(MMCST, "segmenter", "train")
    ''
    """
    maps = method.maps[-1] if method.maps else MapFigures(backbone="")
    segmenter = method.segmenters[-1] if method.segmenters else SegmenterFigures()
    figures: dict[tuple[str, str], dict[str, float | None]] = {
        ("maps", "train"): {"VOC": maps.voc, "COCO": maps.coco},
        ("pseudo_masks", "train"): {"VOC": maps.refined},
        ("segmenter", "val"): {"VOC": segmenter.voc_val, "COCO": segmenter.coco_val},
        ("segmenter", "test"): {"VOC": segmenter.voc_test},
    }
    known = figures.get((stage, split), {})
    return ", ".join(f"{percent(value)} {name}" for name, value in known.items() if value is not None)


def published_of_single_label(method: Reference) -> str:
    """What a localizer's paper reports for OpenImages30k's test images, in words; empty if nothing."""
    figures = [pair for own in method.single_label[-1:] for pair in (("PxAP", own.pxap), ("pIoU", own.piou))]
    return ", ".join(f"{name} {percent(value)}" for name, value in figures if value is not None)
