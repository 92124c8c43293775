"""The stretch of features that a painter hears around an instant: one rule for training, files and live streams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from realtime_dub.audio.frontends.framing import FramedSpec
from realtime_dub.media import MS, Floats


def last_frame(spec: FramedSpec, at_ns: int, look_ahead_ns: int) -> int:
    """The last frame of the window for an instant: the one whose centre is nearest to the end of the look-ahead.

    Instants count from the first sample's.
    """
    return (at_ns + look_ahead_ns + spec.hop_ns // 2) // spec.hop_ns


def centred_look_ahead_ms(spec: FramedSpec, length: int) -> int:
    """The look-ahead of a window of ``length`` frames in whose middle the instant lies."""
    return -(-(length // 2) * spec.hop_ns // MS)


def windows(features: Floats, lasts: Sequence[int], length: int, silent: Floats) -> Floats:
    """Windows (n, length, features) of frames (m, features), each up to one of ``lasts``; ``silent`` where none is."""
    wanted = np.asarray(lasts, np.int64)[:, None] + np.arange(1 - length, 1)
    there = (wanted >= 0) & (wanted < len(features))
    found = np.broadcast_to(silent, (*wanted.shape, len(silent))).astype(np.float32)
    found[there] = features[wanted[there]]
    return found
