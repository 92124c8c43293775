"""The benchmark of a mouth that nobody has shown before: what is cut, and what is compared."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.first_words import EDGE, STEP, Stream, live, measured, over_people, said, streams
from benchmarks.media import voice
from realtime_dub.mouth.contract import VOICE_RATE
from tests.sitters import talk

pytestmark = pytest.mark.computes

FRAMES = 30


def sitting(sound: np.ndarray) -> Stream:
    return Stream(talk("first", FRAMES), sound.astype(np.float32))


def test_pauses_are_cut_out_of_picture_and_sound_alike() -> None:
    sound = np.zeros((FRAMES, STEP), np.float32)
    sound[8:20] = 0.3
    sound[12:14] = 0  # a pause inside stays
    part = said(sitting(sound.reshape(-1)))
    assert len(part.images) == 12 + 2 * EDGE
    assert np.array_equal(part.sound.reshape(-1, STEP), sound[8 - EDGE : 20 + EDGE])


def test_a_stream_is_compared_where_it_was_dubbed() -> None:
    spoken = sitting(voice("demo")[VOICE_RATE // 2 :][: FRAMES * STEP])
    found = measured(spoken)
    assert 0.005 < found["error 0-1"] < 0.2
    assert abs(found["low 0-1"]) <= found["error 0-1"]
    assert math.isnan(found["error 2-4"])  # it is not so long


def test_a_silent_stream_is_as_it_was() -> None:
    silent = sitting(np.zeros(FRAMES * STEP))
    shown = list(live(silent))
    assert not any(drawn for _, drawn in shown)
    assert all(image is before for (image, _), before in zip(shown, silent.images, strict=True))


def test_streams_lie_evenly_among_the_clips() -> None:
    clips = [Path(f"{k}.mp4") for k in range(10)]
    assert [part[0].stem for part in streams(clips, 4, 3)] == ["0", "3", "6"]
    assert streams(clips[:2], 4, 3) == [clips[:2]]


def test_people_count_alike_however_many_streams_they_have() -> None:
    rows = {"a": [{"r": 1.0}, {"r": 0.5}, {"r": math.nan}], "b": [{"r": 0.25}]}
    assert over_people(rows)["mean"]["r"] == pytest.approx(0.5)
