"""Many channels to one: no voice is lost, nothing clicks, and how the stream is cut changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from realtime_dub.audio.mono import MonoMixer

RATE = 16_000
RNG = np.random.default_rng(4)


def voice(seconds: float, level: float = 0.3) -> np.ndarray:
    """(n,): a buzz that swells and ebbs as syllables do."""
    t = np.arange(round(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 12))
    return (level * buzz / 2 * (0.55 - 0.45 * np.cos(2 * np.pi * 4 * t))).astype(np.float32)


def level(samples: np.ndarray) -> float:
    return float(np.sqrt((samples.astype(np.float64) ** 2).mean()))


def mix(samples: np.ndarray, block: int = 160) -> np.ndarray:
    mixer = MonoMixer(RATE)
    return np.concatenate([mixer(samples[at : at + block]) for at in range(0, len(samples), block)])


def hiss(count: int, decibel: float) -> np.ndarray:
    return (RNG.standard_normal(count) * 10 ** (decibel / 20)).astype(np.float32)


def hum(count: int) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 50 * np.arange(count) / RATE)).astype(np.float32)


SPOKEN = voice(2)
SHAPES = {
    "opposite": [SPOKEN, -SPOKEN],
    "opposite and a little different": [SPOKEN, -0.8 * SPOKEN + hiss(len(SPOKEN), -50)],
    "opposite under hum in both": [SPOKEN + hum(len(SPOKEN)), -SPOKEN + hum(len(SPOKEN))],
    "opposite with an offset": [SPOKEN + 0.4, -SPOKEN + 0.4],
    "left alone": [SPOKEN, 0 * SPOKEN],
    "right alone": [0 * SPOKEN, SPOKEN],
    "right beside hiss": [hiss(len(SPOKEN), -62), SPOKEN],
    "two pairs of opposites": [SPOKEN, -SPOKEN, SPOKEN, -SPOKEN],
    "opposites beside a room": [hiss(len(SPOKEN), -30), SPOKEN, -SPOKEN],
    "the last of eleven": [0 * SPOKEN] * 10 + [SPOKEN],
    "one of 64": [0 * SPOKEN] * 40 + [SPOKEN] + [0 * SPOKEN] * 23,
}


@pytest.mark.parametrize("channels", SHAPES.values(), ids=list(SHAPES))
def test_a_voice_is_heard_whatever_channels_carry_it(channels: list[np.ndarray]) -> None:
    mixed = mix(np.stack(channels, axis=1))
    heard = abs(np.dot(mixed[RATE // 10 :], SPOKEN[RATE // 10 :])) / np.dot(SPOKEN[RATE // 10 :], SPOKEN[RATE // 10 :])
    assert heard > 0.55


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.0])
def test_ordinary_stereo_is_the_plain_mean(share: float) -> None:
    """Two voices, panned: nothing is turned over, nobody is left out."""
    one, other = SPOKEN, hiss(len(SPOKEN), -20)
    stereo = np.stack([one + share * other, share * one + other], axis=1)
    assert np.array_equal(mix(stereo), stereo.mean(axis=1, dtype=np.float32))


def test_how_it_is_cut_changes_nothing() -> None:
    stereo = np.stack([SPOKEN, np.where(np.arange(len(SPOKEN)) < RATE, SPOKEN, -SPOKEN)], axis=1)
    whole = mix(stereo, len(stereo))
    for block in (1, 7, 160, 441, 5000):
        np.testing.assert_allclose(mix(stereo, block), whole, atol=1e-6)


def test_a_change_is_followed_within_a_second_and_never_clicks() -> None:
    tone = (0.5 * np.sin(2 * np.pi * 200 * np.arange(6 * RATE) / RATE)).astype(np.float32)
    sign = np.where((np.arange(6 * RATE) // (2 * RATE)) % 2, -1, 1)
    mixed = mix(np.stack([tone, tone * sign], axis=1))
    for start in (0, 2, 4):
        assert level(mixed[(start + 1) * RATE : (start + 2) * RATE]) > 0.9 * level(tone)
    steepest = np.abs(np.diff(tone)).max()
    changes = np.abs(np.diff(mixed))
    changes[2 * RATE - 2 : 2 * RATE + 2] = changes[4 * RATE - 2 : 4 * RATE + 2] = 0  # the source's own jumps
    assert changes.max() < 1.2 * steepest


def test_a_pause_forgets_nothing() -> None:
    pause = hiss(3 * RATE, -70)
    left = np.concatenate([SPOKEN, pause, SPOKEN])
    right = np.concatenate([-SPOKEN, hiss(3 * RATE, -70), -SPOKEN])
    mixed = mix(np.stack([left, right], axis=1))
    again = mixed[5 * RATE : 5 * RATE + RATE // 4]
    assert level(again) > 0.9 * level(SPOKEN[: RATE // 4])


def test_silence_is_silence() -> None:
    assert not mix(np.zeros((RATE, 2), np.float32)).any()
    assert not mix(np.full((RATE, 3), 0.0, np.float32), 33).any()


def test_two_people_on_a_channel_each_are_both_heard() -> None:
    one = np.concatenate([SPOKEN, 0 * SPOKEN, SPOKEN])
    other = np.concatenate([0 * SPOKEN, SPOKEN, 0 * SPOKEN])
    mixed = mix(np.stack([one, other], axis=1))
    for start in (0, 2, 4):
        assert level(mixed[start * RATE + RATE // 10 : (start + 2) * RATE]) > 0.45 * level(SPOKEN)
