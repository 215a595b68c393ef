"""Each method that can be chosen has its record, and the published tables are made of them."""

import dataclasses
from typing import get_args

import pytest

from stages.localize.registry import KINDS, localizer_class
from stages.methods import CLIP_ATTENTION_METHODS, LOCALIZER_METHODS, SEGMENTER_METHODS, localizer_record
from stages.report.published import MAPS, SEGMENTATION, SINGLE_LABEL
from stages.segment.overlay import OVERLAYS
from stages.settings import ClipSettings

TABLES = {"maps": MAPS, "segmentation": SEGMENTATION, "single_label": SINGLE_LABEL}
RECORDS = [*LOCALIZER_METHODS.values(), *CLIP_ATTENTION_METHODS.values(), *SEGMENTER_METHODS.values()]


def test_each_localizer_and_each_overlay_has_a_record() -> None:
    assert set(LOCALIZER_METHODS) == set(KINDS), "add the record to LOCALIZER_METHODS of stages/methods.py"
    overlays = {path.stem for path in OVERLAYS.glob("*.py")}
    assert set(SEGMENTER_METHODS) == overlays, "add the record to SEGMENTER_METHODS of stages/methods.py"


def test_each_attention_of_clip_has_a_record() -> None:
    attentions = get_args(ClipSettings.model_fields["attention"].annotation)
    titles = [localizer_record("clip", attention).title for attention in attentions]
    assert titles == ["MaskCLIP", "SCLIP", "ProxyCLIP"]
    assert localizer_record("cam") == LOCALIZER_METHODS["cam"]


def test_records_say_what_is_trained() -> None:
    assert {kind: record.trained for kind, record in LOCALIZER_METHODS.items()} == {
        kind: localizer_class(kind).trained for kind in KINDS
    }


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.kind)
def test_records_are_whole_and_stay_as_they_are(record) -> None:
    assert record.title
    assert record.code_licence
    assert record.papers
    years = [paper.year for paper in record.papers]
    assert years == sorted(years)
    assert all(paper.authors and paper.title and paper.venue for paper in record.papers)
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.title = "another"


@pytest.mark.parametrize("name", TABLES)
def test_rows_of_our_methods_are_those_of_their_records(name: str) -> None:
    titles = [record.title for record in LOCALIZER_METHODS.values()]
    shown = [row for row in TABLES[name].rows if row[0] in titles]
    recorded = [
        (record.title, *row.cells)
        for record in LOCALIZER_METHODS.values()
        for row in record.published
        if row.table == name
    ]
    assert sorted(shown) == sorted(recorded)


def test_the_tables_hold_what_the_papers_say() -> None:
    """Xu et al., CVPR 2023."""
    assert MAPS.rows[0] == ("CAM", "ResNet50", "48.8", "33.5")
    assert MAPS.rows[-3:-1] == (("MCTformer", "ViT-S", "61.7", "–"), ("MCTformer", "ViT-B", "62.3", "–"))
    assert SEGMENTATION.rows[-1][-3:] == ("72.2", "72.2", "45.9")
    assert SINGLE_LABEL.rows[-1] == ("MMCST", "ViT-B", "57.6", "73.3")
