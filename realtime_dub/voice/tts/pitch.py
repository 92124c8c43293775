"""How high somebody speaks, and espeak-ng's settings that are as high."""

from __future__ import annotations

import numpy as np

from realtime_dub.errors import MediaError
from realtime_dub.media import Floats
from realtime_dub.voice.espeak import Manner, espeak

LOWEST_HZ, HIGHEST_HZ = 60.0, 400.0
FRAME_S, HOP_S = 0.05, 0.02
VOICED = 0.6  # of the autocorrelation at a period
HIGH_HZ = 165.0  # from here on a woman's or a child's variant is nearer
MOST_S = 30.0
WORDS = "We were away a year ago, and you are all mine."
PITCHES = (0, 25, 50, 75, 99)


def pitch_hz(samples: Floats, rate: int) -> float | None:
    """The median of the voice's pitch (n,), by autocorrelation (Rabiner 1977); None where nobody speaks."""
    size, hop = round(FRAME_S * rate), round(HOP_S * rate)
    found = []
    for at in range(0, min(len(samples), round(MOST_S * rate)) - size, hop):
        hz = _of_frame(samples[at : at + size], rate)
        if hz is not None:
            found.append(hz)
    return float(np.median(found)) if len(found) >= 5 else None


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


def _of_frame(frame: Floats, rate: int) -> float | None:
    frame = frame - frame.mean()
    spectrum = np.fft.rfft(frame, 2 * len(frame))
    alike = np.fft.irfft(np.abs(spectrum) ** 2)[: len(frame)]
    if alike[0] < 1e-4 * len(frame):  # -40 dB: nobody
        return None
    alike = alike / alike[0] * len(frame) / np.arange(len(frame), 0, -1)
    first, last = round(rate / HIGHEST_HZ), round(rate / LOWEST_HZ)
    best = first + int(np.argmax(alike[first:last]))
    early = [
        k
        for k in range(first + 1, best)
        if alike[k] > 0.9 * alike[best] and alike[k] >= max(alike[k - 1], alike[k + 1])
    ]
    best = early[0] if early else best
    return rate / best if alike[best] > VOICED else None
