"""WebVTT (W3C, https://www.w3.org/TR/webvtt1/), read as it comes: cues as plain text with their times; and written."""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Iterable
from dataclasses import dataclass

from realtime_dub.media import MS, NS
from realtime_dub.web.refusals import Refusal

MOST_BLOCK = 8_192  # letters of a cue with all that belongs to it
_TIMING = re.compile(r"((?:\d{2,6}:)?\d\d:\d\d\.\d{3})[ \t]*-->[ \t]*((?:\d{2,6}:)?\d\d:\d\d\.\d{3})(?:[ \t].*)?")
_TAG = re.compile(r"<[^>]*>?")


@dataclass(frozen=True)
class Cue:
    start_ns: int
    end_ns: int
    text: str


class VttReader:
    """Of one file or stream, cut anywhere. A cue that cannot be read is skipped, as the standard has it."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._begun = False
        self.skipped = 0

    def feed(self, data: bytes, final: bool = False) -> list[Cue]:
        """The cues that are complete now. Raises Refusal for what is no WebVTT."""
        self._text += self._decoder.decode(data, final)
        held = "\r" if self._text.endswith("\r") and not final else ""  # half of a line's end
        self._text = self._text.removesuffix(held).replace("\r\n", "\n").replace("\r", "\n") + held
        *blocks, self._text = re.split(r"\n\n+", self._text)
        if final:
            blocks, self._text = [*blocks, self._text], ""
        if len(self._text) > MOST_BLOCK:
            raise Refusal(413, "A cue is too long.", f"Keep it below {MOST_BLOCK} letters.")
        return [cue for block in blocks if (cue := self._read(block)) is not None]

    def end(self) -> list[Cue]:
        return self.feed(b"", final=True)

    def _read(self, block: str) -> Cue | None:
        if not self._begun:
            self._begin(block)
            return None
        lines = block.strip("\n").split("\n")
        if not block.strip() or lines[0].startswith(("NOTE", "STYLE", "REGION")):
            return None
        cue = _cue(lines if "-->" in lines[0] else lines[1:])
        self.skipped += cue is None
        return cue

    def _begin(self, block: str) -> None:
        if not re.match(r"\ufeff?WEBVTT(?:[ \t\n]|$)", block):
            raise Refusal(415, "The body is no WebVTT.", "Begin it with the line WEBVTT.")
        self._begun = True


def _cue(lines: list[str]) -> Cue | None:
    found = _TIMING.fullmatch(lines[0].strip()) if lines else None
    if found is None:
        return None
    start_ns, end_ns = (_ns(each) for each in found.groups())
    text = html.unescape(_TAG.sub("", "\n".join(lines[1:]))).strip()
    return Cue(start_ns, end_ns, text) if text and end_ns > start_ns else None


def _ns(stamp: str) -> int:
    *hours, minutes, seconds = stamp.split(":")
    whole, _, milliseconds = seconds.partition(".")
    return (3600 * int(hours[0] if hours else 0) + 60 * int(minutes) + int(whole)) * NS + int(milliseconds) * MS


def written(cues: Iterable[Cue]) -> str:
    """A file of them."""
    blocks = (f"{_stamp(each.start_ns)} --> {_stamp(each.end_ns)}\n{_escaped(each.text)}\n" for each in cues)
    return "\n".join(("WEBVTT\n", *blocks))


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)  # also of -->, which would be a timing


def _stamp(ns: int) -> str:
    ms = ns // MS
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"
