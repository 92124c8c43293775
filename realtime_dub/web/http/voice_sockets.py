"""The websocket of ``/voices/NAME``: samples, the events of realtime services, and what an interpreter is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import numpy as np
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from realtime_dub.audio.resample import StreamResampler
from realtime_dub.media import Samples
from realtime_dub.web.http.api import STUDIO
from realtime_dub.web.http.invited import note_link
from realtime_dub.web.http.voices import number, options_of
from realtime_dub.web.limits import (
    SERVICE_AHEAD_S,
    SOCKET_BYTES,
    SOCKET_FAULTS,
    SOCKET_MESSAGES_BURST,
    SOCKET_MESSAGES_PER_S,
    SOCKET_PING_S,
    SOCKET_WAITING,
)
from realtime_dub.web.rates import TokenBucket
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.rtc.browser_input import RATE as HEARD_RATE
from realtime_dub.web.studio.captions import Caption, plain
from realtime_dub.web.studio.pcm import PcmFormat, PcmReader
from realtime_dub.web.studio.program import ProgramSession
from realtime_dub.web.studio.realtime import (
    APPENDS,
    RATE,
    Cleared,
    Spoken,
    Transcript,
    Written,
    append_event,
    read_event,
)
from realtime_dub.web.studio.studio import Studio

PIECE = RATE // 5  # samples of the speaker's audio in an event: services want a fifth of a second
QUIET_MS = 900  # without a piece of text: what came so far is a line


async def open_socket(request: web.Request) -> web.WebSocketResponse:
    """Raises Refusal before it is open; afterwards errors are events."""
    options, hear = options_of(request), request.query.get("hear", "")
    reader = PcmReader(PcmFormat(number(request, "rate", RATE), number(request, "channels", 1)))
    if hear and hear not in APPENDS:
        raise Refusal(400, f"The speaker cannot be heard as {hear}.", f"Choose {' or '.join(APPENDS)}.")
    socket = web.WebSocketResponse(autoping=False, max_msg_size=SOCKET_BYTES)
    if not socket.can_prepare(request).ok:
        raise Refusal(426, "This address is for POST, and for websockets.", "Send audio.", {"Upgrade": "websocket"})
    studio = request.app[STUDIO]
    session = await studio.open_program(options, reader.format.rate, SERVICE_AHEAD_S)
    try:
        await note_link(request, session.id)
        await socket.prepare(request)
        await VoiceSocket(studio, session, socket, reader, hear).run()
    finally:
        await studio.end(session.id, "the program went")
    return socket


class VoiceSocket:
    """One of them, from its opening to its end. ``hear``: as which service's events the speaker is sent, if any."""

    def __init__(
        self, studio: Studio, session: ProgramSession, socket: web.WebSocketResponse, reader: PcmReader, hear: str
    ) -> None:
        self._studio, self._session, self._socket, self._reader, self._hear = studio, session, socket, reader, hear
        self._transcript = Transcript()
        self._written_s = 0.0  # when text came
        self._rate = TokenBucket(SOCKET_MESSAGES_PER_S, SOCKET_MESSAGES_BURST)
        self._faults = 0
        self._outbox: asyncio.Queue[str] = asyncio.Queue(SOCKET_WAITING)
        self._ears = Ears(hear, self._send)

    async def run(self) -> None:
        """Until either side ends it."""
        session, original = self._session, self._session.room.original if self._session.room else None
        if self._hear and original is not None:
            original.listeners.add(self._ears.hear)
        else:
            session.tell = lambda message: self._send(json.dumps(message))
            self._send(json.dumps(self._created()))
            session.send_room()
        work = (self._receive(), session.ended.wait(), self._write(), self._tick())
        tasks = [asyncio.ensure_future(each) for each in work]
        try:
            await asyncio.wait(tasks[:2], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if original is not None:
                original.listeners.discard(self._ears.hear)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        await self._close(ended)

    def _created(self) -> dict[str, Any]:
        options, format = self._session.options, self._reader.format
        audio = {"input": {"format": {"type": "audio/pcm", "rate": format.rate}}}
        told = {"id": self._session.id, "room": options.room, "channel": options.channel, "audio": audio}
        return {"type": "session.created", "session": told}

    async def _close(self, ended: list[Any]) -> None:
        faults = [each for each in ended if isinstance(each, Exception) and not isinstance(each, ConnectionError)]
        why = next((each for each in faults if isinstance(each, Refusal)), None)
        if self._session.closed:
            why = self._session.why
        with contextlib.suppress(ConnectionError):
            if why is not None:
                await self._socket.send_str(json.dumps(_error(why)))
            code = WSCloseCode.OK if why is None else WSCloseCode.POLICY_VIOLATION
            await self._socket.close(code=code, message=(why.what if why else "").encode()[:120])
        for fault in faults:
            if not isinstance(fault, Refusal):
                raise fault

    # What comes.

    async def _receive(self) -> None:
        """Until it is closed. Raises Refusal."""
        async for message in _messages(self._socket):
            self._session.inflow.alive()
            if not self._rate.take(1, time.monotonic()):
                raise Refusal(429, "Messages come too fast.", "Send fewer, longer ones.")
            try:
                await self._take(message)
            except Refusal as refusal:
                self._faulty(refusal)
        self._lines(self._transcript.end())
        await self._session.spoken()

    def _faulty(self, refusal: Refusal) -> None:
        """One message is not understood: the others may be. Raises it where there are too many."""
        self._faults += 1
        if self._faults > SOCKET_FAULTS or self._session.closed:
            raise refusal
        if not self._hear:
            self._send(json.dumps(_error(refusal)))

    async def _take(self, message: WSMessage) -> None:
        """Raises Refusal."""
        if message.type is WSMsgType.PING:
            await self._socket.pong(message.data)
        elif message.type is WSMsgType.BINARY:
            await self._session.put(self._reader.feed(message.data))
        elif message.type is WSMsgType.TEXT:
            await self._obey(message.data)

    async def _obey(self, text: str) -> None:
        event, format = read_event(text), self._reader.format
        if isinstance(event, Spoken):
            if event.rate not in (None, format.rate) or event.channels != format.channels:
                do = f"Name the service's in the address, as ?rate={event.rate}&channels={event.channels}."
                raise Refusal(415, f"The audio is not at {format.rate} Hz with {format.channels} channels.", do)
            await self._session.put(self._reader.feed(event.pcm))
        elif isinstance(event, Written):
            self._write_down(event)
        elif isinstance(event, Cleared) and self._session.pacer is not None:
            self._session.pacer.clear()

    # Captions.

    def _write_down(self, event: Written) -> None:
        pacer = self._session.pacer
        assert pacer is not None, "begun before"
        self._written_s = time.monotonic()
        self._lines(self._transcript.add(event.text, pacer.position, pacer.rate))
        if event.ends:
            self._lines(self._transcript.end())

    def _lines(self, lines: list[tuple[str, int]]) -> None:
        for text, position in lines:
            with contextlib.suppress(Refusal):  # a text of blanks, or one too many: the voice goes on
                self._line(plain(text), position)

    def _line(self, text: str, position: int) -> None:
        options = self._session.options

        def met(said_ns: int) -> None:
            with contextlib.suppress(Refusal):
                caption = Caption(options.room or "", options.channel, text, said_ns)
                self._studio.captions.say(caption)

        self._session.when_spoken(position, met)

    # What goes.

    def _send(self, text: str) -> None:
        """The oldest gives way where nobody reads."""
        if self._outbox.full():
            self._outbox.get_nowait()
        self._outbox.put_nowait(text)

    async def _write(self) -> None:
        while True:
            await self._socket.send_str(await self._outbox.get())

    async def _tick(self) -> None:
        """Pings, and lines that nobody ends."""
        pinged_s = time.monotonic()
        while True:
            await asyncio.sleep(QUIET_MS / 3000)
            now_s = time.monotonic()
            if now_s - self._written_s > QUIET_MS / 1000:
                self._lines(self._transcript.end())
            if now_s - pinged_s > SOCKET_PING_S:
                pinged_s = now_s
                await self._socket.ping()


class Ears:
    """The speaker, as the events of a service: mono, 16 bits, at its rate."""

    def __init__(self, hear: str, send: Any) -> None:
        self._hear_as, self._send = hear, send
        self._resampler = StreamResampler(HEARD_RATE, RATE, 1)
        self._held = np.zeros((0, 1), np.float32)

    def hear(self, samples: Samples) -> None:
        """(n, 1) at 48 kHz."""
        self._held = np.concatenate([self._held, self._resampler.process(samples)])
        while len(self._held) >= PIECE:
            piece, self._held = self._held[:PIECE], self._held[PIECE:]
            values = np.clip(np.round(piece[:, 0] * 32_767), -32_768, 32_767).astype("<i2")
            self._send(append_event(self._hear_as, values.tobytes()))


async def _messages(socket: web.WebSocketResponse) -> Any:
    """Until it is closed."""
    while True:
        message = await socket.receive()
        if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
            return
        yield message


def _error(refusal: Refusal) -> dict[str, Any]:
    told = {"type": "invalid_request_error", "code": str(refusal.status), "message": f"{refusal.what} {refusal.do}"}
    return {"type": "error", "error": told}
