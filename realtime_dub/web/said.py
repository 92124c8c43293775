"""What the server says to people: in English, with a code and values by which a page says it in its own language.

The code is made of the English words, as in gettext, so that a sentence is written once, where it is said. The tables
of the page (``static/texts``) have it as ``told.CODE``; what none of them has is shown in English.
"""

from __future__ import annotations

import re
from typing import Any

CODE_WORDS = 9  # of the English sentence; no two that are told begin alike for so long (tests/test_web_said.py)


class Said(str):
    """A whole sentence, or two, with their values in place."""

    code: str
    values: dict[str, Any]


def said(template: str, **values: Any) -> Said:
    """``values`` stand where ``template`` has {their name}."""
    made = Said(template.format(**values))
    made.code, made.values = code_of(template), values
    return made


def code_of(template: str) -> str:
    """The first words without the values: ``The file is {mb} MB.`` is ``the_file_is_mb``."""
    return "_".join(re.findall(r"[a-z0-9]+", re.sub(r"\{\w+\}", " ", template).lower())[:CODE_WORDS])


def coded(**texts: str) -> dict[str, dict[str, Any]]:
    """``codes`` beside texts of these names."""
    return {name: _coded(text) for name, text in texts.items() if text}


def _coded(text: str) -> dict[str, Any]:
    if isinstance(text, Said):
        return {"code": text.code, "values": text.values}
    return {"code": code_of(text), "values": {}}
