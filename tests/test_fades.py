"""Ways between two mouths take their time, each its own, and begin where they should."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.media import voice
from realtime_dub.media import MS
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.fade import BREAK_NS, Fade
from realtime_dub.mouth.gate import FADE_IN_NS, FADE_OUT_NS, HOLD_NS, MIN_STEP, SpeechGate
from realtime_dub.mouth.mouthbank.rest import FADE_NS, Need
from realtime_dub.mouth.mouthbank.rest import HOLD_NS as NEED_HOLD_NS
from tests.test_silence import STEP_NS, acquainted, at, talking

pytestmark = pytest.mark.computes


def test_a_fade_takes_its_time_and_begins_where_it_is_wanted() -> None:
    fade = Fade()
    weights = [fade(wanted, k * STEP_NS) for k, wanted in enumerate([1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1])]
    assert weights[0] == 1
    assert weights[4] == 0
    assert weights[-1] == 1
    assert np.abs(np.diff(weights)).max() < 0.34
    assert fade(0.0, -STEP_NS) == 0  # another film


@pytest.mark.parametrize(("in_ns", "out_ns"), [(80 * MS, 200 * MS), (0, 300 * MS), (600 * MS, 600 * MS)])
def test_each_way_has_its_own_time(in_ns: int, out_ns: int) -> None:
    fade = Fade(in_ns, out_ns, begins=0.0)
    fade(0.0, 0)
    up = [fade(1.0, k * 10 * MS) for k in range(1, 70)]
    assert up.index(1.0) == max(0, in_ns // (10 * MS) - 1)
    down = [fade(0.0, 690 * MS + k * 10 * MS) for k in range(1, 70)]
    assert next(k for k, weight in enumerate(down) if weight < 1e-9) == pytest.approx(out_ns // (10 * MS), abs=1)
    assert fade(1.0, 690 * MS + 690 * MS + BREAK_NS) == 1


def test_a_fade_with_a_least_step_leaves_zero_where_no_time_passes() -> None:
    gate = SpeechGate()
    assert [gate(1.0, 0) for _ in range(3)] == pytest.approx([MIN_STEP, 2 * MIN_STEP, 3 * MIN_STEP])


def test_the_gate_is_as_long_on_its_ways_as_it_says() -> None:
    gate = SpeechGate()
    speech = [1.0 if 200 <= ms < 700 else 0.0 for ms in range(0, 1500, 10)]
    shares = np.array([gate(each, k * 10 * MS) for k, each in enumerate(speech)])
    assert np.flatnonzero(shares == 1)[0] * 10 == pytest.approx(200 + FADE_IN_NS // MS, abs=10)
    assert np.flatnonzero(shares > 1e-9)[-1] * 10 == pytest.approx(690 + (HOLD_NS + FADE_OUT_NS) // MS, abs=10)


def test_what_need_not_be_drawn_is_at_zero_and_not_below() -> None:
    need = Need()
    shares = [need(0.2 if k < 3 else 0.0, k * STEP_NS) for k in range(100)]
    last = np.flatnonzero(np.array(shares) > 0)[-1]
    assert last * STEP_NS == pytest.approx(2 * STEP_NS + NEED_HOLD_NS + FADE_NS, abs=2 * STEP_NS)
    assert min(shares) == 0
    assert need(0.2, 100 * STEP_NS) == 1


def test_after_a_long_rest_with_shut_lips_speech_begins_as_after_the_live_mouth() -> None:
    """The first sound is not missed, and the mouth does not jump into it."""
    said = voice("demo")[VOICE_RATE // 2 : 2 * VOICE_RATE]
    heard = np.concatenate([np.zeros(2 * VOICE_RATE), said]).astype(np.float32)
    drawn = {}
    for silence in ("live", "rest"):
        generator = acquainted(silence)
        generator.hear(heard, 0)
        drawn[silence] = [generator.generate(at(talking()[0], k), k * STEP_NS) is not None for k in range(3 * 25)]
    assert drawn["rest"].index(True) == drawn["live"].index(True)
