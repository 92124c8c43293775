"""A network stream through PyAV: RTSP, RTMP, SRT, HLS, or a file or stream over HTTP."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av

from realtime_dub.clock import Clock
from realtime_dub.errors import EndOfStream, MediaError
from realtime_dub.media import BLACK, MS, NS, Colour, VideoInfo, ticks_to_ns
from realtime_dub.sources.avinput import decode, decoder_of, nominal_rate, open_container, picture_stream
from realtime_dub.sources.newest import Grabbed, LinkLost, NewestFrame, NewestSource
from realtime_dub.sources.paced import wait_until
from realtime_dub.sources.to_bgr import ToBgr

TIMEOUT_S = 10.0  # for opening and for each packet; an HLS stream is silent for a whole segment at a time
PROBE_US = "1000000"  # how much is read ahead to learn the format
JUMP_NS = 10 * NS  # a frame that is further ahead than this belongs to another time line
END_SLACK_NS = 500 * MS


def shown(url: str) -> str:
    """The address without user name, password and query, for messages and logs."""
    return re.sub(r"//[^/@]*@", "//", url).partition("?")[0]


class StreamLink:
    """One network stream, connected as often as needed.

    What comes over HTTP comes in bursts (a segment, a whole file), so there a frame waits until its own time,
    counted from the first; one that comes late is given at once, and time goes on from there. The other protocols,
    and MJPEG cameras, come at the speed of life: every frame is given as it comes.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        closing: threading.Event,
        timeout_s: float,
        background: Colour = BLACK,
        stream: int | None = None,
    ) -> None:
        self._url, self._name = url, shown(url)
        self._clock = clock
        self._closing = closing
        self._timeout_s = timeout_s
        self._number = stream  # of several pictures, from 1
        self._container: Any = None
        self._frames: Iterator[Any] = iter(())
        self._background = background
        self._bursts = False
        self.fps = Fraction(25)

    def connect(self) -> None:
        options = {"analyzeduration": PROBE_US}
        if self._url.startswith("rtsp"):
            options["rtsp_transport"] = "tcp"  # one port, through firewalls, no torn pictures
        timeout = (self._timeout_s, self._timeout_s)
        self._container = open_container(self._url, self._name, options=options, timeout=timeout)
        try:
            stream = picture_stream(self._container, self._name, self._number)
        except MediaError:
            self.release()
            raise
        self.fps = nominal_rate(stream)
        self._time_base = stream.time_base  # frames flushed out of the decoder carry none
        decoder = decoder_of(stream)
        self._to_bgr = ToBgr(stream, decoder, self._background)
        self._origin_ns: int | None = None  # the clock at the stream's time 0
        self._reached_ns = 0
        self._bursts = self._url.lower().startswith("http") and "mjpeg" not in self._container.format.name
        self._frames = decode(self._container, stream, decoder, damaged=lambda _: None)

    def grab(self) -> Grabbed:
        try:
            picture = next(self._frames)
        except (StopIteration, av.FFmpegError) as error:  # a server that gives no length ends with an error
            raise (EndOfStream if self._at_the_end() else LinkLost) from error
        image, geometry = self._to_bgr(picture)
        if self._bursts and picture.pts is not None:
            self._wait_for(ticks_to_ns(picture.pts, self._time_base))
        return Grabbed(image, self._to_bgr.coded(picture, geometry), self._clock.now_ns())

    def release(self) -> None:
        self._frames = iter(())
        if self._container is not None:
            self._container.close()
            self._container = None

    def _wait_for(self, pts_ns: int) -> None:
        now_ns = self._clock.now_ns()
        self._reached_ns = pts_ns
        early_ns = 0 if self._origin_ns is None else self._origin_ns + pts_ns - now_ns
        if self._origin_ns is None or not -NS / self.fps <= early_ns <= JUMP_NS:
            self._origin_ns = now_ns - pts_ns
        if not wait_until(self._clock, self._origin_ns + pts_ns, self._closing):
            raise EndOfStream

    def _at_the_end(self) -> bool:
        """A film has an end; a live stream that stops was cut off."""
        length_us = self._container.duration if self._container else None
        if length_us is None or not self._bursts:
            return False
        end_ns = ticks_to_ns((self._container.start_time or 0) + length_us, Fraction(1, av.time_base))
        return self._reached_ns >= end_ns - END_SLACK_NS


class UrlSource(NewestSource):
    """The newest picture of a network stream, stamped with the clock when it is decoded.

    A stream that breaks off or falls silent is connected again; meanwhile the last picture goes on, ``stale`` (see
    ``newest.NewestFrame``). A film over HTTP, whose length is known, ends with its last frame.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        timeout_s: float = TIMEOUT_S,
        background: Colour = BLACK,
        stream: int | None = None,
        late_ns: int = 0,
    ) -> None:
        """``late_ns``: how long before that a picture was taken."""
        self.url = url
        self._clock, self._background, self._late_ns = clock, background, late_ns
        super().__init__()
        self._link = StreamLink(url, clock, self._closing, timeout_s, background, stream)

    def open(self) -> VideoInfo:
        """Connect and wait for the first picture. Raises MediaError."""
        self._link.connect()
        try:
            first = self._link.grab()
        except (LinkLost, EndOfStream) as error:
            self._link.release()
            raise MediaError("no frame could be decoded from", shown(self.url)) from error
        except MediaError:
            self._link.release()
            raise
        options = self._background, self._late_ns
        self._newest = NewestFrame(self._link, self._clock, "url", self._link.fps, self._closing, *options)
        self._newest.start(first)
        height, width = first.image.shape[:2]
        return VideoInfo(width, height, self._link.fps, live=True, name=shown(self.url))
