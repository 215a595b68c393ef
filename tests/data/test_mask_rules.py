"""What is wrong with masks that contradict their tags or palettes, rule by rule."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.data.contradictions import find_contradiction, find_notes
from stages.data.mask_sights import sight_of
from stages.index import Record
from tests.data.drawn_masks import CLASSES, PALETTE, TAGS, Change, draw, found, renumbered, split_of


def test_classes_in_another_order_are_told_with_the_order() -> None:
    text = found(renumbered(v1=2, v2=3, v3=1))
    assert (
        "12 of 12 masks show other classes than their images' tags, e.g. masks/0.png: shows 2 (square), tagged" in text
    )
    assert "12 fit the tags if 1 is 3 (star), 2 is 1 (disc), 3 is 2 (square)" in text
    assert "write data.classes: [star, disc, square]" in text


def test_two_classes_of_many_that_are_exchanged_are_told() -> None:
    tags = [(1 + place % 10,) for place in range(60)]
    text = found(renumbered(v4=9, v9=4), tags=tags, classes=tuple("abcdefghij"))
    assert "12 of 60 masks" in text
    assert "60 fit the tags if 4 is 9 (i), 9 is 4 (d)." in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (renumbered(v0=255, v1=0, v2=1, v3=2), "0 is 1 (disc), 1 is 2 (square), 2 is 3 (star), 255 is background"),
        (renumbered(v0=1, v1=2, v2=3, v3=4), "1 is background, 2 is 1 (disc), 3 is 2 (square), 4 is 3 (star)"),
        (renumbered(v0=3, v1=0, v2=1, v3=2), "0 is 1 (disc), 1 is 2 (square), 2 is 3 (star), 3 is background"),
    ],
)
def test_values_that_are_counted_from_elsewhere_are_told(change: Change, message: str) -> None:
    assert message in found(change, ring=False)


@pytest.mark.parametrize("inverted", [False, True])
def test_masks_of_0_and_255_are_binary(inverted: bool) -> None:
    values = {"v0": 255, "v1": 0, "v2": 0, "v3": 0} if inverted else {"v1": 255, "v2": 255, "v3": 255}
    text = found(renumbered(**values))
    assert "12 of 12 masks show no class, e.g. masks/0.png, tagged 1 (disc): its values are 0, 255" in text
    assert "binary masks, but 255 is ignored when scored" in text


def test_masks_of_0_and_1_are_binary() -> None:
    text = found(renumbered(v2=1, v3=1))
    assert "no mask shows another class than 1 (disc), but 9 of 12 images are tagged with others" in text
    assert "binary" in text


def test_masks_that_are_not_drawn_are_told() -> None:
    text = found(renumbered(v1=0, v2=0, v3=0, v255=0))
    assert "12 of 12 masks show no class" in text
    assert "not drawn yet" in text


def quantised(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As image programs number colours: here the brightest is 0."""
    values = np.unique(mask)[::-1]
    table = np.zeros(256, dtype=np.uint8)
    table[values] = np.arange(len(values))
    return table[mask], values


@pytest.mark.parametrize("colours", [PALETTE, np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint8)])
def test_colours_renumbered_file_by_file_are_told(colours: np.ndarray) -> None:
    colours = colours.copy()
    colours[0] = 0
    records, sights = [], {}
    for place, tags in enumerate(TAGS):
        mask, values = quantised(draw(tags, ring=False))
        labels = tuple(CLASSES[value - 1] for value in tags)
        records.append(Record(f"{place}", f"{place}.jpg", f"masks/{place}.png", labels, "val"))
        sights[place] = sight_of(mask, colours[values], Path(f"masks/{place}.png"))
    text = find_contradiction(records, sights, CLASSES)
    assert "the palettes of 12 of 12 masks give the values other meanings" in text
    assert "e.g. masks/0.png: 0 is 1 (disc), 1 is background; the numbers differ from file to file" in text


def test_one_class_that_fills_images_to_their_borders_passes() -> None:
    """Grass around what is none of the classes."""
    assert found(lambda mask: np.where(mask == 0, 1, 0).astype(np.uint8), tags=[(1,)] * 10, ring=False) == ""


def test_values_that_number_the_objects_are_told() -> None:
    def number(mask: np.ndarray) -> np.ndarray:
        values = sorted(set(np.unique(mask).tolist()) - {0, 255})
        return renumbered(**{f"v{value}": place for place, value in enumerate(values, start=1)})(mask)

    assert "the values number the objects" in found(number)


def test_masks_of_other_images_are_told() -> None:
    random = np.random.default_rng(0)
    tags, own = ([(int(value),) for value in random.integers(1, 4, 60)] for _ in range(2))
    assert "no other order fits. Likely cause: the masks are of other images" in found(tags=tags, own=own)


def test_every_second_mask_in_another_order_is_told() -> None:
    own = [values if place % 2 else tuple(value % 3 + 1 for value in values) for place, values in enumerate(TAGS)]
    text = found(own=own)
    assert "6 of 12 masks show other classes than their images' tags, e.g. masks/0.png: shows 2" in text
    assert "in another order than in the rest; 6 of them fit the tags if 1 is 3 (star), 2 is 1 (disc), 3 is 2" in text


@pytest.mark.parametrize("value", [0, 255])
def test_a_class_that_is_never_drawn_is_told(value: int) -> None:
    tags = [*TAGS, *TAGS, *TAGS]
    text = found(renumbered(v3=value), tags=tags)
    assert "no mask shows 3 (star), but 15 of 36 images are tagged with it, e.g. masks/2.png" in text
    records, sights = split_of(TAGS, renumbered(v3=value))
    assert find_contradiction(records, sights, CLASSES) == ""  # five could be too small to show
    assert "no mask shows 3 (star), but 5 of 12 images" in find_notes(records, sights, CLASSES)[0]


def test_two_classes_of_one_value_are_told() -> None:
    text = found(renumbered(v2=1), tags=[*TAGS, *TAGS, *TAGS])
    assert "no mask shows 2 (square), but 15 of 36 images are tagged with it" in text
    assert "12 of them show 1 (disc) instead" in text


def test_background_of_255_is_told() -> None:
    assert "Likely cause: background is written as 255" in found(renumbered(v0=255))


def test_masks_without_background_pass() -> None:
    def fill(mask: np.ndarray) -> np.ndarray:
        return np.where(mask == 0, 3, mask).astype(np.uint8)

    tags = [tuple(sorted({3, *values})) for values in TAGS]
    assert found(fill, tags=tags, own=TAGS) == ""
    assert found(fill, tags=tags, own=TAGS, ring=False) == ""


@pytest.mark.parametrize("factor", [3, 5])
def test_interpolated_masks_are_told(factor: int) -> None:
    def resize(mask: np.ndarray) -> np.ndarray:
        sides = (mask.shape[1] * factor // 2, mask.shape[0] * factor // 2)
        return np.array(Image.fromarray(mask).resize(sides, Image.Resampling.BILINEAR))

    text = found(resize, tags=[(3,), (2,), (3,), (3, 1)], ring=False)
    assert "4 of 4 masks show classes that their images are not tagged with, in thin lines alone" in text
    assert "the masks were resized with interpolation" in text


def test_outlines_that_draw_nothing_are_told_as_such() -> None:
    """tagmask drew these masks: nobody can renumber them, and crowds alone are ignored."""
    records, sights = split_of(TAGS, np.zeros_like)
    text = find_contradiction(records, sights, CLASSES, outlines=True)
    assert "the outlines of 12 of 12 images draw nothing, e.g. masks/0.png, tagged 1 (disc)" in text
    assert find_contradiction(*split_of(TAGS, renumbered(v1=255, v2=255, v3=255)), CLASSES, outlines=True) == ""
