"""The gallery: small pictures of all val images, and a page that filters and sorts them, in a real browser too."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.errors import DataError
from stages.index import Record, read_index, write_index
from stages.report.gallery import SIDE, fitted, render_gallery, save_mask
from stages.report.make_gallery import run
from tests.report.browser import CHROMIUM, browse
from tests.report.conftest import CLASSES


def make_gallery(results: Path) -> Path:
    paths = ["--results", str(results), "--root", str(results.parent), "--pictures", str(results / "report/gallery")]
    options = ["--experiment", "tiny", "--shards", "2"]
    if all(record.mask for record in read_index(results / "data/val.csv")):
        options += ["--images", str(results / "evaluate/segmenter-val-images.csv")]
    run([*options, *paths, "--output", str(results / "report/gallery.html")])
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
