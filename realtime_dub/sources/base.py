"""The two source contracts. A source is opened, read from one thread until it raises EndOfStream, and closed.

``read`` blocks for as long as the device takes. ``close`` may be called from another thread while ``read`` blocks: it
releases the device, and the blocked ``read`` then raises EndOfStream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

from realtime_dub.errors import EndOfStream
from realtime_dub.media import AudioBlock, Frame, Image, VideoInfo, VoiceInfo

T = TypeVar("T")
Room: TypeAlias = Callable[[int, int], Image]  # height, width -> (height, width, 3), rows without gaps
Turn: TypeAlias = Callable[[int], AbstractContextManager[None]]  # waited for until that instant, at most


class VideoSource(Protocol):
    """Gives frames with rising ``pts_ns``."""

    def open(self) -> VideoInfo:
        """Open the device or file. Raises UserError where it cannot."""

    def read(self) -> Frame:
        """The next frame (live sources: the newest). Raises EndOfStream."""

    def close(self) -> None:
        """Release everything. Idempotent."""


@runtime_checkable
class SkipsFrames(Protocol):
    """A video source that leaves frames out at less than the cost of reading them."""

    def skip(self) -> None:
        """As ``read``, without the picture."""


@runtime_checkable
class WritesInto(Protocol):
    """A video source whose pictures can be made where somebody wants to have them."""

    room: Room | None
    """Where each is made, as far as it can; None: in memory of its own. On the thread that reads."""


@runtime_checkable
class Rewinds(Protocol):
    """A video source that can be read once more, and may keep what it has decoded for that."""

    def keep(self, most_bytes: int) -> None:
        """From the first frame on, until it is rewound; nothing where that is more. Before the first ``read``."""

    def rewind(self) -> None:
        """The next frame is the first one. Raises UserError where it cannot."""


@runtime_checkable
class Jumps(Protocol):
    """A video source that can go on at another time without decoding what lies between."""

    def jump(self, at_ns: int) -> int | None:
        """The next frame is one that is decoded without those before it, as near before ``at_ns`` as there is one.

        Frames are counted anew from there. Returns its pts; None, and nothing more can be read, where it cannot.
        """


def at_once(until_ns: int) -> AbstractContextManager[None]:
    """The turn of a source that waits for nobody."""
    return nullcontext()


@runtime_checkable
class DecodesInTurn(Protocol):
    """A live video source whose decoding can wait a little: it works within a ``turn``, which may be given to it."""

    turn: Turn


class VoiceSource(Protocol):
    """Gives blocks of sound: lost sound comes as silence marked ``gap``; a live voice may pause and give nothing."""

    def open(self) -> VoiceInfo:
        """Open the device or file. Raises UserError where it cannot."""

    def read(self) -> AudioBlock:
        """The next block, directly after the one before; live, after a pause, at its own time. Raises EndOfStream."""

    def close(self) -> None:
        """Release everything. Idempotent."""


def read_all(read: Callable[[], T]) -> Iterator[T]:
    """All that ``read``, a source's, gives until the stream ends."""
    while True:
        try:
            item = read()
        except EndOfStream:
            return
        yield item
