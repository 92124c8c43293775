"""What people are told: whole sentences. What a request is refused with: a status and two of them, and what all say."""

from __future__ import annotations

import re
from typing import Any

from realtime_dub.errors import RealtimeDubError
from realtime_dub.web.said import Said, coded

_FIRST_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?(?=[\s,:;.!?]|$)(?!\.\w)")  # no option, no file, no address
_ENDS = (".", "!", "?", "…")


def sentence(text: str) -> str:
    """``text`` with a capital and a stop, as everything has that a person reads. A name stays as it is written."""
    if isinstance(text, Said):
        return text
    text = text.strip()
    if _FIRST_WORD.match(text):
        text = text[0].upper() + text[1:]
    return text if not text or text.endswith(_ENDS) else f"{text.rstrip(',;:')}."


def sentences(error: BaseException) -> str:
    """An error as a person reads it: what happened, then what to do."""
    parts = (str(error) or type(error).__name__).split("; ")
    return " ".join(sentence(part) for part in parts)


class Refusal(Exception):
    """``what`` happened and what to ``do``, one sentence each; answered as ``{"error": {"what", "do"}, "codes"}``."""

    def __init__(self, status: int, what: str, do: str, headers: dict[str, str] | None = None) -> None:
        self.status, self.what, self.do, self.headers = status, sentence(what), sentence(do), headers or {}
        super().__init__(self.what)

    def body(self) -> dict[str, dict[str, Any]]:
        return {"error": {"what": self.what, "do": self.do}, "codes": coded(what=self.what, do=self.do)}


def refused(error: RealtimeDubError, status: int = 422) -> Refusal:
    """An error of ours as a refusal: its line says what happened, and after the semicolon what to do."""
    what, _, do = str(error).partition("; ")
    return Refusal(status, what, do or "change the request")
