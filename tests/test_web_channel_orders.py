"""Whoever comes in whatever order, goes and comes back: each is shown what the room has for them, unasked."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import numpy as np
import pytest
from test_web_channels import Somebody

from realtime_dub.clock import VirtualClock
from realtime_dub.media import MS, NS
from realtime_dub.web.config import FLOOR
from realtime_dub.web.limits import SILENT_MS
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.studio.room import Room

pytestmark = pytest.mark.computes

WHO: dict[str, dict[str, Any]] = {
    "sender": {"languages": ("en", "es")},
    "interpreter": {"role": "interpreter", "channel": "es"},
    "viewer": {"role": "viewer", "channel": "es"},
    "second viewer": {"role": "viewer", "channel": FLOOR},
}
BLOCK_NS = 20 * MS


class Dubbing(Somebody):
    """A sender whose pipelines begin with their voice, and give a frame at once."""

    def follow(self) -> None:
        super().follow()
        for channel in self.room.voiced if self.room.sender is self else ():
            timeline = self.room.dub(channel)
            if not timeline.flows:
                timeline.begin(timeline.next_run(), 40 * MS)
                timeline._add_frame(np.zeros((24, 16), np.uint8), 0)


class Hall:
    """The four of them, and what each sees."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.room = Room("hall", self.clock)
        self.here: dict[str, Somebody] = {}

    def come(self, who: str) -> None:
        Dubbing.room = self.room  # type: ignore[attr-defined]
        made = Dubbing if who == "sender" else Somebody
        self.here[who] = made(self.room, who, **WHO[who])

    def go(self, who: str) -> None:
        self.room.leave(self.here.pop(who))  # type: ignore[arg-type]

    def sweeps(self) -> None:
        """What happens in a second, whoever is there: audio comes, and the server looks after its rooms."""
        self.clock.advance_to(self.clock.now_ns() + NS)
        if "interpreter" in self.here:
            self.here["interpreter"].says()
        self.room.listen()
        self.room.follow()

    def sees(self, who: str) -> OutputTimeline:
        person = self.room.presence.of(who)
        assert person is not None
        return self.room.shown(person.channel).video

    def all_are_right(self) -> None:
        room, spoken = self.room, "interpreter" in self.here
        if "sender" not in self.here:
            return  # there is nothing to see: each page says so
        if "viewer" in self.here:
            assert self.sees("viewer") is (room.dub("es") if spoken else room.original.timeline)
            assert room.shown("es").dubbed == spoken
        if "second viewer" in self.here:
            assert self.sees("second viewer") is room.original.timeline


@pytest.mark.parametrize("order", list(itertools.permutations(WHO)), ids=lambda order: ", ".join(order))
def test_in_each_order_and_again_after_each_has_left_and_come_back(order: tuple[str, ...]) -> None:
    async def test() -> None:
        hall = Hall()
        for who in order:
            hall.come(who)
            hall.sweeps()
            hall.all_are_right()
        for leaving in order:
            hall.go(leaving)
            hall.sweeps()
            hall.all_are_right()
            hall.come(leaving)
            hall.sweeps()
            hall.all_are_right()
        assert hall.room.languages == ("en", "es")

    asyncio.run(test())


def test_a_handover_in_a_channel_leaves_no_gap_and_never_both() -> None:
    """What the pipeline of the channel is given, block by block: whose it is shows in its level."""

    async def test() -> None:
        hall = Hall()
        hall.come("sender")
        pair = [Somebody(hall.room, name, role="interpreter", channel="es") for name in ("first", "second")]
        given = hall.room.voice("es").add_audio_reader()
        for number in range(95):
            hall.clock.advance_to(hall.clock.now_ns() + BLOCK_NS)
            for level, each in zip((0.25, 0.5), pair, strict=True):
                each.input.give(np.full((960, 1), level, np.float32), hall.clock.now_ns() - 100 * MS, False)
            if number == 50:
                hall.room.presence.propose("second")
            if number == 70:
                hall.room.presence.confirm("first")
        blocks = [given.get_nowait() for _ in range(given.qsize())]
        levels, at = [float(each[0][0, 0]) for each in blocks], [each[1] for each in blocks]
        assert levels == [0.25] * 71 + [0.5] * 24
        assert max(late - early for early, late in itertools.pairwise(at)) <= 200 * MS
        assert min(late - early for early, late in itertools.pairwise(at)) == BLOCK_NS
        assert SILENT_MS > 200

    asyncio.run(test())
