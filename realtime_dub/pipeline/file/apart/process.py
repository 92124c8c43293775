"""The process that decodes and tracks a film for another one: first what an engine is shown, then all of it.

It begins as a copy of that one, ends with it, and says nothing but through its channels.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from realtime_dub.clock import VirtualClock
from realtime_dub.config import FileConfig
from realtime_dub.face.types import Describes, TrackedFrame
from realtime_dub.media import NS, VideoInfo
from realtime_dub.notes import notes_of
from realtime_dub.pipeline import assembly
from realtime_dub.pipeline.file import tracking
from realtime_dub.pipeline.file.apart.places import Places
from realtime_dub.pipeline.file.apart.wire import Channel, Ended, Failed, Found, Over, received, sent
from realtime_dub.pipeline.file.looks import Looks, cut_ns, tracked_ahead
from realtime_dub.pipeline.file.stages import DEPTH, TOGETHER, PrefetchStage
from realtime_dub.pipeline.file.tracking import Seen
from realtime_dub.pipeline.process import engine_is_longest, give_way
from realtime_dub.sources.base import Rewinds, VideoSource, WritesInto

AHEAD = 2 * DEPTH  # frames that were not taken yet
KEPT = 256 << 20  # bytes of what was decoded for the looks: 20 s of 640 x 480 at 25 frames a second are 230 MB
Opened: TypeAlias = "Future[tuple[VideoSource, VideoInfo]]"
IGNORED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """One side's ends of what both have."""

    film: Channel  # its description, then all of its frames; a byte back for each ``TOGETHER`` that were taken
    looks: Channel  # what is shown to an engine, then drafts to be tracked
    pictures: Places  # of both
    drafts: Places  # the other way


def _film_of(config: FileConfig, pictures: Places) -> VideoSource:
    """The film, not yet opened; its pictures are made among ``pictures``, where it can do that."""
    options: dict[str, Any] = {"width": config.width, "height": config.height, "fps": config.fps}
    options |= assembly.video_options(config)
    video = assembly.open_video(config.input, clock=VirtualClock(), loop=False, live=False, **options)
    if isinstance(video, WritesInto):
        video.room = pictures.room
    return video


def live(config: FileConfig, sides: Sides, shows: bool) -> None:
    """All of the process's life. ``shows``: an engine is shown the film first."""
    for number in IGNORED:  # whoever began it says when it ends
        signal.signal(number, signal.SIG_IGN)
    opened: Opened = Future()
    looked = threading.Event()
    if shows:
        work = lambda: _looks(config, sides, opened, looked.set)  # noqa: E731
        threading.Thread(target=_to_the_end, args=(work,), name="looks", daemon=True).start()
    _to_the_end(lambda: _film(config, sides, opened, looked if shows else None))


def _to_the_end(work: Callable[[], object]) -> None:
    """Where nobody listens any more, the process ends."""
    try:
        work()
    except (Ended, EOFError, OSError):
        os._exit(0)


def _film(config: FileConfig, sides: Sides, opened: Opened, looked: threading.Event | None) -> None:
    """``opened``: for the looks, until these are over (``looked``; None: there are none)."""
    channel = sides.film
    try:
        video, info = _opened(config, opened, sides.pictures)
        sent(channel, info)
        if looked is not None:
            looked.wait()
            video = _again(video, config, sides.pictures)
        if engine_is_longest(info.width, info.height):
            give_way()
        tracker = assembly.tracker_for(config, at_once=True)
        frames = PrefetchStage("decode", tracking.decoded(video, config))
        for count, seen in enumerate(tracking.tracked(frames, tracker)):
            if count >= AHEAD and count % TOGETHER == 0:
                channel.recv_bytes()
            sent(channel, Found.of(seen, sides.pictures))
        sent(channel, Over(tuple(notes_of(video))))
    except Ended:
        raise
    except Exception as error:
        sent(channel, Failed.of(error))
    while True:  # until the other side closes it
        channel.recv_bytes()


def _opened(config: FileConfig, opened: Opened, pictures: Places) -> tuple[VideoSource, VideoInfo]:
    """The film, which is told to whoever waits for it, too."""
    try:
        video = _film_of(config, pictures)
        opened.set_result((video, video.open()))
    except Exception as error:
        opened.set_exception(error)
    return opened.result()


def _again(video: VideoSource, config: FileConfig, pictures: Places) -> VideoSource:
    """The film from its first frame on."""
    if isinstance(video, Rewinds):
        video.rewind()
        return video
    video.close()
    anew = _film_of(config, pictures)
    anew.open()
    return anew


def _keep(video: VideoSource, info: VideoInfo, looks: Looks) -> None:
    """What is decoded for ``looks`` is not decoded once more, where it is no more than ``KEPT``."""
    frames = looks.until_ns / NS * info.fps
    if isinstance(video, Rewinds) and frames * info.width * info.height * 3 / 2 <= KEPT:  # in 4:2:0
        video.keep(KEPT)


def _looks(config: FileConfig, sides: Sides, opened: Opened, done: Callable[[], object]) -> None:
    channel = sides.looks
    try:
        if (learns := _asked(channel)) is None:
            return
        with closing(assembly.tracker_for(config, at_once=True)) as tracker:
            video, info = opened.result()
            looks = Looks.of(info, learns, cut_ns(config))
            sent(channel, looks)
            _keep(video, info, looks)
            frames = looks.frames(video, lambda: _film_of(config, sides.pictures))
            with tracked_ahead(frames, tracker) as shown:
                for each in shown:
                    sent(channel, Found.of(Seen(each, 0, 0), sides.pictures))
            sent(channel, Over())
            done()
            if isinstance(tracker, Describes):
                tracker.describes = False  # drafts are read for their lips
            while (laid := _asked(channel)) is not None:
                draft = tracker.track(sides.drafts.frame(laid))
                sent(channel, TrackedFrame(laid.frame, draft.face, draft.why, draft.shot))
    except Ended:
        raise
    except Exception as error:
        sent(channel, Failed.of(error))
    finally:
        done()


def _asked(channel: Channel) -> Any:
    """None where nothing more will be asked for."""
    with suppress(Ended):
        return received(channel)
    return None
