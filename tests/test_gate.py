"""When the dubbed mouth is shown: curves of probability and steps of loudness whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec
from realtime_dub.media import MS
from realtime_dub.mouth.gate import HOLD_NS, OPEN_AT, SHUT_AT, SpeechGate
from realtime_dub.mouth.mouthbank.speaker_level import BELOW_DB, SpeakerLevel

pytestmark = pytest.mark.computes

SPEC = LogMelSpec()
DELAY = 8


def shares(curve: list[float], step_ns: int = 40 * MS) -> list[float]:
    gate = SpeechGate()
    return [gate(speech, index * step_ns) for index, speech in enumerate(curve)]


def features(levels_db: list[float]) -> np.ndarray:
    """Frames (n, bands) of a flat spectrum of these levels."""
    power = 10 ** (np.array(levels_db, np.float32) / 10)
    return LogMel(SPEC).compress(np.repeat(power[:, None], SPEC.bands, 1))


def told(levels_db: list[float], speech: float = 0.9) -> np.ndarray:
    """Per frame of sound, what is left of the probability for the frame it belongs to."""
    return SpeakerLevel(SPEC, DELAY)(features(levels_db), np.full(len(levels_db), speech, np.float32))


def test_what_opens_the_gate_is_more_than_what_keeps_it_open() -> None:
    between = (OPEN_AT + SHUT_AT) / 2
    assert max(shares([between] * 30)) == 0
    assert shares([OPEN_AT] * 4 + [between] * 30)[-1] == 1


def test_one_sure_picture_opens_and_its_hold_runs_out() -> None:
    opened = shares([0.0] * 5 + [0.9] + [0.0] * 20)
    assert opened[4] == 0
    assert opened[5] > 0
    hold = HOLD_NS // (40 * MS)
    assert opened[5 + hold] == 1
    assert opened[5 + hold + 5] < 1e-9


def test_before_the_first_word_any_voice_counts() -> None:
    assert (told([-70.0] * 100) > 0).all()


def test_a_voice_far_below_the_person_does_not_count() -> None:
    kept = told([-20.0] * 200 + [-20.0 - BELOW_DB - 3] * 100)
    assert (kept[:200] > 0).all()
    assert (kept[200 + DELAY + 3 :] == 0).all()
    kept = told([-20.0] * 200 + [-20.0 - BELOW_DB + 3] * 100)
    assert (kept > 0).all()


def test_a_word_begins_as_early_as_its_loudness_was_heard() -> None:
    kept = told([-20.0] * 200 + [-60.0] * 100 + [-20.0] * 20)
    assert (kept[220:300] == 0).all()
    assert kept[300] > 0  # of the frame DELAY before: its first, weak part is not cut off


def test_a_person_who_goes_on_more_quietly_is_heard_again() -> None:
    kept = told([-20.0] * 300 + [-45.0] * 1000)
    assert (kept[320:900] == 0).all()
    assert (kept[-200:] > 0).all()


def test_a_short_bang_does_not_deafen() -> None:
    assert (told([-40.0] * 200 + [0.0] * 10 + [-40.0] * 100) > 0).all()
    assert (told([-20.0] * 10 + [-40.0] * 100) > 0).all()


def test_what_is_no_voice_does_not_set_the_level() -> None:
    quiet = SpeakerLevel(SPEC, DELAY)
    speech = np.array([0.2] * (300 + DELAY) + [0.9] * 100, np.float32)
    assert (quiet(features([0.0] * 300 + [-60.0] * (100 + DELAY)), speech)[300 + DELAY :] > 0).all()


@given(
    st.lists(st.tuples(st.floats(-80, 0), st.floats(0, 1), st.integers(1, 60)), min_size=1, max_size=8),
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
)
def test_blocks_of_any_size_give_the_same(steps: list[tuple[float, float, int]], sizes: list[int]) -> None:
    mel = features([level for level, _, count in steps for _ in range(count)])
    speech = np.array([sure for _, sure, count in steps for _ in range(count)], np.float32)
    whole, parts, at, turn = SpeakerLevel(SPEC, DELAY)(mel, speech), [], 0, 0
    own = SpeakerLevel(SPEC, DELAY)
    while at < len(mel):
        size = sizes[turn % len(sizes)]
        parts.append(own(mel[at : at + size], speech[at : at + size]))
        at, turn = at + size, turn + 1
    np.testing.assert_array_equal(np.concatenate(parts), whole)
