"""Which stream runs the net of a bundle: one line for each task that can say how a mouth moves."""

from __future__ import annotations

from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import LOWER
from realtime_dub.inference.bundle import Bundle
from realtime_dub.inference.spec import LandmarksSpec, MotionSpec, UsualSpec
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.mouthbank.landmarks import LandmarkStream
from realtime_dub.mouth.mouthbank.motion import MotionStream
from realtime_dub.mouth.mouthbank.voice_stream import VoiceStream

_STREAMS: dict[type, type[MotionStream] | type[LandmarkStream]] = {
    MotionSpec: MotionStream,
    LandmarksSpec: LandmarkStream,
}


def open_motion(bundle: Bundle, backend: str) -> VoiceStream:
    """A stream that moves the lower face's points. Raises BundleError for a net that cannot."""
    spec = bundle.spec
    if type(spec) not in _STREAMS:
        raise BundleError("not a motion bundle", spec.name, "choose one that turns mel into displacement")
    if isinstance(spec, MotionSpec) and (spec.points != tuple(LOWER) or spec.audio.rate != VOICE_RATE):
        what = f"{spec.name}: its points or its sample rate do not fit"
        raise BundleError("cannot use bundle", what, f"choose one for {VOICE_RATE} Hz and the {len(LOWER)} points")
    return _STREAMS[type(spec)](bundle, backend)


def usual_of(bundle: Bundle) -> UsualSpec | None:
    """What the motion of a bundle's net is like by most voices, where it says so."""
    return bundle.spec.usual if isinstance(bundle.spec, MotionSpec) else None
