"""The net for things before the mouth is asked where the face looks unlike it did, so that none is found later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from benchmarks.moving_face import MovingFace
from benchmarks.occlusion_sheets import tracked
from realtime_dub.face.landmarks import LIPS
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import MS, NS, Image
from realtime_dub.mouth.mouthbank import occlusion as occlusions
from realtime_dub.mouth.mouthbank.occlusion import CALM_NS, UNCHANGED_NS, WILD, Occlusion
from realtime_dub.mouth.mouthbank.occlusion_change import USUAL_NS, LooksAlike
from realtime_dub.mouth.mouthbank.occlusion_view import SIZE, outlines, view_of
from tests.faces import portrait
from tests.test_occlusion import (
    PERIOD_NS,
    Counting,
    Paint,
    beside,
    cup,
    mask,
    microphone,
    painted,
    pen,
    seen,
    text,
    the_face,
)

pytestmark = pytest.mark.computes

CALM = CALM_NS // PERIOD_NS  # frames until a mouth has long been free
THINGS = (cup, mask, microphone, pen, text)
NOTHING = np.zeros((SIZE, SIZE), np.float32)


def looked(alike: LooksAlike, image: Image, k: int, found: np.ndarray = NOTHING) -> None:
    """A look at one picture with the portrait's face, learnt from."""
    (each,) = seen([image])
    each = replace(each, frame=replace(each.frame, pts_ns=k * PERIOD_NS))
    alike.see(each, the_face(), outlines(the_face().points, the_face().pose.scale, view_of(the_face())), found)
    alike.learn()


def is_alike(alike: LooksAlike, image: Image) -> bool:
    return alike(seen([image])[0], the_face())


def known() -> LooksAlike:
    alike = LooksAlike()
    for k in range(5):
        looked(alike, portrait(), k)
    return alike


def in_light(image: Image, *channels: float) -> Image:
    return np.clip(image * np.array(channels) + 0.5, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("paint", THINGS)
def test_a_face_with_a_thing_before_it_looks_unlike_itself(paint: Paint) -> None:
    assert not is_alike(LooksAlike(), portrait())  # never seen
    assert is_alike(known(), portrait())
    assert not is_alike(known(), painted(paint)[0])


@pytest.mark.parametrize("light", [(0.35, 0.35, 0.35), (0.8, 0.8, 0.8), (0.7, 0.8, 0.85)])
def test_a_face_looks_the_same_in_another_light_and_a_thing_is_seen_in_it_too(light: tuple[float, ...]) -> None:
    assert is_alike(known(), in_light(portrait(), *light))
    assert not is_alike(known(), in_light(painted(pen)[0], *light))


def test_what_was_seen_once_with_nothing_before_it_is_remembered_for_a_while() -> None:
    alike, (other, _) = known(), painted(pen)
    looked(alike, other, 5)
    assert is_alike(alike, other)
    for k in range(6, 6 + 2 * NS // PERIOD_NS):
        looked(alike, portrait(), k)
    assert is_alike(alike, other)
    looked(alike, portrait(), 6 + 30 * NS // PERIOD_NS)
    assert not is_alike(alike, other)


def test_a_look_in_which_the_net_came_to_doubt_teaches_nothing() -> None:
    alike, (other, thing) = known(), painted(pen)
    assert thing.any()
    doubts = NOTHING.copy()
    doubts[40:50, 40:50] = 0.7  # not enough for a thing
    looked(alike, other, 5, doubts)
    assert not is_alike(alike, other)
    after = 6 + USUAL_NS // PERIOD_NS
    for k in range(6, after):
        looked(alike, portrait(), k, doubts)
    looked(alike, other, after, doubts)  # it has doubted there for long: the face's own fold
    assert is_alike(alike, other)


def test_a_look_is_learnt_from_though_its_picture_is_another_by_then() -> None:
    """Pictures of a film lie in memory that is used again."""
    alike, image = LooksAlike(), portrait().copy()
    (each,) = seen([image])
    face = the_face()
    alike.see(each, face, outlines(face.points, face.pose.scale, view_of(face)), NOTHING)
    image[:] = 0
    alike.learn()
    assert is_alike(alike, portrait())


def covered(frames: Sequence[TrackedFrame]) -> tuple[list[bool], list[int]]:
    """In which frames something is found, and how often the net was asked up to each."""
    occlusion = Occlusion()
    occlusion._session = counting = Counting(occlusion._session)  # type: ignore[assignment]
    told = []
    for each in frames:
        cover = occlusion.look(each)
        told.append((cover.share is not None, counting.calls))
    return [there for there, _ in told], [calls for _, calls in told]


def in_every_frame(frames: Sequence[TrackedFrame]) -> list[bool]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(occlusions, "CALM_NS", 1 << 62)
        return covered(frames)[0]


@pytest.mark.parametrize("paint", [mask, microphone, pen])
@pytest.mark.parametrize("offset", range(1, UNCHANGED_NS // PERIOD_NS + 1))
def test_a_thing_is_found_in_the_frame_in_which_it_comes(paint: Paint, offset: int) -> None:
    at = CALM + UNCHANGED_NS // PERIOD_NS + offset  # looks fall on each of these in turn
    there, asked = covered(seen([portrait()] * at + [painted(paint)[0]] * 3))
    assert asked[at - 1] < at  # the net was not asked in each
    assert not any(there[:at])
    assert all(there[at:])


def rising(paint: Callable[[Image, np.ndarray, float], None], frames: int) -> list[Image]:
    """A thing that comes from below, this many frames long."""
    face, images = the_face(), []
    for k in range(frames):
        image = portrait().copy()
        lips, unit = face.points[LIPS, :2].mean(0), face.pose.scale
        paint(image, np.array(beside(lips, unit, 0, 3.2 * (1 - (k + 1) / frames)), np.float32), unit)
        images.append(image)
    return images


@pytest.mark.parametrize("paint", [cup, microphone])
@pytest.mark.parametrize("frames", [5, 25, 60])
def test_a_thing_that_comes_slowly_is_found_as_if_each_frame_was_looked_at(paint: Paint, frames: int) -> None:
    images = [portrait()] * (CALM + 10) + rising(paint, frames) + [painted(paint)[0]] * 4
    there, asked = covered(seen(images))
    assert asked[CALM + 9] < CALM + 9
    best = in_every_frame(seen(images))
    assert any(best)
    assert there.index(True) <= best.index(True) + 1
    assert sum(there) >= sum(best) - 1


def test_lights_that_go_on_and_off_are_no_reason_to_ask() -> None:
    dark = in_light(portrait(), 0.4, 0.42, 0.45)
    images = [portrait()] * (CALM + 5) + ([dark] * 10 + [portrait()] * 10) * 3
    _, asked = covered(seen(images))
    assert asked[-1] - asked[CALM + 4] <= 60 * PERIOD_NS // UNCHANGED_NS + 1


@cache
def talking() -> list[TrackedFrame]:
    """The portrait turns, nods and talks, in one shot: where the tracker begins another, every face is looked at."""
    face, period_ns = MovingFace(640, 480, 30), NS // 30
    frames = tracked([face.image(k / 30) for k in range(90)], [k * period_ns for k in range(90)])
    return [replace(each, shot=0) for each in frames]


def test_a_face_that_talks_and_turns_seldom_asks_the_net() -> None:
    _, asked = covered(talking())
    calm = [each.frame.pts_ns > CALM_NS + 5 * PERIOD_NS for each in talking()].index(True)
    share = (asked[-1] - asked[calm]) / (len(asked) - 1 - calm)
    assert NS / 30 / UNCHANGED_NS - 0.03 < share < 0.22  # and still it is asked now and then


def test_a_jump_of_the_lips_is_told_from_one_frame_to_the_next_where_few_are_looked_at() -> None:
    """What hides lips makes the tracker guess them; the mouth goes over to the live one in the very frame."""
    face = the_face()
    shifted = face.canonical.copy()
    shifted[LIPS, 0] += 2 * WILD
    frames = seen([portrait()] * (CALM + 5)) + [
        replace(each, face=replace(face, canonical=shifted))
        for each in seen([painted(pen)[0]] * (CALM + 7))[CALM + 5 :]
    ]
    occlusion = Occlusion()
    covers = [occlusion.look(each) for each in frames]
    assert frames[CALM + 5].frame.pts_ns - frames[CALM + 3].frame.pts_ns == 80 * MS
    assert covers[CALM + 4].weight == 1
    assert covers[CALM + 5].share is not None
    assert covers[CALM + 6].weight < 1
