"""The connection of a session: the peer of the moment, for how long it has been away, and whether it is over."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from realtime_dub.clock import Clock
from realtime_dub.media import NS
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.rtc.peer import Peer

CONNECT_S = 20.0  # for a connection to come about, or to come back
GONE_S = 3.0  # after the other side has said that it closes


class Connection:
    """One peer after another, as a page connects again. Made, used and closed on the server's loop.

    ``heard_ns`` says when anything came of a side that has to send; None where it need not. ``admit`` is asked when a
    path has been found, until it says yes: from then on the session has a seat.
    """

    def __init__(
        self,
        make_peer: Callable[[Callable[[], None]], Peer],
        admit: Callable[[], bool],
        clock: Clock,
        heard_ns: Callable[[], int] | None = None,
        log: Callable[[str], None] = lambda event: None,
    ) -> None:
        self.came = False  # it has been connected, and was admitted
        self.since_s = time.monotonic()
        self._make_peer, self._admit, self._clock = make_peer, admit, clock
        self._heard_ns, self._log = heard_ns, log
        self._peer: Peer | None = None
        self._disconnected_s = self.since_s  # since when, while it is
        self._connected_ns = clock.now_ns()  # since when, while it is

    async def answer(self, sdp: str) -> str:
        """Connect; also again, from a new connection of the same page. Raises Refusal."""
        before, self._peer = self._peer, self._make_peer(self._changed)
        self._disconnected_s = time.monotonic()
        if before is not None:
            await before.close()
        try:
            return await self._peer.answer(sdp)
        except Refusal:
            await self._peer.close()
            raise

    async def add_candidate(self, line: str | None, mid: str | None, index: int | None) -> None:
        """Of the other side, None = there are no more. Raises Refusal."""
        if self._peer is not None:
            await self._peer.add_candidate(line, mid, index)

    @property
    def ufrag(self) -> str | None:
        """Of the other side's ICE, as in its latest offer."""
        return self._peer.ufrag if self._peer is not None else None

    @property
    def state(self) -> str:
        """new, connecting, connected, failed or closed."""
        return self._peer.state if self._peer is not None else "closed"

    @property
    def away_s(self) -> float:
        """For how long nothing has been heard of it."""
        if self.state != "connected":
            return time.monotonic() - self._disconnected_s
        return self._silent_s

    def overdue(self, idle_s: float) -> str | None:
        """Why the session is to be closed, if it is; ``idle_s`` is how long it may be silent."""
        state, away_s = self.state, time.monotonic() - self._disconnected_s
        if (state != "connected" and away_s > CONNECT_S) or (state == "closed" and away_s > GONE_S):
            return "not connected"
        if state == "connected" and not self.came:
            return "full"
        return "idle" if state == "connected" and self._silent_s > idle_s else None

    def send(self, text: str) -> None:
        """To the page, where it listens."""
        if self._peer is not None:
            self._peer.send(text)

    async def statistics(self) -> list[Any] | None:
        """aiortc's, of all tracks; None before there is a peer."""
        return await self._peer.statistics() if self._peer is not None else None

    async def close(self) -> None:
        if self._peer is not None:
            await self._peer.close()

    @property
    def _silent_s(self) -> float:
        if self._heard_ns is None:
            return 0.0
        return (self._clock.now_ns() - max(self._heard_ns(), self._connected_ns)) / NS

    def _changed(self) -> None:
        self._log(f"connection {self.state}")
        if self.state != "connected":
            self._disconnected_s = time.monotonic()
            return
        self._connected_ns = self._clock.now_ns()
        if not self.came:
            self.came = self._admit()


def pong(text: str) -> str | None:
    """The answer to a page that asks for the server's time."""
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(asked, dict) or asked.get("t") != "ping" or not isinstance(asked.get("at"), int | float):
        return None
    return json.dumps({"t": "pong", "at": asked["at"], "server_ms": time.time() * 1000})
