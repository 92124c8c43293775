"""Every page in every state, at four widths, light and dark, in two languages: looked through with axe-core, and drawn.

    pytest tests/test_web_every_page.py        looks
    python tests/page_walk.py docs             draws the contact sheets of docs/

axe-core comes with axe-playwright-python (for tests alone, MPL-2.0). Its rules run in full in light colours; in dark
ones, where only colours are others, those of contrast.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import browser
from PIL import Image, ImageDraw
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.studio_page import serving

SIZES = ((1280, 720), (1440, 900), (820, 1180), (390, 844))
ZOOMED = (640, 360)  # what 1280 × 720 leaves at 200 %
LANGUAGES = ("en", "ar")
TOKEN = "open-sesame"
CHECKS = (Path(__file__).parent / "page_checks.js").read_text()
ALWAYS = ("sideways", "stuckScrollers", "smallTargets", "doubleIds", "brokenReferences")
AXE = """rules => axe.run(document, rules ? {runOnly: rules} : {}).then(found => found.violations.map(each =>
    [each.id, each.nodes.map(node => node.target.join(" ") + " " + (node.any[0]?.message ?? ""))]))"""
DRAWN = {"en": "light", "ar": "dark"}  # the colours of each language's pictures
LIVE_MS, SETTLE_MS, THUMB = 60_000, 120, 330  # thumbnails' height in pixels
SHEETS = {"speaker": ("speaker", "speaker live"), "green-room": ("green room",), "interpreter": ("interpreter on air",),
          "viewer": ("viewer waiting", "viewer live", "viewer ended"), "operator": ("operator", "refused")}  # fmt: skip


class Walk:
    """Looks with ``axe``, or without it draws: {(state, language, width): picture}."""

    def __init__(self, axe: str = "") -> None:
        self._axe = axe
        self.wrong: list[str] = []
        self.pictures: dict[tuple[str, str, int], Image.Image] = {}
        self.looked = 0

    def look(self, state: str, language: str, view: Any) -> None:
        """At all widths and in both colours, or as they are drawn."""
        if not self._axe:
            return self._draw(state, language, view)
        view.evaluate(f"() => {{ if (!window.axe) {{ {self._axe} }} }}")
        for width, height in (*SIZES, ZOOMED):
            for scheme in ("light", "dark"):
                self._show(view, (width, height), color_scheme=scheme)
                where = f"{state}, {language}, {width} × {height}, {scheme}"
                self.wrong += [f"{where}: {each}" for each in self._found(view, scheme)]
                self.looked += 1
        self._show(view, SIZES[1], color_scheme="light", forced_colors="active")
        self.wrong += [f"{state}, {language}, forced colours: {each}" for each in self._found(view, "light")]
        view.emulate_media(forced_colors="none")

    def _draw(self, state: str, language: str, view: Any) -> None:
        if not any(state in states for states in SHEETS.values()):
            return
        for size in SIZES:
            self._show(view, size, color_scheme=DRAWN[language])
            drawn = Image.open(io.BytesIO(view.screenshot(type="jpeg", quality=90))).convert("RGB")
            self.pictures[state, language, size[0]] = drawn

    def _show(self, view: Any, size: tuple[int, int], **media: str) -> None:
        view.set_viewport_size({"width": size[0], "height": size[1]})
        view.emulate_media(**media)
        view.evaluate("() => scrollTo(0, 0)")
        view.wait_for_timeout(SETTLE_MS)

    def _found(self, view: Any, scheme: str) -> Iterator[str]:
        for rule, nodes in view.evaluate(AXE, ["color-contrast"] if scheme == "dark" else None):
            yield f"axe {rule}: {nodes[:3]}"
        if scheme == "light":
            for name in ALWAYS:
                if found := view.evaluate(f"() => {{ {CHECKS}; return {name}(); }}"):
                    yield f"{name}: {found[:3]}"


@contextmanager
def people(language: str) -> Iterator[Callable[[str], Any]]:
    """Opens a page for somebody new, whose browser speaks that language."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        film = browser.camera_film(scratch / "face.y4m", 640, 480, 15, 2)
        voice = browser.voice_file(scratch / "voice.wav")
        server = stack.enter_context(serving("--token", TOKEN, "--fps", "15"))
        playwright = stack.enter_context(sync_playwright())  # last: it has an event loop, on which nothing may wait
        chromium = stack.enter_context(browser.chromium(playwright, film, voice))

        def come(query: str) -> Any:
            context = chromium.new_context(
                locale=language, permissions=["camera", "microphone"], reduced_motion="reduce"
            )
            context.set_default_timeout(LIVE_MS)
            view = context.new_page()
            view.goto(server.url.partition("?")[0] + query)
            return view

        yield come


def until(view: Any, expression: str) -> None:
    for _ in range(LIVE_MS // 100):
        if view.evaluate(f"() => Boolean({expression})"):
            return
        view.wait_for_timeout(100)
    raise TimeoutError(expression)


def ready(view: Any) -> Any:
    view.wait_for_selector("#start:enabled")
    return view


def walk(language: str, seen: Walk) -> None:
    """One language: a room fills and empties, and each page is looked at in each of its states."""
    mine = f"#token={TOKEN}"
    with people(language) as come:

        def look(state: str, view: Any) -> None:
            seen.look(state, language, view)

        refused = come("?room=hall")
        refused.wait_for_selector("#failure:not([hidden])")
        look("refused", refused)
        refused.context.close()
        inspects = come(f"?role=inspect{mine}")
        inspects.wait_for_selector("#file")
        look("inspect", inspects)
        inspects.context.close()
        speaker = ready(come(f"?room=hall{mine}"))
        look("speaker", speaker)
        speaker.click("#check")
        until(speaker, "document.getElementById('green-video').videoWidth")
        speaker.wait_for_timeout(1000)
        look("green room", speaker)
        speaker.keyboard.press("Escape")
        speaker.click("#help")
        look("help", speaker)
        speaker.keyboard.press("Escape")
        viewer = ready(come(f"?role=viewer&room=hall{mine}"))
        look("viewer", viewer)
        viewer.click("#start")
        until(viewer, "document.getElementById('state').dataset.state === 'busy'")
        look("viewer waiting", viewer)
        booth = ready(come(f"?role=interpreter&room=hall{mine}"))
        look("interpreter", booth)
        booth.click("#start")
        speaker.check("input[name=voice][value=room]")
        speaker.evaluate("() => { document.getElementById('green-always').click(); }")
        speaker.click("#start")
        speaker.wait_for_selector("#consent[open]")
        look("consent", speaker)
        speaker.click("#consent-yes")
        for view in (speaker, viewer):
            view.wait_for_selector("#state[data-state=live]")
        until(booth, "document.getElementById('booth').dataset.air === 'on'")
        speaker.wait_for_timeout(3000)
        look("speaker live", speaker)
        look("interpreter on air", booth)
        look("viewer live", viewer)
        operator = come(f"?role=operator&room=hall{mine}")
        until(operator, "document.querySelectorAll('#people li').length === 4")
        look("operator", operator)
        speaker.click("#start")
        until(viewer, "!document.getElementById('welcome').hidden")
        look("viewer ended", viewer)


def sheet(pictures: dict[tuple[str, str, int], Image.Image], states: tuple[str, ...]) -> Image.Image:
    """A row for each language and state, in it the four widths."""
    rows = []
    for language in LANGUAGES:
        for state in states:
            row = [pictures[state, language, width] for width, _ in SIZES if (state, language, width) in pictures]
            if row:
                rows.append(
                    [one.resize((one.width * THUMB // one.height, THUMB), Image.Resampling.LANCZOS) for one in row]
                )
    width = max(sum(one.width + 10 for one in row) for row in rows) + 10
    whole = Image.new("RGB", (width, len(rows) * (THUMB + 10) + 10), "#8a8f98")
    pen = ImageDraw.Draw(whole)
    for at, row in enumerate(rows):
        left, top = 10, 10 + at * (THUMB + 10)
        for one in row:
            whole.paste(one, (left, top))
            pen.rectangle((left - 1, top - 1, left + one.width, top + THUMB), outline="#5b6068")
            left += one.width + 10
    return whole


def main(folder: Path, *languages: str) -> None:
    seen = Walk()
    for language in languages or LANGUAGES:
        walk(language, seen)
    for name, states in SHEETS.items():
        path = folder / f"pages-{name}.jpg"
        sheet(seen.pictures, states).save(path, quality=80, optimize=True)
        print(path, path.stat().st_size // 1000, "kB")


def axe_source() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
