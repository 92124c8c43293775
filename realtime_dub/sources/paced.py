"""A source that is pulled (a file, a still, the built-in face) made to run at its own speed, like a camera."""

from __future__ import annotations

import threading
from dataclasses import replace

from realtime_dub.clock import Clock
from realtime_dub.errors import EndOfStream
from realtime_dub.media import MS, NS, Frame, VideoInfo
from realtime_dub.notes import notes_of
from realtime_dub.sources.base import Turn, VideoSource, at_once

SLICE_NS = 20 * MS  # longest sleep that a close has to wait for
BEGUN_NS = 8 * MS  # before a frame is due its decoding is begun, whoever else is at work


def wait_until(clock: Clock, when_ns: int, closing: threading.Event) -> bool:
    """Block until ``when_ns``, in slices. False, within a slice, where ``closing`` is set."""
    while not closing.is_set():
        now_ns = clock.now_ns()
        if now_ns >= when_ns:
            return True
        clock.sleep_until_blocking(min(when_ns, now_ns + SLICE_NS))
    return False


class PacedVideo:
    """Releases each frame of ``source`` when the clock reaches start + (its pts - the first pts), stamped with that.

    That is its instant even where this thread wakes late: a frame does not become a later picture by leaving late.
    The start is the first ``read``. A reader that comes late by more than a frame gets the newest frame that is due;
    those before it are skipped (``skipped``), so that the picture never lags behind. Skipping needs decoding, too:
    where that takes more than half of a frame's time it gains too little, and time goes on from the frame at hand.
    Its turn to decode is waited for in the time that a frame has to spare, so that nobody is late by waiting.
    """

    def __init__(self, source: VideoSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._closing = threading.Event()
        self._origin_ns: int | None = None  # the clock at media time 0
        self._seq = 0
        self._last_ns = -1
        self.skipped = 0
        self.turn: Turn = at_once

    @property
    def origin_ns(self) -> int | None:
        """The clock at media time 0, for a voice that is to be in step; None before the first ``read``."""
        return self._origin_ns

    @property
    def notes(self) -> list[str]:
        """The notes of the source."""
        return notes_of(self._source)

    def open(self) -> VideoInfo:
        info = self._source.open()
        self._period_ns = round(NS / info.fps)
        return replace(info, live=True)

    def read(self) -> Frame:
        frame, due_ns = self._newest_due()
        if not wait_until(self._clock, due_ns, self._closing):
            raise EndOfStream
        self._last_ns = max(due_ns, self._last_ns + 1)
        frame = replace(frame, pts_ns=self._last_ns, seq=self._seq)
        self._seq += 1
        return frame

    def close(self) -> None:
        self._closing.set()
        self._source.close()

    def _newest_due(self) -> tuple[Frame, int]:
        """The frame to show next and when; past frames whose time is over already."""
        with self.turn(self._last_ns + self._period_ns - BEGUN_NS):
            frame = self._pull()
        if self._origin_ns is None:
            self._origin_ns = self._clock.now_ns() - frame.pts_ns
        while self._late_ns(frame) >= self._shown_ns(frame):
            asked_ns = self._clock.now_ns()
            following = self._pull_or_none()
            if following is None:
                break
            self.skipped += 1
            frame = following
            if 2 * (self._clock.now_ns() - asked_ns) > self._shown_ns(frame):
                self._origin_ns += max(0, self._late_ns(frame))
        return frame, self._origin_ns + frame.pts_ns

    def _late_ns(self, frame: Frame) -> int:
        return self._clock.now_ns() - (self._origin_ns or 0) - frame.pts_ns

    def _shown_ns(self, frame: Frame) -> int:
        return frame.duration_ns or self._period_ns

    def _pull(self) -> Frame:
        if self._closing.is_set():
            raise EndOfStream
        return self._source.read()

    def _pull_or_none(self) -> Frame | None:
        try:
            return self._pull()
        except EndOfStream:
            return None
