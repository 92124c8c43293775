"""What can be said of the studio's page without a browser: nothing inline, nothing from elsewhere, nothing missing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[1] / "realtime_dub/web/static"
SCRIPTS = sorted(STATIC.glob("*.js"))
PAGES = sorted(STATIC.glob("*.html"))
STYLES = sorted(STATIC.glob("*.css"))


class Tags(HTMLParser):
    """Every start tag with its attributes, and the text inside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.inline = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style"):
            self.inline += data.strip()

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


@pytest.fixture(scope="module")
def page() -> Tags:
    """All pages, as one."""
    tags = Tags()
    for path in PAGES:
        tags.feed(path.read_text())
    return tags


def test_nothing_is_inline_that_a_strict_policy_refuses(page: Tags) -> None:
    assert page.inline == ""
    names = {name for _, attributes in page.tags for name in attributes}
    assert [name for name in names if name == "style" or name.startswith("on")] == []


def test_every_file_that_the_page_names_is_there(page: Tags) -> None:
    named = {attributes.get("src") or attributes.get("href", "") for _, attributes in page.tags}
    files = {name for name in named if name and not name.startswith(("#", "?"))}
    assert {name for name in files if not (STATIC.parent / name).is_file()} == set()
    assert {f"static/{style.name}" for style in STYLES} <= files


@pytest.mark.parametrize("path", [*SCRIPTS, *STYLES, *PAGES], ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere(path: Path) -> None:
    addresses = re.findall(r"(?:https?:)?//[\w.-]+\.\w+", path.read_text())
    assert addresses == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_name_only_what_exists(script: Path, page: Tags) -> None:
    text = script.read_text()
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert set(re.findall(r"\$\(\"([\w-]+)\"\)", text)) - ids == set()
    assert {name for name in re.findall(r"from \"\./([\w.]+)\"", text) if not (STATIC / name).is_file()} == set()


@pytest.mark.parametrize("word", ["eval(", "new Function", "innerHTML", "insertAdjacentHTML", "document.write"])
def test_no_text_is_ever_run_or_parsed(word: str) -> None:
    assert [script.name for script in SCRIPTS if word in script.read_text()] == []


def test_every_colour_that_is_used_is_defined_for_light_and_both_darks() -> None:
    tokens = (STATIC / "tokens.css").read_text()
    series = set(re.findall(r"\"(--[\w-]+)\"", "".join(script.read_text() for script in SCRIPTS)))
    colours = {name for name in series if name.startswith(("--series", "--grid", "--line", "--soft"))}
    assert len(colours) >= 6
    assert {name: tokens.count(f"{name}:") for name in colours} == dict.fromkeys(colours, 3)
