"""The stream of a net that gives 20 landmarks of the mouth: cepstra, and the face's other landmarks at rest.

The net says where this face's lips are; what moves is how far that is from where it has them in silence. The rest of
the lower face goes along (``face/sparse_lips.py``).
"""

from __future__ import annotations

import numpy as np

from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import LOWER, TEMPLATE
from realtime_dub.face.scheme68 import AROUND, MOUTH
from realtime_dub.face.sparse_lips import lower_face
from realtime_dub.face.types import Points
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle
from realtime_dub.inference.spec import LandmarksSpec
from realtime_dub.inference.state import CheckedStream
from realtime_dub.media import Floats, Samples
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.mouthbank.ears import open_ears
from realtime_dub.mouth.mouthbank.voice_stream import NEVER_NS, Motion, VoiceStream

SILENT = 50  # frames after which a mouth has come to rest
CHANGED = 0.02  # mouth widths by which a face has to differ from the one that is shown to the net
NARROWEST = 0.4  # template units: a net whose mouth is narrower at rest has none
RIGHT_CORNER = 6  # among the 20; the left one comes first


class LandmarkStream(VoiceStream):
    """A voice through a bundle of task ``landmarks``. Until a face is met, it is the template's.

    Nets of landmarks do not tell whether somebody speaks: mouthbank's net does, beside them.
    """

    def __init__(self, bundle: Bundle, backend: str = AUTO) -> None:
        spec = _checked(bundle)
        self._ears = open_ears(spec.look_ahead_ms)
        self._met = TEMPLATE
        self._face = self._rest = np.zeros((0, 2), np.float32)
        super().__init__(spec, bundle.session(backend), LOWER)
        self._spec, self._silence = spec, np.zeros((SILENT, spec.audio.features), np.float32)
        if not self._show(TEMPLATE):
            what = f"{spec.name}: what its network gives for silence can be no mouth"
            raise BundleError("cannot run bundle", what, "fetch it again, or choose another")
        self._try_out(spec.name, bundle.known)
        self._restart(None)

    def meet(self, neutral: Points | None) -> None:
        """From the next frame on it is this face's mouth."""
        if neutral is None or neutral is self._met:
            return
        self._catch_up()
        self._met = neutral
        if np.abs(neutral[AROUND, :2] - self._face).max() > CHANGED:
            self._show(neutral)

    def hear(self, samples: Samples, pts_ns: int) -> None:
        self._ears.hear(samples, pts_ns)
        super().hear(samples, pts_ns)

    def forget_level(self) -> None:
        self._ears.forget_level()

    def heard_until_ns(self) -> int:
        own_ns = super().heard_until_ns()
        return own_ns if own_ns == NEVER_NS else min(own_ns, self._ears.heard_until_ns())

    def at(self, ns: int) -> Motion:
        motion = super().at(ns)
        return Motion(motion.displacement, self._ears.at(ns).speech, motion.plausible)

    def _moved(self, frames: Floats) -> tuple[Floats, Floats, Floats | None]:
        lips = self._lips(self._stream, frames)
        moved = lower_face((lips - self._rest) / np.float32(self._width))
        return moved, np.zeros(len(frames), np.float32), None

    def _forget(self) -> None:
        """Nothing was heard, for so long that the mouth rests: from a state of zeros it would move by itself."""
        super()._forget()
        self._lips(self._stream, self._silence)
        self._stream.keep()

    def _show(self, face: Points) -> bool:
        """Let the net see the canonical ``face`` (478, 3), and find out how it rests. False where that is no mouth."""
        before, self._face = self._face, np.asarray(face[AROUND, :2], np.float32)
        rest = self._lips(CheckedStream(self.session, self._spec), self._silence)[-1]
        width = float(np.linalg.norm(rest[RIGHT_CORNER] - rest[0]))
        if not width >= NARROWEST:
            self._face = before
            return False
        self._rest, self._width = rest, width
        return True

    def _lips(self, stream: CheckedStream, frames: Floats) -> Floats:
        """Where the lips are (m, 20, 2), canonical."""
        faces = np.ascontiguousarray(np.broadcast_to(self._face, (1, len(frames), *self._face.shape)))
        return np.asarray(stream.run({"cepstra": frames[None], "face": faces}, len(frames))["lips"][0], np.float32)


def _checked(bundle: Bundle) -> LandmarksSpec:
    """Raises BundleError where it is none whose landmarks are those of the scheme of 68."""
    spec = bundle.spec
    if not isinstance(spec, LandmarksSpec):
        raise BundleError("not a bundle of landmarks", spec.name, "choose one that turns cepstra into lips")
    features, time = spec.audio.features, None
    inputs = {each.name: _open(each.shape) for each in spec.inputs}
    outputs = {each.name: _open(each.shape) for each in spec.outputs}
    wanted = {"cepstra": (1, time, features), "face": (1, time, len(AROUND), 2)}
    shown, points = tuple(AROUND), tuple(MOUTH)
    if (
        inputs != wanted
        or outputs != {"lips": (1, time, len(MOUTH), 2)}
        or (spec.shown, spec.points) != (shown, points)
    ):
        raise BundleError(
            "not a bundle of landmarks", f"{spec.name}: its tensors or points do not fit", "choose another"
        )
    if spec.audio.rate != VOICE_RATE:
        raise BundleError("cannot use bundle", f"{spec.name}: its sample rate does not fit", f"choose {VOICE_RATE} Hz")
    return spec


def _open(shape: tuple[int | str | None, ...]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in shape)
