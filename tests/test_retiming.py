"""Re-timing: the order of a film's frames for a voice with pauses, half-way frames, and a film that is too short."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_dub.errors import EndOfStream
from realtime_dub.media import NS, Frame, VideoInfo
from realtime_dub.pipeline.file.retimed_video import RetimedVideo
from realtime_dub.pipeline.file.retiming import (
    REPEAT_COST,
    SILENT_COST,
    Retimed,
    blink,
    folded,
    half_way,
    retimed,
    straight,
)
from tests.faces import tracked_portrait

pytestmark = pytest.mark.computes


def cost(order: Retimed, activity: np.ndarray, silent: np.ndarray) -> float:
    moving = activity[order.frames(len(activity))] * silent
    return float(SILENT_COST * moving.sum() + REPEAT_COST * order.repeated.sum())


def every_order(count: int) -> list[Retimed]:
    """All that are allowed."""
    found = [([0], [False])]
    for _ in range(count - 1):
        onwards = [([*places, places[-1] + 1], [*again, False]) for places, again in found]
        found = onwards + [([*p, p[-1]], [*again, True]) for p, again in found if not again[-1]]
    return [Retimed(np.array(places), np.array(again)) for places, again in found]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(2, 12), st.integers(0, 2**31))
def test_no_allowed_order_is_cheaper(count: int, film: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    activity, silent = rng.exponential(1.5, film).astype(np.float32), rng.random(count) < 0.6
    order = retimed(activity, silent)
    steps = np.diff(order.places)
    assert order.places[0] == 0
    assert (steps == ~order.repeated[1:]).all()
    assert not (order.repeated[1:] & order.repeated[:-1]).any()
    assert cost(order, activity, silent) == pytest.approx(min(cost(e, activity, silent) for e in every_order(count)))


def test_movement_waits_until_the_voice_speaks() -> None:
    activity, silent = np.zeros(60, np.float32), np.zeros(60, np.bool_)
    activity[20:24], silent[16:24] = 3, True
    order = retimed(activity, silent)
    before, after = activity[silent].sum(), activity[order.frames(60)][silent].sum()
    assert before == 12
    assert after == 0
    quiet = retimed(np.zeros(60, np.float32), silent)
    assert (quiet.places == straight(60).places).all()


def test_a_film_plays_back_and_forth() -> None:
    assert folded(np.arange(9), 4).tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert folded(np.arange(3), 1).tolist() == [0, 0, 0]


class Film:
    """Frames that are as bright as their number, or a square that moves to the right."""

    def __init__(self, count: int) -> None:
        self._count, self._at = count, 0

    def open(self) -> VideoInfo:
        return VideoInfo(64, 48, Fraction(25), False, "film", self._count)

    def read(self) -> Frame:
        if self._at == self._count:
            raise EndOfStream
        self._at += 1
        return Frame(np.full((48, 64, 3), 10 * self._at, np.uint8), self._at * 7, self._at)

    def close(self) -> None:
        pass


def levels(video: RetimedVideo) -> list[int]:
    info, found = video.open(), []
    for _ in range(info.frames or 0):
        frame = video.read()
        assert frame.pts_ns == len(found) * NS // 25
        found.append(int(np.median(frame.image)))
    with pytest.raises(EndOfStream):
        video.read()
    video.close()
    return found


def test_a_source_shows_the_frames_in_their_order() -> None:
    order = Retimed(np.array([0, 1, 1, 2, 3]), np.array([False, False, True, False, False]))
    video = RetimedVideo(Film(9), order, 9)
    assert levels(video) == [10, 20, 25, 30, 40]
    assert video.notes == []


def test_a_short_film_is_shown_backwards_with_a_note() -> None:
    video = RetimedVideo(Film(3), straight(8), 3)
    assert levels(video) == [10, 20, 30, 20, 10, 20, 30, 20]
    assert video.notes == ["film is shorter than the voice: it plays back and forth"]


def test_between_two_frames_a_thing_is_half_way() -> None:
    texture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8), (0, 0), 2)
    frames = []
    for x in (40, 45, 50):
        frame = np.full((120, 160, 3), 90, np.uint8)
        frame[30:90, x : x + 60] = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
        frames.append(frame)
    made = half_way(frames[0], frames[2])
    inner = np.s_[40:80, 60:95]
    assert np.abs(made[inner].astype(int) - frames[1][inner]).mean() < 12
    assert np.abs(frames[0][inner].astype(int) - frames[1][inner]).mean() > 30


def test_open_eyes_are_no_blink() -> None:
    assert blink(tracked_portrait()) < 0.5
