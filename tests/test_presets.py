"""Configs written for a folder of photos: the preset, with the settings that depend on the folder."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.data.photo_folder import PhotoFolder
from stages.experiment import read_config, read_experiment
from stages.presets import FILES, Change, Preset, changes_for, experiment_name, render

REPOSITORY = Path(__file__).parents[1]
OF_ALL = {
    *("experiment", "data.root", "data.classes", "data.on_error", "data.shards", "data.longest_side"),
    *("data.folder.val", "encode.synonyms"),
}
OF_CPU = {
    *("localize.training.epochs", "segment.training.scales", "segment.training.iterations"),
    "segment.inference.scales",
}


def folder_of(photos: int, *, side: int = 4000, free: int | None = None) -> PhotoFolder:
    """Photos that are tagged by turns."""
    classes = ("Hund: klein", "cat", "yes")
    tags = {f"{number}.jpg": frozenset([classes[number % 3]]) for number in range(photos)}
    sides = tuple(sorted([side] * (photos - 1) + [side + 8]))
    return PhotoFolder(Path("my photos"), tags, classes, photos if free is None else free, (), sides)


def written(preset: Preset, folder: PhotoFolder) -> str:
    text = (REPOSITORY / FILES[preset]).read_text(encoding="utf-8")
    return render(text, changes_for(folder, preset, root=folder.root), header="Written.\nHow to run it.")


def without(content: dict[str, Any], paths: set[str]) -> dict[str, Any]:
    """A config without some settings."""
    for path in paths:
        *parents, last = path.split(".")
        branch = content
        for name in parents:
            branch = branch[name]
        del branch[last]
    return content


@pytest.mark.parametrize("photos", [60, 300, 3000])
@pytest.mark.parametrize(("preset", "changed"), [("cpu", OF_ALL | OF_CPU), ("gpu", OF_ALL)])
def test_the_config_is_the_preset_but_for_what_depends_on_the_folder(
    preset: Preset, changed: set[str], photos: int
) -> None:
    folder = folder_of(photos)
    assert set(changes_for(folder, preset, root=folder.root)) == changed
    content = yaml.safe_load(written(preset, folder))
    experiment = read_experiment(content, source="photos.yaml")
    assert experiment.experiment == "my_photos"
    assert (str(experiment.data.root), experiment.data.classes) == ("my photos", folder.classes)
    original = yaml.safe_load((REPOSITORY / FILES[preset]).read_text(encoding="utf-8"))
    assert without(content, changed) == without(original, changed)


@pytest.mark.parametrize("preset", ["cpu", "gpu"])
def test_every_choice_has_its_reason_above_it(preset: Preset) -> None:
    folder = folder_of(300)
    lines = written(preset, folder).splitlines()
    assert lines[:2] == ["# Written.", "# How to run it."]
    assert "CHANGE" not in "\n".join(lines)
    for path, change in changes_for(folder, preset, root=folder.root).items():
        (place,) = [
            number for number, line in enumerate(lines)
            if line.strip().startswith(f"{path.split('.')[-1]}:") and lines[number - 1].strip().startswith("#")
            and lines[number - 1].strip().removeprefix("# ") in change.why
        ]  # fmt: skip
        assert lines[place - 1].index("#") == len(lines[place]) - len(lines[place].lstrip())
    assert "    - cat # 100 photos" in lines
    assert max(map(len, lines)) <= 120


def test_the_preset_itself_is_a_config() -> None:
    experiment = read_config(REPOSITORY / FILES["cpu"])
    assert set(experiment.encode.weights.values()) == {"package"}
    assert experiment.evaluate.maps == experiment.evaluate.segmenter == ()
    assert experiment.segment.predict == ("train", "val")


@pytest.mark.parametrize(
    ("photos", "epochs", "iterations"), [(20, 64, 410), (60, 64, 430), (300, 8, 550), (3000, 4, 1900)]
)
def test_training_on_a_cpu_is_as_long_as_the_set_needs(photos: int, epochs: int, iterations: int) -> None:
    """Steps of 32 photos: one, one, 9 and 93 a pass."""
    content = yaml.safe_load(written("cpu", folder_of(photos)))
    assert content["localize"]["training"]["epochs"] == epochs
    assert content["segment"]["training"]["iterations"] == iterations


def test_small_photos_are_not_made_smaller_in_training() -> None:
    small = yaml.safe_load(written("cpu", folder_of(300, side=320)))
    assert small["segment"]["training"]["scales"] == [0.6, 1.2]
    large = yaml.safe_load(written("cpu", folder_of(300)))
    assert large["segment"]["training"]["scales"] == [0.38, 0.77]  # of 500 pixels, so much as of 320


def test_a_share_is_of_the_photos_whose_split_is_open() -> None:
    text = written("cpu", folder_of(60, free=10))
    assert "tags.csv says the split of 50 photos. Of the others, this share is val" in text
    assert yaml.safe_load(text)["data"]["folder"]["val"] == 0.2


@pytest.mark.parametrize(
    ("folder", "name"), [("photos", "photos"), ("Früh am Meer", "Fr_h_am_Meer"), ("照片", "photos"), (".x", "x")]
)
def test_names_of_folders_become_names_of_results(folder: str, name: str) -> None:
    assert experiment_name(Path(folder)) == name


def test_settings_are_replaced_with_the_comments_above_them() -> None:
    text = "# head\na: 1 # old\nb:\n  # of c\n  c:\n    d: [1,\n      2]\n    e: {}\n\n  # of f\n  f: 3\ng: 4\n"
    changes = {"a": Change("x: y", "new"), "b.c": Change(["p", "q"], "why", ["one", "two"]), "g": Change(5, "last")}
    assert render(text, changes, header="top") == (
        "# top\n# new\na: 'x: y'\nb:\n  # why\n  c:\n    - p # one\n    - q # two\n\n  # of f\n  f: 3\n# last\ng: 5\n"
    )
