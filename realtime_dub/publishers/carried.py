"""Tags, chapters and subtitles of a film, into the file that is made of it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import av

from realtime_dub.media import ns_to_ticks

MILLISECOND = Fraction(1, 1000)
LAST_NS = 1 << 62
TEXT = {"srt", "subrip", "ssa", "ass", "webvtt", "mov_text", "text"}  # PyAV's names
# What a container takes as it is, and what text becomes where it does not.
TAKES = {
    "matroska": {"srt", "subrip", "ssa", "ass", "webvtt", "pgssub", "dvdsub", "dvbsub"},
    "mpegts": {"dvbsub"},
    "mp4": {"mov_text"},
    "mov": {"mov_text"},
}
TEXT_AS = {"matroska": "subrip", "mp4": "mov_text", "mov": "mov_text"}
# A subtitle may be far away: without this the muxer holds back ten seconds of picture to wait for it.
OPTIONS = {"max_interleave_delta": "300000"}  # microseconds


class Extras(Protocol):
    """What ``sources.extras`` reads."""

    tags: dict[str, str]
    picture_tags: dict[str, str]
    sound_tags: dict[str, str]
    subtitles: list[Any]

    def chapters(self) -> list[dict[str, Any]]: ...

    def cues(self, until_ns: int) -> Iterator[Any]: ...


class Carried:
    """What of ``extras`` goes into ``container``, once its picture and sound are added and before it is begun."""

    def __init__(self, container: av.container.OutputContainer, name: str, extras: Extras) -> None:
        self._extras = extras
        self.notes: list[str] = []
        container.metadata.update(extras.tags)
        for stream in container.streams:
            stream.metadata.update(extras.picture_tags if stream.type == "video" else extras.sound_tags)
        if chapters := extras.chapters() if name in ("matroska", "mp4", "mov") else []:
            container.set_chapters(chapters)  # type: ignore[arg-type]  # such dicts
        self._reached_ns = 0
        # Fragments and subtitles of several languages bring FFmpeg's mov muxer to abort the process.
        self._late = name in ("mp4", "mov")
        self._lines = [self._line(container, name, each) for each in extras.subtitles]

    def until(self, until_ns: int) -> list[av.Packet[Any]]:
        """The output has come so far. Packets of subtitles that have ended by then, where they may be written yet."""
        self._reached_ns = until_ns
        for cue in self._extras.cues(until_ns):
            self._lines[cue.stream].append(cue)
        return [] if self._late else [packet for line in self._lines for packet in line.packets(until_ns)]

    def rest(self) -> list[av.Packet[Any]]:
        """All that is left, at the end: a subtitle ends with the picture."""
        return [packet for line in self._lines for packet in line.packets(None, self._reached_ns)]

    def _line(self, container: Any, name: str, source: Any) -> _Line:
        stream, becomes = self._add(container, name, source)
        return _Line(stream, source.codec_context.name, becomes)

    def _add(self, container: Any, name: str, source: Any) -> tuple[Any, str | None]:
        """Its stream in the output, None where it has none, and what its text is coded as, None where it is copied."""
        codec = source.codec_context.name
        if codec in TAKES.get(name, ()) and codec != "mov_text":
            stream, becomes = container.add_stream_from_template(source), None
        elif codec in TEXT and name in TEXT_AS:
            becomes = TEXT_AS[name]
            stream = container.add_mux_stream(becomes)
        else:
            told = ", ".join(part for part in (source.language, codec) if part)
            kept = "" if name == "matroska" else "; write .mkv to keep them"
            self.notes.append(f"this kind of file cannot hold subtitles ({told}): they are left out{kept}")
            return None, None
        stream.time_base = MILLISECOND
        stream.metadata.update({key: source.metadata[key] for key in ("language", "title") if key in source.metadata})
        stream.disposition = source.disposition
        return stream, becomes


def write_tag(container: av.container.OutputContainer, name: str, tag: object) -> None:
    """``tag`` where each muxer writes it: those of mp4 and mov keep a stream's handler, others what they are given."""
    if name in ("mp4", "mov"):
        container.streams[0].metadata["handler_name"] = str(tag)
    else:
        container.metadata["service_provider" if name == "mpegts" else "MADE_BY"] = str(tag)


class _Line:
    """The subtitles of one stream, in order, until they are written."""

    def __init__(self, stream: Any, codec: str, becomes: str | None) -> None:
        """``stream``: None where the output has none; ``becomes``: what text is coded as, None = copied."""
        self._stream, self._codec, self._becomes = stream, codec, becomes
        self._waiting: deque[_Shown] = deque()
        self._last = 0  # ms; muxers take no step back

    def append(self, cue: Any) -> None:
        """One that begins; where only one can be shown at a time, the one before ends, or both are one."""
        if self._stream is None:
            return
        shown = _Shown(cue.start_ns, cue.end_ns, cue.packet)
        if self._becomes is not None:
            shown.text = plain_text(bytes(cue.packet), self._codec)
            if not shown.text:
                return
        if self._becomes == "mov_text" and self._waiting and (before := self._waiting[-1]).end_ns > cue.start_ns:
            if before.start_ns == cue.start_ns:
                shown.text = f"{before.text}\n{shown.text}"
                self._waiting.pop()
            before.end_ns = cue.start_ns
        self._waiting.append(shown)

    def packets(self, ended_by_ns: int | None, cut_ns: int = LAST_NS) -> Iterator[av.Packet[Any]]:
        """The first ones, as far as they have ended by then (None = all); none reaches beyond ``cut_ns``."""
        while self._waiting and (ended_by_ns is None or self._waiting[0].end_ns <= ended_by_ns):
            shown = self._waiting.popleft()
            packet = shown.packet if self._becomes is None else av.Packet(_coded(shown.text, self._becomes))
            packet.stream, packet.time_base = self._stream, MILLISECOND
            start, end = (ns_to_ticks(at_ns, MILLISECOND) for at_ns in (shown.start_ns, min(shown.end_ns, cut_ns)))
            self._last = packet.pts = packet.dts = max(start, self._last)
            packet.duration = max(1, end - self._last)
            yield packet


@dataclass(slots=True)
class _Shown:
    start_ns: int
    end_ns: int
    packet: Any
    text: str = ""


def _coded(text: str, codec: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data if codec == "mov_text" else data


def plain_text(data: bytes, codec: str) -> str:
    """The words of a subtitle, without their looks."""
    if codec == "mov_text":
        data = data[2 : 2 + int.from_bytes(data[:2], "big")]
        return data.decode("utf-16" if data[:2] in (b"\xfe\xff", b"\xff\xfe") else "utf-8", "replace")
    text = data.decode("utf-8", "replace")
    if codec in ("ssa", "ass"):  # eight fields before the text
        text = text.split(",", 8)[-1]
        text = re.sub(r"\{[^}]*\}", "", text).replace(r"\N", "\n").replace(r"\n", "\n").replace(r"\h", " ")
    return re.sub(r"</?[a-zA-Z][^>]*>", "", text).strip()
