"""What reruns after a change: the table in docs/architecture.md, row by row, on a finished run."""

from pathlib import Path

import pytest

from tests.workflow.conftest import Snakemake
from tests.workflow.tiny import AFTER_MASKS, SHOWN, TINY, copy_run, jobs_of

pytestmark = pytest.mark.workflow

# The gallery has all images, and no score of a split.
PAGE = {rule: count for rule, count in SHOWN.items() if rule != "make_gallery"}
PREDICTED = {"predict": 4, "score_masks": 2, "summarize": 1, **SHOWN}
REFINED = {"make_masks": 4, "score_masks": 4, **AFTER_MASKS}
LOCATED = {"make_maps": 4, "score_maps": 2, **REFINED}


@pytest.mark.parametrize(
    ("old", "new", "jobs"),
    [
        pytest.param("panels: 2", "panels: 1", PAGE, id="report.panels"),
        pytest.param("encode:\n", "encode:\n  backgrounds: [noise]\n", PAGE, id="encode.backgrounds"),
        pytest.param(
            *("report:\n", "evaluate:\n  thresholds: 50\n\nreport:\n"),
            {"score_maps": 2, "summarize": 1, **PAGE},
            id="evaluate.thresholds",
        ),
        pytest.param(
            *("report:\n", "evaluate:\n  doubt: [train, val]\n\nreport:\n"),
            {"predict": 4, "measure_doubt": 4, "join_doubts": 2, **SHOWN, "make_gallery": 2},
            id="evaluate.doubt",
        ),
        pytest.param(
            *("decoder_channels: 8\n", "decoder_channels: 8\n  inference: {flip: true}\n"),
            PREDICTED,
            id="segment.inference",
        ),
        pytest.param(
            *("scales: [0.9, 1.1]", "scales: [0.8, 1.1]"), {"train_segmenter": 1, **PREDICTED}, id="segment.training"
        ),
        pytest.param(
            *("decoder_channels: 8", "model: deeplabv1\n    decoder_channels: 16"),
            {"resolve_model": 1, "train_segmenter": 1, **PREDICTED},
            id="segment.network",
        ),
        pytest.param("crf:\n    iterations: 2", "crf:\n    iterations: 5", REFINED, id="refine.crf"),
        pytest.param("flip: false", "flip: true", LOCATED, id="localize.maps"),
        pytest.param("  shards: 2\n", "  shards: 2\n  longest_side: 64\n", LOCATED, id="data.longest_side"),
        pytest.param("    epochs: 1", "    epochs: 2", {"train_localizer": 1, **LOCATED}, id="localize.training"),
        pytest.param(
            *("kind: mmcst\n", "kind: mmcst\n    pooling_decay: 0.9\n"),
            {"train_localizer": 1, **LOCATED},
            id="localize.method",
        ),
    ],
)
def test_a_setting_reruns_what_uses_it(
    snakemake: Snakemake, finished: Path, tmp_path: Path, old: str, new: str, jobs: dict[str, int]
) -> None:
    text = TINY.read_text()
    assert text.count(old) == 1
    config = tmp_path / "changed.yaml"
    config.write_text(text.replace(old, new))
    assert jobs_of(snakemake(finished, "--dry-run", config=config).stdout) == jobs


def test_a_changed_list_of_the_users_makes_its_index_again(
    snakemake: Snakemake, finished: Path, tmp_path: Path
) -> None:
    folder = copy_run(finished, tmp_path / "copied")
    listed = folder / "set/val.csv"
    listed.write_text((finished / "set/val.csv").read_text() + "\n")
    jobs = jobs_of(snakemake(folder, "--dry-run").stdout)
    assert jobs["make_index"] == 1
    assert jobs["draw_sheet"] == 1
