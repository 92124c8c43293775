"""What makes sound of a voice's spectrogram without a network, and which is taken."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from realtime_dub.audio.frontends.voice_mel import AT_16K, AT_22K, VoiceMel, VoiceMelSpec
from realtime_dub.errors import BundleError
from realtime_dub.voice.hpm.vocoders import vocoder_named
from realtime_dub.voice.hpm.world import pitch_in, world
from realtime_dub.voice.pitch import pitch_hz

pytestmark = pytest.mark.computes


def mel_of(sound: np.ndarray, spec: VoiceMelSpec) -> np.ndarray:
    front_end = VoiceMel(spec)
    return np.concatenate([front_end.process(sound), front_end.finish()])


def vowel(hz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    """Overtones that fall, louder around 500 and 1500 Hz."""
    at = np.arange(round(seconds * rate)) / rate
    tones = np.arange(1, int(7_000 / hz)) * hz
    loud = np.exp(-tones / 1500) + np.exp(-(((tones - 500) / 200) ** 2)) + np.exp(-(((tones - 1500) / 250) ** 2))
    return (0.05 * (loud[:, None] * np.cos(2 * np.pi * tones[:, None] * at)).sum(0)).astype(np.float32)


@pytest.mark.parametrize("spec", [AT_16K, AT_22K])
@pytest.mark.parametrize("hz", [110.0, 150.0, 240.0])
def test_a_vowel_keeps_its_pitch_and_its_bands(hz: float, spec: VoiceMelSpec) -> None:
    mel = mel_of(vowel(hz, spec.rate), spec)
    made = world(mel, spec)
    assert made.shape == (len(mel) * spec.hop,)
    assert pitch_hz(made, spec.rate) == pytest.approx(hz, rel=0.06)
    found = mel_of(made, spec)[10:-10]
    apart = np.abs(found[:, ::4].mean(0) - mel[10 : 10 + len(found), ::4].mean(0))
    assert np.median(apart) < 1.0


def test_noise_stays_noise_and_silence_silent() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    mel = mel_of(noise, AT_16K)
    assert np.median(pitch_in(mel.astype(np.float64), AT_16K)[1]) < 0.5
    made = world(mel, AT_16K)
    assert pitch_hz(made, 16_000) is None
    assert made[3_000:-3_000].std() == pytest.approx(0.1, rel=0.5)
    assert np.abs(world(np.full((30, 80), np.log(1e-5), np.float32), AT_16K)).max() < 1e-3
    assert world(np.zeros((0, 80), np.float32), AT_16K).shape == (0,)


def test_a_vocoder_is_chosen_by_name(tmp_path: Path) -> None:
    spec = SimpleNamespace(rate=16_000, window=640, hop=160)
    mel = mel_of(vowel(150, 16_000, 0.3), AT_16K)
    sounds = [vocoder_named(name, tmp_path, spec).sound(mel) for name in ("griffin-lim", "world", None)]  # type: ignore[arg-type]
    assert all(len(each) == len(mel) * 160 and 0.01 < each.std() < 0.5 for each in sounds)
    assert np.abs(sounds[0] - sounds[1]).max() > 0.01
    with pytest.raises(BundleError, match="cannot read bundle"):
        vocoder_named("nobody", tmp_path, spec)  # type: ignore[arg-type]
