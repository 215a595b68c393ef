"""The composed set: layout, truth of tags and masks, splits apart, equal bytes for equal seeds."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.data.demo import compose, prepare_cutouts
from stages.data.demo.cutouts import read_cutout
from stages.data.demo.lists import read_background_list, read_cutout_list
from stages.data.demo.material import compose_set
from stages.encode.cutout_views import read_cutouts
from stages.errors import DataError
from stages.images import read_image, read_mask, voc_palette


def build(source, output: Path, *, seed: int = 0, processes: int = 1) -> Path:
    compose_set(
        output,
        source.files,
        source.cutouts,
        source.backgrounds,
        settings=source.settings,
        seed=seed,
        processes=processes,
    )
    return output


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_layout_tags_and_masks(source, tmp_path: Path) -> None:
    folder = build(source, tmp_path / "set")
    with (folder / "tags.csv").open() as stream:
        tags = {row["id"]: row for row in csv.DictReader(stream)}
    names = {split: (folder / f"ImageSets/Segmentation/{split}.txt").read_text().split() for split in ("train", "val")}
    assert len(names["train"]) == 12
    assert len(names["val"]) == 6
    assert len(tags) == 24
    sizes = {read_image(folder / f"JPEGImages/{name}.jpg").size for name in names["train"]}
    assert len(sizes) > 6  # each picture has random numbers of its own
    for name, row in tags.items():
        image, mask = read_image(folder / f"JPEGImages/{name}.jpg"), read_mask(folder / f"SegmentationClass/{name}.png")
        assert image.size == mask.shape[::-1]
        assert all(100 <= side <= 140 for side in image.size)
        assert set(np.unique(mask)) <= {0, 1, 2, 3, 255}
        assert (mask == 255).any()
        shown = {source.settings.classes[value - 1] for value in np.unique(mask) if 0 < value < 255}
        assert shown == set(row["labels"].split(";"))
        assert row["caption"].count("A ") == len(shown)
        assert "Ein" not in row["caption"]
    with Image.open(folder / f"SegmentationClass/{names['val'][0]}.png") as opened:
        assert opened.mode == "P"
        assert opened.getpalette() == voc_palette()


def test_splits_share_no_cutout(source, tmp_path: Path) -> None:
    """In the made-up source an object's colour tells its split: red, green, blue."""
    folder = build(source, tmp_path / "set")
    for channel, split in enumerate(("train", "val", "test")):
        for name in (folder / f"ImageSets/Segmentation/{split}.txt").read_text().split():
            pixels = np.asarray(read_image(folder / f"JPEGImages/{name}.jpg")).astype(int)
            mask = read_mask(folder / f"SegmentationClass/{name}.png")
            objects = pixels[(mask > 0) & (mask < 255)]
            assert (objects.argmax(axis=1) == channel).mean() > 0.99  # JPEG blurs colours along edges


def test_training_material_alone_is_kept(source, tmp_path: Path) -> None:
    folder = build(source, tmp_path / "set")
    with (folder / "Cutouts/train.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["class"] for row in rows] == ["bird"] * 2 + ["coin"] * 2 + ["road sign"] * 2
    assert rows[0]["caption"] == "A bird, square."
    with Image.open(folder / rows[0]["image"]) as cutout:
        assert cutout.mode == "RGBA"
        assert cutout.size == (60, 40)  # trimmed
        assert cutout.getpixel((30, 20)) == (220, 40, 40, 255)
    assert len(list((folder / "Backgrounds/train").iterdir())) == 2
    assert [path.name for path in (folder / "Cutouts").iterdir() if path.is_dir()] == ["train"]


def test_equal_seeds_give_equal_bytes_in_any_number_of_processes(source, tmp_path: Path) -> None:
    first = contents(build(source, tmp_path / "first"))
    assert contents(build(source, tmp_path / "second", processes=2)) == first
    other = contents(build(source, tmp_path / "third", seed=1))
    assert other.keys() == first.keys()
    assert other != first


def test_a_failure_leaves_no_half_set(source, tmp_path: Path) -> None:
    first = source.cutouts[0].file
    del source.files[first]
    with pytest.raises(DataError, match=f"{first}: not among the unpacked sources"):
        build(source, tmp_path / "out" / "set")
    assert list((tmp_path / "out").iterdir()) == []


def test_class_without_cutouts_in_a_split_is_refused(source, tmp_path: Path) -> None:
    left = [item for item in source.cutouts if not (item.label == "coin" and item.split == "val")]
    with pytest.raises(DataError, match="class 'coin' has no cut-out"):
        build(dataclasses.replace(source, cutouts=left), tmp_path / "set")


@pytest.mark.parametrize("mode", ["P", "LA", "L"])
def test_palette_and_grey_stamps_become_rgba(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "stamp.png"
    if mode == "LA":
        image = Image.new("LA", (9, 9), (0, 0))
        image.paste((100, 255), (2, 2, 7, 7))
        image.save(path)
    else:
        image = Image.new(mode, (9, 9), 3)
        if mode == "P":
            image.putpalette([0, 0, 0, 100, 100, 100, 0, 0, 0, 255, 255, 255])
        image.paste(1 if mode == "P" else 100, (2, 2, 7, 7))
        image.save(path, transparency=3)
    cutout = read_cutout(path, label="coin")
    assert cutout.image.size == (5, 5)
    assert cutout.image.getcolors() == [(25, (100, 100, 100, 255))]
    assert cutout.caption == ""


def test_broken_or_empty_stamp_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    Image.new("RGBA", (4, 4)).save(tmp_path / "empty.png")
    with pytest.raises(DataError, match=r"broken\.png: cannot be read"):
        read_cutout(tmp_path / "broken.png", label="coin")
    with pytest.raises(DataError, match=r"empty\.png: a cut-out without a visible pixel"):
        read_cutout(tmp_path / "empty.png", label="coin")


def test_command_composes_from_the_projects_own_lists(source, tmp_path: Path) -> None:
    """Every listed name stands for a made-up stamp, so the command runs without the packages."""
    stamp, photograph = source.files["train-bird-disc.png"], source.files["train-0.jpg"]
    files = {item.file: str(stamp) for item in read_cutout_list()}
    files |= {item.file: str(photograph) for item in read_background_list()}
    (tmp_path / "sources.json").write_text(json.dumps({"files": files}))
    arguments = ["--seed", "0", "--sources", str(tmp_path / "sources.json"), "--output", str(tmp_path / "set")]
    compose.run(["--settings", source.settings.model_dump_json(), *arguments])
    assert len(list((tmp_path / "set/JPEGImages").iterdir())) == 24
    (tmp_path / "sources.json").write_text("[]")
    with pytest.raises(DataError, match="no entry `files`"):
        compose.run(["--settings", source.settings.model_dump_json(), *arguments])


def test_cutouts_are_prepared_for_a_set_with_other_classes(source, tmp_path: Path, monkeypatch) -> None:
    """All listed ones of train and no other, with class and caption, as packaged towers read them."""
    monkeypatch.setattr(prepare_cutouts, "read_cutout_list", lambda: source.cutouts)
    monkeypatch.setattr(prepare_cutouts, "read_background_list", lambda: source.backgrounds)
    sources = {"files": {name: str(path) for name, path in source.files.items()}}
    (tmp_path / "sources.json").write_text(json.dumps(sources))
    settings = json.dumps({"format": "folder", "root": "photos", "classes": ["cow", "car"]})
    words = ["--settings", settings, "--sources", str(tmp_path / "sources.json"), "--output", str(tmp_path / "made")]
    prepare_cutouts.run(words)
    found = read_cutouts(tmp_path / "made")
    assert [(cutout.name, cutout.caption) for cutout in found] == [
        (label, f"A {label}, {shape}.") for label in ("bird", "coin", "road sign") for shape in ("square", "disc")
    ]
    with Image.open(found[0].path) as stored:
        assert stored.mode == "RGBA"
        assert stored.getpixel((30, 20))[0] > 200  # red, the colour of train's
    assert len(list((tmp_path / "made/Backgrounds/train").glob("*.jpg"))) == 2
