"""From a stream of sound to the motion of the mouth at any instant, whatever net makes it.

Feature frame i is the sound around ``origin + i * hop``; a net gives that instant's motion after it has seen the
look-ahead's frames too. Instants between two outputs are interpolated. Nets differ in what a frame holds and in what
they make of it: ``motion.py``, ``landmarks.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from realtime_dub.audio.frontends import FrontEnd, open_front_end
from realtime_dub.audio.samples import cleaned
from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import LOWER
from realtime_dub.face.landmarks import OPENING, mean
from realtime_dub.face.types import Points
from realtime_dub.inference.contract import Session
from realtime_dub.inference.spec import LandmarksSpec, MotionSpec
from realtime_dub.inference.state import CheckedStream
from realtime_dub.media import MS, NS, Floats, samples_to_ns
from realtime_dub.mouth.mouthbank.plausible import Plausible
from realtime_dub.mouth.mouthbank.tuning import Tuned

HISTORY_NS = 3 * NS
MAX_FRAMES = 64  # per call of the network; longer sound goes in several. As many as it is built for (profiles.py)
TOGETHER = 8  # frames: a call takes nearly the same for one as for so many
JUMP_NS = 10 * MS  # sound that starts further than this from where the last ended starts a new stream
NEVER_NS = -(1 << 62)
_TRY_SECONDS = 0.5
PAIRS_AT = np.searchsorted(LOWER, OPENING)


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """The mouth at one instant."""

    displacement: Floats  # (points, 3) in the person's mouth widths, from the neutral shape
    speech: float  # 0..1, how sure it is that the person speaks
    plausible: bool = True  # False: what the network gave can be no mouth, this is rest
    features: Floats | None = None  # (n,) what the network made the motion of, where it tells that
    tuned: Floats | None = None  # (points, 3) how far from ``displacement`` weights tuned to the person have it


def opening(displacement: Floats) -> float:
    """How far a motion (len(LOWER), 3) opens the lips, mouth widths."""
    upper, lower = PAIRS_AT.T
    return float(mean(displacement[lower, 1] - displacement[upper, 1]))


class VoiceMotion(Protocol):
    """One voice, and the motion it makes."""

    points: npt.NDArray[np.int_]  # face mesh indices that ``Motion.displacement`` moves
    look_ahead_ns: int
    front_end_ns: int
    hop_ns: int
    session: Session

    def meet(self, neutral: Points | None) -> None:
        """Whose mouth it is: the canonical face at rest (478, 3); None = it is not known yet."""

    def hear(self, samples: Floats, pts_ns: int) -> None:
        """Audio (n,) at the bundle's rate, its first sample at ``pts_ns``; consecutive calls without holes."""

    def tune(self, tuned: Tuned | None) -> None:
        """From now on motions tell what the net makes of the voice with these weights, too, where it can be tuned."""

    def heard_until_ns(self) -> int:
        """The newest instant whose motion is known; far in the past before the first sound."""

    def at(self, ns: int) -> Motion:
        """Rest before the first sound; the nearest that is known outside the history."""

    def forget_level(self) -> None:
        """Somebody else may speak from now on, at another level."""


@dataclass(frozen=True, slots=True)
class Place:
    """An instant among a net's outputs: ``part`` 0..1 of the way from ``low`` to the next."""

    low: int
    part: np.float32
    oldest: int
    newest: int


class VoiceStream:
    """One voice. ``points`` are the face mesh indices that ``Motion.displacement`` moves. Not thread-safe."""

    def __init__(
        self,
        spec: MotionSpec | LandmarksSpec,
        session: Session,
        points: npt.NDArray[np.int_],
        features: int = 0,
        history_ns: int = HISTORY_NS,
    ) -> None:
        """``features``: how many of them the network tells; ``history_ns``: for how long a motion is remembered."""
        self.points, self.session = points, session
        self.look_ahead_ns = spec.look_ahead_ns
        self.front_end_ns = spec.audio.half_window_ns
        self.hop_ns = spec.audio.hop_ns
        self._audio = spec.audio
        self._stream = CheckedStream(session, spec)
        self._front_end: FrontEnd = open_front_end(spec.audio)
        self._delay = spec.look_ahead_ns // spec.audio.hop_ns  # frames
        length = history_ns // spec.audio.hop_ns
        self._displacements = np.zeros((length, len(points), 3), np.float32)
        self._speech = np.zeros(length, np.float32)
        self._plausible = np.ones(length, np.bool_)
        self._features = np.zeros((length, features), np.float32)
        self._can_be = Plausible(points)
        self._waiting: list[Floats] = []  # features that the network has not had yet
        self._waits = 0  # frames of them
        self._origin_ns: int | None = None

    def _moved(self, frames: Floats) -> tuple[Floats, Floats, Floats | None]:
        """What the network makes of features (m, n): displacement (m, points, 3), speech (m,), what it tells (m, k)."""
        raise NotImplementedError

    def _heard(self, frames: Floats, sure: Floats) -> Floats:
        """The probability of speech (m,) as it is remembered."""
        return sure

    def _forget(self) -> None:
        """The network has heard nothing."""
        self._stream.forget()

    def meet(self, neutral: Points | None) -> None:
        """Whose mouth it is: the canonical face at rest (478, 3); None = it is not known yet."""

    def tune(self, tuned: Tuned | None) -> None:
        """From now on motions tell what the net makes of the voice with these weights, too, where it can be tuned."""

    def forget_level(self) -> None:
        """Somebody else may speak from now on, at another level."""

    def _try_out(self, name: str, known: bool) -> None:
        """Hears some silence, so that a network that is not as its spec says is found before anything begins.

        One that is not known hears noise, too, and has to make mouths of both.
        """
        audio = self._audio
        self._restart(None)
        self.hear(np.zeros(audio.window + audio.hop, np.float32), 0)
        self._catch_up()
        if known:
            return
        noise = 0.1 * np.random.default_rng(0).standard_normal(int(_TRY_SECONDS * audio.rate))
        self.hear(noise.astype(np.float32), samples_to_ns(self._samples, audio.rate))
        self._catch_up()
        if not self._plausible[: self._outputs].all():
            what = f"{name}: what its network gives for silence and noise can be no mouth"
            raise BundleError("cannot run bundle", what, "fetch it again, or choose another")

    def _restart(self, origin_ns: int | None) -> None:
        """A new stream whose first sample is at ``origin_ns``: rest before it."""
        self._origin_ns = origin_ns
        self._samples = 0
        self._outputs = 0  # of the network, the first ``_delay`` of which belong to no instant
        self._waiting, self._waits = [], 0
        self._front_end.reset()
        self._forget()
        self.forget_level()

    def hear(self, samples: Floats, pts_ns: int) -> None:
        """Sound (n,) at the bundle's rate, its first sample at ``pts_ns``; consecutive calls without holes.

        The network has it when a motion is asked for, or once there is enough: sound comes in smaller pieces than
        mouths.
        """
        if self._origin_ns is None or abs(pts_ns - self._end_ns()) > JUMP_NS:
            self._restart(pts_ns)
        self._samples += len(samples)
        frames = self._front_end.process(cleaned(samples))
        self._waiting.append(frames)
        self._waits += len(frames)
        if self._waits >= TOGETHER:
            self._catch_up()

    def _catch_up(self) -> None:
        """Let the network have what was heard."""
        if not self._waits:
            return
        frames = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        self._waiting, self._waits = [], 0
        for start in range(0, len(frames), MAX_FRAMES):
            self._step(frames[start : start + MAX_FRAMES])

    def _end_ns(self) -> int:
        assert self._origin_ns is not None
        return self._origin_ns + samples_to_ns(self._samples, self._audio.rate)

    def _step(self, frames: Floats) -> None:
        moved, sure, told = self._moved(frames)
        plausible = self._can_be(moved, sure)
        if plausible.all():
            self._stream.keep()
        else:
            self._forget()  # or what spoilt this would spoil all that follows
            moved, sure = np.where(plausible[:, None, None], moved, 0), np.where(plausible, sure, 0)
        places = (self._outputs + np.arange(len(frames))) % len(self._speech)
        self._displacements[places] = moved
        self._speech[places] = self._heard(frames, sure)
        self._plausible[places] = plausible
        if told is not None:
            self._features[places] = np.where(plausible[:, None], told, 0)
        self._outputs += len(frames)

    def heard_until_ns(self) -> int:
        """The newest instant whose motion is known; far in the past before the first sound."""
        if self._origin_ns is None:
            return NEVER_NS
        return self._origin_ns + (self._outputs + self._waits - 1 - self._delay) * self.hop_ns

    def at(self, ns: int) -> Motion:
        """The motion at ``ns``. Rest before the first sound; the nearest that is known outside the history."""
        self._catch_up()
        if (place := self._place(ns)) is None:
            return Motion(np.zeros(self._displacements.shape[1:], np.float32), 0.0)
        part, a = place.part, place.low % len(self._speech)
        b = min(place.low + 1, place.newest) % len(self._speech)
        displacement = self._displacements[a] * (1 - part) + self._displacements[b] * part
        speech = float(self._speech[a] * (1 - part) + self._speech[b] * part)
        known = bool(self._plausible[a] and self._plausible[b])
        if not self._features.shape[1]:
            return Motion(displacement, speech, known)
        features = self._features[a] * (1 - part) + self._features[b] * part
        return Motion(displacement, speech, known, features, self._tuned_at(place))

    def _tuned_at(self, place: Place) -> Floats | None:
        """``Motion.tuned`` at a place among the outputs."""
        return None

    @property
    def _oldest(self) -> int:
        """The first output that belongs to an instant and is remembered."""
        return max(self._delay, self._outputs - len(self._speech))

    def _place(self, ns: int) -> Place | None:
        """Where ``ns`` is among the outputs that are remembered; None = before the first sound."""
        if self._origin_ns is None or ns < self._origin_ns or self._outputs <= self._delay:
            return None
        newest = self._outputs - 1
        oldest = self._oldest
        place = min(max((ns - self._origin_ns) / self.hop_ns + self._delay, oldest), newest)
        low = min(int(place), newest)
        return Place(low, np.float32(place - low), oldest, newest)
