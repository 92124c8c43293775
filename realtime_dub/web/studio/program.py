"""An interpreter that is a program: what it sends over HTTP, or a websocket, is a voice of its channel.

It is a session like a person's, with an :class:`Inflow` in the place of a browser's connection: it has a seat, is on
air or waits, is muted, moved and ended by operators.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from realtime_dub.audio.mono import MonoMixer
from realtime_dub.clock import Clock
from realtime_dub.media import MS, NS, Samples
from realtime_dub.web.config import FRAME_MS, SessionOptions
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.rtc.aiortc_access import AUDIO_DELAY_NS
from realtime_dub.web.rtc.peer import Peer
from realtime_dub.web.studio.connection import Connection
from realtime_dub.web.studio.pacing import BLOCK_NS, Pacer
from realtime_dub.web.studio.session import FULL, Session
from realtime_dub.web.studio.shared import Shared

BEHIND_NS = AUDIO_DELAY_NS - FRAME_MS * MS  # a browser's comes so late at best; the rest is for a busy loop
STALL_NS = 200 * MS  # a loop that stood still for longer has lost that time
OVER = Refusal(410, "The voice was ended.", "Begin a new one.")


class Inflow(Connection):
    """There is no peer; it is there from the beginning, as long as whoever made it says so."""

    def __init__(self, admit: Callable[[], bool], clock: Clock) -> None:
        super().__init__(_no_peer, admit, clock)
        self._open = True
        self._last_ns = clock.now_ns()

    def come(self) -> None:
        """Raises Refusal where no seat is left."""
        self.came = self._admit()
        if not self.came:
            raise Refusal(503, FULL, "Try again in a minute.", {"Retry-After": "60"})

    def alive(self) -> None:
        """Something came of it."""
        self._last_ns = self._clock.now_ns()

    @property
    def state(self) -> str:
        return "connected" if self._open else "closed"

    @property
    def away_s(self) -> float:
        return (self._clock.now_ns() - self._last_ns) / NS

    def overdue(self, idle_s: float) -> str | None:
        return "idle" if self.away_s > idle_s else None

    async def close(self) -> None:
        self._open = False


class ProgramSession(Session):
    """``tell`` is given what an interpreter's page would be told: the room, at each change, and why it was ended."""

    def __init__(self, id: str, shared: Shared, options: SessionOptions, clock: Clock) -> None:
        super().__init__(id, shared, options, clock)
        self.inflow = Inflow(self._admit, clock)
        self._connection = self.inflow
        self.tell: Callable[[dict[str, Any]], None] = lambda message: None
        self.ended = asyncio.Event()
        self.why = OVER
        self.pacer: Pacer | None = None
        self._line_ns = 0  # the clock at time 0 of the pacer's line
        self._room_left = asyncio.Event()

    def begin(self, rate: int, most_ns: int) -> None:
        """In the room, and at work. Raises Refusal."""
        self.join()
        self.inflow.come()
        self.pacer, self._mono = Pacer(rate, most_ns), MonoMixer(rate)
        self._tasks.spawn(self._speak(self.pacer), "voice")

    async def put(self, samples: Samples) -> None:
        """(n, channels) at its rate. Waits while it is too far ahead. Raises Refusal once it has ended."""
        assert self.pacer is not None, "begun before"
        self.inflow.alive()
        self.pacer.put(self._mono(samples)[:, None])
        while self.pacer.is_full and not self.closed:
            self._room_left.clear()
            await self._room_left.wait()
            self.inflow.alive()
        if self.closed:
            raise self.why

    async def spoken(self) -> None:
        """All that was put. Raises Refusal where it was ended before."""
        assert self.pacer is not None, "begun before"
        self.pacer.end()
        while not (self.pacer.is_over or self.closed):
            self._room_left.clear()
            await self._room_left.wait()
            self.inflow.alive()
        if self.closed:
            raise self.why

    def when_spoken(self, position: int, met: Callable[[int], None]) -> bool:
        """``met`` is called with the clock at which that sample counts as captured; False: too many wait."""
        assert self.pacer is not None, "begun before"
        return self.pacer.mark(position, lambda at_ns: met(self._line_ns + at_ns))

    def send_room(self) -> None:
        if self.room is not None and not self.closed:
            self.tell({"type": "room", "room": self._shared.rooms.to_dict(self.room, self)})

    def send_end(self, why: Refusal) -> None:
        self.why = why

    async def close(self, why: str) -> None:
        await super().close(why)
        self.ended.set()
        self._room_left.set()

    async def _speak(self, pacer: Pacer) -> None:
        """A block every 20 ms, as long as the program is there: a pause of its is silence, as of a person."""
        due_ns = self._clock.now_ns()
        while not pacer.is_over:
            due_ns += BLOCK_NS
            await self._clock.sleep_until(due_ns)
            late_ns = self._clock.now_ns() - due_ns
            if not pacer.begun:
                self._line_ns = due_ns - BEHIND_NS
            elif late_ns > STALL_NS:
                due_ns, self._line_ns = due_ns + late_ns, self._line_ns + late_ns
            if (given := pacer.take()) is not None:
                self.input.add_samples(given.samples, self._line_ns + given.at_ns)
            if not pacer.is_full:
                self._room_left.set()
        self._room_left.set()


def _no_peer(changed: Callable[[], None]) -> Peer:
    raise Refusal(409, "A program's voice has no connection of its own.", "Send audio.")
