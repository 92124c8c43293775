"""Steps one by one: a voice whose features and lips are written down, or read from where they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime_dub.face.alignment import LOWER
from realtime_dub.face.landmarks import SPARSE_LIPS
from realtime_dub.face.types import Points
from realtime_dub.inference.bundle import Bundle
from realtime_dub.inference.contract import Arrays, Declared, Session
from realtime_dub.inference.state import CheckedStream
from realtime_dub.media import MS, Floats
from realtime_dub.mouth.mouthbank.tuning import Tuned
from realtime_dub.mouth.mouthbank.voice_stream import MAX_FRAMES, Motion, VoiceMotion
from realtime_dub.mouth.own_texture.shape import LipStream, averaged, spec_of
from realtime_dub.mouth.steps import Steps

HOP_NS = 10 * MS
FOREVER_NS = 1 << 62
_SPARSE_AT = np.searchsorted(LOWER, SPARSE_LIPS)
_FEATURES: dict[str, tuple[int | None, ...]] = {"features": (None, 28), "speech": (None,), "origin_ns": ()}
_LIPS: dict[str, tuple[int | None, ...]] = {"displacement": (None, len(LOWER), 3), "speech": (None,), "origin_ns": ()}


class KeepingStream(LipStream):
    """Remembers everything of a voice, to be written at the end."""

    def __init__(self, bundle: Bundle, backend: str, steps: Steps) -> None:
        self._cepstra: list[Floats] = []
        self._lips: list[Floats] = []
        self._said: list[float] = []  # whether somebody speaks, hop by hop
        self._steps = steps
        super().__init__(bundle, backend)

    def _restart(self, origin_ns: int | None) -> None:
        super()._restart(origin_ns)
        self._cepstra, self._lips, self._said = [], [], []

    def hear(self, samples: Floats, pts_ns: int) -> None:
        super().hear(samples, pts_ns)
        while self._origin_ns is not None and self._next_ns(self._origin_ns) <= self._ears.heard_until_ns():
            self._said.append(self._ears.at(self._next_ns(self._origin_ns)).speech)

    def _next_ns(self, origin_ns: int) -> int:
        """The first instant of which it was not asked yet whether somebody speaks."""
        return origin_ns + len(self._said) * self.hop_ns

    def _step(self, frames: Floats) -> None:
        super()._step(frames)
        self._cepstra.append(frames)
        last = (self._outputs - len(frames) + np.arange(len(frames))) % len(self._displacements)
        self._lips.append(self._displacements[last])

    def write(self) -> None:
        """Those of the files that are wanted."""
        if self._origin_ns is None or not self._cepstra:
            return
        features, moved = np.concatenate(self._cepstra), np.concatenate(self._lips)[self._delay :]
        speech = np.zeros(len(features), np.float32)
        speech[: len(self._said)] = self._said[: len(features)]
        if "features" in self._steps:
            told = {"features": features, "speech": speech, "origin_ns": np.array(self._origin_ns)}
            self._steps.write("features", told)
        if "shape" in self._steps:
            write_lips(self._steps, averaged(moved), speech[: len(moved)], self._origin_ns)


@dataclass
class _NoSession:
    """No network is run."""

    backend: str = "none"
    inputs: Sequence[Declared] = ()
    outputs: Sequence[Declared] = ()

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        raise NotImplementedError


class KeptLips:
    """Lips that were made before: no voice is needed for them."""

    look_ahead_ns = front_end_ns = 0
    hop_ns = HOP_NS

    def __init__(self, displacement: Floats, speech: Floats, origin_ns: int) -> None:
        self.points = np.asarray(LOWER)
        self.session: Session = _NoSession()
        self._lips, self._speech, self._origin_ns = displacement, speech, origin_ns

    def hear(self, samples: Floats, pts_ns: int) -> None:
        """Nothing is made of it."""

    def heard_until_ns(self) -> int:
        return FOREVER_NS

    def meet(self, neutral: Points | None) -> None:
        """What is kept is nobody's."""

    def tune(self, tuned: Tuned | None) -> None:
        """It comes from no net."""

    def forget_level(self) -> None:
        """There is none."""

    def at(self, ns: int) -> Motion:
        place = (ns - self._origin_ns) / HOP_NS
        if not 0 <= place <= len(self._lips) - 1:
            return Motion(np.zeros((len(LOWER), 3), np.float32), 0.0)
        low = int(place)
        part, high = np.float32(place - low), min(low + 1, len(self._lips) - 1)
        moved = self._lips[low] * (1 - part) + self._lips[high] * part
        return Motion(np.asarray(moved, np.float32), float(self._speech[low]))


def write_lips(steps: Steps, moved: Floats, speech: Floats, origin_ns: int) -> None:
    """The file of the step ``shape``."""
    lips = moved[:, _SPARSE_AT, :2]
    told = {"landmarks": lips, "displacement": moved, "speech": speech, "origin_ns": np.array(origin_ns)}
    steps.write("shape", told)


def voice_of(bundle: Bundle, backend: str, steps: Steps | None) -> VoiceMotion:
    """The stream that makes what is wanted of a voice, or of what was made of it before."""
    if steps is None:
        return LipStream(bundle, backend)
    if "features" in steps:
        return KeepingStream(bundle, backend, steps)
    if "shape" in steps:
        heard = steps.read("features", **_FEATURES)
        moved = averaged(lips_of(bundle, backend, heard["features"].astype(np.float32)))
        speech, origin_ns = heard["speech"].astype(np.float32)[: len(moved)], int(heard["origin_ns"])
        write_lips(steps, moved, speech, origin_ns)
        return KeptLips(moved, speech, origin_ns)
    made = steps.read("shape", **_LIPS)
    return KeptLips(made["displacement"].astype(np.float32), made["speech"].astype(np.float32), int(made["origin_ns"]))


def lips_of(bundle: Bundle, backend: str, features: Floats) -> Floats:
    """The lower face (m, 168, 3) for features (n, 28); none for the end, behind which the net has heard too little."""
    spec = spec_of(bundle)
    stream, parts = CheckedStream(bundle.session(backend), spec), []
    for start in range(0, len(features), MAX_FRAMES):
        piece = features[start : start + MAX_FRAMES]
        parts.append(stream.run({"features": piece[None]}, len(piece))["displacement"][0])
        stream.keep()
    delay = spec.look_ahead_ns // spec.audio.hop_ns
    return np.asarray(np.concatenate([*parts, np.zeros((0, len(LOWER), 3))])[delay:], np.float32)
