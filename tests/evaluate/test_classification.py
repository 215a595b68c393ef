"""Scores of the localizer's classifier: worked by hand, and against scikit-learn's own averages and plain torch."""

import numpy as np
import pytest
import torch
from sklearn import metrics

from stages.evaluate import score_maps
from stages.evaluate.classification import Probabilities, classification_score
from stages.evaluate.scores import read_score
from stages.index import Record, write_index
from stages.shards import ImageMaps, write_shard

CLASSES = ("cat", "dog", "cow")
# Cat: tags 1 0 1 0 in the order of its probabilities: precision 1/1 and 2/3 at its positives, so AP 5/6. From 0.75 on
# it is found in images 0 and 1: one hit, one false positive, one missed, F1 1/2.
# Dog: its one image comes third: AP 1/3. Found in images 0 and 1, never rightly: F1 0.
# Cow: in no image, but found in image 3: no AP, F1 0.
PROBABILITIES = np.array([[0.9, 0.8, 0.1], [0.8, 0.75, 0.2], [0.7, 0.3, 0.3], [0.6, 0.2, 0.9]], dtype=np.float32)
TAGS = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=bool)


def images_of(probabilities: np.ndarray | list[None]) -> list[ImageMaps]:
    none = np.zeros((0, 2, 2), dtype=np.float32)
    return [
        ImageMaps(f"im{number}", none, np.zeros(0, np.int64), (8, 8), row) for number, row in enumerate(probabilities)
    ]


def records_of(tags: np.ndarray) -> list[Record]:
    named = [tuple(name for name, there in zip(CLASSES, row, strict=True) if there) for row in tags]
    return [Record(f"im{number}", f"{number}.jpg", "", own, "val") for number, own in enumerate(named)]


def collected(images: list[ImageMaps]) -> Probabilities:
    probabilities = Probabilities()
    assert list(probabilities.collect(images)) == images
    return probabilities


def test_worked_by_hand() -> None:
    score = classification_score(PROBABILITIES, TAGS, threshold=0.75)
    assert score.map == pytest.approx(100 * (5 / 6 + 1 / 3) / 2)
    assert score.f1 == pytest.approx(100 * (1 / 2 + 0 + 0) / 3)
    assert (score.threshold, score.images) == (0.75, 4)
    # Nothing found above 0.95: cow is neither tagged nor found and does not count.
    assert classification_score(PROBABILITIES, TAGS, threshold=0.95).f1 == 0
    # From 0.7 on cat has two hits and one false positive: 4/5.
    assert classification_score(PROBABILITIES, TAGS, threshold=0.7).f1 == pytest.approx(100 * (4 / 5) / 3)


def test_negatives_count_and_images_of_unknown_tags_do_not() -> None:
    """Rows 1 and 3 have no tag: with them all four count, as by hand above."""
    probabilities, records = collected(images_of(PROBABILITIES)), records_of(TAGS)
    known = probabilities.score(records, CLASSES, threshold=0.75, negatives=["val"])
    assert known == classification_score(PROBABILITIES, TAGS, threshold=0.75)
    tagged = probabilities.score(records, CLASSES, threshold=0.75, negatives=["train"])
    assert tagged == classification_score(PROBABILITIES[[0, 2]], TAGS[[0, 2]], threshold=0.75)


def test_a_perfect_classifier_has_100() -> None:
    score = classification_score(TAGS.astype(np.float32), TAGS, threshold=0.5)
    assert (score.map, score.f1) == (100, 100)


def test_agrees_with_scikit_learns_averages() -> None:
    random = np.random.default_rng(0)
    tags = random.random((60, 5)) < 0.3
    probabilities = (np.round(random.random((60, 5)) * 20) / 20).astype(np.float32)  # many ties
    score = classification_score(probabilities, tags, threshold=0.4)
    assert score.map == pytest.approx(100 * metrics.average_precision_score(tags, probabilities, average="macro"))
    assert score.f1 == pytest.approx(100 * metrics.f1_score(tags, probabilities >= np.float32(0.4), average="macro"))


def test_agrees_with_plain_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    tags = torch.rand(50, 6, generator=generator) < 0.3
    probabilities = torch.rand(50, 6, generator=generator)
    ranked = tags.gather(0, probabilities.argsort(dim=0, descending=True)).double()
    precision = ranked.cumsum(dim=0) / torch.arange(1, 51)[:, None]
    found = probabilities >= 0.5
    hits = (found & tags).sum(dim=0).double()
    score = classification_score(probabilities.numpy(), tags.numpy(), threshold=0.5)
    assert score.map == pytest.approx(100 * ((precision * ranked).sum(dim=0) / ranked.sum(dim=0)).mean().item())
    assert score.f1 == pytest.approx(100 * (2 * hits / (found.sum(dim=0) + tags.sum(dim=0))).mean().item())


def test_images_without_a_tag_are_left_out_in_any_order() -> None:
    score = collected(images_of(PROBABILITIES)[::-1]).score(records_of(TAGS), CLASSES, threshold=0.75)
    assert score == classification_score(PROBABILITIES[[0, 2]], TAGS[[0, 2]], threshold=0.75)
    assert score is not None
    assert score.images == 2


def test_without_probabilities_or_tags_there_is_no_score() -> None:
    tagged, untagged = records_of(TAGS), records_of(np.zeros_like(TAGS))
    assert collected(images_of([None] * 4)).score(tagged, CLASSES, threshold=0.5) is None
    assert (
        collected(images_of([*PROBABILITIES[:2], None, PROBABILITIES[3]])).score(tagged, CLASSES, threshold=0.5) is None
    )
    assert collected(images_of(PROBABILITIES)).score(untagged, CLASSES, threshold=0.5) is None


def test_the_command_scores_what_the_shards_hold(dataset) -> None:
    maps = np.zeros((1, 8, 8), dtype=np.float32)
    for shard, (name, row) in enumerate({"a": [0.9, 0.2], "b": [0.4, 0.6]}.items()):
        image = ImageMaps(name, maps, np.array([0]), (8, 8), np.array(row, dtype=np.float32))
        write_shard(dataset.folder / f"{shard}.safetensors", [image])
    records = [Record("a", "a.jpg", "true/a.png", ("cat",), "val"), Record("b", "b.jpg", "true/b.png", ("dog",), "val")]
    write_index(dataset.folder / "val.csv", records)
    output = dataset.folder / "maps-val.json"
    command = [
        *dataset.settings,
        *dataset.common,
        "--threshold",
        "0.4",
        "--maps",
        *dataset.maps,
        "--output",
        str(output),
    ]
    score_maps.run(command)
    score = read_score(output).classification
    assert (score.map, score.f1, score.threshold, score.images) == (100, 100, 0.5, 2)
    # From 0.4 on cat is found in both: F1 2/3.
    score_maps.run([*command, "--class-threshold", "0.4"])
    score = read_score(output).classification
    assert score.f1 == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert score.threshold == 0.4


def test_the_command_scores_maps_without_probabilities(dataset) -> None:
    output = dataset.folder / "maps-val.json"
    score_maps.run(
        [*dataset.settings, *dataset.common, "--threshold", "0.4", "--maps", *dataset.maps, "--output", str(output)]
    )
    assert read_score(output).classification is None
