"""All pages in all states, at four widths and at 200 %, light, dark and in forced colours, in two languages: clean."""

from __future__ import annotations

import browser
import page_walk
import pytest

pytest.importorskip("axe_playwright_python", reason="axe-core is not installed (pip install axe-playwright-python)")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(browser.PROGRAM is None, reason="neither Chromium nor Chrome is installed"),
]


@pytest.mark.parametrize("language", page_walk.LANGUAGES)
def test_axe_and_our_own_checks_find_nothing(language: str) -> None:
    seen = page_walk.Walk(page_walk.axe_source())
    page_walk.walk(language, seen)
    assert seen.looked == 14 * 2 * 5
    assert not seen.wrong, "\n".join(seen.wrong)
