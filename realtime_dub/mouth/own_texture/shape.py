"""From a stream of sound to the sparse mouth at any instant: cepstra, the recurrent net, and what waits for it.

Feature frame i is the sound around ``origin + i * hop``. What the net gives behind it belongs to the instant that lies
the look-ahead before. Instants between two outputs are interpolated.
"""

from __future__ import annotations

import numpy as np

from realtime_dub.audio.frontends.mfcc import Mfcc, MfccSpec
from realtime_dub.audio.samples import cleaned
from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import LOWER
from realtime_dub.face.types import Points
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle, load_default, look_aheads
from realtime_dub.inference.spec import LandmarksSpec
from realtime_dub.inference.state import CheckedStream
from realtime_dub.media import MS, NS, Floats, samples_to_ns
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.mouthbank.motion import Motion, MotionStream
from realtime_dub.mouth.mouthbank.plausible import Plausible

HISTORY_NS = 3 * NS
MAX_FRAMES = 32  # per call of the network; longer sound goes in several
REACH = 2  # outputs on either side of an instant that are averaged: what trembles from hop to hop is no word
AVERAGE = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / 1.5) ** 2)
AVERAGE /= AVERAGE.sum()
JUMP_NS = 10 * MS  # sound that starts further than this from where the last ended starts a new stream
NEVER_NS = -(1 << 62)


def spec_of(bundle: Bundle) -> tuple[LandmarksSpec, MfccSpec]:
    """What the bundle says. Raises BundleError where it is not one of recurrent lips."""
    spec = bundle.spec
    if not isinstance(spec, LandmarksSpec) or not isinstance(spec.audio, MfccSpec) or spec.audio.rate != VOICE_RATE:
        raise _unfit(spec.name)
    shapes = {tensor.name: tensor.shape[2:] for tensor in spec.outputs}
    hears = [(tensor.name, tensor.shape[2:]) for tensor in spec.inputs]
    if shapes.get("displacement") != (len(LOWER), 3) or hears != [("features", (spec.audio.features,))]:
        raise _unfit(spec.name)
    if spec.look_ahead_ns % spec.audio.hop_ns or spec.shown:
        raise _unfit(spec.name)
    return spec, spec.audio


def _unfit(name: str) -> BundleError:
    return BundleError("not a bundle of recurrent lips", name, "choose one that turns features into displacement")


def _ears(most_ms: int) -> MotionStream:
    """Mouthbank's net, which tells speech from noise: the one that waits longest of those that wait no longer."""
    known = [ms for ms in look_aheads("mouthbank") if ms <= most_ms]
    return MotionStream(load_default("mouthbank", max(known, default=0)))


def averaged(moved: Floats) -> Floats:
    """Outputs (n, ...) as :meth:`LipStream.at` gives them at the hops."""
    at = np.arange(len(moved))[:, None] + np.arange(-REACH, REACH + 1)
    around = moved[np.clip(at, 0, max(0, len(moved) - 1))]
    return np.asarray(np.tensordot(AVERAGE.astype(np.float32), around, ([0], [1])), np.float32)


class LipStream:
    """One voice. Not thread-safe."""

    def __init__(self, bundle: Bundle, backend: str = AUTO) -> None:
        self._spec, self._audio = spec_of(bundle)
        self.points = np.asarray(LOWER)
        self.look_ahead_ns = self._spec.look_ahead_ns
        self.hop_ns = self._audio.hop_ns
        self.front_end_ns = self._audio.half_window_ns + REACH * self.hop_ns
        self.session = bundle.session(backend)
        self._stream = CheckedStream(self.session, self._spec)
        self._front_end = Mfcc(self._audio)
        self._ears = _ears(self._spec.look_ahead_ms)
        self._can_be = Plausible(self.points)
        self._delay = self._spec.look_ahead_ns // self.hop_ns  # hops
        length = HISTORY_NS // self.hop_ns
        self._displacements = np.zeros((length, len(LOWER), 3), np.float32)
        self._plausible = np.ones(length, np.bool_)
        self._restart(None)
        self.hear(np.zeros(self._audio.window + self._audio.hop, np.float32), 0)  # or it is found out too late
        self._restart(None)

    def _restart(self, origin_ns: int | None) -> None:
        """A new stream whose first sample is at ``origin_ns``: rest before it."""
        self._origin_ns, self._samples, self._outputs = origin_ns, 0, 0
        self._front_end.reset()
        self._stream.forget()

    def meet(self, neutral: Points | None) -> None:
        """The net knows one mean face, whoever it is."""

    def hear(self, samples: Floats, pts_ns: int) -> None:
        """Sound (n,) at 16 kHz, its first sample at ``pts_ns``; consecutive calls without holes."""
        if self._origin_ns is None or abs(pts_ns - self._end_ns(self._origin_ns)) > JUMP_NS:
            self._restart(pts_ns)
        self._samples += len(samples)
        self._ears.hear(samples, pts_ns)
        features = self._front_end.process(cleaned(samples))
        for start in range(0, len(features), MAX_FRAMES):
            self._step(features[start : start + MAX_FRAMES])

    def _end_ns(self, origin_ns: int) -> int:
        return origin_ns + samples_to_ns(self._samples, VOICE_RATE)

    def _step(self, features: Floats) -> None:
        moved = self._stream.run({"features": features[None]}, len(features))["displacement"][0]
        plausible = self._can_be(moved, np.ones(len(moved), np.float32))
        if plausible.all():
            self._stream.keep()
        else:
            self._stream.forget()  # or what spoilt this would spoil all that follows
            moved = np.where(plausible[:, None, None], moved, 0)
        places = (self._outputs + np.arange(len(moved))) % len(self._displacements)
        self._displacements[places], self._plausible[places] = moved, plausible
        self._outputs += len(moved)

    def forget_level(self) -> None:
        """Somebody else may speak from now on, at another level."""
        self._ears.forget_level()

    def heard_until_ns(self) -> int:
        """The newest instant whose mouth is known; far in the past before the first sound."""
        if self._origin_ns is None:
            return NEVER_NS
        own_ns = self._origin_ns + (self._outputs - 1 - self._delay - REACH) * self.hop_ns
        return min(own_ns, self._ears.heard_until_ns())

    def at(self, ns: int) -> Motion:
        """The motion at ``ns``. Rest before the first sound; the nearest that is known outside the history."""
        if self._origin_ns is None or ns < self._origin_ns or self._outputs <= self._delay:
            return Motion(np.zeros_like(self._displacements[0]), 0.0)
        newest, oldest = self._outputs - 1, max(self._delay, self._outputs - len(self._displacements))
        place = min(max((ns - self._origin_ns) / self.hop_ns + self._delay, oldest), newest)
        low = min(int(place), newest)
        part = np.float32(place - low)
        at = np.clip(np.arange(low - REACH, low + REACH + 2), oldest, newest) % len(self._plausible)
        shares = np.convolve(AVERAGE, [1 - part, part]).astype(np.float32)
        moved = np.tensordot(shares, self._displacements[at], 1)
        return Motion(np.asarray(moved, np.float32), self._ears.at(ns).speech, bool(self._plausible[at].all()))
