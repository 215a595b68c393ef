"""Scores as rows of a table, in words."""

from collections.abc import Sequence
from typing import Any

from stages.evaluate.scores import Score
from stages.evaluate.summarize import share_of_bound
from stages.methods import Reference
from stages.report.published import published_beside
from stages.words import SOURCE_CELLS, STAGE_WORDS


def chosen_words(score: Score) -> str:
    """How the background was chosen for what was scored."""
    if score.background_power is not None:
        return f"(1 - max)^{score.background_power:g}"
    if score.stage == "maps":
        return "best on this split"
    return SOURCE_CELLS[score.threshold_source] if score.threshold_source else ""


def stage_words(score: Score) -> str:
    """What was scored; of a segmenter, its round if it is not the first."""
    return STAGE_WORDS[score.stage] + (f", round {score.round}" if score.round else "")


def score_rows(scores: Sequence[Score], localizer: Reference) -> list[dict[str, Any]]:
    """The table of scores; maps have two rows, at the best and at the fixed threshold. localizer: the
    method whose published figures stand beside them."""
    rows = []
    for score in scores:
        share = share_of_bound(score, scores)
        row = {
            "stage": stage_words(score),
            "split": score.split,
            "images": score.images_shown,
            "miou": score.miou,
            "boundary": "" if score.boundary_iou is None else f"{score.boundary_iou:.1f}",
            "threshold": "" if score.threshold is None else f"{score.threshold:.2f}",
            "chosen": chosen_words(score),
            "false_positives": f"{score.false_positives:.1f}",
            "false_negatives": f"{score.false_negatives:.1f}",
            "share": "" if share is None else f"{share:.0f} %",
            "published": published_beside(localizer, score.stage, score.split),
        }
        rows.append(row)
        if score.fixed:
            rates = {
                "miou": score.fixed.miou,
                "boundary": "",
                "threshold": f"{score.fixed.threshold:.2f}",
                "chosen": SOURCE_CELLS[score.fixed.source],
            }
            rows.append(row | rates | {"false_positives": "", "false_negatives": "", "published": ""})
    return rows
