"""From a stream of sound to the sparse mouth at any instant: cepstra, the recurrent net, and what waits for it.

Feature frame i is the sound around ``origin + i * hop``. What the net gives behind it belongs to the instant that lies
the look-ahead before. Instants between two outputs are interpolated.
"""

from __future__ import annotations

import numpy as np

from realtime_dub.audio.frontends.mfcc import MfccSpec
from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import LOWER
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle
from realtime_dub.inference.spec import LandmarksSpec
from realtime_dub.media import Floats, Samples
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.mouthbank.ears import open_ears
from realtime_dub.mouth.mouthbank.voice_stream import NEVER_NS, Motion, VoiceStream

REACH = 2  # outputs on either side of an instant that are averaged: what trembles from hop to hop is no word
AVERAGE = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / 1.5) ** 2)
AVERAGE /= AVERAGE.sum()


def spec_of(bundle: Bundle) -> LandmarksSpec:
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
    return spec


def _unfit(name: str) -> BundleError:
    return BundleError("not a bundle of recurrent lips", name, "choose one that turns features into displacement")


def averaged(moved: Floats) -> Floats:
    """Outputs (n, ...) as :meth:`LipStream.at` gives them at the hops."""
    at = np.arange(len(moved))[:, None] + np.arange(-REACH, REACH + 1)
    around = moved[np.clip(at, 0, max(0, len(moved) - 1))]
    return np.asarray(np.tensordot(AVERAGE.astype(np.float32), around, ([0], [1])), np.float32)


class LipStream(VoiceStream):
    """A voice through a bundle of recurrent lips, which know one mean face. Mouthbank's net tells speech from noise."""

    def __init__(self, bundle: Bundle, backend: str = AUTO) -> None:
        spec = spec_of(bundle)
        self._ears = open_ears(spec.look_ahead_ms)
        super().__init__(spec, bundle.session(backend), np.asarray(LOWER))
        self.front_end_ns += REACH * self.hop_ns
        self._try_out(spec.name, bundle.known)
        self._restart(None)

    def hear(self, samples: Samples, pts_ns: int) -> None:
        self._ears.hear(samples, pts_ns)
        super().hear(samples, pts_ns)

    def forget_level(self) -> None:
        self._ears.forget_level()

    def _moved(self, frames: Floats) -> tuple[Floats, Floats, Floats | None]:
        moved = self._stream.run({"features": frames[None]}, len(frames))["displacement"][0]
        return moved, np.ones(len(frames), np.float32), None

    def heard_until_ns(self) -> int:
        own_ns = super().heard_until_ns()
        return own_ns if own_ns == NEVER_NS else min(own_ns - REACH * self.hop_ns, self._ears.heard_until_ns())

    def at(self, ns: int) -> Motion:
        """The mean over hops on either side of ``ns``, else as any voice's."""
        if (place := self._place(ns)) is None:
            return super().at(ns)
        at = np.arange(place.low - REACH, place.low + REACH + 2)
        at = np.clip(at, place.oldest, place.newest) % len(self._plausible)
        shares = np.convolve(AVERAGE, [1 - place.part, place.part]).astype(np.float32)
        moved = np.tensordot(shares, self._displacements[at], 1)
        return Motion(np.asarray(moved, np.float32), self._ears.at(ns).speech, bool(self._plausible[at].all()))
