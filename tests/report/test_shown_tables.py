"""Tables of other targets on the page."""

from stages.evaluate.table_content import TableContent, write_content
from stages.report.shown_tables import find_tables
from tests.report.test_page import make_page

CONTENT = TableContent(
    title="Segmenters",
    note="Mean and deviation.",
    columns=("", "split", "mIoU"),
    rows=(("on <masks> | more", "val", "70.6"),),
)


def test_tables_that_are_there_are_shown_and_escaped(results):
    assert find_tables(results) == []
    write_content(results / "evaluate/compare_segmenters.json", CONTENT)
    (table,) = find_tables(results)
    assert table.content == CONTENT
    assert not table.has_page
    page = make_page(results)
    assert "on &lt;masks&gt; | more</td>" in page
    assert "compare_segmenters.html" not in page
    (results / "report/compare_segmenters.html").write_text("")
    assert 'href="compare_segmenters.html"' in make_page(results)


def test_classes_are_drawn_as_bars_for_each_split(results):
    page = make_page(results)
    assert "<h3>Each class, val</h3>" in page
    assert "<h3>Each class, test</h3>" not in page
