"""What is known of each person who is dubbed, in a store: for the page that comes back to another process.

Settings and room the page brings along by itself; what was learnt of its face lay in the process that was killed. A
page that comes back names the session that it had (``after``), which nobody else knows. Banks lie there plain: a store
may be one that others can write to, and nothing of it is decoded.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterable

from realtime_dub.errors import RealtimeDubError
from realtime_dub.web.store import Store
from realtime_dub.web.studio import banks
from realtime_dub.web.studio.session import Session
from realtime_dub.web.upkeep import Tasks, repeat

KEEP_S = 2.0  # between two banks that are kept, each another session's in turn
EACH_S = 6.0  # between two of one session: a full one takes some ten ms of a core
LASTS_S = 120.0  # after it was kept the last time: longer than any page tries to come back
log = logging.getLogger("realtime_dub.web")


class Leases:
    """On a worker's loop."""

    def __init__(self, store: Store, sessions: Callable[[], Iterable[Session]]) -> None:
        self._store, self._sessions = store, sessions
        self._tasks = Tasks("leases")
        self._kept_s: dict[str, float] = {}  # sessions: when, the last time
        self._after: dict[str, str] = {}  # sessions: whose bank they took over
        self._sweeps = 0

    def begin(self) -> None:
        self._tasks.spawn(repeat(KEEP_S, self._keep_next, self._sweep), "keeping")

    async def close(self) -> None:
        await self._tasks.close()

    async def keep(self, session: Session) -> None:
        """What is known of its person by now, if anything."""
        self._kept_s[session.id] = time.monotonic()
        identity = await session.known()
        if identity is None or not identity.known:
            return
        engine = session.options.shown_by
        try:
            data = await asyncio.to_thread(banks.to_bytes, identity, plain=True)
            await asyncio.to_thread(self._store.put, session.id, _packed(engine, data), LASTS_S)
        except (OSError, RealtimeDubError) as error:
            log.warning("what is known of a person is not kept", extra={"session": session.id, "why": str(error)})

    async def take_over(self, after: str, session: Session) -> bool:
        """What was known in the session ``after`` is known in this one; False where there is nothing."""
        packed = await asyncio.to_thread(self._store.get, after) if session.options.role == "studio" else None
        if packed is None:
            return False
        engine, data = _unpacked(packed)
        if engine != session.options.engine:
            return False
        try:
            await session.use_bank(await asyncio.to_thread(banks.from_bytes, data, engine, plain=True))
        except RealtimeDubError as error:
            log.warning("what was known of a person is lost", extra={"session": session.id, "why": str(error)})
            return False
        self._after[session.id] = after  # it stays for its time: the page may have to come back once more
        await self.keep(session)
        return True

    async def forget(self, id: str) -> None:
        """What was known in it, and in those that it took over from."""
        name: str | None = id
        while name is not None:
            await asyncio.to_thread(self._store.drop, name)
            name = self._after.pop(name, None)

    async def _keep_next(self) -> None:
        """Whose turn it is: one at a time, so that it never costs two people's time at once."""
        dubbed = [each for each in self._sessions() if each.options.role == "studio" and each.has_seat]
        ids = {each.id for each in dubbed}
        self._kept_s = {id: at_s for id, at_s in self._kept_s.items() if id in ids}
        self._after = {id: after for id, after in self._after.items() if id in ids}
        ends_s = time.monotonic() - EACH_S
        due = [each for each in dubbed if self._kept_s.get(each.id, 0.0) <= ends_s]
        if due:
            await self.keep(min(due, key=lambda each: self._kept_s.get(each.id, 0.0)))

    async def _sweep(self) -> None:
        self._sweeps += 1
        if self._sweeps % 10 == 0:
            await asyncio.to_thread(self._store.sweep)


def _packed(engine: str, data: bytes) -> bytes:
    return json.dumps({"engine": engine}).encode() + b"\n" + data


def _unpacked(packed: bytes) -> tuple[str, bytes]:
    """Also of what somebody else has written there: the bank is checked when it is read."""
    head, _, data = packed.partition(b"\n")
    try:
        engine = json.loads(head)["engine"]
    except (ValueError, KeyError, TypeError):
        return "", b""
    return str(engine), data
