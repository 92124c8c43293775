"""Sounds that are no speech: what they are, where they go, and that labels stay true."""

from __future__ import annotations

import numpy as np
import pytest

from engines.common.no_voice import OtherSounds, next_door
from engines.common.room_sounds import BACKGROUNDS, EVENTS
from engines.common.sounds import BODY, RATE, Die, cough, laugh
from realtime_dub.audio.frontends.logmel import LogMelSpec

SPEC = LogMelSpec()


def _speech(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(0.01, (300, SPEC.bands)).astype(np.float32)


@pytest.fixture(scope="module")
def others() -> OtherSounds:
    return OtherSounds(SPEC, np.random.default_rng(3), [_speech(i) for i in range(4)])


def test_training_and_measuring_draw_from_ranges_that_do_not_overlap() -> None:
    inside, outside = Die(np.random.default_rng(1)), Die(np.random.default_rng(1), outside=True)
    assert all(2 <= inside(2, 8) <= 8 for _ in range(200))
    assert not any(2 < outside(2, 8) < 8 for _ in range(200))


@pytest.mark.parametrize("name", [*BODY, *EVENTS, *BACKGROUNDS])
@pytest.mark.parametrize("outside", [False, True])
def test_a_sound_is_finite_and_the_same_for_the_same_seed(name: str, outside: bool) -> None:
    make = {**BODY, **EVENTS, **BACKGROUNDS}[name]
    first, again = (make(Die(np.random.default_rng(5), outside)) for _ in range(2))
    assert np.isfinite(first).all()
    assert np.abs(first).max() <= 1.001
    assert first.std() > 0.001
    np.testing.assert_array_equal(first, again)


def test_a_cough_begins_at_once_and_a_laugh_comes_in_pulses() -> None:
    burst = cough(Die(np.random.default_rng(2)))
    assert (burst[: RATE // 25] ** 2).mean() > 2 * (burst[RATE // 10 : RATE // 5] ** 2).mean()
    haha = laugh(Die(np.random.default_rng(4)))
    envelope = np.convolve(haha**2, np.ones(800) / 800, "same")
    spectrum = np.abs(np.fft.rfft(envelope - envelope.mean(), 1 << 17))
    rate_hz = np.fft.rfftfreq(1 << 17, 1 / RATE)
    pulses = (rate_hz > 2) & (rate_hz < 12)
    assert 3.5 < rate_hz[pulses][spectrum[pulses].argmax()] < 6.5


def test_a_row_sounds_and_its_length_is_what_was_asked_for(others: OtherSounds) -> None:
    rng = np.random.default_rng(0)
    rows = [others.row(rng, 200, 0.01) for _ in range(30)]
    assert all(row.shape == (200, SPEC.bands) and np.isfinite(row).all() and (row > 0).all() for row in rows)
    assert len({float(row.mean()) for row in rows}) == 30


def test_sounds_go_into_pauses_and_leave_speech_alone_but_for_voices_far_off(others: OtherSounds) -> None:
    rng, power = np.random.default_rng(0), _speech()
    silent = np.zeros(300, bool)
    silent[100:180], silent[250:256] = True, True
    power[silent] = 1e-8
    inside = short = over = 0
    for _ in range(60):
        added = others.among(rng, power, silent) - power
        inside += bool(added[100:180].max() > 1e-4)
        loud = added[~silent].mean() / power[~silent].mean()
        over, short = max(over, loud), max(short, added[250:256].max() / power[~silent].mean())
    assert inside > 20
    assert over < 0.06
    assert short < 5


def test_without_speech_nothing_is_added(others: OtherSounds) -> None:
    power = _speech()
    assert others.among(np.random.default_rng(0), power, np.ones(300, bool)) is power


def test_voices_next_door_are_duller_than_they_were() -> None:
    far = next_door([_speech(i) for i in range(3)], np.random.default_rng(1))
    assert far[:, 60:].mean() < 0.1 * far[:, :30].mean()
    assert far.mean() == pytest.approx(1, rel=1e-3)
