"""The pictures of filmed tracks, from the videos that they were cut from."""

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


def pictures(entry: Entry) -> Iterator[tuple[int, Frame]]:
    """The frames of a track that lie at its pictures' instants, each with the picture's number. Raises ConfigError."""
    path, start_ns = _video_of(entry)
    half_ns = NS // STEADY_FPS // 2
    source = open_video(str(path), clock=VirtualClock(), live=False)
    source.open()
    try:
        for frame in read_all(source.read):
            k, off_ns = divmod(frame.pts_ns - start_ns + half_ns, 2 * half_ns)
            if 0 <= k < entry.frames and abs(off_ns - half_ns) <= half_ns // 2:
                yield k, frame
    finally:
        source.close()


def _video_of(entry: Entry) -> tuple[Path, int]:
    """The video that a track was cut from, and where the track begins in it, ns. The second of a video has a number."""
    for name in (entry.track, entry.track.rpartition(".")[0]):
        path = record_path(entry.root, name)
        record = json.loads(path.read_text()) if path.is_file() else {"tracks": []}
        for track in record["tracks"]:
            if track["name"] == entry.track and Path(record["file"]).is_file():
                return Path(record["file"]), track["start_ms"] * MS
    raise ConfigError("no video of track", f"{entry.track} in {entry.root}", "put the videos back where they were")
