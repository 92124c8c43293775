"""Voices spoilt on purpose, as sound files."""

from __future__ import annotations

import wave
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.common.codecs import opus
from realtime_dub.media import Floats
from realtime_dub.mouth.contract import VOICE_RATE


def pink(count: int, rng: np.random.Generator) -> Floats:
    """Noise (count,) whose power falls by 3 dB per octave, of mean square 1."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 60)), count)
    return np.asarray(noise / noise.std(), np.float32)


def telephone(sound: Floats) -> Floats:
    """What a telephone lets through of sound (n,) at 16 kHz: 300 to 3400 Hz, with edges of 100 Hz."""
    frequency = np.fft.rfftfreq(len(sound), 1 / VOICE_RATE)
    passed = np.clip((frequency - 250) / 100, 0, 1) * np.clip((3450 - frequency) / 100, 0, 1)
    return np.asarray(np.fft.irfft(np.fft.rfft(sound) * passed, len(sound)), np.float32)


@dataclass(frozen=True)
class Spoilt:
    """Noise, then a codec."""

    noise_db: float | None = None
    opus_kbit: float | None = None

    def __call__(self, sound: Floats) -> Floats:
        """The sound (n,) at 16 kHz, spoilt the same way every time, and no two sounds by the same noise.

        One stretch of noise for all of them was once taken for a word at the same place in every clip.
        """
        if self.noise_db is not None:
            gain = np.float32(sound.std() / 10 ** (self.noise_db / 20))
            seed = zlib.crc32(np.asarray(sound, np.float32).tobytes())
            sound = sound + gain * pink(len(sound), np.random.default_rng(seed))
        if self.opus_kbit is not None:
            sound = opus(sound, round(self.opus_kbit * 1000))
        return sound

    def write(self, sound: Floats, path: Path) -> Path:
        """Write the spoilt sound as 16-bit WAV; returns ``path``."""
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(VOICE_RATE)
            file.writeframes((np.clip(self(sound), -1, 1) * 32767).astype("<i2").tobytes())
        return path
