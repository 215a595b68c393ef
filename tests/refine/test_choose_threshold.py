"""A threshold without true masks: found on a picture whose good threshold is known; the oracle's read from a score."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from stages.errors import DataError
from stages.files import read_json, write_json
from stages.index import Record, write_index
from stages.refine.agreement import agreement
from stages.refine.choose_threshold import run
from stages.shards import ImageMaps, write_shard


@pytest.fixture
def discs(tmp_path):
    """Two pictures of a disc each whose map is the disc blurred: half of its maximum is at the border."""
    rows, columns = np.mgrid[:80, :96]
    records, shard = [], []
    for number, (radius, colour) in enumerate(((22, (200, 40, 40)), (26, (40, 60, 200)))):
        truth = (rows - 40) ** 2 + (columns - 46) ** 2 < radius**2
        noise = np.random.default_rng(number).integers(-12, 12, (80, 96, 3))
        pixels = np.where(truth[..., None], colour, (60, 160, 60)) + noise
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{number}.png")
        soft = gaussian_filter(truth.astype(np.float32), 7)
        records.append(Record(str(number), f"{number}.png", "", ("cup",), "train"))
        shard.append(ImageMaps(str(number), (soft / soft.max())[None, ::4, ::4], np.array([0]), (80, 96)))
    write_index(tmp_path / "train.csv", records)
    write_shard(tmp_path / "0.safetensors", shard)
    return tmp_path


def command(folder, threshold, *more):
    settings = {"background_threshold": threshold, "auto": {"images": 2, "steps": 10}}
    return [
        *("--settings", json.dumps(settings), "--index", str(folder / "train.csv"), "--root", str(folder)),
        *("--output", str(folder / "threshold.json"), "--processes", "1"),
        *map(str, more),
    ]


def test_seeds_that_end_at_the_border_agree_best(discs) -> None:
    run(command(discs, "auto", "--maps", discs / "0.safetensors"))
    chosen = read_json(discs / "threshold.json")
    assert chosen["source"] == "auto"
    assert 0.4 <= chosen["threshold"] <= 0.6
    assert [point[0] for point in chosen["curve"]] == [step / 10 for step in range(1, 10)]


def test_the_agreement_by_hand() -> None:
    # First: 6 of 10 background pixels and 4 of 8 object pixels agree. Second: all is background, and no object agrees.
    counts = np.array([[[6, 4], [8, 6], [8, 6]], [[14, 0], [14, 0], [14, 0]]])
    np.testing.assert_allclose(agreement(counts), [100 * (6 / 10 + 4 / 8) / 2, 100 * (1 + 0) / 2])


def test_a_threshold_at_which_all_is_object_does_not_win(discs) -> None:
    # Nearly the whole picture is object at the lowest thresholds, and the CRF leaves it so.
    run(command(discs, "auto", "--maps", discs / "0.safetensors"))
    curve = dict(map(tuple, read_json(discs / "threshold.json")["curve"]))
    assert curve[0.1] < curve[0.5]


def test_the_oracle_takes_the_scores_best(discs) -> None:
    write_json(discs / "maps.json", {"stage": "maps", "sweep": [[0.0, 90.0], [0.2, 50.0], [0.3, 60.0], [0.4, 60.0]]})
    run(command(discs, "oracle", "--score", discs / "maps.json"))
    chosen = read_json(discs / "threshold.json")
    assert (chosen["threshold"], chosen["source"]) == (0.3, "oracle")  # 0 would leave no background


def test_a_score_without_a_sweep_is_refused(discs) -> None:
    write_json(discs / "maps.json", {"stage": "segmenter"})
    with pytest.raises(DataError, match="no score of maps"):
        run(command(discs, "oracle", "--score", discs / "maps.json"))
