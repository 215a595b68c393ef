"""Tables of other targets on the page."""

from stages.report.shown_tables import find_tables
from tests.report.test_page import make_page

TEXT = """# Segmenters

Mean and deviation.

|   | split | mIoU |
| --- | ---: | --- |
| on <masks> | val | **70.6** |

| class | IoU |
| --- | --- |
| cat | 3 |
"""


def test_tables_that_are_there_are_shown_and_escaped(results):
    assert find_tables(results) == []
    (results / "evaluate/compare_segmenters.md").write_text(TEXT)
    (table,) = find_tables(results)
    assert (table.title, table.note, table.columns) == ("Segmenters", "Mean and deviation.", ("", "split", "mIoU"))
    assert table.rows == (("on <masks>", "val", "70.6"),)
    assert not table.has_page
    page = make_page(results)
    assert "on &lt;masks&gt;" in page
    assert "compare_segmenters.html" not in page
    (results / "report/compare_segmenters.html").write_text("")
    assert 'href="compare_segmenters.html"' in make_page(results)


def test_classes_are_drawn_as_bars_for_each_split(results):
    page = make_page(results)
    assert "<h3>Each class, val</h3>" in page
    assert "<h3>Each class, test</h3>" not in page
