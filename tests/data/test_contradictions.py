"""Masks that most tags, or their own palette, contradict."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from stages.data import check, make_index
from stages.data.contradictions import find_contradiction, find_notes
from stages.data.mask_sights import MaskSight, named_by_image, sight_of
from stages.errors import DataError
from stages.images import voc_palette, write_mask
from stages.index import Record, write_index
from stages.settings import DataSettings

PALETTE = np.array(voc_palette(), dtype=np.uint8).reshape(256, 3)
CLASSES = ("disc", "square", "star")
# The tags of twelve images: singles and pairs.
TAGS = [(1,), (2,), (3,), (1, 2), (2,), (3,), (1,), (2, 3), (3,), (1,), (2,), (3,)]

Change = Callable[[np.ndarray], np.ndarray]


def draw(tags: Sequence[int], ring: bool = True) -> np.ndarray:
    """An object a tag, within the image, with the ignored ring of VOC's masks."""
    mask = np.zeros((24, 40), dtype=np.uint8)
    for place, value in enumerate(tags):
        left = 4 + 16 * place
        mask[4:18, left : left + 12] = 255 if ring else 0
        mask[5:17, left + 1 : left + 11] = value
    return mask


def renumbered(**values: int) -> Change:
    """What writes other values: v1=2 for 1 that becomes 2."""
    table = np.arange(256, dtype=np.uint8)
    for old, new in values.items():
        table[int(old[1:])] = new
    return lambda mask: table[mask]


def found(
    change: Change | None = None,
    *,
    tags: Sequence[Sequence[int]] = TAGS,
    own: Sequence[Sequence[int]] | None = None,
    palette: np.ndarray | None = None,
    ring: bool = True,
    classes: Sequence[str] = CLASSES,
) -> str:
    """What is said of masks that show `own` (the tags, if omitted), changed, in images of these tags."""
    return find_contradiction(*split_of(tags, change, own=own, palette=palette, ring=ring, classes=classes), classes)


def split_of(
    tags: Sequence[Sequence[int]],
    change: Change | None = None,
    *,
    own: Sequence[Sequence[int]] | None = None,
    palette: np.ndarray | None = None,
    ring: bool = True,
    classes: Sequence[str] = CLASSES,
) -> tuple[list[Record], dict[int, MaskSight]]:
    """The records and masks of images of these tags whose masks show `own`, or the tags, changed."""
    records, sights = [], {}
    for place, values in enumerate(tags):
        mask = draw((own or tags)[place], ring)
        labels = tuple(classes[value - 1] for value in values)
        records.append(Record(f"{place}", f"{place}.jpg", f"masks/{place}.png", labels, "val"))
        sights[place] = sight_of(change(mask) if change else mask, palette, Path(f"masks/{place}.png"))
    return records, sights


def other_palettes() -> list[np.ndarray | None]:
    short = PALETTE.copy()
    short[4:] = 0  # as tools write that name the colours of the classes alone
    rolled = PALETTE[[0, 2, 3, 1, *range(4, 256)]]  # VOC's colours, but this set's own order
    return [None, PALETTE, short, rolled, np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)]


@pytest.mark.parametrize("palette", other_palettes())
def test_right_masks_pass_with_any_palette(palette: np.ndarray | None) -> None:
    assert found(palette=palette) == ""


def test_small_objects_that_do_not_show_and_a_slip_pass() -> None:
    """VOC's own masks: 1 of 12,031 shows a class that is not tagged, 817 lack one that is."""
    tags = [TAGS[place % 12] for place in range(240)]
    own = [() if place % 14 == 0 else values for place, values in enumerate(tags)]
    own[1] = (3,)
    assert found(tags=tags, own=own, palette=PALETTE) == ""


@pytest.mark.parametrize("change", [renumbered(v1=2, v2=1), renumbered(v1=255, v2=255, v3=255)])
def test_two_masks_are_no_evidence(change: Change) -> None:
    assert found(change, tags=TAGS[:2], palette=PALETTE) == ""


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


def test_grey_masks_that_may_be_exchanged_are_a_note(tmp_path: Path) -> None:
    """Scenes whose class surrounds what is none, such as a clearing, look the same, and fit their tags as well."""
    singles = [tags for tags in TAGS if len(tags) == 1]
    records, sights = split_of(singles, lambda mask: np.where(mask == 0, mask.max(), 0).astype(np.uint8), ring=False)
    assert find_contradiction(records, sights, CLASSES) == ""
    (note,) = find_notes(records, sights, CLASSES)
    assert "in 10 of 10 masks a class surrounds the background along every border" in note


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


def test_incomplete_tags_are_a_note_and_no_error() -> None:
    records, sights = [], {}
    for place in range(8):
        shown = (1, 2) if place % 2 else (1, 3)
        records.append(Record(f"{place}", f"{place}.jpg", "m.png", ("disc",), "val"))
        sights[place] = sight_of(draw(shown), None, Path("m.png"))
    assert find_contradiction(records, sights, CLASSES) == ""
    (note,) = find_notes(records, sights, CLASSES)
    assert note.startswith("8 of 8 masks show a class that their image is not tagged with, e.g. m.png: 3 (star)")


def test_a_class_that_is_in_all_masks_and_rarely_tagged_is_a_note() -> None:
    """The docs let tags be incomplete: every mask shows its tags, and persons."""
    tags = [(1,) if place % 3 == 0 else (2,) if place % 3 == 1 else (3,) for place in range(21)]
    own = [tuple(sorted({1, *values})) for values in tags]
    records, sights = split_of(tags, own=own)
    assert find_contradiction(records, sights, CLASSES) == ""
    (note,) = find_notes(records, sights, CLASSES)
    assert "14 of 21 masks show a class that their image is not tagged with" in note


def test_every_second_mask_in_another_order_is_told() -> None:
    own = [values if place % 2 else tuple(value % 3 + 1 for value in values) for place, values in enumerate(TAGS)]
    text = found(own=own)
    assert "6 of 12 masks show other classes than their images' tags, e.g. masks/0.png: shows 2" in text
    assert "in another order than in the rest; 6 of them fit the tags if 1 is 3 (star), 2 is 1 (disc), 3 is 2" in text


@pytest.mark.parametrize(
    ("masks", "wrong", "stops", "noted"),
    [(30, 2, False, True), (30, 3, True, True), (100, 9, False, True), (100, 10, True, True), (300, 2, False, False),
     (300, 3, False, True), (300, 14, False, True), (300, 15, True, True)],
)  # fmt: skip
def test_how_many_masks_may_contradict_their_tags(masks: int, wrong: int, stops: bool, noted: bool) -> None:
    """At least 3 stop, 10 % of up to 100 masks, and 5 % of more; from 1 % on there is a note."""
    tags = [(1 + place % 3,) for place in range(masks)]
    own = [(1 + (place + 1 + place % 2) % 3,) if place < wrong else values for place, values in enumerate(tags)]
    records, sights = split_of(tags, own=own)
    assert bool(find_contradiction(records, sights, CLASSES)) is stops
    assert bool(find_notes(records, sights, CLASSES)) is noted


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


def test_masks_that_are_drawn_in_part_are_a_note() -> None:
    own = [values if place % 3 == 0 else () for place, values in enumerate(TAGS * 3)]
    records, sights = split_of(TAGS * 3, own=own)
    assert find_contradiction(records, sights, CLASSES) == ""
    assert "24 of 36 masks of tagged images are empty, e.g. masks/1.png (also 2.png, " in "".join(
        find_notes(records, sights, CLASSES)
    )


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


def test_masks_that_tagmask_made_are_named_by_their_images(tmp_path: Path) -> None:
    """Their files may be gone when the message is read."""
    sight = sight_of(draw((1,)), None, tmp_path / "a.png")
    other = sight_of(draw((1,)), None, tmp_path / "own/b.png")
    named = named_by_image({0: sight, 1: other}, {0: "photos/a.jpg", 1: "photos/b.jpg"}, tmp_path)
    assert [mask.name for mask in named.values()] == ["the mask of photos/a.jpg", str(tmp_path / "own/b.png")]


@pytest.fixture
def swapped(tmp_path: Path) -> Path:
    """A CSV set of six images whose masks have two classes exchanged, and its config."""
    records = []
    for place, value in enumerate((1, 2, 1, 2, 1, 2)):
        pixels = np.random.default_rng(place).integers(0, 256, (24, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{place}.png")
        write_mask(tmp_path / f"masks/{place}.png", draw((3 - value,)))
        records.append(Record(f"{place}", f"{place}.png", f"masks/{place}.png", (CLASSES[value - 1],), "train"))
    write_index(tmp_path / "train.csv", records)
    write_index(tmp_path / "val.csv", [Record("v", "0.png", "", ("disc",), "val")])
    content = {
        "experiment": "mine",
        "data": {"format": "csv", "root": str(tmp_path), "classes": list(CLASSES), "on_error": "skip"},
        "encode": {"weights": {"resnet101": "timm", "vit_base_patch16_224.dino": "timm"}},
        "segment": {"predict": ["val"]},
        "evaluate": {"maps": [], "segmenter": []},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_run_stops_even_if_it_may_leave_images_out(swapped: Path, processes: str) -> None:
    settings = DataSettings(format="csv", root=swapped, classes=CLASSES, on_error="skip").model_dump_json()
    options = ["--split", "train", "--root", str(swapped), "--processes", processes]
    with pytest.raises(DataError, match=r"train\.csv: 6 of 6 masks .* fit the tags if 1 is 2 \(square\), 2 is 1"):
        make_index.run(["--settings", settings, *options, "--output", str(swapped / "out.csv")])
    assert not (swapped / "out.csv").exists()


def test_the_check_says_what_the_run_says(swapped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=r"masks of train contradict .* whatever data\.on_error says"):
        check.run(["--config", str(swapped / "mine.yaml"), "--processes", "1"])
    assert "problem of the split: 6 of 6 masks show other classes" in capsys.readouterr().out
