"""The publisher contract. The pipeline runs each publisher on a named thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, runtime_checkable

from realtime_dub.media import Coded, OutputFormat, Samples, Tick
from realtime_dub.trust.intervals import Film
from realtime_dub.trust.tag import Tag

# (clock instant at which the first sample shall sound, count) -> the delayed voice (count, channels), silence where
# there is none. Allocation and work are small enough for a sound card's callback.
ReadVoice = Callable[[int, int], Samples]


class Publisher(Protocol):
    """Takes ticks in order.

    ``policy`` says what the pipeline does when a publisher is slower than the grid: ``latest`` drops all but the
    newest tick (virtual camera, window), ``every`` queues a bounded number, then drops pictures, never sound (file,
    stream). One may also be one of the protocols below, and have ``notes``, lines for the report (``notes.HasNotes``).

    What fails later than :meth:`open` raises LostOutput, with how much is safe.
    """

    name: str
    policy: Literal["latest", "every"]
    latency_ns: int  # declared: from hand-over to the moment it is out

    def open(self, fmt: OutputFormat) -> None:
        """Get ready. Raises UserError where it cannot; nothing half-written stays behind."""

    def publish(self, tick: Tick) -> None:
        """Take one tick; may block for as long as the work takes. Must not keep ``tick.image`` past its return."""

    def close(self) -> None:
        """Flush and release. Idempotent."""


@runtime_checkable
class ReadsVoice(Protocol):
    """A publisher that reads the delayed voice by the clock, ahead of its own latency, in place of the ticks' audio."""

    def attach(self, read_voice: ReadVoice) -> None:
        """Where the voice is read. Before ``open``."""


@runtime_checkable
class ConvertsSlowly(Protocol):
    """A publisher to which frames in BGR cost more than it costs a camera to keep the planes of its JPEG pictures."""

    converts_slowly: bool


@runtime_checkable
class ReadsParts(Protocol):
    """A publisher that takes a frame's own planes over, and of its image reads what has changed alone."""

    def reads_beside(self, coded: Coded) -> int | None:
        """So many pixels around that; None: it reads all of an image that came so, or does not know yet."""


@runtime_checkable
class HasAddress(Protocol):
    """A publisher that people go to."""

    address: str | None
    """What is printed once it is open."""


@runtime_checkable
class CarriesExtras(Protocol):
    """A publisher that can hold what a film carries beside frames and audio."""

    def carry(self, extras: Any) -> None:
        """Tags, chapters, subtitles (``carried.Extras``). After ``open``, before the first tick."""


@runtime_checkable
class MakesFilms(Protocol):
    """A publisher whose files say what they are."""

    def say(self, tag: Tag) -> None:
        """Before ``open``: what the film's header says from its first byte on."""

    @property
    def film(self) -> Film | None:
        """What was written, once it is closed and whole."""
