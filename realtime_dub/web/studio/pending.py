"""Handshakes that are under way: a session has a seat from the moment at which it is connected, not before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from realtime_dub.web.limits import MOST_PENDING, PENDING_REST_S
from realtime_dub.web.refusals import Refusal


class Arriving(Protocol):
    id: str

    @property
    def came(self) -> bool:
        """It has been connected."""

    @property
    def since_s(self) -> float:
        """It was made."""


async def make_room(sessions: Iterable[Arriving], end: Callable[[str, str], Awaitable[None]], now_s: float) -> None:
    """For one more: the oldest that has not come gives way, unless it is too young. Raises Refusal."""
    pending = sorted((each for each in sessions if not each.came), key=lambda each: each.since_s)
    if len(pending) < MOST_PENDING:
        return
    if now_s - pending[0].since_s < PENDING_REST_S:
        raise Refusal(503, "Too many are about to connect.", "Try again in a moment.", {"Retry-After": "2"})
    await end(pending[0].id, "gave way")
