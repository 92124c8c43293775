"""A small trunk of a motion net, and a voice for the built-in ones."""

from __future__ import annotations

import numpy as np
import soxr

from realtime_dub.face.alignment import LOWER
from realtime_dub.media import Floats
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.mouthbank.trunk import Trunk, TrunkShape
from realtime_dub.sources.demo_voice import DemoVoiceSource
from tests.sound_files import read_all


def trunk(seed: int = 0) -> Trunk:
    """Of random weights, whose first component opens the lips."""
    rng, shape = np.random.default_rng(seed), TrunkShape(8, 8, 3, 2, (1, 2))
    flat = np.zeros(shape.size, np.float32)
    for name, values in shape.views(flat).items():
        values[...] = 1 if name.endswith("norm.weight") else rng.normal(0, len(values) ** -0.5, values.shape)
    basis = 0.01 * rng.normal(size=(shape.components, len(LOWER), 3))
    basis[0, :, 1] += 0.05
    return Trunk(shape, flat, basis.reshape(shape.components, -1).astype(np.float32))


def demo_voice(seconds: float) -> Floats:
    """The built-in voice (n,) at VOICE_RATE, again and again."""
    source = DemoVoiceSource()
    info = source.open()
    sound = np.concatenate([block.samples[:, 0] for block in read_all(source)])
    source.close()
    sound = np.asarray(soxr.resample(sound, info.rate, VOICE_RATE), np.float32)
    return np.resize(sound, int(seconds * VOICE_RATE))
