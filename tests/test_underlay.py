"""The original under the dub: how loud, how soon it is down, how smoothly, at what cost."""

from __future__ import annotations

import time

import numpy as np
import pytest

from realtime_dub.audio.loudness import OFFSET_LU, RATE, SECTIONS, BlockPower, ShortTerm, lufs
from realtime_dub.audio.underlay import AHEAD, BLOCK, DUCK_DB, HOLD, MATCH_DB, RISE_DB, Underlay

pytestmark = pytest.mark.computes

SECOND = 50  # blocks


def tone(blocks: int, hertz: float = 997.0, level: float = 0.1) -> np.ndarray:
    at = np.arange(blocks * BLOCK) / RATE
    return (level * np.sin(2 * np.pi * hertz * at)).astype(np.float32)


def speechlike(seconds: float, seed: int, level: float = 0.1) -> np.ndarray:
    """Noise below 4 kHz that comes in syllables, five a second."""
    count = round(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    noise = np.fft.irfft(spectrum * (hertz > 100) / (1 + (hertz / 500) ** 2), count)
    noise *= 0.6 + 0.4 * np.sin(2 * np.pi * 5 * np.arange(count) / RATE)
    return (level * noise / noise.std()).astype(np.float32)


def filtered(samples: np.ndarray) -> np.ndarray:
    """Sample by sample, as the recommendation has it."""
    for above, below in SECTIONS:
        out, (x1, x2, y1, y2) = np.empty(len(samples)), (0.0,) * 4
        for at, x in enumerate(samples.tolist()):
            y = above[0] * x + above[1] * x1 + above[2] * x2 - below[1] * y1 - below[2] * y2
            x1, x2, y1, y2 = x, x1, y, y1
            out[at] = y
        samples = out
    return samples


def measured(samples: np.ndarray) -> float:
    power = BlockPower(BLOCK)
    return lufs(float(np.mean([power(part) for part in samples.reshape(-1, BLOCK)])))


def test_a_sine_at_full_scale_has_the_loudness_of_the_recommendation() -> None:
    assert measured(tone(SECOND, 1_000.0, 1.0)) == pytest.approx(-3.01, abs=0.1)
    assert measured(tone(SECOND, 1_000.0, 0.1)) == pytest.approx(-23.01, abs=0.1)


@pytest.mark.parametrize("seed", [0, 1])
def test_blocks_are_as_loud_as_the_filters_say(seed: int) -> None:
    samples = speechlike(1.0, seed)
    exact = OFFSET_LU + 10 * np.log10(np.mean(filtered(samples) ** 2))
    assert measured(samples) == pytest.approx(exact, abs=0.3)


def test_pauses_do_not_count_and_old_speech_is_forgotten() -> None:
    meter = ShortTerm(10, -50.0)
    for power in [1e-2] * 3 + [1e-9] * 50:
        meter.add(power)
    assert meter.lufs(4) is None
    assert meter.lufs(3) == pytest.approx(lufs(1e-2))
    for _ in range(10):
        meter.add(1e-3)
    assert meter.lufs(10) == pytest.approx(lufs(1e-3))


class Mixed:
    """What is made of an original and a dub, block by block; the dub is known AHEAD blocks before its time."""

    def __init__(self, original: np.ndarray, dub: np.ndarray, underlay: Underlay | None = None) -> None:
        underlay = underlay or Underlay()
        later = np.concatenate([dub[AHEAD * BLOCK :], np.zeros(AHEAD * BLOCK, np.float32)])
        parts = zip(original.reshape(-1, BLOCK, 1), later.reshape(-1, BLOCK, 1), strict=True)
        self.under = np.concatenate([underlay.process(*each) for each in parts])[:, 0]
        self.gain = np.where(np.abs(original) > 1e-3, self.under / np.where(original == 0, 1, original), np.nan)

    def gain_db(self, at: int) -> float:
        """In the middle of a block."""
        part = self.gain[at * BLOCK + BLOCK // 4 : (at + 1) * BLOCK - BLOCK // 4]
        return float(20 * np.log10(np.nanmedian(part)))


def bursts(blocks: int, *spans: tuple[int, int]) -> np.ndarray:
    dub = np.zeros(blocks * BLOCK, np.float32)
    for first, last in spans:
        dub[first * BLOCK : last * BLOCK] = tone(last - first)
    return dub


def test_it_is_down_before_the_voice_begins_and_comes_back_slowly() -> None:
    mixed = Mixed(tone(4 * SECOND), bursts(4 * SECOND, (50, 90)))
    assert mixed.gain_db(50 - AHEAD - 1) == pytest.approx(0, abs=0.01)
    assert all(mixed.gain_db(at) == pytest.approx(DUCK_DB, abs=0.2) for at in range(50, 90 + HOLD))
    assert mixed.gain_db(90 + HOLD + 4) < -10
    back = 90 + HOLD + round(-DUCK_DB / RISE_DB) + 2
    assert all(abs(mixed.gain_db(at)) < 0.2 for at in range(back, 4 * SECOND))


def test_pauses_between_words_are_no_pauses() -> None:
    mixed = Mixed(tone(3 * SECOND), bursts(3 * SECOND, (20, 40), (55, 70), (88, 100)))
    assert all(mixed.gain_db(at) == pytest.approx(DUCK_DB, abs=0.3) for at in range(20, 100 + HOLD))


def test_nothing_clicks() -> None:
    steady = tone(4 * SECOND, 440.0, 0.5)
    mixed = Mixed(steady, bursts(4 * SECOND, (30, 60), (100, 130)))
    changes = np.abs(np.diff(20 * np.log10(np.abs(mixed.gain[~np.isnan(mixed.gain)]))))
    assert changes.max() < 2.5 * 18 / (AHEAD * BLOCK) * 3  # where the sine passes zero samples are left out
    clicks = np.abs(np.diff(mixed.under, 2)).max()
    assert clicks < 1.5 * np.abs(np.diff(steady, 2)).max()


@pytest.mark.parametrize(("original", "dub"), [(0.02, 0.08), (0.2, 0.05), (0.01, 0.5)])
def test_it_becomes_as_loud_as_the_dub(original: float, dub: float) -> None:
    seconds = 12
    voice = speechlike(seconds, 1, dub)
    voice[-2 * RATE :] = 0  # at the end the interpreter is silent
    mixed = Mixed(speechlike(seconds, 0, original), voice)
    wanted = float(np.clip(20 * np.log10(dub / original), -12, 12))
    last = mixed.under[-RATE:]
    assert 20 * np.log10(last.std() / original) == pytest.approx(wanted, abs=1.5)


def test_what_is_next_to_silence_is_not_made_loud() -> None:
    mixed = Mixed(speechlike(4, 0, 0.001), np.concatenate([speechlike(2, 1, 0.5), np.zeros(2 * RATE, np.float32)]))
    assert mixed.under[-RATE:].std() < 0.0011


def test_matching_is_slow() -> None:
    mixed = Mixed(speechlike(6, 0, 0.02), speechlike(6, 1, 0.08), Underlay(duck_db=0.0))
    gains = [mixed.gain_db(at) for at in range(6 * SECOND)]
    assert np.abs(np.diff(gains)).max() < MATCH_DB + 0.01


def test_a_block_takes_less_than_a_third_of_a_millisecond() -> None:
    """Of the processor's time: the least of ten runs, so that others on the machine do not count."""
    original, dub = speechlike(1, 0).reshape(-1, BLOCK, 1), speechlike(1, 1).reshape(-1, BLOCK, 1)
    underlay, took = Underlay(), []
    for _ in range(10):
        began = time.thread_time()
        for parts in zip(original, dub, strict=True):
            underlay.process(*parts)
        took.append((time.thread_time() - began) / SECOND)
    print(f"{min(took) * 1e6:.0f} us")
    assert min(took) < 0.3e-3
