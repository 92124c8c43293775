"""Captions of a room: each page is told when the voice that says them leaves there; plain text, in bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from realtime_dub.clock import VirtualClock
from realtime_dub.media import MS, NS
from realtime_dub.web.config import SessionOptions
from realtime_dub.web.limits import CAPTION_LETTERS, CAPTIONS_BURST, CAPTIONS_WAITING
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.rtc.activity import HELD_NS, Activity
from realtime_dub.web.studio.captions import Caption, Captions, Hearing, plain, reading_ns

pytestmark = pytest.mark.computes


@dataclass
class Page:
    """A session, as far as captions go."""

    options: SessionOptions
    hearing: Hearing | None
    clock: VirtualClock
    closed: bool = False
    told: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def tell_caption(self, caption: dict[str, Any]) -> None:
        self.told.append((self.clock.now_ns(), caption))


class Room:
    """Time goes on by hand."""

    def __init__(self) -> None:
        self.clock = VirtualClock(100 * NS)
        self.pages: list[Page] = []
        self._calls: list[tuple[int, Callable[[], None]]] = []
        self.captions = Captions(self.clock, lambda: self.pages, self._later)

    def _later(self, wait_ns: int, call: Callable[[], None]) -> None:
        assert wait_ns > 0
        self._calls.append((self.clock.now_ns() + wait_ns, call))

    def go_on(self, seconds: float) -> None:
        until_ns = self.clock.now_ns() + round(seconds * NS)
        while due := sorted((each for each in self._calls if each[0] <= until_ns), key=lambda each: each[0]):
            self._calls.remove(due[0])
            self.clock.advance_to(due[0][0])
            due[0][1]()
        self.clock.advance_to(until_ns)

    def page(self, role: str, room: str, hears: str = "", after_ms: int | None = None, of: str = "") -> Page:
        """It hears the channel ``hears`` of the room ``of``, its own where none is named."""
        options = SessionOptions.model_validate({"role": role, "room": room})
        hearing = None if after_ms is None else Hearing(after_ms * MS, (of or room, hears))
        self.pages.append(Page(options, hearing, self.clock))
        return self.pages[-1]

    def say(
        self, text: str, channel: str = "", in_ms: int = 0, room: str = "hall", lasts_ms: int | None = None
    ) -> None:
        lasts_ns = None if lasts_ms is None else lasts_ms * MS
        self.captions.say(Caption(room, channel, text, self.clock.now_ns() + in_ms * MS, lasts_ns))


def test_each_page_is_told_when_the_voice_leaves_there() -> None:
    room = Room()
    speaker = room.page("studio", "hall", "es", 350)
    viewer = room.page("viewer", "hall", "es", 350)
    elsewhere = room.page("studio", "attic", "es", 800, of="hall")
    floor = room.page("viewer", "hall", "", 100)
    stranger = room.page("studio", "cellar", "", 100)
    interpreter = room.page("interpreter", "hall")
    begun_ns = room.clock.now_ns()
    room.say("Hola", "es", in_ms=2_000)
    room.say("Salut", "fr", in_ms=-200)
    room.go_on(3)
    for page, after_ms in ((speaker, 350), (viewer, 350), (elsewhere, 800)):
        assert [(at_ns - begun_ns, each["text"], each["heard"]) for at_ns, each in page.told] == [
            ((after_ms - 200) * MS, "Salut", False),
            ((2_000 + after_ms) * MS, "Hola", True),
        ]
    assert stranger.told == interpreter.told == []
    assert [(at_ns - begun_ns, each["heard"]) for at_ns, each in floor.told] == [(0, False), (2_100 * MS, False)]
    assert speaker.told[0][1]["number"] < speaker.told[1][1]["number"]


def test_what_is_told_follows_who_is_there_when_it_is_said() -> None:
    room = Room()
    speaker = room.page("studio", "hall")
    room.say("nobody sees anything yet")
    room.say("said while it runs", in_ms=1_000, lasts_ms=4_000)
    room.say("for a page that closes", in_ms=1_100)
    speaker.hearing = Hearing(500 * MS, ("hall", ""))
    late = room.page("viewer", "hall", "", 500)
    room.go_on(1.2)
    speaker.closed = True
    room.go_on(5)
    assert speaker.told == []
    assert [each["text"] for _, each in late.told] == ["said while it runs", "for a page that closes"]
    assert (late.told[0][1]["for_ms"], late.told[0][1]["heard"]) == (4_000, True)


def test_how_many_and_how_far_ahead_is_bounded() -> None:
    room = Room()
    viewer = room.page("studio", "hall", "", 0)
    for _ in range(int(CAPTIONS_BURST)):
        room.say("now")
    with pytest.raises(Refusal, match="too fast"):
        room.say("now")
    assert len(viewer.told) == CAPTIONS_BURST
    for in_ms in (-20_000, 5 * 3_600_000):
        with pytest.raises(Refusal, match="far from now"):
            room.say("then", in_ms=in_ms)
    for number in range(CAPTIONS_WAITING):
        room.say("later", in_ms=60_000 + number)
    with pytest.raises(Refusal, match="Too many captions wait"):
        room.say("later", in_ms=60_000)
    room.say("elsewhere", in_ms=1_000, room="attic")  # another room's are counted apart
    room.go_on(70)
    assert len(viewer.told) < CAPTIONS_BURST + 20 + 4 * 4  # those that come all at once are not all shown
    room.say("again", in_ms=1_000)  # there is room again


@pytest.mark.parametrize(
    ("text", "is_plain"),
    [
        ("  Hola,\t mundo \n\n  y  más ", "Hola, mundo\ny más"),
        ("<b>1 < 2</b> & so", "<b>1 < 2</b> & so"),  # text is text: pages put it in as such
        ("\u202emirrored\u202c \u2067x\u2069", "mirrored x"),
        ("مرحبا\u200f!", "مرحبا\u200f!"),
        ("a\x00b\x1b[31m\u2028c", "a b [31m c"),
        ("one\ntwo\nthree\nfour", "one\ntwo\nthree"),
        ("e\u0301", "\u00e9"),
    ],
)
def test_what_is_shown_is_plain_text(text: str, is_plain: str) -> None:
    assert plain(text) == is_plain


def test_a_text_of_nothing_or_too_much_is_refused_and_a_long_one_is_shown_longer() -> None:
    for text in ("", " \n\t", "\u202e", "\x00"):
        with pytest.raises(Refusal, match="no text"):
            plain(text)
    with pytest.raises(Refusal, match="too long"):
        plain("x" * (CAPTION_LETTERS + 1))
    assert reading_ns("Si") == 1_500 * MS
    assert reading_ns("x" * 45) == 4 * NS
    assert reading_ns("x" * 300) == 7 * NS


def test_who_speaks_is_told_through_words_and_not_through_pauses_or_noise() -> None:
    activity, block = Activity(), np.ones((960, 1), np.float32)
    assert not activity.speaks(0)
    activity.hear(0.001 * block, 0)  # -60 dB
    assert not activity.speaks(0)
    activity.hear(0.006 * block, 20 * MS)  # -44 dB: too soft to begin
    assert not activity.speaks(20 * MS)
    activity.hear(0.1 * block, 40 * MS)
    assert activity.speaks(40 * MS)
    activity.hear(0.006 * block, 400 * MS)  # loud enough to go on
    activity.hear(0 * block, 420 * MS)
    assert activity.speaks(400 * MS + HELD_NS - 1)
    assert not activity.speaks(400 * MS + HELD_NS)
