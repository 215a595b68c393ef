"""Masks that most tags, or their own palette, contradict."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from stages.data import check, make_index
from stages.data.contradictions import find_contradiction, find_notes
from stages.data.mask_sights import named_by_image, sight_of
from stages.errors import DataError
from stages.images import write_mask
from stages.index import Record, write_index
from stages.settings import DataSettings
from tests.data.drawn_masks import CLASSES, PALETTE, TAGS, Change, draw, found, renumbered, split_of


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


def test_grey_masks_that_may_be_exchanged_are_a_note(tmp_path: Path) -> None:
    """Scenes whose class surrounds what is none, such as a clearing, look the same, and fit their tags as well."""
    singles = [tags for tags in TAGS if len(tags) == 1]
    records, sights = split_of(singles, lambda mask: np.where(mask == 0, mask.max(), 0).astype(np.uint8), ring=False)
    assert find_contradiction(records, sights, CLASSES) == ""
    (note,) = find_notes(records, sights, CLASSES)
    assert "in 10 of 10 masks a class surrounds the background along every border" in note


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


def test_masks_that_are_drawn_in_part_are_a_note() -> None:
    own = [values if place % 3 == 0 else () for place, values in enumerate(TAGS * 3)]
    records, sights = split_of(TAGS * 3, own=own)
    assert find_contradiction(records, sights, CLASSES) == ""
    assert "24 of 36 masks of tagged images are empty, e.g. masks/1.png (also 2.png, " in "".join(
        find_notes(records, sights, CLASSES)
    )


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
