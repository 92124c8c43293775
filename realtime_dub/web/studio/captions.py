"""Captions of a room: plain text, shown when the voice that says it is heard. On the server's loop."""

from __future__ import annotations

import asyncio
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from realtime_dub.clock import Clock
from realtime_dub.media import MS, NS
from realtime_dub.web.config import SessionOptions
from realtime_dub.web.limits import (
    CAPTION_AHEAD_S,
    CAPTION_BEHIND_S,
    CAPTION_LETTERS,
    CAPTION_LINES,
    CAPTIONS_BURST,
    CAPTIONS_PER_S,
    CAPTIONS_WAITING,
)
from realtime_dub.web.rates import TokenBucket
from realtime_dub.web.refusals import Refusal

READ_PER_S = 15  # letters
LEAST_S, MOST_S = 1.5, 7.0  # that one is shown where nobody says how long
_NO_TEXT = re.compile(r"[\u202a-\u202e\u2066-\u2069\ufeff]")  # would turn the page's own text round
Later = Callable[[int, Callable[[], None]], object]


@dataclass(frozen=True)
class Hearing:
    """What a page hears. ``after_ns``: from when something is said to when it leaves for there."""

    after_ns: int
    voice: tuple[str, str]  # the room and the channel whose captions say it


class Watcher(Protocol):
    """A session, as far as captions go."""

    closed: bool

    @property
    def options(self) -> SessionOptions: ...

    @property
    def hearing(self) -> Hearing | None:
        """None while its page has nothing that captions belong to."""

    def tell_caption(self, caption: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Caption:
    """``said_ns``: the clock when its voice was captured."""

    room: str
    channel: str
    text: str
    said_ns: int
    lasts_ns: int | None = None

    @property
    def shown_ns(self) -> int:
        return reading_ns(self.text) if self.lasts_ns is None else self.lasts_ns


class Captions:
    """Of a studio. ``later`` calls something after so many ns."""

    def __init__(self, clock: Clock, watchers: Callable[[], Iterable[Watcher]], later: Later | None = None) -> None:
        self._clock, self._watchers, self._later = clock, watchers, later or _later
        self._waiting: Counter[str] = Counter()  # by room
        self._rates: dict[str, TokenBucket] = {}
        self._numbers = itertools.count(1)

    def say(self, caption: Caption) -> None:
        """Shown in its time, or at once where that is over. Raises Refusal."""
        wait_ns = caption.said_ns - self._clock.now_ns()
        if not -CAPTION_BEHIND_S * NS <= wait_ns <= CAPTION_AHEAD_S * NS:
            do = f"Send it from {CAPTION_BEHIND_S} s after it was said to {CAPTION_AHEAD_S // 3600} hours before."
            raise Refusal(422, "The caption's time is too far from now.", do)
        if wait_ns <= 0:
            if not self._has_turn(caption.room):
                raise Refusal(429, "Captions come too fast.", "Send fewer, longer ones.", {"Retry-After": "1"})
            self._show(caption)
            return
        if self._waiting[caption.room] >= CAPTIONS_WAITING:
            raise Refusal(429, "Too many captions wait in this room.", "Send the rest later.", {"Retry-After": "60"})
        self._waiting[caption.room] += 1
        self._later(wait_ns, lambda: self._due(caption))

    def _due(self, caption: Caption) -> None:
        self._waiting -= Counter([caption.room])
        if self._has_turn(caption.room):
            self._show(caption)

    def _has_turn(self, room: str) -> bool:
        bucket = self._rates.setdefault(room, TokenBucket(CAPTIONS_PER_S, CAPTIONS_BURST))
        return bucket.take(1, self._clock.now_ns() / NS)

    def _show(self, caption: Caption) -> None:
        """It is said now: each page is told of it when that is heard there."""
        number = next(self._numbers)
        for watcher in self._watchers():
            hearing = None if watcher.closed else watcher.hearing
            if hearing is None or caption.room not in (watcher.options.room, hearing.voice[0]):
                continue  # another room's, and not the voice of a sender here
            fields = {"t": "caption", "number": number, "channel": caption.channel, "text": caption.text,
                      "for_ms": caption.shown_ns // MS,
                      "heard": hearing.voice == (caption.room, caption.channel)}  # fmt: skip
            wait_ns = caption.said_ns + hearing.after_ns - self._clock.now_ns()
            if wait_ns <= 0:
                watcher.tell_caption(fields)
            else:
                self._later(wait_ns, lambda watcher=watcher, fields=fields: _tell(watcher, fields))  # type: ignore[misc]

    def sweep(self, rooms: Iterable[str]) -> None:
        """Forget the others' rates."""
        kept = set(rooms) | set(self._waiting)
        self._rates = {name: bucket for name, bucket in self._rates.items() if name in kept}


def _tell(watcher: Watcher, fields: dict[str, Any]) -> None:
    if not watcher.closed:
        watcher.tell_caption(fields)


def reading_ns(text: str) -> int:
    """How long it is shown: as long as it takes to read."""
    return round(min(MOST_S, max(LEAST_S, 1 + len(text) / READ_PER_S)) * NS)


def plain(text: str) -> str:
    """Without what is no text; lines stay, blanks are one. Raises Refusal where nothing is left, or too much."""
    text = _NO_TEXT.sub("", unicodedata.normalize("NFC", text))
    lines = [" ".join(line.split()) for line in _printable(text).split("\n")]
    text = "\n".join([line for line in lines if line][:CAPTION_LINES])
    if not text:
        raise Refusal(422, "The caption has no text.", "Send text.")
    if len(text) > CAPTION_LETTERS:
        raise Refusal(413, "The caption is too long.", f"Keep it below {CAPTION_LETTERS} letters.")
    return text


def _printable(text: str) -> str:
    odd = ("Cc", "Cs", "Zl", "Zp")
    return "".join(each if each == "\n" or unicodedata.category(each) not in odd else " " for each in text)


def _later(wait_ns: int, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(wait_ns / NS, call)
