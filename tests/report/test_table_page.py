"""The page of a table: its figures, the same images for every row, and names as they are."""

import json
from pathlib import Path

import numpy as np
import pytest

from stages.errors import DataError
from stages.evaluate.scores import write_score
from stages.evaluate.table_formats import TableRow
from stages.index import read_index
from stages.report import make_table_page
from stages.report.charts import bar_chart
from stages.report.table_page import read_maps_panels, render_table_page, spread
from stages.shards import ImageMaps, write_shard
from tests.report.conftest import CLASSES


def test_images_are_spread_over_the_split(results: Path, tmp_path: Path) -> None:
    records = read_index(results / "data/val.csv")
    assert [record.id for record in spread(records, 2)] == ["a", "b"]
    assert [record.id for record in spread(records * 4, 3)] == ["a", "b", "c"]
    assert len(spread(records, 9)) == 3


def test_every_row_shows_its_own_map_of_the_same_tag(results: Path, tmp_path: Path) -> None:
    other = np.full((2, 8, 10), 0.2, dtype=np.float32)
    other[1] = 0.6
    shard = tmp_path / "other.safetensors"
    write_shard(shard, [ImageMaps(name, other, np.array([1, 0]), (30, 40)) for name in "abc"])
    shards = {"ours": [results / f"localize/maps/val/{shard}.safetensors" for shard in (0, 1)], "theirs": [shard]}
    panels = read_maps_panels(read_index(results / "data/val.csv"), tmp_path, shards, CLASSES, 2)
    assert [(panel.id, panel.tag) for panel in panels] == [("a", CLASSES[0]), ("b", CLASSES[0])]
    assert panels[0].maps["ours"].shape == panels[0].maps["theirs"].shape == (30, 40)
    np.testing.assert_allclose(panels[0].maps["theirs"], 0.6, atol=1 / 255)  # the tag's own map stands second


def test_a_row_without_maps_of_an_image_is_named(results: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.safetensors"
    write_shard(empty, [ImageMaps("b", np.ones((1, 2, 2), np.float32), np.array([0]), (30, 40))])
    with pytest.raises(DataError, match="no maps of 'a' by theirs"):
        read_maps_panels(read_index(results / "data/val.csv"), tmp_path, {"theirs": [empty]}, CLASSES, 1)


def test_names_are_escaped(make_score) -> None:
    row = TableRow("<b>bold</b>", (make_score("maps", "val", 50.0),))
    page = render_table_page([row], [], experiment="x", title="T", note="N")
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page


def test_chart_has_a_bar_a_row() -> None:
    chart = bar_chart([("one", (50.0, 52.0)), ("other", (40.0,))], label="mIoU")
    assert "one" in chart
    assert "other" in chart
    assert chart == bar_chart([("one", (50.0, 52.0)), ("other", (40.0,))], label="mIoU")  # the same bytes


def test_the_command_makes_a_page_of_one_file(results: Path, tmp_path: Path, make_score) -> None:
    write_score(tmp_path / "score.json", make_score("maps", "val", 51.5))
    maps = [str(results / f"localize/maps/val/{shard}.safetensors") for shard in (0, 1)]
    row = {"name": "cam", "title": "CAM", "published": 48.8, "scores": [str(tmp_path / "score.json")], "maps": maps}
    paths = {"index": results / "data/val.csv", "root": tmp_path, "classes": results / "data/classes.txt"}
    paths["output"] = tmp_path / "page.html"
    named = [text for name, path in paths.items() for text in (f"--{name}", str(path))]
    options = ["--settings", json.dumps({"panels": 2}), "--experiment", "x", "--title", "Localizers"]
    make_table_page.run([*options, "--rows", json.dumps([row]), *named])
    page = paths["output"].read_text()
    assert "51.5" in page
    assert "48.8" in page
    assert page.count("<figure>") == 2 * 2
    assert "http://www.w3.org" in page  # only SVG's own namespaces
    assert 'src="http' not in page
