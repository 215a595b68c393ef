"""Prediction of a folder of photos."""

import csv
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from stages.errors import DataError
from stages.files import write_json
from stages.images import read_mask
from stages.segment import photos, predict
from stages.segment.model import load_segmenter
from stages.segment.photos import enlarged_labels, find_photos, predict_photo
from stages.segment.predict import overlay_picture
from stages.segment.rounds import segmenter_file
from stages.settings import InferenceSettings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    folder = tmp_path / "my photos"
    for name, size in (("a.jpg", (60, 80, 3)), ("süß/b c.png", (300, 100, 3))):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, size, dtype=np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("no photo")
    return folder


def test_masks_overlays_and_areas_of_a_folder(folder: Path, segmenter_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    predict.run(["--images", str(folder), "--output", str(output), "--segmenter", str(segmenter_file)])
    found = sorted(path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file())
    assert found == ["areas.csv", "masks/a.png", "masks/süß/b c.png", "overlays/a.jpg", "overlays/süß/b c.jpg"]
    mask = read_mask(output / "masks/süß/b c.png")
    assert mask.shape == (300, 100)
    with (output / "areas.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["image"] for row in rows} == {"a.jpg", "süß/b c.png"}
    counted = {row["class"]: int(row["pixels"]) for row in rows if row["image"] == "süß/b c.png"}
    names = ("background", "blue", "red")
    assert counted == {names[label]: int((mask == label).sum()) for label in np.unique(mask)}
    assert sum(float(row["share"]) for row in rows) == pytest.approx(2, abs=1e-3)


def test_a_large_photo_is_predicted_small_and_enlarged(segmenter_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = load_segmenter(segmenter_file)
    sizes = []
    original = photos.class_probabilities

    def noted(model, pixels, settings):
        sizes.append(tuple(pixels.shape))
        return original(model, pixels, settings)

    monkeypatch.setattr(photos, "class_probabilities", noted)
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 200, 3), dtype=np.uint8))
    for settings in (InferenceSettings(), InferenceSettings(crf="irn")):
        mask = predict_photo(segmenter, photo, settings, longest_side=100)
        assert mask.shape == (90, 200)
        assert mask.max() <= 2
    assert sizes == [(3, 45, 100)] * 2


def test_labels_enlarged_one_by_one_are_those_enlarged_at_once() -> None:
    scores = torch.rand(5, 7, 9)
    at_once = torch.nn.functional.interpolate(scores[None], (31, 20), mode="bilinear", align_corners=False)[0]
    assert torch.equal(enlarged_labels(scores, (31, 20)).long(), at_once.argmax(dim=0))


def test_overlay_leaves_background_as_it_is() -> None:
    photo = Image.new("RGB", (2, 1), (100, 200, 40))
    picture = np.asarray(overlay_picture(photo, np.array([[0, 1]], dtype=np.uint8)))
    assert picture[0, 0].tolist() == [100, 200, 40]
    assert picture[0, 1].tolist() == [114, 100, 20]  # half of it, half of VOC's first colour (128, 0, 0)


def test_mistakes_are_named(folder: Path, segmenter_file: Path, tmp_path: Path) -> None:
    given = ["--output", str(tmp_path / "out"), "--segmenter", str(segmenter_file)]
    with pytest.raises(DataError, match="nowhere is no folder"):
        predict.run(["--images", str(tmp_path / "nowhere"), *given])
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="empty holds no photo"):
        predict.run(["--images", str(empty), *given])
    shutil.copy(folder / "a.jpg", folder / "a.jpeg")
    with pytest.raises(DataError, match=r"a\.jpeg and .*a\.jpg would have one mask"):
        find_photos(folder)
    (folder / "a.jpeg").unlink()
    (folder / "z.jpg").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"z\.jpg: cannot be read as an image"):
        predict.run(["--images", str(folder), *given])
    assert not (tmp_path / "out").exists()


def test_what_is_in_the_way_is_told_before_the_network_is_loaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "load_segmenter", lambda path: pytest.fail("loaded"))
    (tmp_path / "file").touch()
    (tmp_path / "gone").symlink_to("nothing")
    shutil.copytree(folder, tmp_path / "twice")
    shutil.copy(folder / "a.jpg", tmp_path / "twice/a.jpeg")
    for images, output, message in (
        (folder, "file/x", "file/x: cannot be written, since .*/file is a file; choose another path"),
        (folder, "file", "--output: .*/file is a file; name a folder"),
        (folder, "gone/x/y", "since .*/gone is a link to nothing"),
        (folder, "gone", "--output: .*/gone is a link to nothing; name a folder"),
        (folder / "a.jpg", "out", "is no folder; name the folder with the photos: .*my photos$"),
        (tmp_path / "nowhere", "out", "is no folder; correct the path"),
        (tmp_path / "twice", "out", "would have one mask"),
    ):
        words = ["--images", str(images), "--output", str(tmp_path / output), "--segmenter", "none"]
        with pytest.raises(DataError, match=message):
            predict.run(words)


def test_probabilities_that_are_no_numbers_are_no_background(segmenter_file: Path) -> None:
    segmenter = load_segmenter(segmenter_file)
    segmenter.model.decode_head.conv_seg.bias.data[:] = torch.nan
    photo = Image.new("RGB", (40, 30))
    for settings in (InferenceSettings(), InferenceSettings(crf="irn")):
        with pytest.raises(DataError, match=r"a\.jpg: a probability has numbers that are not finite"):
            predict_photo(segmenter, photo, settings, longest_side=100, name="a.jpg")


def test_links_to_themselves_do_not_stop_the_search(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "loop").symlink_to("loop")
    assert len(find_photos(folder)) == 2
    assert f"{folder / 'loop'}: no folder to search" in caplog.text
    (folder / "z.jpg").symlink_to("z.jpg")
    with pytest.raises(DataError, match=r"z\.jpg: cannot be read as an image"):
        predict.check_photos(folder, find_photos(folder))


def test_the_only_segmenter_is_found(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no experiment has a segment"):
        predict.find_segmenter(tmp_path)
    for name in ("birds", "coins"):
        path = tmp_path / name / predict.SEGMENTER
        path.parent.mkdir(parents=True)
        path.touch()
        if name == "birds":
            assert predict.find_segmenter(tmp_path) == path
    with pytest.raises(DataError, match="choose one: --segmenter .*birds.* . .*coins"):
        predict.find_segmenter(tmp_path)


def test_of_several_rounds_the_last_one_is_found(tmp_path: Path) -> None:
    paths = [tmp_path / "birds" / segmenter_file(number) for number in (1, 2)]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.touch()
    with pytest.raises(DataError, match=r"choose one: --segmenter .*pseudo_masks/.* . .*pseudo_masks-round2/"):
        predict.find_segmenter(tmp_path)
    for settings, found in (({"rounds": 2}, paths[1]), ({}, paths[0])):  # those of the last whole run
        write_json(tmp_path / "birds/provenance.json", {"settings": {"segment": settings}})
        assert predict.find_segmenter(tmp_path) == found


def names_of(output: Path) -> list[str]:
    return sorted(path.relative_to(output).as_posix() for path in (output / "masks").rglob("*") if path.is_file())


@pytest.mark.parametrize("place", ["masks", ".", "deep/er"])
def test_predictions_among_the_photos_are_no_photos(
    folder: Path, segmenter_file: Path, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    output = folder / place
    command = ["--images", str(folder), "--output", str(output), "--segmenter", str(segmenter_file)]
    expected = ["masks/a.png", "masks/süß/b c.png"]
    for _ in range(3):
        predict.run(command)
        assert names_of(output) == expected
        assert len(list(output.rglob("*.jpg"))) == (3 if place == "." else 2)
    # An output elsewhere finds them by their table.
    predict.run([*command[:2], "--output", str(folder / "again"), *command[4:]])
    assert names_of(folder / "again") == expected
    with caplog.at_level("INFO"):
        assert [path.as_posix() for path in find_photos(folder)] == ["a.jpg", "süß/b c.png"]
    assert f"{output / 'masks'}: left out" in caplog.text
    assert "no photos: 2 .csv, 1 .txt" in caplog.text
    for part in (output, output / "masks", output / "masks/süß"):
        if part != folder:
            with pytest.raises(DataError, match="holds no photo but predictions"):
                find_photos(part)


def test_a_killed_prediction_leaves_no_photos(
    folder: Path, segmenter_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["--images", str(folder), "--output", str(folder / "out"), "--segmenter", str(segmenter_file)]

    def killed(*words: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(predict, "overlay_picture", killed)
        with pytest.raises(KeyboardInterrupt):
            predict.run(command)
    assert names_of(folder / "out") == ["masks/a.png"]
    assert len(find_photos(folder)) == 2
    predict.run(command)
    assert names_of(folder / "out") == ["masks/a.png", "masks/süß/b c.png"]


def test_photos_inside_the_output_are_predicted(folder: Path, segmenter_file: Path) -> None:
    output = folder.parent
    for _ in range(2):
        predict.run(["--images", str(folder), "--output", str(output), "--segmenter", str(segmenter_file)])
        assert names_of(output) == ["masks/a.png", "masks/süß/b c.png"]


def test_files_of_others_are_not_replaced(folder: Path, segmenter_file: Path, tmp_path: Path) -> None:
    for name in ("masks/a.png", "overlays/a.jpg", "areas.csv"):
        output = tmp_path / name.replace("/", "-")
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_bytes(b"drawn by hand")
        with pytest.raises(DataError, match=f"{name.split('/')[0]} is there already and holds no predictions"):
            predict.run(["--images", str(folder), "--output", str(output), "--segmenter", str(segmenter_file)])
        assert (output / name).read_bytes() == b"drawn by hand"
    with pytest.raises(DataError, match=r"a\.jpg is a file; name a folder"):
        predict.check_output(folder / "a.jpg")


def test_linked_folders_are_searched_once_and_without_loops(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "in").mkdir(parents=True)
    shutil.copy(folder / "a.jpg", elsewhere / "in/c.JPG")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "z file.jpg").symlink_to(elsewhere / "in/c.JPG")
    expected = ["a.jpg", "linked/in/c.JPG", "süß/b c.png", "z file.jpg"]
    assert [path.as_posix() for path in find_photos(folder)] == expected
    (elsewhere / "back").symlink_to(folder)
    (folder / "süß/up").symlink_to("..")
    (folder / "another name").symlink_to("süß")
    assert [path.as_posix() for path in find_photos(folder)] == expected
    (folder / "gone.jpg").symlink_to(elsewhere / "nothing")
    with pytest.raises(DataError, match=r"gone\.jpg: no such image"):
        predict.check_photos(folder, find_photos(folder))


def test_every_photo_has_a_mask_of_its_own(folder: Path) -> None:
    (folder / "other").mkdir()
    shutil.copy(folder / "a.jpg", folder / "other/a.jpg")
    assert len(find_photos(folder)) == 3
    (folder / "a.png").mkdir()
    shutil.copy(folder / "a.jpg", folder / "a.png/b.jpg")
    with pytest.raises(DataError, match=r"the mask of .*a\.jpg would have the name of the folder a\.png"):
        find_photos(folder)


def test_a_name_too_long_for_its_mask_is_told(folder: Path, segmenter_file: Path) -> None:
    shutil.move(folder / "a.jpg", folder / f"{'ä' * 120}.jpg")
    predict.run(["--images", str(folder), "--output", str(folder / "o"), "--segmenter", str(segmenter_file)])
    assert (folder / f"o/masks/{'ä' * 120}.png").is_file()
    shutil.copy(folder / f"{'ä' * 120}.jpg", folder / f"{'ä' * 121}.jpg")
    with pytest.raises(DataError, match="is too long for its mask's; shorten it to 240 bytes"):
        find_photos(folder)


def test_a_name_that_is_no_text_is_told(folder: Path) -> None:
    shutil.copy(folder / "a.jpg", bytes(folder) + b"/caf\xe9.jpg")
    with pytest.raises(DataError, match=r"caf.*is not UTF-8; rename it"):
        find_photos(folder)


def test_all_broken_photos_are_told_before_any_is_predicted(folder: Path, segmenter_file: Path, tmp_path: Path) -> None:
    whole = (folder / "a.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "z.jpg").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"cut\.jpg: cannot be read as an image .*\n.*z\.jpg: cannot be read"):
        predict.run(["--images", str(folder), "--output", str(tmp_path / "o"), "--segmenter", str(segmenter_file)])
    assert not (tmp_path / "o").exists()


def test_thin_photos_are_predicted(make_settings, build) -> None:
    model = build(make_settings()).eval()
    segmenter = SimpleNamespace(model=model, classes=("blue", "red"))
    settings = [InferenceSettings(), InferenceSettings(scales=(0.5, 1.5), flip=True, crf="irn", window=64)]
    for size in ((1, 300), (300, 1), (1, 1), (1500, 2), (40, 29)):
        for inference in settings:
            mask = predict_photo(segmenter, Image.new("RGB", size[::-1]), inference, longest_side=300)
            assert mask.shape == size
