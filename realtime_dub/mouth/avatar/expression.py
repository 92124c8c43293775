"""The lower face of an avatar, from what is heard of a voice: the bundle of task ``expression``.

One frame after another: a window of features goes in, the state holds what the seven windows before were read as, and
attention over the eight gives the motion. After Thies, Elgharib, Tewari, Theobalt, Niessner: Neural Voice Puppetry
(ECCV 2020).
"""

from __future__ import annotations

import numpy as np

from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import LOWER
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle
from realtime_dub.inference.spec import ExpressionSpec, FollowingSpec, HeadSpec
from realtime_dub.inference.state import CheckedStream
from realtime_dub.media import MS, Floats
from realtime_dub.mouth.avatar.hearing import Hearing

__all__ = ["FRAME_RATE", "ExpressionStream", "Follower"]

FRAME_RATE = 25.0
FARTHEST = 2.0  # mouth widths that a point of the lower face may move


class Follower:
    """What the nets of an avatar have in common: when of a voice they hear what. Not thread-safe."""

    def __init__(self, bundle: Bundle, spec: ExpressionSpec | HeadSpec, hearing: Hearing, backend: str = AUTO) -> None:
        """Raises BundleError where the net was taught with other features, or is no avatar's."""
        _check(spec, hearing)
        self._hearing, self._spec = hearing, spec
        self._step_ns = spec.step_ms * MS
        self._stream = CheckedStream(bundle.session(backend), spec)
        self.look_ahead_ns = spec.look_ahead_ms * MS
        self.ahead_ns = self.look_ahead_ns - hearing.look_ahead_ns  # of the last row, from the frame's instant

    def _rows(self, frame_ns: int) -> Floats:
        return self._hearing.rows(frame_ns + self.ahead_ns, self._spec.steps, self._step_ns)

    def forget(self) -> None:
        """It has heard nothing."""
        self._stream.forget()


class ExpressionStream(Follower):
    """One voice, frame by frame."""

    def __init__(self, bundle: Bundle, hearing: Hearing, backend: str = AUTO) -> None:
        spec = bundle.spec
        if not isinstance(spec, ExpressionSpec) or spec.points != tuple(LOWER):
            raise BundleError(
                "not an avatar's expression:", str(bundle.folder), "train it: train-engine avatar-expression"
            )
        super().__init__(bundle, spec, hearing, backend)

    def __call__(self, frame_ns: int) -> Floats:
        """Motion (168, 3) of the next frame, which is at ``frame_ns``; mouth widths from rest."""
        found = self._stream.run({"window": self._rows(frame_ns)[None]}, 1)["displacement"][0]
        if not np.isfinite(found).all():
            self.forget()  # or what spoilt this would spoil all that follows
            return np.zeros_like(found)
        self._stream.keep()
        return np.asarray(np.clip(found, -FARTHEST, FARTHEST))


def _check(spec: FollowingSpec, hearing: Hearing) -> None:
    again = "train it again with this version"
    if spec.hears != hearing.label:
        raise BundleError("cannot use", f"{spec.name}: it was taught with {spec.hears}, here is {hearing.label}", again)
    if spec.frame_rate != FRAME_RATE:
        raise BundleError("cannot use", f"{spec.name}: it moves {spec.frame_rate:g} times a second", again)
    shape = next((tensor.shape for tensor in spec.inputs if tensor.name == "window"), ())
    if shape != ("batch", spec.steps, hearing.features):
        raise BundleError("cannot use", f"{spec.name}: it hears {list(shape)}", again)
    if spec.look_ahead_ms * MS < hearing.look_ahead_ns:
        raise BundleError("cannot use", f"{spec.name}: it looks ahead less than what it hears with", again)
