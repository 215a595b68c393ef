"""Every name that a table or page may show has its words."""

from typing import get_args

from stages.vocabulary import MASK_STAGES, SCORED_STAGES, ThresholdSource
from stages.words import SEGMENTER_ROWS, SOURCE_CELLS, SOURCE_LEGEND, SOURCE_NOTES, STAGE_WORDS


def test_every_stage_and_source_has_words() -> None:
    assert tuple(STAGE_WORDS) == SCORED_STAGES
    assert tuple(SEGMENTER_ROWS) == MASK_STAGES
    for words in (SOURCE_CELLS, SOURCE_LEGEND, SOURCE_NOTES):
        assert tuple(words) == get_args(ThresholdSource)
