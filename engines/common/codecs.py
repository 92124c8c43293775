"""Sound as codecs leave it."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np

from engines.common import Array


def opus(sound: Array, bit_rate: int = 16_000, rate: int = 16_000) -> Array:
    """What is left of a sound (n,) after Opus."""
    import av

    with io.BytesIO() as stored:
        with av.open(stored, "w", format="ogg") as container:
            stream = container.add_stream("libopus", rate=48_000, layout="mono")
            stream.bit_rate = bit_rate
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound, np.float32)[None], "fltp", "mono")
            frame.rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        stored.seek(0)
        with av.open(stored, "r") as reader:
            resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate)
            frames = [out for frame in reader.decode(audio=0) for out in resampler.resample(frame)]
            decoded = np.concatenate([f.to_ndarray()[0] for f in (*frames, *resampler.resample(None))])
    return np.asarray(np.pad(decoded, (0, max(0, len(sound) - len(decoded))))[: len(sound)], np.float32)
