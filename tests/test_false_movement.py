"""What the benchmark of false movement makes of speech and silence whose places are known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import scenes
from benchmarks.false_movement import LEAD, SETTLED, Watched, between, onsets, pauses, still, watch
from benchmarks.scenes import Sentence
from engines.common.metrics import OPENING_AT
from engines.common.sounds import RATE
from realtime_dub.inference.bundle import load_default
from tests.test_motion import vowel

pytestmark = pytest.mark.computes


def person(seed: int = 0) -> Sentence:
    """Half a second of silence, a second of vowels, half a second of silence."""
    said = np.concatenate([vowel(0.5, pitch=110 + 20 * seed), vowel(0.5, 400, 2000)])
    sound = np.concatenate([np.zeros(RATE // 2), said, np.zeros(RATE // 2)]).astype(np.float32)
    labels = np.array([0] * 50 + [3] * 100 + [0] * 50)
    return Sentence(f"clip{seed}", f"speaker{seed}", scenes.at_level(sound, 0.0, float(said.std())), labels)


def test_pauses_begin_when_the_live_mouth_is_due_and_end_before_the_word() -> None:
    said = np.zeros(60, bool)
    said[20:30] = said[55:] = True
    found = np.flatnonzero(pauses(said))
    assert list(found) == [*range(20 - LEAD), *range(30 + SETTLED, 55 - LEAD)]


def test_an_onset_comes_after_a_pause_alone() -> None:
    said = np.zeros(100, bool)
    said[30:40] = said[42:50] = said[80:90] = True
    assert list(onsets(said)) == [30, 80]


def test_stillness_counts_only_where_it_is_asked_for() -> None:
    moved = np.zeros((20, 168, 3), np.float32)
    moved[10:, OPENING_AT[:, 1], 1] = 0.1
    watched = Watched(np.repeat([0.0, 1.0], 10), moved)
    quiet, loud = (still(watched, np.arange(20) < 10, 0.01), still(watched, np.arange(20) >= 10, 0.01))
    assert (quiet.open, quiet.speed, quiet.opening) == (0, 0, 0)
    assert (loud.open, loud.speed) == (1, 0)
    assert loud.opening == pytest.approx(0.1)


@pytest.mark.parametrize("kind", scenes.kinds())
def test_every_sound_has_its_level_and_is_the_same_twice(kind: str) -> None:
    people = [person(0), person(1)]
    sound = scenes.nobody(kind, people, 3.0)
    assert len(sound) == 3 * RATE
    np.testing.assert_array_equal(sound, scenes.nobody(kind, people, 3.0))
    level_db = 20 * np.log10(max(float(np.sqrt((sound**2).mean())), 1e-9) / scenes.SPEECH_RMS)
    assert level_db < -100 if kind == "digital silence" else -46 < level_db < 1


def test_a_short_sound_stands_in_the_pauses_alone() -> None:
    people = [person(index) for index in range(3)]
    clean, labels = between("digital silence", people, 3)
    coughed, same = between("cough", people, 3)
    np.testing.assert_array_equal(labels, same)
    changed = np.add.reduceat(np.abs(coughed - clean), np.arange(0, len(clean), scenes.HOP))[: len(labels)] > 1e-3
    assert changed.sum() > 30
    assert not (changed & (labels > 0)).any()


def test_a_voice_opens_the_gate_and_silence_does_not() -> None:
    # A tone that does not change for a second is taken for music.
    said = [vowel(0.25, *formants) for formants in ((750, 1200), (400, 2000)) * 2]
    watched = watch(load_default("mouthbank"), np.concatenate([np.zeros(RATE, np.float32), *said]))
    assert watched.share[:20].max() == 0
    assert watched.share[-15:].min() == 1
    assert watched.moved.shape == (50, 168, 3)
