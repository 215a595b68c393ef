"""Each method that can be chosen has its record."""

import dataclasses
from typing import get_args

import pytest

from stages.localize.registry import KINDS, localizer_class
from stages.methods import (
    CLIP_ATTENTION_METHODS,
    LOCALIZER_METHODS,
    SEGMENTER_METHODS,
    SINCE,
    localizer_record,
    methods_used,
)
from stages.segment.overlay import OVERLAYS
from stages.settings import ClipSettings

RECORDS = [*LOCALIZER_METHODS.values(), *CLIP_ATTENTION_METHODS.values(), *SEGMENTER_METHODS.values()]
REFERENCES = [*RECORDS, *SINCE]


def test_each_localizer_and_each_overlay_has_a_record() -> None:
    assert set(LOCALIZER_METHODS) == set(KINDS), "add the record to stages/methods/localizers.py"
    overlays = {path.stem for path in OVERLAYS.glob("*.py")}
    assert set(SEGMENTER_METHODS) == overlays, "add the record to stages/methods/segmenters.py"


def test_each_attention_of_clip_has_a_record() -> None:
    attentions = get_args(ClipSettings.model_fields["attention"].annotation)
    titles = [localizer_record("clip", attention).title for attention in attentions]
    assert titles == ["MaskCLIP", "SCLIP", "ProxyCLIP"]
    assert localizer_record("cam") == LOCALIZER_METHODS["cam"]


def test_records_say_what_is_trained() -> None:
    assert {kind: record.trained for kind, record in LOCALIZER_METHODS.items()} == {
        kind: localizer_class(kind).trained for kind in KINDS
    }


@pytest.mark.parametrize("record", REFERENCES, ids=lambda record: record.title)
def test_records_are_whole_and_stay_as_they_are(record) -> None:
    assert record.title
    assert record.code_licence
    assert record.papers
    years = [paper.year for paper in record.papers]
    assert years == sorted(years)
    assert all(paper.authors and paper.title and paper.venue for paper in record.papers)
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.title = "another"


@pytest.mark.parametrize("record", REFERENCES, ids=lambda record: record.title)
def test_published_figures_are_shares_in_percent(record) -> None:
    for figures in record.published:
        values = [value for value in dataclasses.asdict(figures).values() if isinstance(value, float)]
        assert values, "figures without a figure"
        assert all(1 < value < 100 for value in values)
    assert len(record.maps) + len(record.segmenters) + len(record.single_label) == len(record.published)


def test_titles_and_addresses_are_not_shared() -> None:
    titles = [record.title for record in REFERENCES]
    assert len(set(titles)) == len(titles)
    assert all(record.code is None or record.code.startswith("https://") for record in REFERENCES)


def test_an_experiment_names_its_methods() -> None:
    config = {"localize": {"method": {"kind": "mmcst"}}, "segment": {"network": {"model": "segformer"}}}
    used = methods_used(config)
    assert used["localizer"]["papers"][0]["venue"] == "CVPR"
    assert used["segmenter"]["code_licence"] == "NVIDIA's, for research only"
