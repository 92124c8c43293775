"""A session's output as an mp4: what the browser gets, with both tracks, whichever run of the pipeline made it."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from realtime_dub.clock import Clock
from realtime_dub.errors import LostOutput, RealtimeDubError
from realtime_dub.media import NS, AudioBlock, Tick, ns_to_samples, samples_to_ns
from realtime_dub.pipeline.live.outputs import PublisherThread, Stamped
from realtime_dub.pipeline.statistics import Recorder
from realtime_dub.publishers.base import MakesFilms
from realtime_dub.publishers.registry import open_publisher
from realtime_dub.trust.intervals import Film
from realtime_dub.trust.tag import Tag
from realtime_dub.web.limits import RECORDING_LEAST_ROOM, RECORDING_S
from realtime_dub.web.rtc.output_timeline import RATE, OutputTimeline
from realtime_dub.web.studio.fitted import Fitted

LONGEST_NS = RECORDING_S * NS
ROOM_CHECKED_EVERY = 50  # frames between two looks at the room on the disk


class Recording:
    """Attached to an output timeline, it takes every frame and the audio up to its end.

    :meth:`take` never raises and waits for nothing: opening, encoding and writing are another thread's, and what goes
    wrong there ends the recording alone. A film has one size: frames of another than its first are fitted in.
    """

    def __init__(
        self,
        path: Path,
        timeline: OutputTimeline,
        clock: Clock,
        over: Callable[[], None] = lambda: None,
        tag: Tag | None = None,
    ) -> None:
        """``over`` is called once, on the output timeline's loop, where it ends by itself. ``tag``: its header's."""
        self.path = path
        self.error: Exception | None = None
        self.film: Film | None = None  # once it is closed, and whole
        self._tag = tag
        self._file: _Film | None = None
        self._timeline, self._clock, self._when_over = timeline, clock, over
        self._lock = threading.Lock()
        self._closed = False
        self._over = threading.Event()
        self._thread: PublisherThread | None = None
        self._start_ns = 0
        self._last_ns = -1
        self._read = 0  # samples since the start
        self._seq = 0

    @property
    def start_ns(self) -> int | None:
        """Where on the output timeline it begins; None before it does."""
        return self._start_ns if self._last_ns >= 0 else None

    @property
    def over(self) -> bool:
        """It failed, or is as long as it may be."""
        return self._over.is_set()

    @property
    def seconds(self) -> float:
        """Of what has been taken, or, where it failed, of what is safe."""
        kept_ns = self.error.kept_ns if isinstance(self.error, LostOutput) else samples_to_ns(self._read, RATE)
        return round(kept_ns / NS, 2)

    def take(self, tick: Tick, pts_ns: int) -> None:
        """A tick, and its time on the output timeline. On the run's thread."""
        try:
            with self._lock:
                if not (self._closed or self.over):
                    self._take(tick, pts_ns)
        except Exception as error:  # whatever it is, what people watch goes on
            self._failed("", error)

    def close(self) -> bool:
        """Write the end; True where there is something to play. Off the loop; idempotent."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.close()
            self.film = self._file.film if self._file is not None else None
        with contextlib.suppress(OSError):
            return self.path.stat().st_size > 0
        return False

    def _take(self, tick: Tick, pts_ns: int) -> None:
        period_ns = tick.duration_ns
        if self._thread is None:
            self._file = _Film(self.path, period_ns, self._tag)
            self._thread = PublisherThread(self._file, self._clock, Recorder(), self._failed)
            self._start_ns = pts_ns
        at_ns = pts_ns - self._start_ns
        if at_ns <= self._last_ns:
            return
        if at_ns > LONGEST_NS:
            self._end()
            return
        self._last_ns = at_ns
        taken = replace(tick, pts_ns=at_ns, seq=self._seq, audio=self._audio(at_ns + period_ns))
        self._thread.offer(Stamped(taken, None, 0))
        self._seq += 1

    def _audio(self, until_ns: int) -> AudioBlock:
        """Every sample once, silence where there was none."""
        count = ns_to_samples(until_ns, RATE) - self._read
        at_ns = samples_to_ns(self._read, RATE)
        self._read += count
        return AudioBlock(self._timeline.ring.read(self._start_ns + at_ns, count), RATE, at_ns)

    def _failed(self, name: str, error: Exception) -> None:
        if self.error is None:
            self.error = error
        self._end()

    def _end(self) -> None:
        if not self._over.is_set():
            self._over.set()
            with contextlib.suppress(RuntimeError):  # the server is gone
                self._timeline.loop.call_soon_threadsafe(self._when_over)


class _Film(Fitted):
    """The file."""

    name = "recording"

    def __init__(self, path: Path, period_ns: int, tag: Tag | None) -> None:
        super().__init__(open_publisher(str(path), live=True), Fraction(NS, period_ns).limit_denominator(1001))
        self._folder = path.parent
        if tag is not None and isinstance(self.publisher, MakesFilms):
            self.publisher.say(tag)

    @property
    def film(self) -> Film | None:
        return self.publisher.film if isinstance(self.publisher, MakesFilms) else None

    def publish(self, tick: Tick) -> None:
        """Raises LostOutput, MediaError, OSError."""
        if tick.seq % ROOM_CHECKED_EVERY == 0 and self._room() < RECORDING_LEAST_ROOM:
            raise LostOutput("the disk is nearly full", kept_ns=tick.pts_ns)
        super().publish(tick)

    def _room(self) -> int:
        """Bytes on the disk; what is wrong with the folder is told by who writes there."""
        try:
            return shutil.disk_usage(self._folder).free
        except OSError:
            return RECORDING_LEAST_ROOM


def why(error: Exception) -> str:
    """What a visitor is told of it: no path, and no more than one line."""
    if isinstance(error, RealtimeDubError | OSError):
        text = getattr(error, "strerror", None) or str(error).partition("; ")[0]
        shown = ("the file" + ":" * word.endswith(":") if "/" in word else word for word in text.split())
        return " ".join(shown)
    return type(error).__name__
