"""From a stream of sound to the motion of the mouth at any instant.

Feature frame i is the sound around ``origin + i * hop``; the network gives that instant's motion after it has seen the
look-ahead's frames too. Instants between two outputs are interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from realtime_dub.audio.frontends.logmel import LogMel
from realtime_dub.audio.samples import cleaned
from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import LOWER
from realtime_dub.face.landmarks import OPENING
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle
from realtime_dub.inference.contract import Session
from realtime_dub.inference.state import CheckedStream
from realtime_dub.media import MS, NS, Floats, samples_to_ns
from realtime_dub.mouth.mouthbank.adapter import MOST_FEATURES
from realtime_dub.mouth.mouthbank.plausible import Plausible
from realtime_dub.mouth.mouthbank.speaker_level import SpeakerLevel

HISTORY_NS = 3 * NS
MAX_FRAMES = 16  # per call of the network; longer sound goes in several
JUMP_NS = 10 * MS  # sound that starts further than this from where the last ended starts a new stream
NEVER_NS = -(1 << 62)
FEATURES = "features"  # the output's name
_TRY_SECONDS = 0.5
_PAIRS_AT = np.searchsorted(LOWER, OPENING)


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """The mouth at one instant."""

    displacement: Floats  # (points, 3) in the person's mouth widths, from the neutral shape
    speech: float  # 0..1, how sure it is that the person speaks
    plausible: bool = True  # False: what the network gave can be no mouth, this is rest
    features: Floats | None = None  # (n,) what the network made the motion of, where it tells that


class VoiceMotion(Protocol):
    """One voice, and the motion it makes."""

    points: npt.NDArray[np.int_]  # face mesh indices that ``Motion.displacement`` moves
    look_ahead_ns: int
    front_end_ns: int
    hop_ns: int
    session: Session

    def hear(self, samples: Floats, pts_ns: int) -> None: ...

    def heard_until_ns(self) -> int: ...

    def at(self, ns: int) -> Motion: ...

    def forget_level(self) -> None: ...


def opening(displacement: Floats) -> float:
    """How far a motion (len(LOWER), 3) opens the lips, mouth widths."""
    upper, lower = _PAIRS_AT.T
    return float((displacement[lower, 1] - displacement[upper, 1]).mean())


class MotionStream:
    """One voice. ``points`` are the face mesh indices that ``Motion.displacement`` moves. Not thread-safe."""

    def __init__(self, bundle: Bundle, backend: str = AUTO) -> None:
        spec = bundle.motion
        self.points = np.array(spec.points)
        self.look_ahead_ns = spec.look_ahead_ns
        self.front_end_ns = spec.audio.half_window_ns
        self.hop_ns = spec.audio.hop_ns
        self._spec = spec
        self._check_names()
        self.session = bundle.session(backend)
        self._stream = CheckedStream(self.session, spec)
        self._front_end = LogMel(spec.audio)
        self._delay = spec.look_ahead_ns // spec.audio.hop_ns  # frames
        self._speaker_level = SpeakerLevel(spec.audio, self._delay)
        length = HISTORY_NS // spec.audio.hop_ns
        self._displacements = np.zeros((length, len(spec.points), 3), np.float32)
        self._speech = np.zeros(length, np.float32)
        self._plausible = np.ones(length, np.bool_)
        self._features = np.zeros((length, self._feature_count()), np.float32)
        self._can_be = Plausible(self.points)
        self._try_out(bundle.known)
        self._restart(None)

    def _try_out(self, known: bool) -> None:
        """Hears some silence, so that a network that is not as its spec says is found before anything begins.

        One that is not known hears noise, too, and has to make mouths of both.
        """
        spec = self._spec.audio
        self._restart(None)
        self.hear(np.zeros(spec.window + spec.hop, np.float32), 0)
        if known:
            return
        noise = 0.1 * np.random.default_rng(0).standard_normal(int(_TRY_SECONDS * spec.rate))
        self.hear(noise.astype(np.float32), samples_to_ns(self._samples, spec.rate))
        if not self._plausible[: self._outputs].all():
            what = f"{self._spec.name}: what its network gives for silence and noise can be no mouth"
            raise BundleError("cannot run bundle", what, "fetch it again, or choose another")

    def _check_names(self) -> None:
        shapes = {tensor.name: tensor.shape for tensor in self._spec.outputs}
        wanted = {"displacement": (1, None, len(self.points), 3), "speech": (1, None)}
        hears = [(tensor.name, tensor.shape) for tensor in self._spec.inputs]
        if wanted.items() - shapes.items() or hears != [("mel", (1, None, self._spec.audio.bands))]:
            raise BundleError("not a motion bundle", self._spec.name, "choose one that turns mel into displacement")

    def _feature_count(self) -> int:
        """0 for a network that tells none; raises BundleError where there are more than anybody needs."""
        shape = next((tensor.shape for tensor in self._spec.outputs if tensor.name == FEATURES), (1, None, 0))
        if len(shape) != 3 or shape[:2] != (1, None) or not isinstance(shape[2], int) or shape[2] > MOST_FEATURES:
            raise BundleError("not a motion bundle", f"{self._spec.name}: its features are no row", "choose another")
        return shape[2]

    def _restart(self, origin_ns: int | None) -> None:
        """A new stream whose first sample is at ``origin_ns``: rest before it."""
        self._origin_ns = origin_ns
        self._samples = 0
        self._outputs = 0  # of the network, the first ``_delay`` of which belong to no instant
        self._front_end.reset()
        self._speaker_level.reset()
        self._stream.forget()

    def hear(self, samples: Floats, pts_ns: int) -> None:
        """Sound (n,) at the bundle's rate, its first sample at ``pts_ns``; consecutive calls without holes."""
        if self._origin_ns is None or abs(pts_ns - self._end_ns()) > JUMP_NS:
            self._restart(pts_ns)
        self._samples += len(samples)
        mel = self._front_end.process(cleaned(samples))
        for start in range(0, len(mel), MAX_FRAMES):
            self._step(mel[start : start + MAX_FRAMES])

    def _end_ns(self) -> int:
        assert self._origin_ns is not None
        return self._origin_ns + samples_to_ns(self._samples, self._spec.audio.rate)

    def _step(self, mel: Floats) -> None:
        results = self._stream.run({"mel": mel[None]}, len(mel))
        moved, sure = results["displacement"][0], results["speech"][0]
        plausible = self._can_be(moved, sure)
        if plausible.all():
            self._stream.keep()
        else:
            self._stream.forget()  # or what spoilt this would spoil all that follows
            moved, sure = np.where(plausible[:, None, None], moved, 0), np.where(plausible, sure, 0)
        places = (self._outputs + np.arange(len(mel))) % len(self._speech)
        self._displacements[places] = moved
        self._speech[places] = self._speaker_level(mel, sure)
        self._plausible[places] = plausible
        if self._features.shape[1]:
            self._features[places] = np.where(plausible[:, None], results[FEATURES][0], 0)
        self._outputs += len(mel)

    def forget_level(self) -> None:
        """Somebody else may speak from now on, at another level."""
        self._speaker_level.reset()

    def heard_until_ns(self) -> int:
        """The newest instant whose motion is known; far in the past before the first sound."""
        if self._origin_ns is None:
            return NEVER_NS
        return self._origin_ns + (self._outputs - 1 - self._delay) * self._spec.audio.hop_ns

    def at(self, ns: int) -> Motion:
        """The motion at ``ns``. Rest before the first sound; the nearest that is known outside the history."""
        if self._origin_ns is None or ns < self._origin_ns or self._outputs <= self._delay:
            return Motion(np.zeros(self._displacements.shape[1:], np.float32), 0.0)
        newest = self._outputs - 1
        oldest = max(self._delay, self._outputs - len(self._speech))
        place = (ns - self._origin_ns) / self._spec.audio.hop_ns + self._delay
        place = min(max(place, oldest), newest)
        low = min(int(place), newest)
        part = np.float32(place - low)
        a, b = low % len(self._speech), min(low + 1, newest) % len(self._speech)
        displacement = self._displacements[a] * (1 - part) + self._displacements[b] * part
        speech = float(self._speech[a] * (1 - part) + self._speech[b] * part)
        known = bool(self._plausible[a] and self._plausible[b])
        if not self._features.shape[1]:
            return Motion(displacement, speech, known)
        return Motion(displacement, speech, known, self._features[a] * (1 - part) + self._features[b] * part)
