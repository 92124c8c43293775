"""``POST /captions/NAME?channel=LANGUAGE``: captions of a room, as WebVTT, as lines, or one with its time as JSON.

WebVTT and lines are taken as they come, so that a stream of them may stay open for hours.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import re
import time
from collections.abc import Callable

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from realtime_dub.media import NS, ns_to_samples
from realtime_dub.web.config import LANGUAGE, ROOM_NAME
from realtime_dub.web.http.answers import SLOW
from realtime_dub.web.http.api import STUDIO
from realtime_dub.web.http.door import Door
from realtime_dub.web.http.invited import check_channel
from realtime_dub.web.http.routes import CHUNK, read
from realtime_dub.web.limits import CAPTION_LETTERS, CAPTIONS_BODY, CAPTIONS_PAUSE_S
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.captions import Caption, plain
from realtime_dub.web.studio.program import ProgramSession
from realtime_dub.web.studio.webvtt import Cue, VttReader

VTT, LINES, JSON = "text/vtt", "text/plain", "application/json"
TYPES = f"{VTT}, {LINES}, {JSON}"
LONGEST_LINE = 10 * CAPTION_LETTERS  # with what is no text in it


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(max_length=LONGEST_LINE)
    at: float | None = Field(None, ge=0)  # seconds of the system's clock at which it is said; None: now
    for_s: float | None = Field(None, gt=0, le=60)  # shown


async def caption(request: web.Request) -> web.Response:
    """Answered when the body is over: how many were taken."""
    room, channel = named(request)
    taken = Taken(request.app[STUDIO].captions.say, room, channel)
    if request.content_type == JSON:
        line = await read(request, _Line)
        now_ns = time.monotonic_ns()
        said_ns = now_ns if line.at is None else now_ns + round((line.at - time.time()) * NS)
        taken.add(line.text, said_ns, None if line.for_s is None else round(line.for_s * NS))
    elif request.content_type == VTT:
        await _cues(request, taken, _voice(request, room, channel))
    elif request.content_type == LINES:
        await _lines(request, taken)
    else:
        raise Refusal(415, "The body is no caption.", f"Send {TYPES}.", {"Accept-Post": TYPES})
    return web.json_response({"taken": taken.count, "skipped": taken.skipped})


def named(request: web.Request) -> tuple[str, str]:
    """The room and the language of the address. Raises Refusal."""
    room, channel = request.match_info["name"], request.query.get("channel", "")
    if not re.fullmatch(ROOM_NAME, room) or not re.fullmatch(rf"({LANGUAGE})?", channel):
        raise Refusal(404, "There is no room of that name.", "Name a language as es or pt-BR.")
    check_channel(request, channel)
    return room, channel


class Taken:
    """Of one request."""

    def __init__(self, say: Callable[[Caption], None], room: str, channel: str) -> None:
        self._say, self._room, self._channel = say, room, channel
        self.count = self.skipped = 0

    def add(self, text: str, said_ns: int, lasts_ns: int | None = None) -> None:
        """Raises Refusal."""
        self.say(text, said_ns, lasts_ns)
        self.count += 1

    def say(self, text: str, said_ns: int, lasts_ns: int | None = None) -> None:
        """One that was counted already, or never is. Raises Refusal."""
        self._say(Caption(self._room, self._channel, plain(text), said_ns, lasts_ns))

    def attempt(self, text: str, said_ns: int, lasts_ns: int | None = None) -> None:
        """One of many: where it cannot be had, the others can. Raises Refusal where too many wait."""
        try:
            self.add(text, said_ns, lasts_ns)
        except Refusal as refusal:
            self.skipped += 1
            if refusal.status == 429 and said_ns > time.monotonic_ns():
                raise


def _voice(request: web.Request, room: str, channel: str) -> ProgramSession | None:
    """Whose audio the times count in, where they do. Raises Refusal."""
    of = request.query.get("of", "")
    if of not in ("", "voice"):
        raise Refusal(400, f"Times cannot be those of {of}.", "Leave it out, or write ?of=voice.")
    if not of:
        return None
    voice = request.app[STUDIO].program_in(room, channel)
    if voice is None:
        raise Refusal(409, "No program speaks in that language.", "Begin its voice first, or leave out ?of=voice.")
    return voice


async def _cues(request: web.Request, taken: Taken, voice: ProgramSession | None) -> None:
    """Times count from the beginning of the request, or of the voice."""
    reader, began_ns, size = VttReader(), time.monotonic_ns(), 0
    _leave_time(request)
    while chunk := await _more(request):
        size += len(chunk)
        if size > CAPTIONS_BODY:
            raise Refusal(413, "The captions are too long.", f"Keep them below {CAPTIONS_BODY // 1000} kB.")
        _place(reader.feed(chunk), taken, voice, began_ns)
    _place(reader.end(), taken, voice, began_ns)
    taken.skipped += reader.skipped


def _place(cues: list[Cue], taken: Taken, voice: ProgramSession | None, began_ns: int) -> None:
    for cue in cues:
        if voice is None:
            taken.attempt(cue.text, began_ns + cue.start_ns, cue.end_ns - cue.start_ns)
        else:
            _with(voice, cue, taken)


def _with(voice: ProgramSession, cue: Cue, taken: Taken) -> None:
    """When that place of its audio is spoken."""
    pacer = voice.pacer
    if pacer is None or voice.closed:
        raise voice.why

    def met(said_ns: int) -> None:
        with contextlib.suppress(Refusal):
            taken.say(cue.text, said_ns, cue.end_ns - cue.start_ns)

    if not voice.when_spoken(ns_to_samples(cue.start_ns, pacer.rate), met):
        raise Refusal(429, "Too many captions wait for the voice.", "Send the rest later.", {"Retry-After": "60"})
    taken.count += 1


async def _lines(request: web.Request, taken: Taken) -> None:
    """Each is said when it comes."""
    decoder, text = codecs.getincrementaldecoder("utf-8")("replace"), ""
    _leave_time(request)
    while chunk := await _more(request):
        *lines, text = re.split(r"\r\n|\n|\r", text + decoder.decode(chunk))
        if len(text) > LONGEST_LINE:
            raise Refusal(413, "The line is too long.", f"Keep it below {CAPTION_LETTERS} letters.")
        for line in filter(str.strip, lines):
            taken.attempt(line, time.monotonic_ns())
    if text.strip():
        taken.add(text, time.monotonic_ns())


async def _more(request: web.Request) -> bytes:
    """Of the body. Raises Refusal where nothing comes for long."""
    try:
        return await asyncio.wait_for(request.content.read(CHUNK), CAPTIONS_PAUSE_S)
    except TimeoutError:
        raise SLOW from None


def _leave_time(request: web.Request) -> None:
    if isinstance(request.protocol, Door):
        request.protocol.leave_time()
