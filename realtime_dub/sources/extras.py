"""What a film carries beside picture and sound: title and other tags, chapters, subtitles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

from realtime_dub.media import MS, NS, ns_to_ticks, ticks_to_ns
from realtime_dub.sources.avinput import start_ns
from realtime_dub.sources.opening import open_media
from realtime_dub.sources.stream_choice import SoundChoice, choose_film, choose_sound

MILLISECOND = Fraction(1, 1000)
LAST_NS = 1 << 62
LONGEST_NS = 10_000 * MS  # of a subtitle that does not say how long it is shown
# What speaks of the file that was, not of the film.
OF_THE_FILE = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration", "handler_name", "vendor_id"}
OF_A_STREAM = ("language", "title")


@dataclass(frozen=True, slots=True, eq=False)
class Cue:
    """A subtitle, in ns of the output's time."""

    stream: int  # its place among ``subtitles``
    packet: Any  # av.Packet
    start_ns: int
    end_ns: int


class FilmExtras:
    """Of the film ``path``; on the output's time line from :meth:`begin` on, which may be told better a second time."""

    def __init__(self, path: str, film: int | None = None, sound: SoundChoice | None = None) -> None:
        """``sound``: which of the film's own sounds is used; None where the voice is another. Raises MediaError."""
        self._container = open_media(path, "choose a video that plays")
        self._start_ns = start_ns(self._container)
        self._zero_ns, self._end_ns = 0, LAST_NS
        self.tags = _tags(self._container.metadata)
        pictures = choose_film(self._container, film, path)
        self.picture_tags = _of_a_stream(pictures)
        told_ns = ticks_to_ns(pictures.start_time or 0, pictures.time_base) - self._start_ns
        self.pictures_start_ns = max(0, told_ns)  # as the film says; its first picture tells for certain
        self.pictures_end_ns = _told_end_ns(pictures)  # None where the film does not say
        self.sound_tags = {} if sound is None else _of_a_stream(choose_sound(self._container, sound, path))
        self.subtitles: list[Any] = [each for each in self._container.streams.subtitles if each.codec_context]
        self._cues = self._all_cues()
        self._next: Cue | None = None

    def begin(self, zero_ns: int, until_ns: int | None) -> None:
        """The film's times at which the output begins, and at which it ends where that is known."""
        self._zero_ns = zero_ns
        self._end_ns = LAST_NS if until_ns is None else until_ns - zero_ns

    def chapters(self) -> list[dict[str, Any]]:
        """As PyAV takes them."""
        found = []
        for number, chapter in enumerate(self._container.chapters(), 1):
            start, end = (self._placed_ns(ticks_to_ns(chapter[at], chapter["time_base"])) for at in ("start", "end"))
            start, end = max(0, start), min(end, self._end_ns)
            if end > start:
                times = {"start": ns_to_ticks(start, MILLISECOND), "end": ns_to_ticks(end, MILLISECOND)}
                found.append({"id": number, "time_base": MILLISECOND, "metadata": chapter["metadata"], **times})
        return found

    def cues(self, until_ns: int) -> Iterator[Cue]:
        """Those that begin before ``until_ns`` and were not given yet. What cannot be read is left out."""
        try:
            while True:
                self._next = self._next or next(self._cues, None)
                if self._next is None or self._next.start_ns >= until_ns:
                    return
                cue, self._next = self._next, None
                yield cue
        except av.FFmpegError:  # the film's own reader says so
            self._cues = iter(())

    def close(self) -> None:
        """Idempotent."""
        self._container.close()

    def _all_cues(self) -> Iterator[Cue]:
        places = {stream.index: place for place, stream in enumerate(self.subtitles)}
        for packet in self._container.demux(*self.subtitles) if places else ():
            if packet.pts is None or packet.size == 0:
                continue
            start = self._placed_ns(ticks_to_ns(packet.pts, packet.time_base))
            end = start + (ticks_to_ns(packet.duration, packet.time_base) if packet.duration else LONGEST_NS)
            start, end = max(0, start), min(end, self._end_ns)
            if end > start:
                yield Cue(places[packet.stream.index], packet, start, end)

    def _placed_ns(self, own_ns: int) -> int:
        """From the container's time to the output's."""
        return own_ns - self._start_ns - self._zero_ns


def _tags(found: dict[str, str]) -> dict[str, str]:
    """Without those that a program wrote about its own work (in capitals and with an underscore in front)."""
    return {key: value for key, value in found.items() if key.lower() not in OF_THE_FILE and not key.startswith("_")}


def _told_end_ns(pictures: Any) -> int | None:
    """Matroska has no number for it, but mostly a tag, such as 00:01:02.345000000."""
    told = re.fullmatch(r"(\d+):(\d+):(\d+)\.(\d{9})", pictures.metadata.get("DURATION", ""))
    if told is None:
        return None
    hours, minutes, seconds, part_ns = (int(each) for each in told.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * NS + part_ns


def _of_a_stream(stream: Any) -> dict[str, str]:
    return {key: stream.metadata[key] for key in OF_A_STREAM if stream.metadata.get(key, "und") != "und"}
