"""The generator that leaves the live mouth as it is: no face to dub, a baseline for timing, and the last rung down."""

from __future__ import annotations

from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Samples, samples_to_ns
from realtime_dub.mouth.contract import VOICE_RATE, Latency, MouthPatch
from realtime_dub.mouth.engine import Engine

ENGINE = Engine(
    name="passthrough",
    summary="the mouth as it is",
    make="realtime_dub.mouth.passthrough:PassthroughGenerator",
    output="nothing",
    needs_live_face=False,
)


class PassthroughGenerator:
    """Hears, and never moves a mouth."""

    name = "passthrough"
    bundle = "none"
    backend = "none"

    def __init__(self) -> None:
        self._heard_ns = -(1 << 62)

    def latency(self) -> Latency:
        return Latency(look_ahead_ns=0, front_end_ns=0, compute_ns=0)

    def hear(self, samples: Samples, pts_ns: int) -> None:
        self._heard_ns = pts_ns + samples_to_ns(len(samples), VOICE_RATE)

    def heard_until_ns(self) -> int:
        return self._heard_ns

    def observe(self, tracked: TrackedFrame) -> None:
        pass

    def generate(self, tracked: TrackedFrame, at_ns: int) -> MouthPatch | None:
        return None

    def close(self) -> None:
        pass
