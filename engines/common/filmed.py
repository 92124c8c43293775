"""The pictures of a track, out of the video that it was cut from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from engines.common.dataset import Entry
from engines.common.prepare.clip import record_path
from engines.common.rates import STEADY_FPS
from realtime_dub.clock import VirtualClock
from realtime_dub.errors import ConfigError
from realtime_dub.media import MS, NS, Frame
from realtime_dub.sources.base import read_all
from realtime_dub.sources.registry import open_video

PERIOD_NS = NS // STEADY_FPS


def pictures(entry: Entry) -> Iterator[tuple[int, Frame]]:
    """Each picture of the track with its number; of two that lie nearest to one number the first.

    Numbers that have no picture within a quarter of a period are left out. Raises ConfigError where the video is gone.
    """
    path, start_ns = video_of(entry)
    source = open_video(str(path), clock=VirtualClock(), live=False)
    source.open()
    last = -1
    try:
        for frame in read_all(source.read):
            k, off_ns = divmod(frame.pts_ns - start_ns + PERIOD_NS // 2, PERIOD_NS)
            if last < k < entry.frames and abs(off_ns - PERIOD_NS // 2) <= PERIOD_NS // 4:
                last = k
                yield k, frame
    finally:
        source.close()


def video_of(entry: Entry) -> tuple[Path, int]:
    """The video that a track was cut from, and where the track begins in it, ns. The second of a video has a number."""
    found = _recorded(entry)
    if found is None:
        raise ConfigError("no video of track", f"{entry.track} in {entry.root}", "put the videos back where they were")
    return found


def has_video(entry: Entry) -> bool:
    """Whether it is still where it was."""
    return _recorded(entry) is not None


def _recorded(entry: Entry) -> tuple[Path, int] | None:
    for name in (entry.track, entry.track.rpartition(".")[0]):
        path = record_path(entry.root, name)
        record = json.loads(path.read_text()) if path.is_file() else {"tracks": []}
        for track in record["tracks"]:
            if track["name"] == entry.track and Path(record["file"]).is_file():
                return Path(record["file"]), track["start_ms"] * MS
    return None
