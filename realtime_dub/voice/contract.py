"""The contracts of voices that are made here: of the picture as it comes, and of a script for a whole film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from realtime_dub.face.types import Face, TrackedFrame
from realtime_dub.media import AudioBlock, Floats, VoiceInfo


@runtime_checkable
class VoiceFromVideo(Protocol):
    """A voice source (``sources/base.py``) that is shown the tracked frames.

    Its ``VoiceInfo.block_ns`` declares how long after a frame was shown the audio of its instant can be read: the
    budget of a live run holds that, the frame interval and the tracking. Its audio is on the clock of the frames'
    ``pts_ns``.
    """

    def open(self) -> VoiceInfo:
        """Load what is needed. Raises UserError where it cannot."""

    def watch(self, tracked: TrackedFrame) -> None:
        """The next frame, in order; on another thread than ``read``. Quick: what takes longer is ``read``'s to do."""

    def end(self) -> None:
        """No frame follows: ``read`` gives what is left, then raises EndOfStream. Idempotent."""

    def read(self) -> AudioBlock:
        """The next block, directly after the one before; waits for the frames that it takes. Raises EndOfStream."""

    def close(self) -> None:
        """Release everything; a blocked ``read`` raises EndOfStream. Idempotent."""


@dataclass(frozen=True, slots=True)
class Line:
    """What is said, and within which times of the film, s; None = wherever the lips move."""

    text: str
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SeenFilm:
    """The face that is to speak, frame by frame; none in a photograph, which has no time of its own."""

    times_s: npt.NDArray[np.float64]  # (n,) of the frames, from the film's start
    faces: Sequence[Face | None]
    length_s: float
    looks: Floats | None = None  # (n, k) of the whole frames, as ``voice/hpm/rules.py`` has them; None: nobody looked


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """Who says it, and how. ``sample`` (n,): somebody's voice, at ``sample_rate``."""

    language: str | None = None
    sample: Floats | None = None
    sample_rate: int = 0
    speaker_id: int | None = None
    emotion: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MadeVoice:
    """A film's voice from its time 0 on: ``samples`` (n,). ``notes``: what the user should know."""

    samples: Floats
    rate: int
    notes: tuple[str, ...]


class ScriptSpeaker(Protocol):
    """Says a script for a film: a function of ``voice/registry.py``'s table ``SPEAKERS``."""

    def __call__(self, lines: Sequence[Line], film: SeenFilm, wish: Wish) -> MadeVoice:
        """Every line is said, or a note says which is not and why. Raises UserError where nothing can be."""
