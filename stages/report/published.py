"""Published figures (percent; mIoU unless a column says otherwise) that the report shows next to its own, as given by
Xu et al., CVPR 2023.

MMCST is that paper's method. Rows of methods implemented here come from their records.
"""

from dataclasses import dataclass

from stages.methods import published_rows


@dataclass(frozen=True)
class PublishedTable:
    """One table: its title, column names, and rows of text; the last row is MMCST."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


MAPS = PublishedTable(
    "Maps (background threshold chosen on the scored set)",
    ("method", "backbone", "VOC train", "COCO train"),
    (
        *published_rows("cam", "maps"),
        ("SEAM", "ResNet38", "55.4", "25.1"),
        ("RIB", "ResNet50", "56.5", "36.5"),
        ("AdvCAM", "ResNet38", "55.6", "37.2"),
        ("CLIMS", "ResNet50", "56.6", "–"),
        ("SIPE", "ResNet50", "58.6", "–"),
        ("W-OoD", "ResNet50", "59.1", "–"),
        ("Du et al.", "ResNet38", "61.5", "–"),
        *published_rows("ts_cam", "maps"),
        *published_rows("mctformer", "maps"),
        *published_rows("mmcst", "maps"),
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
        *published_rows("mctformer", "segmentation"),
        ("SIPE", "ResNet38", "V1", "labels", "68.2", "69.7", "43.6"),
        ("Yoon et al.", "ResNet38", "V1", "labels", "70.9", "71.7", "44.8"),
        ("CLIMS", "ResNet101", "V2", "labels + language", "69.3", "68.7", "–"),
        *published_rows("mmcst", "segmentation"),
    ),
)

SINGLE_LABEL = PublishedTable(
    "Maps of single-label images (OpenImages30k test)",
    ("method", "backbone", "pIoU", "PxAP"),
    (
        *published_rows("cam", "single_label"),
        ("HAS", "ResNet50", "41.9", "55.1"),
        ("ACoL", "ResNet50", "41.7", "56.4"),
        ("SPG", "ResNet50", "41.8", "55.8"),
        ("ADL", "ResNet50", "42.1", "55.0"),
        ("CutMix", "ResNet50", "42.7", "57.6"),
        ("PAS", "ResNet50", "–", "60.9"),
        ("IVR", "ResNet50", "–", "58.9"),
        ("Zhu (CVPR22)", "ResNet50", "49.7", "65.4"),
        ("CREAM", "ResNet50", "–", "64.7"),
        ("Zhu (ECCV22)", "ResNet50", "52.2", "67.7"),
        *published_rows("mmcst", "single_label"),
    ),
)

TABLES = (MAPS, SEGMENTATION, SINGLE_LABEL)


def published_beside(stage: str, split: str) -> str:
    """What MMCST reports for this stage and split, in words; empty if it reports nothing comparable."""
    maps, segmentation = MAPS.rows[-1], SEGMENTATION.rows[-1]
    return {
        ("maps", "train"): f"{maps[2]} VOC, {maps[3]} COCO",
        ("segmenter", "val"): f"{segmentation[4]} VOC, {segmentation[6]} COCO",
        ("segmenter", "test"): f"{segmentation[5]} VOC",
    }.get((stage, split), "")
