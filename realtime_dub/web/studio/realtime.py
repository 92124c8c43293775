"""The events by which realtime translation and speech services talk over a websocket, as a room understands them.

What such a service sends to its client may be handed on as it is; so may what a client sends to the service. Audio is
16-bit PCM in base64; transcripts are pieces of text that are only ever added to.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

from realtime_dub.web.refusals import Refusal

RATE = 24_000  # of these services
SPOKEN = {  # what carries the voice, and in which field
    "session.output_audio.delta": "delta",
    "response.output_audio.delta": "delta",
    "response.audio.delta": "delta",
    "session.input_audio_buffer.append": "audio",
    "input_audio_buffer.append": "audio",
}
WRITTEN = {
    "session.output_transcript.delta",
    "response.output_audio_transcript.delta",
    "response.audio_transcript.delta",
}
WRITTEN_OUT = {"response.output_audio_transcript.done", "response.audio_transcript.done"}
DROPPED = {"input_audio_buffer.clear", "session.input_audio_buffer.clear"}
APPENDS = {"translation": "session.input_audio_buffer.append", "realtime": "input_audio_buffer.append"}
MOST_LINE = 84  # letters: two lines of a caption, as broadcasters have them
LETTERS_PER_S = 18  # that are spoken, by who is quick: what follows is rather early than late
_END = re.compile(
    r"""\n|[.!?\u2026]+["'\u201d\u2019\u00bb)]*\s|[\u3002\uff01\uff1f]|[\u061f\u0964]\s?"""
)  # of a sentence


@dataclass(frozen=True)
class Spoken:
    pcm: bytes
    rate: int | None  # where the event names one
    channels: int


@dataclass(frozen=True)
class Written:
    text: str
    ends: bool = False


@dataclass(frozen=True)
class Cleared:
    """What was not spoken yet is not to be."""


Event: TypeAlias = Spoken | Written | Cleared


def read_event(text: str) -> Event | None:
    """None for what does not concern the room. Raises Refusal for what cannot be read."""
    try:
        event = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "The message is not JSON.", "Send events, or samples as binary messages.") from error
    kind = event.get("type") if isinstance(event, dict) else None
    if not isinstance(kind, str):
        raise Refusal(400, "The event has no type.", "Name it in the field type.")
    if kind in SPOKEN:
        return _spoken(event, SPOKEN[kind])
    if kind in WRITTEN:
        return Written(_text(event, "delta"))
    if kind in WRITTEN_OUT:
        return Written("", ends=True)
    return Cleared() if kind in DROPPED else None


def append_event(hear: str, pcm: bytes) -> str:
    """The speaker's audio, for the service. ``hear``: one of ``APPENDS``."""
    return json.dumps({"type": APPENDS[hear], "audio": base64.b64encode(pcm).decode()})


def _spoken(event: dict[str, Any], field: str) -> Spoken:
    try:
        pcm = base64.b64decode(_text(event, field), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(400, "The audio is not base64.", "Send 16-bit PCM in base64.") from error
    if event.get("format", "pcm16") != "pcm16":
        raise Refusal(415, "The audio is no PCM of 16 bits.", "Ask the service for pcm16.")
    rate, channels = event.get("sample_rate"), event.get("channels", 1)
    for number in (rate, channels):
        if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
            raise Refusal(400, "The audio's rate or channels are no number.", "Send whole numbers.")
    return Spoken(pcm, rate, 1 if channels is None else channels)


def _text(event: dict[str, Any], field: str) -> str:
    text = event.get(field)
    if not isinstance(text, str):
        raise Refusal(400, f"The event has no {field}.", f"Send text in the field {field}.")
    return text


class Transcript:
    """Makes lines of what comes in pieces: a sentence each, or less where it is long.

    A line belongs to the position in the audio at which its first piece came.
    """

    def __init__(self) -> None:
        self._text = ""
        self._position = 0

    def add(self, text: str, position: int, rate: int) -> list[tuple[str, int]]:
        """The lines that are complete now, each with its position."""
        if not self._text.strip():
            self._text, self._position = "", max(position, self._position)  # a text may come before all its audio
        self._text += text
        lines: list[tuple[str, int]] = []
        while cut := _cut(self._text):
            lines.append((self._text[:cut].strip(), self._position))
            self._position += cut * rate // LETTERS_PER_S
            self._text = self._text[cut:]
        return [line for line in lines if line[0]]

    def end(self) -> list[tuple[str, int]]:
        """The rest."""
        text, self._text = self._text.strip(), ""
        return [(text, self._position)] if text else []


def _cut(text: str) -> int:
    """Where the first line ends; 0 where it does not yet."""
    found = _END.search(text)
    if found is not None and found.end() <= MOST_LINE:
        return found.end()
    if len(text) <= MOST_LINE:
        return 0
    space = text.rfind(" ", MOST_LINE // 2, MOST_LINE)
    return space + 1 if space > 0 else MOST_LINE
