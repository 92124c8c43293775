"""Programs that interpret: ``/voices/NAME?channel=LANGUAGE`` takes a voice for a room, in three ways.

``POST`` of a session description is WHIP (RFC 9725) with audio alone; ``POST`` of samples is spoken as it comes; a
websocket takes samples as binary messages, and the events of realtime services (``studio.realtime``).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from realtime_dub.media import samples_to_ns
from realtime_dub.web.config import LANGUAGE, SessionOptions
from realtime_dub.web.http import whip
from realtime_dub.web.http.api import STUDIO
from realtime_dub.web.http.door import Door
from realtime_dub.web.http.invited import check_channel, check_options, note_link
from realtime_dub.web.http.routes import CHUNK, read_body
from realtime_dub.web.limits import PROGRAM_AHEAD_S
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.pcm import AudioReader, PcmFormat, PcmReader, WavReader
from realtime_dub.web.studio.program import ProgramSession

WAV = ("audio/wav", "audio/wave", "audio/x-wav", "audio/vnd.wave")
PCM = ("audio/pcm", "application/octet-stream")
NO_VOICE = Refusal(404, "There is no voice of that name.", "Write the room as hall-1, and the language as es or pt-BR.")
TYPES = f"{whip.SDP}, {WAV[0]}, {PCM[0]}"


def options_of(request: web.Request) -> SessionOptions:
    """An interpreter that is a program, in the room and the language of the address. Raises Refusal."""
    name, channel = request.match_info["name"], request.query.get("channel", "")
    try:
        if not re.fullmatch(rf"({LANGUAGE})?", channel):
            raise NO_VOICE
        given = {"role": "interpreter", "room": name, "channel": channel, "program": True}
        options = SessionOptions.model_validate(given)
    except ValidationError as error:
        raise NO_VOICE from error
    check_channel(request, channel)
    check_options(request, options)
    return options


async def open_voice(request: web.Request) -> web.Response:
    """By what the body is."""
    options = options_of(request)
    if request.content_type == whip.SDP:
        sdp = (await read_body(request)).decode("utf-8", "replace")
        check_audio_alone(sdp)
        return await whip.answer_offer(request, "voices", options, sdp)
    return await speak(request, reader_of(request), options)


def check_audio_alone(sdp: str) -> None:
    """Raises Refusal."""
    if re.search(r"^m=video ", sdp, re.MULTILINE):
        raise Refusal(422, "A voice is audio alone.", "Offer no video; pictures go to /whip/.")


def reader_of(request: web.Request) -> AudioReader:
    """Of the body, as its type says. Raises Refusal."""
    if request.content_type in WAV:
        return WavReader()
    if request.content_type not in PCM:
        do = f"Send {TYPES}."
        raise Refusal(415, "The body is neither audio nor a session description.", do, {"Accept-Post": TYPES})
    return PcmReader(PcmFormat(number(request, "rate"), number(request, "channels", 1)))


def number(request: web.Request, name: str, usual: int | None = None) -> int:
    """Of the address, or of the body's type, as in ``audio/pcm;rate=24000``. Raises Refusal."""
    from_type = re.search(rf";\s*{name}=(\d{{1,6}})\b", request.headers.get("Content-Type", ""))
    given = request.query.get(name, from_type[1] if from_type else None)
    if given is None and usual is not None:
        return usual
    if given is None or not re.fullmatch(r"\d{1,6}", given):
        raise Refusal(400, f"The audio's {name} is missing or no number.", f"Say it in the address, as ?{name}=24000.")
    return int(given)


async def speak(request: web.Request, reader: AudioReader, options: SessionOptions) -> web.Response:
    """The body, as it comes; answered when all of it was spoken."""
    if isinstance(request.protocol, Door):
        request.protocol.leave_time()
    speaking = _Speaking(request, reader, options)
    try:
        session, seconds = await speaking.run()
    finally:
        await speaking.close()
    return web.json_response({"id": session.id, "seconds": round(seconds, 3)})


class _Speaking:
    """One request."""

    def __init__(self, request: web.Request, reader: AudioReader, options: SessionOptions) -> None:
        self._request, self._reader, self._options = request, reader, options
        self._session: ProgramSession | None = None

    async def run(self) -> tuple[ProgramSession, float]:
        """The session, and how much of its audio was spoken. Raises Refusal, also where the voice was ended."""
        while chunk := await self._more():
            samples = self._reader.feed(chunk)
            if self._session is None and self._reader.format is not None:
                rate = self._reader.format.rate
                self._session = await self._request.app[STUDIO].open_program(self._options, rate, PROGRAM_AHEAD_S)
                await note_link(self._request, self._session.id)
            if self._session is not None:
                await self._session.put(samples)
        if self._session is None or self._session.pacer is None or not self._session.pacer.position:
            raise Refusal(400, "The body has no audio.", "Send samples.")
        await self._session.spoken()
        pacer = self._session.pacer
        return self._session, samples_to_ns(pacer.position, pacer.rate) / 1e9

    async def close(self) -> None:
        if self._session is not None:
            await self._request.app[STUDIO].end(self._session.id, "all was spoken")

    async def _more(self) -> bytes:
        """Of the body. Raises Refusal where the voice is ended meanwhile: who is silent would never know."""
        if self._session is None:
            return await self._request.content.read(CHUNK)
        return await unless_ended(self._session, self._request.content.read(CHUNK))


async def unless_ended(session: ProgramSession, work: Awaitable[bytes]) -> bytes:
    """Raises Refusal where the session is ended before."""
    working: asyncio.Future[Any] = asyncio.ensure_future(work)
    ending = asyncio.ensure_future(session.ended.wait())
    try:
        await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise session.why
        found: bytes = working.result()
        return found
    finally:
        for each in (working, ending):
            each.cancel()
        await asyncio.gather(working, ending, return_exceptions=True)
