"""An avatar that is trained on the page: a film is sent, looked at, agreed to, learnt, chosen, and speaks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import browser
import pytest

pytest.importorskip("torch")

from avatars import long_film, recipe
from test_web_page import Page, page_of

from engines.common.train_engine import resolve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,  # a browser, a server and the whole of the training kit, with a small recipe: some minutes
    pytest.mark.timeout(1800),
    pytest.mark.skipif(browser.PROGRAM is None, reason="neither Chromium nor Chrome is installed"),
]
WITHIN_S = 800.0  # for any step, on a machine that others use


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return long_film(tmp_path_factory.mktemp("film") / "me.mkv")


@pytest.fixture
def page(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    for place in ("CACHE", "STATE"):  # what it knows of networks, and what visitors send
        monkeypatch.setenv(f"XDG_{place}_HOME", str(tmp_path / place.lower()))
    with page_of("--workers", "1", "--train-avatars", "1") as view:
        yield view


def until(page: Page, state: str, seen: Callable[[], None] = lambda: None) -> None:
    """Waits till the one avatar is so far, and looks at the page meanwhile."""
    end_s = time.monotonic() + WITHIN_S
    while not page.view.locator(f".making[data-state={state}]").count():
        assert time.monotonic() < end_s, page.text("#avatar-list")
        assert not page.view.locator(".making[data-state=failed]").count(), page.text("#avatar-list")
        seen()
        page.view.wait_for_timeout(200)


def test_from_a_film_to_a_live_picture(film: Path, page: Page, tmp_path: Path) -> None:
    page.open()
    page.view.select_option("#camera", "avatar")
    assert "who agrees to it" in page.text("#avatar-consent")
    page.view.set_input_files("#avatar-film", str(film))
    until(page, "checked")
    assert "the recording is short" in page.text(".making .findings")
    [work] = tmp_path.glob("state/**/work.avatar")
    small = recipe(tmp_path / "small.toml", steps=240, alone=200)
    with ThreadPoolExecutor(1) as apart:  # Playwright has a loop in this thread, in which our code may read no file
        apart.submit(resolve, "avatar", [work / "data"], work, small).result()
    shown: dict[str, set[str]] = {"words": set(), "pictures": set()}

    def look() -> None:
        lines, pictures = page.view.locator(".making .hint"), page.view.locator(".making-preview:not([hidden])")
        shown["words"].update(line.partition(":")[0] for line in lines.all_inner_texts())
        shown["pictures"].update(each.get_attribute("src") or "" for each in pictures.all())

    page.view.click(".making button:first-child")
    until(page, "kept", look)
    assert "Learning to paint the person" in shown["words"]
    assert shown["pictures"], "no preview was shown"
    assert list(tmp_path.glob("state/**/film.mkv")) == []  # film and work are gone
    assert list(tmp_path.glob("state/**/work.avatar")) == []
    page.until("document.getElementById('avatar').value !== ''")
    assert page.view.is_visible("#avatar-shown")
    page.start()
    [opened] = page.sent("POST", "/api/sessions")
    assert opened["options"]["picture"].startswith("avatar:")
    page.until("document.getElementById('dubbed').currentTime > 2")
    assert page.view.evaluate("document.getElementById('dubbed').videoWidth") == 240
    page.view.locator("#dubbed").screenshot(path=tmp_path / "live.png")
