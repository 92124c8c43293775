"""The tables of what the pages say: the same keys in each language, the same values in each text, all of them used."""

from __future__ import annotations

import json
import re
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
    named = set(re.findall(r'data-t(?:-[\w-]+)?="([\w.]+)"', PAGES))
    named |= set(re.findall(r'"((?:[a-z_]+\.)+[a-z_]+)"', SCRIPTS)) & set(ENGLISH)
    patterns = tuple(re.findall(r"`((?:[a-z_]+\.)+)\$\{", SCRIPTS))
    assert {key for key in ENGLISH if key not in named and not key.startswith(patterns)} == set()
    asked = set(re.findall(r'\bt\("([\w.]+)"', SCRIPTS)) | set(re.findall(r'data-t(?:-[\w-]+)?="([\w.]+)"', PAGES))
    assert asked - set(ENGLISH) == set()


def test_what_stands_in_the_page_is_the_english_text() -> None:
    """So that it reads the same while its table is on the way."""
    for key, text in re.findall(r'data-t="([\w.]+)"[^>]*>([^<]*)<', PAGES):
        assert ENGLISH[key] == text
    for name, key in re.findall(r'data-t-([\w-]+)="([\w.]+)"', PAGES):
        assert f'{name}="{ENGLISH[key]}"' in PAGES
