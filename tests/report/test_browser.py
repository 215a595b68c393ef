"""The pages fit a phone and can be read in light and in dark mode: measured in headless Chromium."""

from pathlib import Path

import pytest

from tests.report.browser import CHROMIUM, DARK, measure
from tests.report.test_gallery import make_gallery
from tests.report.test_page import make_page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")

PHONE = 375  # pixels
LEAST_CONTRAST = 4.5  # WCAG 2.1, level AA, of text


@pytest.fixture(params=["index", "gallery"])
def page(request: pytest.FixtureRequest, results: Path) -> Path:
    if request.param == "gallery":
        return make_gallery(results)
    make_page(results)
    return results / "report/index.html"


@pytest.mark.parametrize("options", [(), (DARK,)], ids=["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways_and_every_text_can_be_read(
    page: Path, options: tuple[str, ...]
) -> None:
    found = measure(page, PHONE, *options)
    assert found.width <= PHONE
    assert found.dark == bool(options)
    assert found.contrast >= LEAST_CONTRAST, found.worst


def test_a_page_that_is_too_wide_or_pale_is_found(results: Path) -> None:
    make_page(results)
    page = results / "report/index.html"
    wide = '<div style="width: 900px; color: #aaa; background: #fff">pale</div></body>'
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", wide), encoding="utf-8")
    found = measure(page, PHONE)
    assert found.width >= 900
    assert found.contrast == pytest.approx(2.32, abs=0.01)
    assert "pale" in found.worst
