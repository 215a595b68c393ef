"""Maps of one photo as a picture: every kind summed as the real maps are, the right classes, and where it is drawn."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from PIL import Image

from stages.errors import DataError, SettingsError
from stages.index import Record
from stages.labelling import enlarge_maps
from stages.localize import show
from stages.localize.checkpoint import save_localizer
from stages.localize.inference import make_maps, scale_to_one
from stages.localize.picture import GAP, LONGEST_SIDE, TITLE, draw_maps
from stages.map_colours import OPACITY
from stages.settings import MapSettings
from tests.localize.conftest import CLASSES

CPU = torch.device("cpu")
MAPS = {"size": 64, "scales": (1.0, 1.5)}


def experiment(maps: dict) -> dict:
    """A config whose localizer is the project's."""
    return {
        "experiment": "birds",
        "data": {"format": "csv", "root": ".", "classes": list(CLASSES)},
        "encode": {"weights": {"tf_efficientnet_lite0": "package"}},
        "segment": {"network": {"backbone": "tf_efficientnet_lite0"}},
        "localize": {
            "class_threshold": 0.001,
            "maps": maps,
            "backbone": {"kind": "hybrid", "model": "tf_efficientnet_lite0"},
        },
    }


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (70, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def project(tmp_path: Path, make_localizer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one experiment, in which the command runs."""
    localizer = make_localizer("hybrid", maps=MAPS)
    save_localizer(tmp_path / "results/birds" / show.LOCALIZER, localizer, CLASSES)
    (tmp_path / "results/birds" / show.PROVENANCE).write_text(json.dumps({"settings": experiment(MAPS)}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_combined_maps_and_probabilities_are_the_real_ones(make_localizer, photo: Path) -> None:
    localizer = make_localizer("hybrid", maps=MAPS)
    settings = localizer.settings
    maps, probabilities = show.maps_of_each_kind(photo, localizer=localizer, settings=settings.maps, device=CPU)
    records = [Record("photo", photo.name, "", CLASSES, "val")]
    (real,) = make_maps(records, photo.parent, localizer=localizer, classes=CLASSES, settings=settings, device=CPU)
    assert list(maps) == ["visual", "text", "combined"]
    np.testing.assert_allclose(scale_to_one(maps["combined"]), real.maps, atol=1e-4)
    np.testing.assert_allclose(probabilities, real.probabilities, atol=1e-5)
    torch.testing.assert_close(maps["visual"] + maps["text"], maps["combined"], atol=1e-4, rtol=1e-4)


def test_each_kind_is_what_maps_of_that_kind_alone_are(make_localizer, photo: Path) -> None:
    localizer = make_localizer("vit")
    both = MapSettings(**MAPS, class_attention=True)
    maps, _ = show.maps_of_each_kind(photo, localizer=localizer, settings=both, device=CPU)
    for kind in ("visual", "text"):
        alone = both.model_copy(update={"source": kind})
        expected, _ = show.maps_of_each_kind(photo, localizer=localizer, settings=alone, device=CPU)
        torch.testing.assert_close(maps[kind], expected["combined"], atol=1e-4, rtol=1e-4)


def test_a_single_kind_is_drawn_once(make_localizer, photo: Path) -> None:
    localizer = make_localizer("cnn", method="cam")
    maps, _ = show.maps_of_each_kind(photo, localizer=localizer, settings=MapSettings(size=64), device=CPU)
    assert list(maps) == ["combined"]


def test_a_large_photo_is_not_kept_larger_than_the_picture(make_localizer, tmp_path: Path) -> None:
    Image.new("RGB", (4000, 3000)).save(tmp_path / "large.png")
    localizer = make_localizer("hybrid")
    maps, _ = show.maps_of_each_kind(
        tmp_path / "large.png", localizer=localizer, settings=MapSettings(size=64), device=CPU
    )
    assert LONGEST_SIDE <= max(maps["combined"].shape) <= 1.1 * LONGEST_SIDE


def test_picture_has_a_row_a_class_and_a_column_a_kind() -> None:
    photo = Image.new("RGB", (200, 100), (40, 80, 120))
    random = np.random.default_rng(0)
    maps = {kind: random.random((2, 5, 10), dtype=np.float32) for kind in ("visual", "text")}
    picture = draw_maps(photo, maps, ["bird\n0.90", "coin\n0.20"])
    assert picture.height == TITLE + 2 * (100 + GAP)
    left = picture.width - 3 * (200 + GAP)  # of the photo: labels stand before it
    pixels = np.asarray(picture).astype(int)
    for row in range(2):
        top = TITLE + row * (100 + GAP)
        assert (pixels[top : top + 100, left : left + 200] == (40, 80, 120)).all()
        for column, kind in enumerate(maps.values(), start=1):
            heat = 255 * colormaps["turbo"](enlarge_maps(kind, (100, 200))[row])[..., :3]
            expected = (1 - OPACITY) * np.array([40, 80, 120]) + OPACITY * heat
            start = left + column * (200 + GAP)
            np.testing.assert_allclose(pixels[top : top + 100, start : start + 200], expected, atol=2)


def test_names_are_found_in_their_order_and_wrong_ones_explained() -> None:
    assert show.named_classes("coin, road sign", CLASSES) == [2, 1]
    with pytest.raises(SettingsError, match="no 'brid'; did you mean 'bird'\\? It knows bird, road sign, coin"):
        show.named_classes("coin,brid", CLASSES)


def test_found_classes_reach_the_threshold() -> None:
    probabilities = torch.tensor([0.5, 0.2, 0.9])
    assert show.found_classes(probabilities, CLASSES, threshold=0.5) == [2, 0]
    with pytest.raises(DataError, match="no class with a probability of 0.95 or more .the best: coin 0.90, bird 0.50"):
        show.found_classes(probabilities, CLASSES, threshold=0.95)


def test_the_only_experiment_is_taken_and_the_picture_lands_here(project: Path, photo: Path) -> None:
    show.run(["--image", str(photo), "--classes", "coin,bird"])
    with Image.open(project / "photo-maps.png") as picture:
        assert picture.format == "PNG"
        assert picture.height == TITLE + 2 * (70 + GAP)


def test_without_classes_those_that_are_found_are_drawn(
    project: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: list[str] = []
    monkeypatch.setattr(show, "draw_maps", lambda *given: titles.extend(given[2]) or draw_maps(*given))
    config = project / "config.yaml"
    config.write_text(json.dumps(experiment({"size": 64})))  # YAML contains JSON
    show.run(["--image", str(photo), "--config", str(config), "--output", str(project / "out/maps.png")])
    assert {title.split("\n")[0] for title in titles} == set(CLASSES)
    values = [float(title.split("\n")[1]) for title in titles]
    assert values == sorted(values, reverse=True)
    assert (project / "out/maps.png").is_file()


def test_the_maps_are_those_of_the_config_or_of_the_last_whole_run(
    project: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[MapSettings] = []
    whole = show.maps_of_each_kind
    monkeypatch.setattr(
        show, "maps_of_each_kind", lambda *given, **more: asked.append(more["settings"]) or whole(*given, **more)
    )
    show.run(["--image", str(photo), "--classes", "coin"])
    config = project / "config.yaml"
    config.write_text(json.dumps(experiment({"size": 96})))
    show.run(["--image", str(photo), "--classes", "coin", "--config", str(config)])
    assert asked == [MapSettings(**MAPS), MapSettings(size=96)]
    (project / "results/birds" / show.PROVENANCE).unlink()
    with pytest.raises(SettingsError, match=r"results/birds: no provenance.json yet.* name its config with --config"):
        show.run(["--image", str(photo), "--classes", "coin"])


def test_one_experiment_is_needed(project: Path, photo: Path) -> None:
    (project / "results/more").mkdir()  # without a localizer: does not count
    assert show.find_experiment(Path("results")) == Path("results/birds")
    again = project / "results/coins" / show.LOCALIZER
    again.parent.mkdir(parents=True)
    again.touch()
    with pytest.raises(DataError, match="choose one: --results results/birds . results/coins"):
        show.run(["--image", str(photo)])
    with pytest.raises(DataError, match="nowhere: no experiment has a localize/localizer.safetensors yet"):
        show.find_experiment(Path("nowhere"))


def test_what_cannot_be_read_is_named(project: Path) -> None:
    with pytest.raises(DataError, match="there.jpg is no file; name a photograph"):
        show.run(["--image", "there.jpg"])
    with pytest.raises(SettingsError, match="there.yaml: cannot be read as a config"):
        show.read_config(Path("there.yaml"))


def test_a_folder_in_place_of_the_picture_and_classes_of_another_config_are_told(project: Path, photo: Path) -> None:
    with pytest.raises(DataError, match="results: is a folder, in place of a file to write"):
        show.run(["--image", str(photo), "--output", "results"])
    config = experiment(MAPS)
    config["data"]["classes"] = list(reversed(CLASSES))
    (project / "config.yaml").write_text(json.dumps(config))
    with pytest.raises(
        SettingsError, match=rf"classes of config.yaml are {', '.join(reversed(CLASSES))}, but .* knows"
    ):
        show.run(["--image", str(photo), "--config", "config.yaml"])


def test_commas_too_many_name_no_class() -> None:
    assert show.named_classes("b, a ,,a,", ("a", "b")) == [1, 0]
    with pytest.raises(SettingsError, match="--classes: ' , ' names no class; the localizer knows a, b"):
        show.named_classes(" , ", ("a", "b"))
