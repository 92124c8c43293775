"""A person behind a bad line, who does as the page does: where nothing is heard any more, the session is given another
connection; where there is no such session any more, another one is begun.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout
from aiortc import RTCSessionDescription

from benchmarks.relay import Line, Relay, without_candidates
from benchmarks.room_peers import HEADERS, Face, Person, Sound, Voice
from realtime_dub.web.rtc.aiortc_guard import BoundedNacks

DEAD_S, TRY_S, PAUSE_S = 4.0, 8.0, 0.5  # as static/session.js has them
ASK = ClientTimeout(total=5.0)


class Held(Person):
    """One connection, over a relay of its own: the server has no other way."""

    def __init__(self, url: str, height: int, fps: int, line: Line) -> None:
        super().__init__(url, (Face(height, fps), Voice(Sound(3_200, on_s=3, period_s=4))))
        self.relay = Relay(0.0, 0.0)
        self.relay.line = line

    async def ask(self, path: str, **more: object) -> bool:
        """Whether there was an answer to an offer. False where there is no such session."""
        await self._pc.setLocalDescription(await self._pc.createOffer())
        body: dict[str, Any] = {"sdp": without_candidates(self._pc.localDescription.sdp), "type": "offer", **more}
        async with (
            ClientSession(headers=HEADERS, timeout=ASK) as http,
            http.post(f"{self._url}/api/sessions{path}", json=body) as answer,
        ):
            told = await answer.json()
            if answer.status == 404:
                return False
            if answer.status not in (200, 201):
                raise RuntimeError(told["error"]["what"])
        self.id = told.get("id", self.id)
        sdp = self.relay.redirect(told["sdp"])
        await self._pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        for receiver in self._pc.getReceivers():  # as browsers do, what is missing is asked for again
            if receiver.track.kind == "video":
                setattr(receiver, "_RTCRtpReceiver__nack_generator", BoundedNacks())  # noqa: B010
        return True

    async def close(self) -> None:
        await super().close()
        await asyncio.to_thread(self.relay.close)


class Visitor:
    """Pictures of all its connections, and how many there were. ``line`` holds for each."""

    def __init__(self, url: str, height: int, fps: int) -> None:
        self._url, self._about = url, (height, fps)
        self._line = Line()
        self.person = self._made()
        self.picture_s: list[float] = []
        self.connections, self.sessions = 1, 1
        self._told, self._told_s = 0, time.monotonic()
        self._task: asyncio.Task[None] | None = None

    def _made(self) -> Held:
        return Held(self._url, *self._about, self._line)

    @property
    def line(self) -> Line:
        return self._line

    @line.setter
    def line(self, line: Line) -> None:
        self._line = self.person.relay.line = line

    @property
    def stats(self) -> dict[str, Any]:
        return self.person.got.stats[-1] if self.person.got.stats else {}

    async def open(self, **options: object) -> None:
        await self.person.ask("", options=options)
        async with asyncio.timeout(60):
            await self.person.got.seen.wait()
        self._options = options
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(ClientError, TimeoutError, OSError):
            async with (
                ClientSession(headers=HEADERS, timeout=ASK) as http,
                http.delete(f"{self._url.rstrip('/')}/api/sessions/{self.person.id}"),
            ):
                pass
        await self.person.close()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            got = self.person.got
            self.picture_s += [at_s for at_s, _, _ in got.corners]
            got.corners.clear()
            got.tones.clear()
            if len(got.stats) != self._told:
                self._told, self._told_s = len(got.stats), time.monotonic()
            if self.person.ended or time.monotonic() - self._told_s > DEAD_S:
                await self._renew()
                self._told, self._told_s = 0, time.monotonic()

    async def _renew(self) -> None:
        """Again and again, until a connection holds."""
        while True:
            before, self.person = self.person, self._made()
            self.person.id = before.id
            holds = False
            with contextlib.suppress(ClientError, RuntimeError, TimeoutError, OSError):
                holds = await self._connected(before.id)
            await before.close()
            if holds:
                return
            await asyncio.sleep(PAUSE_S)

    async def _connected(self, id: str) -> bool:
        self.connections += 1
        if not await self.person.ask(f"/{id}/ice"):
            self.person.id = ""
            self.sessions += 1
            again, self.person = self.person, self._made()  # an offer of its own
            await again.close()
            await self.person.ask("", options=self._options, after=id)
        async with asyncio.timeout(TRY_S):
            await self.person.got.seen.wait()
        return True
