"""The published tables are made of the records, and stand beside what they can be compared with."""

import pytest

from stages.methods import LOCALIZER_METHODS, MapFigures, Paper, Reference, SegmenterFigures, SingleLabelFigures
from stages.report.published import (
    LATER,
    MAPS,
    SEGMENTATION,
    SINGLE_LABEL,
    TABLES,
    map_rows,
    published_beside,
    published_of_single_label,
    segmenter_rows,
    since_rows,
    single_label_rows,
)

# Not in the paper's own tables: of the same year, or without figures.
ELSEWHERE = ("clip_es",)


@pytest.mark.parametrize(
    ("table", "rows_of"),
    [(MAPS, map_rows), (SEGMENTATION, segmenter_rows), (SINGLE_LABEL, single_label_rows)],
    ids=["maps", "segmentation", "single_label"],
)
def test_rows_of_our_methods_are_those_of_their_records(table, rows_of) -> None:
    records = [record for record in LOCALIZER_METHODS.values() if record.kind not in ELSEWHERE]
    titles = [record.title for record in records]
    shown = [row for row in table.rows if row[0] in titles]
    assert sorted(shown) == sorted(row for record in records for row in rows_of(record))


def test_the_tables_hold_what_the_papers_say() -> None:
    """Xu et al., CVPR 2023, and the abstracts of DHR, ExCEL and WeCLIP+."""
    assert MAPS.rows[0] == ("CAM", "ResNet50", "48.8", "33.5")
    assert MAPS.rows[-3:-1] == (("MCTformer", "ViT-S", "61.7", "–"), ("MCTformer", "ViT-B", "62.3", "–"))
    assert SEGMENTATION.rows[-1][-3:] == ("72.2", "72.2", "45.9")
    assert SINGLE_LABEL.rows[-1] == ("MMCST", "ViT-B", "57.6", "73.3")
    later = {row[0]: row[-4:] for row in LATER.rows}
    assert later["DHR"] == ("79.6", "79.8", "53.9", "–")
    assert later["ExCEL"] == ("78.4", "78.5", "50.3", "–")
    assert later["WeCLIP+"] == ("–", "83.9", "56.3", "–")


def test_tables_are_whole() -> None:
    assert all(len(row) == len(table.columns) for table in TABLES for row in table.rows)


def test_later_rows_are_by_year_and_mark_what_is_second_hand() -> None:
    old = Reference(title="Old", papers=(Paper("A", "One", "CVPR", 2024),), published=(SegmenterFigures(voc_val=70.0),))
    new = Reference(
        title="New",
        papers=(Paper("B", "Two", "ICCV", 2025),),
        published=(SingleLabelFigures(backbone="ViT", pxap=71.25, second_hand=True),),
    )
    assert since_rows([new, old]) == [
        ("Old", "CVPR 2024", "", "labels", "70.0", "–", "–", "–"),
        ("New †", "ICCV 2025", "ViT", "labels", "–", "–", "–", "71.2"),
    ]


def test_beside_a_score_stands_its_own_method_s_figure() -> None:
    assert published_beside(LOCALIZER_METHODS["mmcst"], "maps", "train") == "66.3 VOC, 40.9 COCO"
    assert published_beside(LOCALIZER_METHODS["mmcst"], "segmenter", "val") == "72.2 VOC, 45.9 COCO"
    assert (
        published_beside(LOCALIZER_METHODS["mctformer"], "maps", "train") == "62.3 VOC"
    )  # the larger of two backbones
    assert published_beside(LOCALIZER_METHODS["cam"], "segmenter", "val") == ""
    assert published_beside(LOCALIZER_METHODS["mmcst"], "upper_bound", "val") == ""
    refined = Reference(
        title="R", papers=(Paper("A", "T", "V", 2023),), published=(MapFigures(backbone="ViT", voc=70.8, refined=75.0),)
    )
    assert published_beside(refined, "pseudo_masks", "train") == "75.0 VOC"


def test_images_with_one_tag() -> None:
    assert published_of_single_label(LOCALIZER_METHODS["mmcst"]) == "PxAP 73.3, pIoU 57.6"
    assert published_of_single_label(LOCALIZER_METHODS["ts_cam"]) == ""
