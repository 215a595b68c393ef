"""The gallery: small pictures of all val images, and a page that filters and sorts them, in a real browser too."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.errors import DataError
from stages.evaluate.doubt_table import Doubt, Reasons, write_doubts
from stages.index import Record, read_index, write_index
from stages.report.gallery import SIDE, fitted, render_gallery, save_mask
from stages.report.make_gallery import run
from tests.report.browser import CHROMIUM, browse
from tests.report.conftest import CLASSES


def make_gallery(results: Path, *more: str) -> Path:
    paths = ["--results", str(results), "--root", str(results.parent), "--pictures", str(results / "report/gallery")]
    options = ["--experiment", "tiny", "--shards", "2"]
    if all(record.mask for record in read_index(results / "data/val.csv")):
        options += ["--images", str(results / "evaluate/segmenter-val-images.csv")]
    run([*options, *more, *paths, "--output", str(results / "report/gallery.html")])
    return results / "report/gallery.html"


def data_of(page: str) -> dict:
    """What the page knows, as its script reads it."""
    (text,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def test_every_image_has_its_pictures(results: Path) -> None:
    page = make_gallery(results).read_text()
    names = {path.name for path in (results / "report/gallery").iterdir()}
    layers = ("image.jpg", "prediction.png", "pseudo-mask.png", "truth.png", "map.jpg")
    assert names == {f"{number}-{layer}" for number in range(3) for layer in layers}
    entries = data_of(page)["entries"]
    assert [entry["id"] for entry in entries] == ["a", "b", "c"]
    assert entries[0]["iou"] == 100
    # b: 4 of 40 columns wrong on each side of both labels: 16 of 24 columns right for each.
    assert entries[1]["iou"] == entries[1]["ious"][CLASSES[0]] == round(100 * 16 / 24, 1)
    assert entries[0]["size"] == [40, 30]


def test_without_true_masks_nothing_is_ranked(results: Path) -> None:
    write_index(results / "data/val.csv", [Record(x, f"{x}.jpg", "", (CLASSES[0],), "val") for x in "abc"])
    page = make_gallery(results).read_text()
    assert "images cannot be ranked" in page
    assert "worst first" not in page
    assert all("iou" not in entry and "truth" not in entry["layers"] for entry in data_of(page)["entries"])


def test_names_cannot_end_the_script_or_become_elements() -> None:
    entry = {"id": "</script><b>x", "tags": ["<b>dog</b>"], "size": [4, 3], "layers": ["map"]}
    page = render_gallery(experiment="<i>", split="val", classes=("<b>dog</b>",), entries=[entry], folder="gallery")
    assert data_of(page)["entries"] == [entry]
    assert "<b>" not in page
    assert "<option>&lt;b&gt;dog&lt;/b&gt;</option>" in page
    assert page.count("</script>") == 2


def test_a_mask_s_background_is_transparent(tmp_path: Path) -> None:
    mask = np.array([[0, 1], [2, 255]], dtype=np.uint8)
    save_mask(mask, (4, 4), tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as image:
        pixels = np.asarray(image.convert("RGBA"))
    assert pixels[0, 0, 3] == 0
    assert pixels[0, 2].tolist() == [128, 0, 0, 255]
    assert pixels[3, 3].tolist() == [224, 224, 192, 255]


def test_pictures_are_small_and_keep_their_shape() -> None:
    assert fitted((1000, 500)) == (SIDE, SIDE // 2)
    assert fitted((100, 50)) == (100, 50)
    assert fitted((5000, 3)) == (SIDE, 1)


def test_missing_maps_are_named(results: Path) -> None:
    (results / "localize/maps/val/0.safetensors").unlink()
    assert len(read_index(results / "data/val.csv")) == 3
    with pytest.raises(DataError, match=r"maps/val/0\.safetensors: not a whole shard of maps"):
        make_gallery(results)


def shown(dom: str) -> list[str]:
    """The ids of the images on the page, in their order."""
    return re.findall(r'<img[^>]*class="photo"[^>]*>', dom) and re.findall(r'alt="([^"]+)"', dom)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_the_address_filters_and_sorts_in_a_browser(results: Path) -> None:
    page = make_gallery(results)
    worst, best = browse(page), browse(page, "#sort=best&layer=truth")
    assert shown(worst) == ["c", "b", "a"]
    assert shown(best) == ["a", "b", "c"]
    assert "3 of 3 images" in worst
    assert 'src="gallery/0-prediction.png"' in worst
    assert 'src="gallery/0-truth.png"' in best
    found = browse(page, "#name=B")
    assert shown(found) == ["b"]
    assert "1 of 3 images" in found
    dog = browse(page, "#class=%3Cb%3Edog%3C%2Fb%3E")
    assert shown(dog) == []
    assert "0 of 3 images" in dog
    assert "&lt;b&gt;dog&lt;/b&gt;" in dog


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_as_many_images_as_voc_s_val(tmp_path: Path) -> None:
    """1,449 entries: all are counted, sixty and a screenful are on the page at first, the worst in front."""
    entries = [
        {
            "id": f"2007_{number:06d}",
            "tags": ["cat" if number % 3 else "dog"],
            "size": [256, 170],
            "layers": ["prediction"],
            "iou": number * 7919 % 1449 / 14.49,
            "ious": {"cat" if number % 3 else "dog": 50.0},
        }
        for number in range(1449)
    ]
    page = tmp_path / "gallery.html"
    page.write_text(render_gallery(experiment="e", split="val", classes=("cat", "dog"), entries=entries, folder="g"))
    assert page.stat().st_size < 400_000
    dom = browse(page)
    assert "1449 of 1449 images" in dom
    rates = {entry["id"]: entry["iou"] for entry in entries}
    ids = shown(dom)
    assert 60 <= len(ids) < 300
    assert [rates[name] for name in ids] == sorted(rates.values())[: len(ids)]
    assert "483 of 1449 images" in browse(page, "#class=dog")


def doubted(results: Path, *, scored: bool) -> Path:
    """The gallery with doubts, of which b's is the greatest and a's cat is doubted more than c's."""
    cats = {"a": 0.5, "b": 0.75, "c": 0.25}
    doubts = [Doubt(name, Reasons(*[value] * 3), {CLASSES[0]: Reasons(*[value] * 3)}) for name, value in cats.items()]
    write_doubts(results / "evaluate/doubt-val.csv", doubts)
    if not scored:
        write_index(results / "data/val.csv", [Record(x, f"{x}.jpg", "", (CLASSES[0],), "val") for x in "abc"])
    return make_gallery(results, "--doubt", str(results / "evaluate/doubt-val.csv"), "--links", '{"train": "t.html"}')


def test_doubts_are_shown_beside_scores(results: Path) -> None:
    page = doubted(results, scored=True).read_text()
    entries = data_of(page)["entries"]
    assert [(entry["doubt"], entry["doubts"]) for entry in entries] == [
        (value, {CLASSES[0]: value}) for value in (0.5, 0.75, 0.25)
    ]
    orders = re.findall(r'<option value="(\w+)">', page.split('id="sort"')[1].split("</select>")[0])
    assert orders == ["worst", "best", "doubt", "index"]
    assert re.findall(r"<option>([\w ]+)</option>", page.split('id="layer"')[1])[0] == "prediction"
    assert '<a href="t.html">Gallery of train.</a>' in page


def test_without_true_masks_the_most_doubtful_come_first_with_their_pseudo_masks(results: Path) -> None:
    page = doubted(results, scored=False).read_text()
    orders = re.findall(r'<option value="(\w+)">', page.split('id="sort"')[1].split("</select>")[0])
    assert orders == ["doubt", "index"]
    assert re.findall(r"<option>([\w ]+)</option>", page.split('id="layer"')[1])[0] == "pseudo mask"
    assert "cannot be ranked" not in page


def test_a_gallery_of_train_shows_the_masks_of_train(results: Path) -> None:
    records = [Record(x, f"{x}.jpg", "", (CLASSES[0],), "train") for x in "abc"]
    write_index(results / "data/train.csv", records)
    for folder in ("refine/masks", "localize/maps"):
        (results / folder / "val").rename(results / folder / "train")
    (results / "segment/pseudo_masks/compared").mkdir()
    (results / "segment/pseudo_masks/predictions/val").rename(results / "segment/pseudo_masks/compared/train")
    write_doubts(results / "doubt.csv", [Doubt(x, Reasons(0.5, 0.5, 0.5), {}) for x in "abc"])
    paths = ["--results", str(results), "--root", str(results.parent), "--pictures", str(results / "report/other")]
    options = ["--experiment", "tiny", "--shards", "2", "--split", "train", "--view", "compared"]
    run([*options, *paths, "--doubt", str(results / "doubt.csv"), "--output", str(results / "report/other.html")])
    page = (results / "report/other.html").read_text()
    assert "gallery of train" in page
    assert "told the tags" in page
    assert [entry["doubt"] for entry in data_of(page)["entries"]] == [0.5] * 3
    assert (results / "report/other/0-prediction.png").is_file()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_doubts_sort_in_a_browser(results: Path) -> None:
    page = doubted(results, scored=True)
    assert shown(browse(page)) == ["c", "b", "a"]  # by IoU, as without doubts
    dom = browse(page, "#sort=doubt&layer=pseudo+mask")
    assert shown(dom) == ["b", "a", "c"]
    assert re.findall(r'class="doubt">([^<]+)<', dom) == ["doubt 0.75", "doubt 0.50", "doubt 0.25"]
    assert shown(browse(page, "#sort=doubt&class=cat")) == ["b", "a", "c"]
    bare = doubted(results, scored=False)
    assert shown(browse(bare)) == ["b", "a", "c"]
    assert shown(browse(bare, "#sort=index")) == ["a", "b", "c"]
