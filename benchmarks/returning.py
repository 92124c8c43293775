"""A page that comes back by itself, as ``static/session.js`` and ``comeback.js`` have it, played by aiortc."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from aiohttp import ClientError, ClientSession, ClientTimeout

from benchmarks.room_peers import HEADERS, Person

SILENT_S = 2.0  # nothing was said for so long: is there still such a session?
WAITS_S = (0.0, 0.3, 0.5, 1.0)
LIVE_S = 8.0
ASK = ClientTimeout(total=3.0)


class Page:
    """Holds a person; another one where its session was lost."""

    def __init__(self, url: str, make: Callable[[str], Person]) -> None:
        self._make, self._url = make, url.rstrip("/")
        self.person = make(self._url)
        self.options: dict[str, object] = {}
        self.back_s: list[float] = []  # how long each return took, from when nothing was heard any more
        self.picture_s: list[float] = []  # when each picture came, in all sessions
        self.refused = 0  # while it came back
        self.why = ""  # it was refused, or was not live, the last time
        self.lost_s: float | None = None  # since when it is without a session
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def id(self) -> str:
        return self.person.id

    @property
    def worker(self) -> int:
        """The number of the one that has its session; -1 while it has none."""
        number = self.id.partition("-")[0]
        return int(number) if number.isdecimal() else -1

    @property
    def live(self) -> bool:
        return self.lost_s is None and bool(self.person.got.corners)

    async def open(self, **options: object) -> None:
        self.options = options
        await self.person.connect(**options)
        self._tasks = [asyncio.create_task(self._watch())]

    async def open_anew(self) -> None:
        """As after Stop and Start."""
        await self.close()
        self.person = self._make(self._url)
        await self.open(**self.options)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(ClientError, TimeoutError):
            async with ClientSession(headers=HEADERS, timeout=ASK) as http, http.delete(self._at):
                pass
        await self.person.close()

    @property
    def _at(self) -> str:
        return f"{self._url}/api/sessions/{self.id}"

    async def _watch(self) -> None:
        heard, heard_s = 0, time.monotonic()
        while True:
            await asyncio.sleep(0.05)
            self._take_note()
            if len(self.person.got.stats) != heard:
                heard, heard_s = len(self.person.got.stats), time.monotonic()
            ended = self.person.ended
            if not ended and time.monotonic() - heard_s < SILENT_S:
                continue
            if ended or not await self._is_there():
                await self._return(time.monotonic() if ended else heard_s)
                heard = 0
            heard_s = time.monotonic()

    def _take_note(self) -> None:
        """One picture stays, to say that it is live."""
        corners = self.person.got.corners
        self.picture_s += [at_s for at_s, _, _ in corners[:-1]]
        del corners[:-1]
        self.person.got.tones.clear()

    async def _is_there(self) -> bool:
        with contextlib.suppress(ClientError, TimeoutError):
            async with ClientSession(headers=HEADERS, timeout=ASK) as http, http.get(self._at) as answer:
                return answer.status != 404
        return True

    async def _return(self, lost_s: float) -> None:
        self.lost_s, lost, tries = lost_s, self.id, 0
        await self.person.close()
        while True:
            await asyncio.sleep(WAITS_S[min(tries, len(WAITS_S) - 1)])
            tries += 1
            self.person = self._make(self._url)
            if await self._opened_again(lost):
                break
            self.refused += 1
            await self.person.close()
        self.back_s.append(time.monotonic() - lost_s)
        self.lost_s = None

    async def _opened_again(self, lost: str) -> bool:
        try:
            await self.person.open(self.options, lost)
            async with asyncio.timeout(LIVE_S):
                await self.person.got.seen.wait()
        except (ClientError, RuntimeError, TimeoutError) as error:
            self.why = f"{type(error).__name__}: {error}"
            return False
        return True
