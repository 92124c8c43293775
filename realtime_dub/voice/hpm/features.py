"""What the network is shown of lips and of a speaker: the same in training and in use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from realtime_dub.face.alignment import LOWER, mouth_width, neutral_shape
from realtime_dub.face.landmarks import LIPS, OPENING
from realtime_dub.media import Floats

LIP_VALUES, VECTOR = 128, 256
VOICE_SCALE = 16.0  # of the speaker net's vector: its numbers are about one
SCALE = 10.0  # a tenth of a mouth width is one
LIPS_AT, OPENING_AT = np.searchsorted(LOWER, LIPS), np.searchsorted(LOWER, OPENING)  # among the lower face's points
Doubles = npt.NDArray[np.float64]


def lips_of(canonical: Floats) -> Floats:
    """Features (t, 128) of the faces (t, 478, 3) of a stretch of frames, the head's pose taken out."""
    neutral = neutral_shape(canonical)
    width = mouth_width(neutral)
    return lip_features((canonical[:, LOWER] - neutral[LOWER]) / width, neutral / width)


def lips_at(times_s: Doubles, faces: Floats, wanted_s: Doubles) -> Floats:
    """Features (t, 128) of faces (n, 478, 3) of rising times (n,) at other ones (t,)."""
    return lips_of(faces_at(times_s, faces, wanted_s))


def faces_at(times_s: Doubles, faces: Floats, wanted_s: Doubles) -> Floats:
    """Faces (n, 478, 3) of rising times (n,) at other ones (t,): straight lines between, held at both ends."""
    place = np.interp(wanted_s, times_s, np.arange(len(times_s)))
    before = place.astype(int)
    after = np.minimum(before + 1, len(times_s) - 1)
    part = (place - before).astype(np.float32)[:, None, None]
    return np.asarray(faces[before] * (1 - part) + faces[after] * part, np.float32)


def lip_features(motion: Floats, neutral: Floats) -> Floats:
    """(t, 128) of motion (t, 168, 3) from a resting face (478, 3), in mouth widths: where the lips' points are, how far
    they are open, how fast they open; zeros behind.
    """
    lower = motion + neutral[LOWER]
    gaps = np.linalg.norm(lower[:, OPENING_AT[:, 0]] - lower[:, OPENING_AT[:, 1]], axis=-1)
    opening = gaps.mean(-1, keepdims=True)
    speed = np.gradient(opening, axis=0) if len(opening) > 1 else np.zeros_like(opening)
    rows = SCALE * np.concatenate([motion[:, LIPS_AT].reshape(len(motion), -1), opening, speed], 1)
    return np.pad(rows, ((0, 0), (0, LIP_VALUES - rows.shape[1]))).astype(np.float32)


def voice_vector(mels: Sequence[Floats]) -> Floats:
    """Who speaks (256,) in spectrograms (n, 80): mean and spread of each band over the louder half of all frames; zeros
    behind.
    """
    mel = np.concatenate(mels)
    loud = mel[mel.mean(1) >= np.median(mel.mean(1))]
    vector = np.concatenate([loud.mean(0) / 4, loud.std(0)])
    return np.pad(vector, (0, VECTOR - len(vector))).astype(np.float32)


def net_voice(vectors: Sequence[Floats]) -> Floats:
    """Who speaks (256,) by the speaker net's vectors of some clips: their mean, of the usual length."""
    mean = np.mean(vectors, 0)
    return np.asarray(VOICE_SCALE * mean / max(1e-6, float(np.linalg.norm(mean))), np.float32)
