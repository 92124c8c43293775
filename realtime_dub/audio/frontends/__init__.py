"""Audio front ends: streams of sound to frames of features, the same live, offline and in training.

All of them keep one contract. ``process`` takes sound in pieces of any size and gives the frames that it completes;
``finish`` gives those whose windows lie partly behind the end, where silence follows. Together they are what the whole
sound gives at once. Frame i is centred on sample ``i * hop`` of the stream.
"""

from __future__ import annotations

from typing import Annotated, Protocol

from pydantic import Field

from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec
from realtime_dub.audio.frontends.mfcc import Mfcc, MfccSpec
from realtime_dub.audio.frontends.painter_mel import PainterMel, PainterMelSpec
from realtime_dub.media import Floats

__all__ = ["AudioSpec", "FrontEnd", "open_front_end"]

AudioSpec = Annotated[LogMelSpec | PainterMelSpec | MfccSpec, Field(discriminator="kind")]


class FrontEnd(Protocol):
    """One stream of sound."""

    @property
    def frames(self) -> int:
        """Given so far."""

    def reset(self) -> None:
        """Forget the sound heard; the next sample is the first."""

    def process(self, samples: Floats) -> Floats:
        """Sound (n,) in; the frames that it completes (m, features), m >= 0."""

    def finish(self) -> Floats:
        """The frames (m, features) that only the silence behind the end completes. After it comes ``reset``."""


def open_front_end(spec: LogMelSpec | PainterMelSpec | MfccSpec) -> FrontEnd:
    """The front end that a bundle asks for."""
    if isinstance(spec, LogMelSpec):
        return LogMel(spec)
    return PainterMel(spec) if isinstance(spec, PainterMelSpec) else Mfcc(spec)
