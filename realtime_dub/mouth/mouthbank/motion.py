"""The motion net's stream: log-mels to how the lower face moves, and whether somebody speaks."""

from __future__ import annotations

import numpy as np

from realtime_dub.errors import BundleError
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle
from realtime_dub.inference.spec import MotionSpec
from realtime_dub.media import Floats
from realtime_dub.mouth.mouthbank.adapter import MOST_FEATURES
from realtime_dub.mouth.mouthbank.speaker_level import SpeakerLevel
from realtime_dub.mouth.mouthbank.voice_stream import MAX_FRAMES, Motion, VoiceStream, opening

__all__ = ["FEATURES", "MAX_FRAMES", "Motion", "MotionStream", "opening"]

FEATURES = "features"  # the output's name


class MotionStream(VoiceStream):
    """A voice through a bundle of task ``motion``."""

    def __init__(self, bundle: Bundle, backend: str = AUTO) -> None:
        spec = bundle.motion
        _check_names(spec)
        features = _feature_count(spec)
        delay = spec.look_ahead_ns // spec.audio.hop_ns
        self._speaker_level = SpeakerLevel(spec.audio, delay)
        super().__init__(spec, bundle.session(backend), np.array(spec.points), features)
        self._try_out(spec.name, bundle.known)
        self._restart(None)

    def _moved(self, frames: Floats) -> tuple[Floats, Floats, Floats | None]:
        results = self._stream.run({"mel": frames[None]}, len(frames))
        told = results[FEATURES][0] if self._features.shape[1] else None
        return results["displacement"][0], results["speech"][0], told

    def _heard(self, frames: Floats, sure: Floats) -> Floats:
        return self._speaker_level(frames, sure)

    def forget_level(self) -> None:
        self._catch_up()
        self._speaker_level.reset()


def _check_names(spec: MotionSpec) -> None:
    shapes = {tensor.name: tensor.shape for tensor in spec.outputs}
    wanted = {"displacement": (1, None, len(spec.points), 3), "speech": (1, None)}
    hears = [(tensor.name, tensor.shape) for tensor in spec.inputs]
    if wanted.items() - shapes.items() or hears != [("mel", (1, None, spec.audio.bands))]:
        raise BundleError("not a motion bundle", spec.name, "choose one that turns mel into displacement")


def _feature_count(spec: MotionSpec) -> int:
    """0 for a network that tells none; raises BundleError where there are more than anybody needs."""
    shape = next((tensor.shape for tensor in spec.outputs if tensor.name == FEATURES), (1, None, 0))
    if len(shape) != 3 or shape[:2] != (1, None) or not isinstance(shape[2], int) or shape[2] > MOST_FEATURES:
        raise BundleError("not a motion bundle", f"{spec.name}: its features are no row", "choose another")
    return shape[2]
