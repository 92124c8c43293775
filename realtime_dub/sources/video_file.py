"""A video file, pulled as fast as it is wanted, with the times that its frames have in the file."""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from realtime_dub.bounds import MOST_PIXELS
from realtime_dub.errors import EndOfStream, MediaError
from realtime_dub.fitting import Fit
from realtime_dub.media import BLACK, NS, SMALL, Colour, Frame, VideoInfo, ns_to_ticks, ticks_to_ns
from realtime_dub.paths import reason
from realtime_dub.sources.avinput import (
    RisingTimes,
    decode,
    decoder_of,
    nominal_rate,
    picture_stream,
    start_ns,
)
from realtime_dub.sources.base import Room
from realtime_dub.sources.opening import open_media
from realtime_dub.sources.to_bgr import ToBgr, is_full_range

FEW_CORES = 2
EASY = 1920 * 1080 * 30  # pixels a second that one thread decodes in less than half of the time, in codecs of today
NO_SIZE = f"it is damaged, or has more than {MOST_PIXELS // 1_000_000} million pixels"


@dataclass(frozen=True, slots=True)
class Decoded:
    picture: Any  # av.VideoFrame
    pts_ns: int
    duration_ns: int  # as the file says; what is shown lasts until the next pts


class VideoFileSource:
    """Reads ``path`` through PyAV. ``info.rotation`` is in degrees counter-clockwise, already applied.

    All pictures have the size of the first as it is to be seen (``to_bgr.ToBgr``); one that comes to have another is
    fitted into that, and is another scene. ``background`` is what bars and transparent places show.

    Times: ``pts_ns`` is the frame's own pts less the earliest start of the file's picture and sound streams
    (``avinput.start_ns``), so that a picture that starts 80 ms after the sound starts at 80 ms. Frames are not put on
    a grid; ``duration_ns`` reaches to the next frame. A pts that is missing or does not rise is placed by
    ``avinput.RisingTimes``.

    With ``loop`` the file starts anew directly after the end of its last frame; pts keep rising.

    On two cores a film of small frames is decoded on one thread: others have work for both, and handing on costs more.
    ``live``: it is shown at its own speed. Then a film that one thread decodes in time is decoded on one, its reader's:
    FFmpeg's several would work at the same moment and take all cores from what has a deadline.
    """

    def __init__(
        self,
        path: str | Path,
        loop: bool = False,
        background: Colour = BLACK,
        stream: int | None = None,
        live: bool = False,
    ) -> None:
        self.path = Path(path)
        self._number = stream  # of several pictures, from 1
        self.loop, self._live = loop, live
        self._background = background
        self._fit = Fit(background)
        self._notes: list[str] = []
        self._lock = threading.Lock()  # a container that is closed while it decodes takes the process with it
        self._container: Any = None
        self._damage: str | None = None
        self._frames: Iterator[Decoded] = iter(())
        self._ahead: Decoded | None = None
        self._seq = 0
        self._kept: _Kept | None = None
        self.room: Room | None = None  # as ``base.WritesInto`` has it

    @property
    def notes(self) -> list[str]:
        """What the reader should tell the user, as far as the file was read."""
        early = [f"{self.path.name} is damaged ({self._damage}): some of its frames were not decoded"]
        return self._notes or (early if self._damage else [])

    def open(self) -> VideoInfo:
        """Find the picture and decode its first frame. Raises MediaError."""
        with self._lock:
            self._start()
            self._times = RisingTimes(self._period_ns)
            self._ahead = next(self._frames, None)
            if self._ahead is None:
                width = self._stream.width
                self._release()
                # Without a size it was not decoded far enough to have one: damage, or more than may be allocated.
                where = str(self.path) if width else f"{self.path}: {NO_SIZE}"
                raise MediaError("no frame could be decoded from", where, "choose a video that plays")
            self._info = self._describe(self._ahead.picture)
        return self._info

    def read(self) -> Frame:
        with self._lock:
            now = self._ahead
            if now is None:
                raise EndOfStream
            seen, geometry = self._to_bgr(now.picture, self.room)  # before the file may have to be opened anew
            image = self._fit(seen, geometry)
            coded = self._to_bgr.coded(now.picture, geometry) if image is seen else None
            self._ahead = self._following(now)
            until_ns = self._ahead.pts_ns if self._ahead else now.pts_ns + now.duration_ns
            frame = Frame(image, now.pts_ns, self._seq, until_ns - now.pts_ns, scene=self._fit.scene, coded=coded)
            self._seq += 1
            return frame

    def skip(self) -> None:
        """Decode a frame, and convert none: that is most of the work."""
        with self._lock:
            if self._ahead is None:
                raise EndOfStream
            self._ahead = self._following(self._ahead)
            self._seq += 1

    def keep(self, most_bytes: int) -> None:
        """As ``base.Rewinds`` has it."""
        with self._lock:
            if self._ahead is not None and not self.loop:
                self._kept = _Kept(most_bytes)
                self._frames = self._kept.all_of(itertools.chain([self._ahead], self._frames), self._decoder)
                self._ahead = next(self._frames)

    def rewind(self) -> None:
        """As ``base.Rewinds`` has it: with what was kept, and on where that ends; else the file is opened anew."""
        with self._lock:
            kept, self._kept = self._kept, None
            if kept is not None and kept.pictures:
                kept.ends = True
                self._frames = itertools.chain(_taken_from(kept.pictures), self._frames)
                self._to_bgr = ToBgr(self._stream, self._decoder, self._background)
            else:
                self._release()
                self._start()
                self._times = RisingTimes(self._period_ns)
            self._fit, self._seq = Fit(self._background), 0
            self._ahead = next(self._frames, None)

    def jump(self, at_ns: int) -> int | None:
        """As ``base.Jumps`` has it. What was kept is let go."""
        with self._lock:
            self._kept = self._ahead = None
            self._frames = iter(())
            if self._container is None:
                return None
            try:
                self._container.seek(ns_to_ticks(at_ns + self._start_ns, self._stream.time_base), stream=self._stream)
                self._decoder.flush_buffers()
            except (av.FFmpegError, OSError):
                return None
            self._times, self._frames = RisingTimes(self._period_ns), self._decode()
            self._ahead, self._seq = next(self._frames, None), 0
            return None if self._ahead is None else self._ahead.pts_ns

    def close(self) -> None:
        with self._lock:
            self._ahead = self._kept = None
            self._release()

    def _start(self) -> None:
        self._container = open_media(self.path, "choose a video that plays")
        try:
            self._stream = picture_stream(self._container, str(self.path), self._number)
        except MediaError:
            self._release()
            raise
        self._decoder = decoder_of(self._stream)
        self._decoder.thread_type = "AUTO"
        if _is_easy(self._stream) if self._live else _gains_no_threads(self._stream):
            self._decoder.thread_count = 1
        self._to_bgr = ToBgr(self._stream, self._decoder, self._background)
        self._start_ns = start_ns(self._container)
        self._period_ns = round(NS / nominal_rate(self._stream))
        self._frames = self._decode()

    def _release(self) -> None:
        self._frames = iter(())
        if self._container is not None:
            self._container.close()
            self._container = None

    def _describe(self, first: Any) -> VideoInfo:
        width, height = self._to_bgr.geometry(first).size
        return VideoInfo(
            width=width,
            height=height,
            fps=nominal_rate(self._stream),
            live=False,
            name=self.path.name,
            frames=self._frame_count() if not self.loop else None,
            duration_ns=self._picture_end_ns() if not self.loop else None,
            full_range=is_full_range(first),
            rotation=round(first.rotation / 90) * 90 % 360,
        )

    def _frame_count(self) -> int | None:
        """As the container says, unless it counts what cannot be (AVI counts the gaps of a variable rate)."""
        count, stream = self._stream.frames, self._stream
        if not count or stream.duration is None:
            return count or None
        seconds = stream.duration * stream.time_base
        return count if abs(count - seconds * nominal_rate(stream)) <= 1 + count / 10 else None

    def _picture_end_ns(self) -> int | None:
        """When the last picture ends according to the container; None where it speaks only of the whole."""
        stream = self._stream
        if stream.duration is not None:
            return ticks_to_ns((stream.start_time or 0) + stream.duration, stream.time_base) - self._start_ns
        if self._container.duration is not None and not self._container.streams.audio:
            return ticks_to_ns(self._container.duration, Fraction(1, av.time_base))
        return None

    def _following(self, now: Decoded) -> Decoded | None:
        following = next(self._frames, None)
        if following is None:
            self._note_damage(now)
            if self.loop:
                following = self._again(now)
        return following

    def _again(self, last: Decoded) -> Decoded | None:
        self._release()
        try:
            self._start()
        except MediaError as error:  # the file has gone since
            self._notes.append(str(error))
            return None
        self._times.resume_at(last.pts_ns + last.duration_ns)
        return next(self._frames, None)

    def _decode(self) -> Iterator[Decoded]:
        time_base = self._stream.time_base  # frames flushed out of the decoder carry none
        for picture in self._pictures():
            own_ns = None
            if picture.pts is not None:
                own_ns = ticks_to_ns(picture.pts, time_base) - self._start_ns
            ticks = picture.duration
            duration_ns = ticks_to_ns(ticks, time_base) if ticks else self._period_ns
            yield Decoded(picture, self._times.place(own_ns), duration_ns)

    def _pictures(self) -> Iterator[Any]:
        try:
            yield from decode(self._container, self._stream, self._decoder, self._damaged)
        except av.FFmpegError as error:
            self._damaged(error)

    def _damaged(self, error: Exception) -> None:
        self._damage = reason(error)

    def _note_damage(self, last: Decoded) -> None:
        expected_ns = self._info.duration_ns
        end_ns = last.pts_ns + last.duration_ns
        short = expected_ns is not None and end_ns < expected_ns - 2 * self._period_ns
        if not (short or self._damage) or self._notes:
            return
        of = f" of {expected_ns / NS:.2f}" if short and expected_ns else ""
        why = f" ({self._damage})" if self._damage else ""
        decoded = f"{self._seq + 1} frames, {end_ns / NS:.2f}{of} s, were decoded"
        self._notes.append(f"{self.path.name} is damaged or cut short{why}: {decoded}")


class _Kept:
    """What was decoded, until there is too much of it, or its shape changes, which the decoder tells of the newest."""

    def __init__(self, most_bytes: int) -> None:
        self.pictures: deque[Decoded] = deque()
        self.ends = False
        self._left = most_bytes
        self._shape: object = None

    def all_of(self, frames: Iterator[Decoded], decoder: Any) -> Iterator[Decoded]:
        for each in frames:
            if not self.ends:
                self._keep(each, decoder.sample_aspect_ratio)
            yield each

    def _keep(self, each: Decoded, aspect: object) -> None:
        picture = each.picture
        shape = picture.width, picture.height, picture.format.name, aspect
        self._shape = self._shape or shape
        self._left -= sum(plane.buffer_size for plane in picture.planes)
        if self._left < 0 or shape != self._shape:
            self.pictures.clear()
            self.ends = True
        else:
            self.pictures.append(each)


def _taken_from(pictures: deque[Decoded]) -> Iterator[Decoded]:
    """Each is let go with its turn."""
    while pictures:
        yield pictures.popleft()


def _is_easy(stream: Any) -> bool:
    """One thread decodes it in time, as far as its size and rate say."""
    return 0 < _pixels(stream) * nominal_rate(stream) <= EASY


def _gains_no_threads(stream: Any) -> bool:
    """Frames are small, and others have work for all cores."""
    return (os.cpu_count() or 1) <= FEW_CORES and _pixels(stream) <= SMALL


def _pixels(stream: Any) -> int:
    return int(stream.codec_context.width) * int(stream.codec_context.height)
