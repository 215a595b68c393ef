"""Masks mended by hand: of which photo each is, and what is said of those that cannot be used."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.data.left_out import LeftOut
from stages.data.mended import MendedMasks, Photos, read_mended
from stages.data.mended_places import digest_of_place, fault_of_place
from stages.errors import DataError
from stages.files import sha256_of, write_csv
from stages.images import write_mask
from stages.index import Record
from stages.mask_formats.coco import CocoWriter
from stages.mask_formats.labelme import write_labelme
from stages.mask_formats.photos import MaskedPhoto
from stages.mask_formats.regions import regions_of

CLASSES = ("red disc", "blue square", "tree")
SIZE = (12, 16)
RECORDS = [
    Record("am Strand_1", "am Strand/1.jpg", "", ("red disc",), "train"),
    Record("2", "2.png", "", ("blue square",), "train"),
    Record("fern_3", "fern/3.jpg", "", ("red disc", "blue square"), "train"),
    Record("4", "4.jpg", "", ("tree",), "train"),
    Record("nah_5", "nah/5.jpg", "", ("tree",), "train"),
    Record("fern_5", "fern/5.jpg", "", ("tree",), "train"),
    Record("val_6", "val/6.jpg", "", (), "val"),
]
PHOTOS = Photos(RECORDS, [LeftOut("broken_7", "broken/7.jpg", "cannot be read")])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for record in RECORDS:
        path = tmp_path / "photos" / record.image
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE[::-1], "grey").save(path)
    return tmp_path / "photos"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mended").mkdir()
    return tmp_path / "mended"


def mask_of(*values: int) -> np.ndarray:
    """A column for each of the values over background."""
    mask = np.zeros(SIZE, dtype=np.uint8)
    for place, value in enumerate(values):
        mask[2:9, 2 + 4 * place : 5 + 4 * place] = value
    return mask


def labelled(folder: Path, name: str, *values: int, root: Path, image: str) -> Path:
    path, mask = folder / f"{name}.json", mask_of(*values)
    photo = MaskedPhoto(image, name, root / image, "train", mask)
    write_labelme(path, photo, list(regions_of(mask)), CLASSES, tolerance=0, place=path)
    return path


def read(path: Path, root: Path) -> tuple[MendedMasks, dict[str, np.ndarray]]:
    kept: dict[str, np.ndarray] = {}
    found = read_mended(path, PHOTOS, root, CLASSES, keep=lambda record, mask: kept.update({record.id: mask}))
    assert {record.id for record, _ in found.masks} == set(kept)
    return found, kept


def refused(path: Path, root: Path) -> str:
    with pytest.raises(DataError) as error:
        read(path, root)
    return str(error.value)


@pytest.mark.parametrize(
    ("file", "image"),
    [
        ("am Strand/1", "am Strand_1"),  # as the photo
        ("am Strand_1", "am Strand_1"),  # its id
        ("anywhere/1", "am Strand_1"),  # the only photo of this name
        ("2", "2"),
        ("fern_3", "fern_3"),
    ],
)
def test_a_png_is_named_as_its_photo(folder: Path, root: Path, file: str, image: str) -> None:
    write_mask(folder / f"{file}.png", mask_of(*(2 if image == "2" else 1,)))
    _, kept = read(folder, root)
    assert list(kept) == [image]
    np.testing.assert_array_equal(kept[image], mask_of(2 if image == "2" else 1))


def test_labelmes_files_are_known_by_name_or_by_their_photo(folder: Path, root: Path) -> None:
    labelled(folder, "fern/3", 1, 2, root=root, image="fern/3.jpg")
    labelled(folder, "renamed", 3, root=root, image="nah/5.jpg")
    # Moved to another machine, where the photo's path leads nowhere.
    moved = labelled(folder, "4", 3, root=root, image="4.jpg")
    moved.write_text(moved.read_text().replace("../photos/4.jpg", "C:\\\\photos\\\\4.jpg"))
    found, kept = read(folder, root)
    assert set(kept) == {"fern_3", "nah_5", "4"}
    np.testing.assert_array_equal(kept["fern_3"], mask_of(1, 2))
    assert found.notes == []


def test_labelmes_files_may_lie_beside_the_photos(root: Path) -> None:
    """Photos that are PNGs are not taken for masks."""
    labelled(root, "2", 2, root=root, image="2.png")
    _, kept = read(root, root)
    assert list(kept) == ["2"]
    np.testing.assert_array_equal(kept["2"], mask_of(2))


def test_a_coco_file_names_photos_by_their_paths(folder: Path, root: Path) -> None:
    writer = CocoWriter(CLASSES, False, 0)
    for image, values in (("am Strand/1.jpg", (1,)), ("4.jpg", (3, 255))):
        mask = mask_of(*values)
        writer.add(MaskedPhoto(image, "", root / image, "train", mask), regions_of(mask))
    writer.write(folder / "masks.json")
    _, kept = read(folder / "masks.json", root)
    np.testing.assert_array_equal(kept["am Strand_1"], mask_of(1))
    np.testing.assert_array_equal(kept["4"], mask_of(3, 255))


def test_the_users_files_are_not_touched(folder: Path, root: Path) -> None:
    write_mask(folder / "2.png", mask_of(2))
    labelled(folder, "4", 3, root=root, image="4.jpg")
    before = {path: (path.stat().st_mtime_ns, sha256_of(path)) for path in folder.iterdir()}
    read(folder, root)
    assert {path: (path.stat().st_mtime_ns, sha256_of(path)) for path in folder.iterdir()} == before


def test_what_is_as_it_was_exported_is_not_mended(folder: Path, root: Path) -> None:
    paths = [labelled(folder, name, 3, root=root, image=f"{name}.jpg") for name in ("4", "nah/5")]
    write_csv(
        folder / "exported.csv", [("image", "sha256"), *zip(("4.jpg", "nah/5.jpg"), map(sha256_of, paths), strict=True)]
    )
    assert "no mask of" in refused(folder, root)
    assert "2 are as they were exported" in refused(folder, root)
    labelled(folder, "4", 3, 255, root=root, image="4.jpg")
    found, kept = read(folder, root)
    assert (list(kept), found.unchanged) == (["4"], 1)


def test_a_single_mask_may_show_an_untagged_class(folder: Path, root: Path) -> None:
    write_mask(folder / "2.png", mask_of(2, 3))
    found, _ = read(folder, root)
    (note,) = found.notes
    assert "1 of 1 mended masks show a class that their image is not tagged with (2.png: 3 (tree))" in note


def test_many_masks_that_contradict_their_tags_are_refused(folder: Path, root: Path) -> None:
    """Binary masks: 1 is the object, whatever it is."""
    for name in ("2", "4", "nah_5", "fern_5"):
        write_mask(folder / f"{name}.png", mask_of(1))
    assert "Likely cause: binary masks" in refused(folder, root)


def test_masks_of_photos_left_out_are_passed_over(folder: Path, root: Path) -> None:
    write_mask(folder / "broken/7.png", mask_of(1))
    write_mask(folder / "2.png", mask_of(2))
    found, kept = read(folder, root)
    assert (found.left_out, list(kept)) == (1, ["2"])


@pytest.mark.parametrize(
    ("name", "mask", "message"),
    [
        ("nowhere", mask_of(1), "nowhere.png: is of no photo of the dataset; name it as the photo"),
        ("val/6", mask_of(1), "val/6.jpg is an image of val, but only masks of train are learned from; take it out"),
        ("5", mask_of(3), "5.png: may be of nah/5.jpg and fern/5.jpg; put it into a folder as the photo is"),
        ("4", mask_of(3)[:, :-1], "4.png: mask is 15x12, image is 16x12; export the mask at the image's size"),
        ("4", mask_of(4, 9), "4.png: mask value 4, 9 is not a class; 0 is background, 1 to 3 are data.classes"),
    ],
)
def test_a_png_that_cannot_be_used_is_named(
    folder: Path, root: Path, name: str, mask: np.ndarray, message: str
) -> None:
    write_mask(folder / f"{name}.png", mask)
    assert message in refused(folder, root)
    assert refused(folder, root).startswith(f"{folder}: 1 problem in 1 images")


def changed_shape(**values: object) -> dict:
    shape = {"label": "tree", "points": [[1, 1], [5, 1], [5, 5]], "shape_type": "polygon"}
    return {**shape, **values}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            [changed_shape(label="Tree")],
            "shapes[0]: label 'Tree' is not in data.classes; data.classes has 'tree', mind case",
        ),
        (
            [changed_shape(label="cow")],
            "label 'cow' is not in data.classes; correct it: red disc, blue square, tree, ignore",
        ),
        (
            [changed_shape(shape_type="line")],
            "shape type 'line' (tree) is not read; draw it as one of polygon, rectangle",
        ),
        ([changed_shape(points=[[1, 1], [5, 1]])], "shapes[0]: a polygon of 2 points; draw it again"),
        ([changed_shape(points="all")], "shapes[0]: its points are 'all', not a list of x and y"),
        ([changed_shape(points=[[1, 1], [5, 1], [5, 9999]])], "has a corner at 9999, but the photo is 16x12"),
        ([changed_shape(points=[[1, 1], [5, 1], [5, float("nan")]])], "has a corner at nan"),
        ([changed_shape(shape_type="mask", points=[[1, 1], [2, 2]], mask="?")], "its mask cannot be read"),
        ([{"points": []}], "shapes[0]: has no label"),
        (None, "not a JSON file of labelme (no list of `shapes`)"),
    ],
)
def test_a_labelme_file_that_cannot_be_used_is_named(folder: Path, root: Path, content: object, message: str) -> None:
    (folder / "4.json").write_text(json.dumps({"shapes": content}))
    assert message in refused(folder, root)
    assert str(folder / "4.json") in refused(folder, root)


def test_a_labelme_file_of_an_image_of_another_size_is_refused(folder: Path, root: Path) -> None:
    path = labelled(folder, "4", 3, root=root, image="4.jpg")
    path.write_text(path.read_text().replace('"imageWidth": 16', '"imageWidth": 8'))
    assert "was drawn on an image of 8x12, but the photo is 16x12" in refused(folder, root)


def test_two_masks_of_one_photo_are_refused(folder: Path, root: Path) -> None:
    write_mask(folder / "2.png", mask_of(2))
    labelled(folder, "b", 2, root=root, image="2.png")
    assert f"{folder / 'b.json'}: {folder / '2.png'} is a mask of 2.png, too; keep one of the two" in refused(
        folder, root
    )


def test_a_name_and_a_photo_that_disagree_are_refused(folder: Path, root: Path) -> None:
    labelled(folder, "4", 3, root=root, image="nah/5.jpg")
    assert "has the name of 4.jpg, but says that it is of nah/5.jpg" in refused(folder, root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["categories"][2].update(name="shrub"), "4.jpg: label 'shrub' is not in data.classes"),
        (lambda content: content["annotations"][0].update(category_id=9), "has category_id 9, which is not one of the"),
        (lambda content: content["annotations"][0].update(segmentation=[]), "has no segmentation; draw it"),
        (lambda content: content["annotations"][0].update(segmentation=[[1, 1, 2]]), "has a polygon"),
        (lambda content: content["images"][0].update(width=15), "height 12 and width 15, but the photo is 16x12"),
        (lambda content: content["images"][0].update(file_name="x/y.jpg"), "x/y.jpg: is of no photo of the dataset"),
        (lambda content: content.pop("annotations"), "has no images or no annotations"),
        (lambda content: content.update(images=[], annotations=[]), "lists no image"),
    ],
)
def test_a_coco_file_that_cannot_be_used_is_named(folder: Path, root: Path, change, message: str) -> None:
    writer = CocoWriter(CLASSES, False, 0)
    writer.add(MaskedPhoto("4.jpg", "4", root / "4.jpg", "train", mask_of(3)), regions_of(mask_of(3)))
    writer.write(folder / "masks.json")
    content = json.loads((folder / "masks.json").read_text())
    change(content)
    (folder / "masks.json").write_text(json.dumps(content))
    assert message in refused(folder / "masks.json", root)
    if "annotations" in content:
        assert "masks.json: a COCO file in a folder of masks; name the file itself" in refused(folder, root)


def test_the_place_is_looked_at_before_anything_runs(folder: Path) -> None:
    assert "holds no mask (JSON of labelme, or PNG)" in fault_of_place(folder)
    assert "no folder or file" in fault_of_place(folder / "missing")
    (folder / "a.txt").write_text("0 0.1 0.1 0.2 0.1 0.2 0.2\n")
    assert "holds no mask" in fault_of_place(folder)
    assert "is no JSON file of COCO" in fault_of_place(folder / "a.txt")
    write_mask(folder / "x/b.png", mask_of(1))
    assert fault_of_place(folder) == ""


def test_its_digest_is_of_what_masks_contain(folder: Path, tmp_path: Path) -> None:
    write_mask(folder / "x/b.png", mask_of(1))
    before = digest_of_place(folder)
    assert digest_of_place(Path(shutil.copytree(folder, tmp_path / "copy"))) == before
    (folder / "notes.txt").write_text("to do")
    assert digest_of_place(folder) == before
    write_mask(folder / "x/b.png", mask_of(2))
    assert digest_of_place(folder) != before
    (folder / "x/b.png").rename(folder / "x/c.png")
    write_mask(folder / "x/c.png", mask_of(1))
    assert digest_of_place(folder) != before
