"""Interlaced frames made whole: each of two fields, taken at two instants, becomes one picture of one instant."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av

from realtime_dub.sources.geometry import filter_graph

# One picture a frame, so that the rate stays; the order of the fields is each frame's own. Frames that are not
# interlaced pass as they are: in broadcasts the kinds alternate.
OPTIONS = {"mode": "send_frame", "parity": "auto", "deint": "interlaced"}
WHOLE_AGAIN = 50  # frames in a row that are not interlaced, after which the filter, which holds one back, is left


def progressive(frames: Iterator[Any], time_base: Fraction) -> Iterator[Any]:
    """``frames`` without interlaced ones. Those that never were are not touched, and come without delay."""
    fields: _Fields | None = None
    try:
        for frame in frames:
            if fields is not None and not fields.takes(frame):
                yield from fields.rest()
                fields = None
            if fields is None and frame.interlaced_frame:
                fields = _Fields(frame, time_base)
            if fields is None:
                yield frame
            else:
                yield from fields.put(frame)
    except av.FFmpegError:  # what could be read is given first
        if fields is not None:
            yield from fields.rest()
        raise
    if fields is not None:
        yield from fields.rest()


class _Fields:
    """The filter, for as long as frames of one layout come. It sees each frame with both its neighbours."""

    def __init__(self, frame: Any, time_base: Fraction) -> None:
        self._time_base = time_base
        self._graph, self._layout = filter_graph(frame, "bwdif", OPTIONS, time_base)
        self._whole = 0

    def takes(self, frame: Any) -> bool:
        self._whole = 0 if frame.interlaced_frame else self._whole + 1
        return self._whole < WHOLE_AGAIN and self._layout == (frame.width, frame.height, frame.format.name)

    def put(self, frame: Any) -> Iterator[Any]:
        frame.time_base = self._time_base
        self._graph.push(frame)
        return self._ready()

    def rest(self) -> Iterator[Any]:
        """The frame that was held back."""
        self._graph.push(None)
        return self._ready()

    def _ready(self) -> Iterator[Any]:
        while True:
            try:
                frame: Any = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield self._in_ticks(frame)

    def _in_ticks(self, frame: Any) -> Any:
        """The filter counts in halves of them."""
        halves = frame.time_base / self._time_base
        frame.duration = round(frame.duration * halves)
        if frame.pts is not None:
            frame.pts = round(frame.pts * halves)
        frame.time_base = self._time_base
        return frame
