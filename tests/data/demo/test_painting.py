"""Masks, visible shares and pictures against truths worked out by hand or told by colour."""

import numpy as np
import pytest
from PIL import Image

from stages.data.demo import cutouts as variation
from stages.data.demo.cutouts import Cutout, vary_cutout
from stages.data.demo.painting import Layer, draw_mask, paint, visible_shares
from stages.errors import DataError
from stages.settings import DemoSettings

CLASSES = ("bird", "coin")


def layer(rows: list[list[float]], area: int) -> Layer:
    empty = Image.new("RGBA", (1, 1))
    return Layer(Cutout(empty, "bird", ""), empty, (0, 0), np.array(rows, dtype=np.float32), area)


def block(colour: tuple[int, int, int], label: str, size: tuple[int, int] = (60, 60)) -> Cutout:
    return Cutout(Image.new("RGBA", size, (*colour, 255)), label, f"A {label}.")


def test_mask_is_class_where_solid_and_255_around_it() -> None:
    mask = np.zeros((5, 6), dtype=np.uint8)
    mask[0, 0] = 2  # of an object below, far from this one
    alpha = np.zeros((5, 6), dtype=np.float32)
    alpha[2, 2:4] = (1.0, 0.9)  # solid
    alpha[2, 4] = 0.5  # soft
    alpha[4, 0] = 0.09  # not to be seen
    draw_mask(mask, alpha, 1)
    assert mask.tolist() == [
        [2, 0, 0, 0, 0, 0],
        [0, 255, 255, 255, 255, 0],
        [0, 255, 1, 1, 255, 0],
        [0, 255, 255, 255, 255, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_visible_shares_count_what_is_hidden_and_what_is_outside() -> None:
    below = layer([[1, 1, 1, 1]], area=4)  # two of its four pixels lie under the upper one
    upper = layer([[0, 0, 1, 1]], area=8)  # six of its eight pixels lie outside the picture
    assert visible_shares([below, upper]) == [0.5, 0.25]


def test_pixels_agree_with_mask_and_tags() -> None:
    """Red and blue objects on grey: the colour of each pixel tells its class, whatever the variation."""
    rng = np.random.default_rng(0)
    grey = Image.new("RGB", (300, 300), (128, 128, 128))
    objects = [block((200, 30, 30), "bird", (60, 40)), block((30, 30, 200), "coin", (20, 60))]
    settings = DemoSettings(sides=(80, 120))
    for _ in range(20):
        painting = paint(grey, objects, classes=CLASSES, settings=settings, rng=rng)
        pixels = np.asarray(painting.image).astype(int)
        redder, bluer = pixels[..., 0] - pixels[..., 2], pixels[..., 2] - pixels[..., 0]
        assert painting.image.size == painting.mask.shape[::-1]
        assert (redder[painting.mask == 1] > 60).all()
        assert (bluer[painting.mask == 2] > 60).all()
        assert (np.abs(redder[painting.mask == 0]) < 30).all()
        assert {CLASSES[value - 1] for value in np.unique(painting.mask) if 0 < value < 255} == {
            cutout.label for cutout in painting.cutouts
        }


def test_object_without_room_is_left_out_of_picture_mask_and_tags() -> None:
    """As large as the picture, two objects must hide each other: one of them alone may be there."""
    settings = DemoSettings(sides=(100, 100), object_sizes=(1.0, 1.0), min_visible=0.6)
    objects = [block((200, 30, 30), "bird"), block((30, 30, 200), "coin")]
    grey = Image.new("RGB", (300, 300), (128, 128, 128))
    painting = paint(grey, objects, classes=CLASSES, settings=settings, rng=np.random.default_rng(1))
    pixels = np.asarray(painting.image).astype(int)
    assert [cutout.label for cutout in painting.cutouts] == ["bird"]
    assert (painting.mask != 2).all()
    assert (pixels[..., 2] - pixels[..., 0]).max() < 60


def test_no_room_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = DemoSettings(sides=(40, 40))
    monkeypatch.setattr("stages.data.demo.painting.find_place", lambda *args, **kwargs: None)
    with pytest.raises(DataError, match=r"data\.demo\.min_visible"):
        paint(
            Image.new("RGB", (90, 90)),
            [block((9, 9, 9), "bird")],
            classes=CLASSES,
            settings=settings,
            rng=np.random.default_rng(0),
        )


def test_enlarged_cutout_shows_no_hidden_colour() -> None:
    """The transparent part is stored as white; premultiplied resizing keeps it out of a black object's edge."""
    image = Image.new("RGBA", (20, 20), (255, 255, 255, 0))
    image.paste((0, 0, 0, 255), (5, 5, 15, 15))
    varied = np.asarray(vary_cutout(Cutout(image, "bird", ""), 200, np.random.default_rng(0)))
    assert varied[..., :3][varied[..., 3] > 25].max() <= 5


def test_texts_are_not_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut-out that is red on its left stays so as a road sign; as a bird it is mirrored about every other time."""
    monkeypatch.setattr(variation, "ROTATION", 0.0)
    image = Image.new("RGBA", (20, 20), (0, 0, 200, 255))
    image.paste((200, 0, 0, 255), (0, 0, 10, 20))

    def red_left(label: str) -> list[bool]:
        rng = np.random.default_rng(0)
        pictures = [np.asarray(vary_cutout(Cutout(image, label, ""), 20, rng)).astype(int) for _ in range(20)]
        return [bool(pixels[10, 2, 0] > pixels[10, 2, 2]) for pixels in pictures]

    assert all(red_left("road sign"))
    assert 4 <= sum(red_left("bird")) <= 16
