"""Who tells speech from noise for nets that do not: the default engine's net, beside them on the same sound."""

from __future__ import annotations

from realtime_dub.inference.bundle import load_default, look_aheads
from realtime_dub.mouth.mouthbank.motion import MotionStream


def open_ears(most_ms: int) -> MotionStream:
    """The net that waits longest for the voice of those that wait no longer than ``most_ms``."""
    known = [ms for ms in look_aheads("mouthbank") if ms <= most_ms]
    return MotionStream(load_default("mouthbank", max(known, default=0)))
