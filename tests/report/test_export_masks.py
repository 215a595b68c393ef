"""`tagmask export`: what is in the folder, under which names, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from pycocotools.coco import COCO

from stages.data.left_out import write_left_out
from stages.errors import DataError, SettingsError
from stages.files import write_json
from stages.images import read_mask, write_mask
from stages.index import Record, write_classes, write_index
from stages.mask_formats.labelme import read_labelme
from stages.mask_formats.yolo import read_yolo
from stages.refine import read_mended
from stages.refine.mended import MendedRow, read_mended_list, write_mended
from stages.report.export_choices import Format
from stages.report.export_masks import run
from stages.report.exporters import EXPORTERS
from stages.segment.rounds import round_folder
from tests.mask_formats.drawn import Mask, blobs, rings
from tests.small_config import change, demo_config

CLASSES = ("red disc", "blue square", "tree")
NAMES = {"train": ("am Strand/erstes Bild.jpg", "2.png", "a/b/3.jpeg"), "val": ("val.jpg",)}


def id_of(image: str) -> str:
    return Path(image).with_suffix("").as_posix().replace("/", "_")


@pytest.fixture
def masks() -> dict[str, Mask]:
    return {
        "am Strand/erstes Bild.jpg": rings() % 255,
        "2.png": blobs(1),
        "a/b/3.jpeg": blobs(2) * 0,
        "val.jpg": blobs(3),
    }


@pytest.fixture
def results(tmp_path: Path, masks: dict[str, Mask], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished experiment in two shards, as far as its masks go."""
    monkeypatch.chdir(tmp_path)
    folder = Path("results/few")
    for split, images in NAMES.items():
        records = [Record(id_of(image), image, "", CLASSES, split) for image in images]
        write_index(folder / f"data/{split}.csv", records)
        write_left_out(folder / f"data/left_out/{split}.csv", [])
        for number, record in enumerate(records):
            mask = masks[record.image]
            path = Path("photos") / record.image
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", mask.shape[::-1]).save(path)
            for shard in range(2):
                (folder / f"refine/masks/{split}/{shard}").mkdir(parents=True, exist_ok=True)
            write_mask(folder / f"refine/masks/{split}/{number % 2}/{record.id}.png", mask)
    write_classes(folder / "data/classes.txt", CLASSES)
    write_json(folder / "provenance.json", {"settings": settings()})
    return folder


def settings(**refine: object) -> dict:
    config = demo_config()
    config["data"] = {"format": "folder", "root": "photos", "classes": list(CLASSES), "shards": 2}
    return config | {"experiment": "few", "refine": refine}


def export(kind: str, *more: str) -> Path:
    run(["--results", "results/few", "--format", kind, "--output", f"out/{kind}", *more])
    return Path("out") / kind


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def test_pngs_have_the_photos_names(results: Path, masks: dict[str, Mask]) -> None:
    folder = export("png")
    photos = {Path(name).with_suffix(".png").as_posix(): mask for name, mask in masks.items()}
    assert files_of(folder) == {*photos, "classes.txt", "exported.csv"}
    for name, mask in photos.items():
        np.testing.assert_array_equal(read_mask(folder / name), mask)
    assert (folder / "classes.txt").read_text().splitlines() == list(CLASSES)


def test_labelme_files_have_the_photos_names_and_lead_to_them(results: Path, masks: dict[str, Mask]) -> None:
    folder = export("labelme", "--tolerance", "0", "--splits", "train")
    files = {Path(name).with_suffix(".json").as_posix(): name for name in NAMES["train"]}
    assert files_of(folder) == {*files, "labels.txt", "exported.csv"}
    for file, image in files.items():
        content = json.loads((folder / file).read_text(encoding="utf-8"))
        assert ((folder / file).parent / content["imagePath"]).resolve() == (Path("photos") / image).resolve()
        np.testing.assert_array_equal(read_labelme(folder / file, masks[image].shape, CLASSES), masks[image])


@pytest.mark.parametrize("rle", [True, False])
def test_pycocotools_reads_the_coco_file(results: Path, masks: dict[str, Mask], rle: bool) -> None:
    folder = export("coco", "--tolerance", "0", *(["--rle"] if rle else []))
    assert files_of(folder) == {"annotations/instances_train.json", "annotations/instances_val.json", "exported.csv"}
    coco = COCO(folder / "annotations/instances_train.json")
    assert [item["name"] for item in coco.loadCats(coco.getCatIds())] == list(CLASSES)
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == list(NAMES["train"])
    for image in coco.loadImgs(coco.getImgIds()):
        drawn = np.zeros(masks[image["file_name"]].shape, dtype=np.uint8)
        for item in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
            assert isinstance(item["segmentation"], dict) == rle
            drawn[coco.annToMask(item) == 1] = item["category_id"]
        np.testing.assert_array_equal(drawn, masks[image["file_name"]])


def test_yolo_has_labels_lists_and_links(results: Path, masks: dict[str, Mask]) -> None:
    folder = export("yolo", "--tolerance", "0")
    description = yaml.safe_load((folder / "data.yaml").read_text())
    assert description == {"train": "train.txt", "val": "val.txt", "names": dict(enumerate(CLASSES))}
    for split, images in NAMES.items():
        listed = (folder / f"{split}.txt").read_text().splitlines()
        assert listed == [f"./images/{split}/{image}" for image in images]
        for line, image in zip(listed, images, strict=True):
            assert (folder / line).resolve() == (Path("photos") / image).resolve()
            # As the tools find a photo's labels: another folder, another extension.
            labels = (folder / line.replace("/images/", "/labels/")).with_suffix(".txt")
            np.testing.assert_array_equal(read_yolo(labels, masks[image].shape, 3), masks[image])


def test_counts_are_printed(results: Path, masks: dict[str, Mask], capsys: pytest.CaptureFixture[str]) -> None:
    export("png", "--splits", "train")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("train: 3 images, ")
    assert line.endswith(" with holes, 1 images without any")


def test_specks_may_be_left_out(results: Path, masks: dict[str, Mask], capsys: pytest.CaptureFixture[str]) -> None:
    mask = np.zeros((10, 12), dtype=np.uint8)
    mask[2:6, 2:6], mask[8, 8:11], mask[0, 11] = 1, 2, 3  # 16, 3 and 1 pixels
    write_mask(results / "refine/masks/val/0/val.png", mask)
    folder = export("labelme", "--splits", "val", "--smallest", "4")
    np.testing.assert_array_equal(read_labelme(folder / "val.json", mask.shape, CLASSES), np.where(mask == 1, 1, 0))
    assert "1 regions (red disc 1)" in (said := capsys.readouterr().out)
    assert said.rstrip().endswith("4 points; 2 regions left out as too small")


def test_the_folder_appears_whole_or_not_at_all(results: Path) -> None:
    (results / "refine/masks/train/1/2.png").unlink()
    with pytest.raises(DataError, match="2.png: no such mask"):
        export("png")
    assert not Path("out/png").exists()
    Path("out/coco").mkdir(parents=True)
    Path("out/coco/mine.txt").write_text("mine")
    with pytest.raises(DataError, match="out/coco: is not empty, and nothing is written over; name a new folder"):
        export("coco", "--splits", "val")
    assert files_of(Path("out/coco")) == {"mine.txt"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--splits", "test"], "no pseudo_masks of test (there are those of train, val)"),
        (["--masks", "predictions"], "no predictions of any split (there are those of none)"),
        (["--masks", "predictions", "--splits", "train"], "add it to segment.predict and run again"),
        (["--tolerance", "-1"], "--tolerance: -1; give pixels from 0"),
        (["--rle"], "--rle: png has no run lengths"),
        (["--smallest", "5"], "--smallest: a PNG has every pixel"),
    ],
)
def test_what_cannot_be_exported_is_named(results: Path, words: list[str], message: str) -> None:
    with pytest.raises((DataError, SettingsError)) as error:
        export("png", *words)
    assert message in str(error.value)


def test_settings_come_from_the_config_until_a_run_has_ended(results: Path) -> None:
    (results / "provenance.json").unlink()
    with pytest.raises(SettingsError, match="no provenance.json yet, which has the settings; name the config"):
        export("png")
    Path("few.yaml").write_text(yaml.safe_dump(settings()))
    assert len(files_of(export("png", "--config", "few.yaml"))) == 6


def test_predictions_are_of_the_last_round(results: Path, masks: dict[str, Mask]) -> None:
    for rounds, label in ((1, 1), (2, 2)):
        for shard in range(2):
            for path in (results / f"refine/masks/train/{shard}").glob("*.png"):
                made = np.full(read_mask(path).shape, label, dtype=np.uint8)
                write_mask(results / f"segment/{round_folder(rounds)}/predictions/train/{shard}/{path.name}", made)
        write_json(results / "provenance.json", {"settings": change(settings(), "segment.rounds", rounds)})
        folder = Path(f"out/{rounds}")
        words = ("--masks", "predictions", "--splits", "train")
        run(["--results", "results/few", "--format", "png", "--output", str(folder), *words])
        written = list(folder.rglob("*.png"))
        assert written
        assert all((read_mask(path) == label).all() for path in written)


def test_photos_of_one_name_are_refused(results: Path) -> None:
    write_index(results / "data/val.csv", [Record("2", "2.jpg", "", CLASSES, "val")])
    (results / "refine/masks/val/0/val.png").rename(results / "refine/masks/val/0/2.png")
    with pytest.raises(DataError, match="2.png and 2.jpg would have one file; export their splits one by one"):
        export("labelme")
    assert len(files_of(export("png", "--splits", "val"))) == 3


def test_mended_masks_are_exported_in_the_place_of_pseudo_masks(results: Path, masks: dict[str, Mask]) -> None:
    mended = np.where(masks["2.png"] == 1, 255, masks["2.png"]).astype(np.uint8)
    write_mask(results / "refine/mended/2.png", mended)
    write_mended(results / "refine/mended.csv", [MendedRow("2", "2.png", "x.png", "0")])
    np.testing.assert_array_equal(read_mask(export("png", "--splits", "train") / "2.png"), masks["2.png"])
    write_json(results / "provenance.json", {"settings": settings(mended="mended")})
    folder = export("labelme", "--splits", "train", "--tolerance", "0")
    np.testing.assert_array_equal(read_labelme(folder / "2.json", mended.shape, CLASSES), mended)
    # It stays mended, whether it is changed again or not.
    assert "2.png" not in (folder / "exported.csv").read_text()
    assert "a/b/3.jpeg" in (folder / "exported.csv").read_text()


@pytest.mark.parametrize(
    ("kind", "place"), [("labelme", ""), ("png", ""), ("coco", "annotations/instances_train.json")]
)
def test_what_was_exported_is_mended_once_it_is_changed(
    results: Path, masks: dict[str, Mask], kind: str, place: str
) -> None:
    """Out, one mask changed, and back in."""
    folder = export(kind, "--splits", "train", "--tolerance", "0")
    path = folder / place

    def read() -> list[str]:
        words = ["--settings", json.dumps({"mended": str(path)}), "--indexes", str(results / "data/train.csv")]
        words += ["--left-out", str(results / "data/left_out/train.csv"), "--root", "photos"]
        words += ["--classes", str(results / "data/classes.txt")]
        read_mended.run([*words, "--list", "back.csv", "--output", "back"])
        return [row.image for row in read_mended_list(Path("back.csv"))]

    with pytest.raises(DataError, match="3 are as they were exported"):
        read()
    file = folder / {"labelme": "2.json", "png": "2.png", "coco": place}[kind]
    if kind == "png":
        write_mask(file, 3 - masks["2.png"] % 3)
    else:  # two classes exchanged, in all of the COCO file
        text = file.read_text(encoding="utf-8")
        text = text.replace("red disc", "?").replace("tree", "red disc").replace("?", "tree")
        file.write_text(text, encoding="utf-8")
    assert sorted(read()) == ["2.png", *(["am Strand/erstes Bild.jpg"] if kind == "coco" else [])]


def test_every_format_has_an_exporter() -> None:
    assert set(EXPORTERS) == set(Format)
