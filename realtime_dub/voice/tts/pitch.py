"""espeak-ng's settings that are as high as somebody speaks."""

from __future__ import annotations

import numpy as np

from realtime_dub.errors import MediaError
from realtime_dub.media import Floats
from realtime_dub.voice.espeak import Manner, espeak
from realtime_dub.voice.pitch import pitch_hz

HIGH_HZ = 165.0  # from here on a woman's or a child's variant is nearer
WORDS = "We were away a year ago, and you are all mine."
PITCHES = (0, 25, 50, 75, 99)


def manner_like(sample: Floats, rate: int) -> tuple[int, str]:
    """The pitch and the variant of espeak-ng that are as high as a sample. Raises MediaError: nobody speaks in it."""
    wanted = pitch_hz(sample, rate)
    if wanted is None:
        raise MediaError("nobody speaks in", "the sample of --speaker", "give some seconds of one voice")
    variant = "f3" if wanted >= HIGH_HZ else ""
    reached = [_reached(pitch, variant) for pitch in PITCHES]
    return round(float(np.interp(wanted, reached, PITCHES))), variant


def _reached(pitch: int, variant: str) -> float:
    made = espeak().speak(WORDS, Manner("en-us", pitch=pitch, variant=variant))
    return pitch_hz(made.samples, made.rate) or 0.0
