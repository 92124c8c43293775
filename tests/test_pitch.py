"""How high somebody speaks: tones, a glide, noise, silence, and rates that a hop does not divide."""

from __future__ import annotations

import numpy as np
import pytest

from realtime_dub.voice.pitch import pitch_hz, pitch_track

pytestmark = pytest.mark.computes


def tone(hz: float, rate: int = 16_000, seconds: float = 1.0) -> np.ndarray:
    """A voice's harmonics, each weaker than the one before."""
    t = np.arange(round(rate * seconds)) / rate
    return sum(np.sin(2 * np.pi * n * hz * t) / n for n in range(1, 9)).astype(np.float32)


@pytest.mark.parametrize("rate", [16_000, 22_000])
@pytest.mark.parametrize("hz", [75, 95.5, 210, 380])
def test_a_tone_has_its_pitch_and_not_half_of_it(hz: float, rate: int) -> None:
    found = pitch_track(tone(hz, rate), rate, rate // 100)
    assert len(found) == 100
    assert np.abs(found[5:95] / hz - 1).max() < 0.005
    assert pitch_hz(tone(hz, rate), rate) == pytest.approx(hz, rel=0.005)


def test_where_no_voice_is_there_is_no_pitch() -> None:
    silence, noise = np.zeros(16_000, np.float32), np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    assert np.isnan(pitch_track(silence, 16_000, 160)).all()
    assert np.isfinite(pitch_track(noise, 16_000, 160)).mean() < 0.1
    assert pitch_hz(silence, 16_000) is None
    both = np.concatenate([tone(120), silence])
    track = pitch_track(both, 16_000, 160)
    assert np.isfinite(track[5:95]).all()
    assert np.isnan(track[105:]).all()


def test_a_glide_is_followed() -> None:
    t = np.arange(16_000) / 16_000
    hz = 100 + 80 * t
    glide = sum(np.sin(2 * np.pi * n * np.cumsum(hz) / 16_000) / n for n in range(1, 6)).astype(np.float32)
    found = pitch_track(glide, 16_000, 160)
    assert np.abs(found[5:95] / hz[::160][5:95] - 1).max() < 0.02


def test_a_room_that_hums_has_no_pitch_and_hides_none() -> None:
    t = np.arange(16_000) / 16_000
    hum = (0.3 * np.sin(2 * np.pi * 25 * t) + 0.2).astype(np.float32)
    assert np.isnan(pitch_track(hum, 16_000, 160)[5:95]).all()
    found = pitch_track(0.1 * tone(110) + hum, 16_000, 160)[5:95]
    assert np.abs(found / 110 - 1).max() < 0.01
