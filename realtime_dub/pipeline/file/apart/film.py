"""A film that another process decodes and tracks, as the file loop has it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing import Pipe

from realtime_dub.config import FileConfig
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Frame, VideoInfo
from realtime_dub.pipeline.file.apart import process
from realtime_dub.pipeline.file.apart.places import Places
from realtime_dub.pipeline.file.apart.process import Sides
from realtime_dub.pipeline.file.apart.wire import Channel, Over, received, sent
from realtime_dub.pipeline.file.looks import Looks
from realtime_dub.pipeline.file.stages import TOGETHER
from realtime_dub.pipeline.file.tracking import Seen

TRACKER = "realtime_dub.face.models"  # loads what does not outlive its process being copied


def possible() -> bool:
    """A process may begin as a copy of this one: nobody else could hold what the copy would wait for.

    So it is in a program of its own. Where another one has threads, or has tracked faces, the stages are threads.
    """
    has = sys.platform == "linux" and hasattr(os, "memfd_create")
    cores = os.cpu_count() or 1
    alone = threading.active_count() == 1 and TRACKER not in sys.modules
    return has and cores > 1 and alone and len(os.listdir("/proc/self/task")) <= cores  # NumPy's BLAS has a few


class FilmApart:
    """A source whose frames come tracked; and the tracker of what an engine was shown. Of one thread after another."""

    def __init__(self, config: FileConfig, shows: bool) -> None:
        """``shows``: an engine is shown the film first. Raises OSError where the system does not let it begin."""
        (self._film, film), (self._looks, looks) = Pipe(), Pipe()
        self._pictures, self._drafts = Places(), Places()
        self.notes: tuple[str, ...] = ()
        self._asked = False
        self._pid: int | None = _begun(
            config, Sides(film, looks, self._pictures, self._drafts), shows, self._film, self._looks
        )
        for each in (film, looks):
            each.close()

    def open(self) -> VideoInfo:
        """Raises what the source's own ``open`` raises."""
        info: VideoInfo = received(self._film)
        return info

    def ask_looks(self, learns: bool) -> None:
        """To have :meth:`looks` sooner. ``learns``: the engine learns how the person talks, too. Once."""
        if not self._asked:
            self._asked = True
            sent(self._looks, learns)

    def looks(self, learns: bool) -> tuple[Looks, Iterator[TrackedFrame]]:
        """What an engine is shown, in order; once."""
        self.ask_looks(learns)
        looks: Looks = received(self._looks)
        return looks, self._shown()

    def _shown(self) -> Iterator[TrackedFrame]:
        while not isinstance(found := received(self._looks), Over):
            yield found.seen(self._pictures).tracked

    def track(self, frame: Frame) -> TrackedFrame:
        """Behind what was shown, by the tracker that saw it."""
        sent(self._looks, self._drafts.put(frame))
        tracked: TrackedFrame = received(self._looks)
        return replace(tracked, frame=frame)

    def shown(self) -> None:
        """There is nothing more to be tracked for the engine."""
        self._looks.close()

    def seen(self) -> Iterator[Seen]:
        """All of the film, in order; once."""
        taken = 0
        while not isinstance(found := received(self._film), Over):
            yield found.seen(self._pictures)
            taken += 1
            if taken % TOGETHER == 0:
                with suppress(OSError):
                    self._film.send_bytes(b"t")
        self.notes = found.notes
        self.end()  # while the last frames are encoded

    def end(self) -> None:
        """The other process, wherever it is: whoever waits for it is told so. Idempotent."""
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def close(self) -> None:
        """When nobody waits any more. Idempotent."""
        self.end()
        if self._pid is not None:  # its memory takes a while to be given back
            os.waitpid(self._pid, 0)
            self._pid = None
        for channel in (self._film, self._looks):
            channel.close()
        for places in (self._pictures, self._drafts):
            places.close()


def _begun(config: FileConfig, theirs: Sides, shows: bool, *ours: Channel) -> int:
    """The process; its number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of libraries' threads, which hold nothing then
        pid = os.fork()
    if pid:
        return pid
    try:
        for each in ours:
            each.close()
        process.live(config, theirs, shows)
    finally:
        os._exit(0)
