"""The tables of what the pages say: the same keys in each language, the same values in each text, all of them used."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytestmark = pytest.mark.computes

STATIC = Path(__file__).parents[1] / "realtime_dub/web/static"
TABLES = {path.stem: json.loads(path.read_text()) for path in sorted((STATIC / "texts").glob("*.json"))}
SCRIPTS = "".join(path.read_text() for path in STATIC.glob("*.js"))
PAGES = "".join(path.read_text() for path in STATIC.glob("*.html"))
ENGLISH = TABLES["en"]
SCRIPT_OF = {"ar": "؀-ۿ", "hi": "ऀ-ॿ", "zh": "一-鿿"}


def test_there_is_a_table_for_each_language_that_the_page_knows() -> None:
    named = re.search(r"LANGUAGES = \[(.*?)\]", SCRIPTS)
    assert named is not None
    assert sorted(re.findall(r'"(\w+)"', named[1])) == sorted(TABLES)
    assert {"en", "de", "es", "fr", "ar", "hi", "zh"} <= set(TABLES)


@pytest.mark.parametrize("language", TABLES)
def test_a_table_has_what_the_english_one_has(language: str) -> None:
    table = TABLES[language]
    assert set(table) == set(ENGLISH)
    for key, text in table.items():
        assert text.strip() == text != "", key
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", ENGLISH[key])), key
        assert "<" not in text, key
    if language in SCRIPT_OF:
        other = [key for key, text in table.items() if not re.search(f"[{SCRIPT_OF[language]}]", text)]
        assert other == []


def test_every_text_is_used_and_every_one_that_is_used_is_there() -> None:
    asked = set(re.findall(r'data-t(?:-[\w-]+)?="([\w.]+)"', PAGES)) | set(re.findall(r'\bt\("([\w.]+)"', SCRIPTS))
    assert asked - set(ENGLISH) == set()
    named = asked | set(re.findall(r'"([a-z_]+(?:\.[a-z0-9_]+)+)"', SCRIPTS)) & set(ENGLISH)
    named |= {f"{key}{end}" for key in named for end in re.findall(r"`\$\{key\}(\.\w+)`", SCRIPTS)}
    begun = tuple(re.findall(r"`((?:[a-z_]+\.)+)\$\{", SCRIPTS))
    assert {key for key in ENGLISH if key not in named and not key.startswith(begun)} == set()


class Shown(HTMLParser):
    """Of a page: texts, and attributes that are read or shown, that no table has."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for name in ("aria-label", "title", "placeholder"):
            if given.get(name) and f"data-t-{name}" not in given:
                self.outside.append(str(given[name]))
        if tag not in ("meta", "link", "img", "input", "br"):
            self._open.append((tag, given))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tag, given = self._open[-1] if self._open else ("", {})
        alone = (
            tag in ("kbd", "noscript")
            or given.get("class") == "noscript"
            or data.strip() in ("realtime-dub", "ms", "kbit/s")
        )
        if re.search(r"[A-Za-z]{2}", data) and "data-t" not in given and not alone:
            self.outside.append(data.strip())


@pytest.mark.parametrize("path", sorted(STATIC.glob("*.html")), ids=lambda path: path.name)
def test_no_text_of_a_page_is_outside_the_tables(path: Path) -> None:
    shown = Shown()
    shown.feed(path.read_text())
    assert shown.outside == []


@pytest.mark.parametrize("path", sorted(STATIC.glob("*.js")), ids=lambda path: path.name)
def test_no_sentence_of_a_script_is_outside_the_tables(path: Path) -> None:
    code = re.sub(r"(?m)(^|\s)//.*$", "", path.read_text())
    literals = re.findall(r'"((?:[^"\\\n]|\\.)*)"|`([^`]*)`', code)
    said = [one or other for one, other in literals]
    assert [words for words in said if re.search(r"^[A-Z][a-z]+ [a-z]|[a-z]{2} [a-z]+.*[.!?]$", words)] == []


def test_what_stands_in_the_page_is_the_english_text() -> None:
    """So that it reads the same while its table is on the way."""
    for key, text in re.findall(r'data-t="([\w.]+)"[^>]*>([^<]*)<', PAGES):
        assert ENGLISH[key] == text
    for name, key in re.findall(r'data-t-([\w-]+)="([\w.]+)"', PAGES):
        assert f'{name}="{ENGLISH[key]}"' in PAGES
