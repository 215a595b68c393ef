"""A record of each method that tagmask has, written from the papers, and of what others have published since.

The records feed the report's published figures, the model cards, provenance.json and docs/methods.md.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from stages.methods.localizers import CLIP_ATTENTION_METHODS, CLIP_ES, LOCALIZER_METHODS, MMCST, localizer_record
from stages.methods.record import (
    Figures,
    MapFigures,
    MethodRecord,
    Paper,
    Reference,
    SegmenterFigures,
    SingleLabelFigures,
)
from stages.methods.references import SINCE
from stages.methods.segmenters import SEGMENTER_METHODS

__all__ = [
    "CLIP_ATTENTION_METHODS",
    "CLIP_ES",
    "LOCALIZER_METHODS",
    "MMCST",
    "SEGMENTER_METHODS",
    "SINCE",
    "Figures",
    "MapFigures",
    "MethodRecord",
    "Paper",
    "Reference",
    "SegmenterFigures",
    "SingleLabelFigures",
    "localizer_record",
    "methods_used",
]


def methods_used(config: Mapping[str, Any]) -> dict[str, Any]:
    """The records of an experiment's localizer and segmenter as JSON values, by `localizer` and `segmenter`; None for a
    segmenter of the user's own. config: all settings of the experiment."""
    method = config["localize"]["method"]
    localizer = localizer_record(method["kind"], method.get("attention"))
    segmenter = SEGMENTER_METHODS.get(config["segment"]["network"]["model"])
    return {"localizer": asdict(localizer), "segmenter": None if segmenter is None else asdict(segmenter)}
