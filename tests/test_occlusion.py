"""What stands before a mouth stays there, and heads that turn away fade: the portrait, things drawn before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from benchmarks.turned import turned
from realtime_dub.blend.composite import Compositor
from realtime_dub.blend.masks import lower_face, polygon
from realtime_dub.face.landmarks import JAW, LIPS
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import Face, TrackedFrame
from realtime_dub.inference.bundle import load_part
from realtime_dub.media import MS, Frame, Image
from realtime_dub.mouth.fade import AWAY_NS, TURNED, TurnFade, turned_deg
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.calibration import CalibrationFrames
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.occlusion import CALM_NS, STAYS_NS, UNCHANGED_NS, Occlusion, Things
from realtime_dub.mouth.mouthbank.occlusion_view import SIZE, taken, view_of
from realtime_dub.mouth.mouthbank.people import People
from realtime_dub.mouth.mouthbank.render import Renderer
from tests.faces import frame_of, jaw_drop, portrait, tracked_portrait

pytestmark = pytest.mark.computes

PERIOD_NS = 40 * MS
Paint = Callable[[Image, np.ndarray, float], None]


def the_face() -> Face:
    face = tracked_portrait().face
    assert face is not None
    return face


def beside(mouth: np.ndarray, unit: float, right: float, down: float) -> list[int]:
    """A pixel so many mouth widths from the mouth's middle."""
    return [round(float(mouth[0]) + right * unit), round(float(mouth[1]) + down * unit)]


def microphone(out: Image, mouth: np.ndarray, unit: float) -> None:
    """A dark head over one half of the mouth, on a stand."""
    at, foot = beside(mouth, unit, 0.35, 0.3), beside(mouth, unit, 1.35, 4.3)
    cv2.line(out, at, foot, (60, 60, 64), round(0.25 * unit), cv2.LINE_AA)
    cv2.circle(out, at, round(0.42 * unit), (28, 26, 30), -1, cv2.LINE_AA)


def cup(out: Image, mouth: np.ndarray, unit: float) -> None:
    """Of one colour, over the lower lip and the chin."""
    cv2.rectangle(out, beside(mouth, unit, -0.8, 0.1), beside(mouth, unit, 0.7, 1.8), (160, 90, 30), -1)


def pen(out: Image, mouth: np.ndarray, unit: float) -> None:
    """A dark rod from below to the corner of the mouth."""
    ends = beside(mouth, unit, 0.3, 0.1), beside(mouth, unit, 0.9, 3.0)
    cv2.line(out, *ends, (40, 36, 30), round(0.2 * unit), cv2.LINE_AA)


def text(out: Image, mouth: np.ndarray, unit: float) -> None:
    """A line of white letters with a rim, across the mouth."""
    at, size = beside(mouth, unit, -2, 0.2), unit / 40
    for colour, thick in (((0, 0, 0), 9), ((250, 250, 250), 3)):
        cv2.putText(out, "what he said", at, cv2.FONT_HERSHEY_DUPLEX, size, colour, thick, cv2.LINE_AA)


def mask(out: Image, mouth: np.ndarray, unit: float) -> None:
    """As doctors wear it."""
    corners = np.concatenate([the_face().points[JAW, :2], the_face().points[[352, 4, 123], :2]])
    hull = cv2.convexHull(corners.astype(np.float32))
    cv2.fillPoly(out, [np.rint(hull).astype(np.int32)], (205, 185, 150), cv2.LINE_AA)


@cache
def painted(paint: Paint) -> tuple[Image, np.ndarray]:
    """The portrait with a thing before it, and where the thing is."""
    face, image = the_face(), portrait().copy()
    paint(image, face.points[LIPS, :2].mean(0), face.pose.scale)
    return image, (image != portrait()).any(-1)


def seen(images: Sequence[Image], face: Face | None = None) -> list[TrackedFrame]:
    """The pictures at 25 a second, the face where it is in the portrait."""
    return [TrackedFrame(frame_of(image, k), face or the_face()) for k, image in enumerate(images)]


def lower() -> np.ndarray:
    outline = lower_face(the_face().points, the_face().pose.scale)
    return polygon(outline, (0, 0, portrait().shape[1], portrait().shape[0])) > 127


@pytest.mark.parametrize("paint", [microphone, cup, text])
def test_a_thing_stays_before_the_mouth_that_is_dubbed_behind_it(paint: Paint) -> None:
    image, thing = painted(paint)
    bank, (tracked,) = Bank(), seen([image])
    bank.observe(tracked_portrait())
    patch = Renderer(bank).render(tracked, jaw_drop(0.2), 1.0, 0)
    assert patch is not None
    plain = Compositor().compose(tracked, patch, 1.0)
    kept = Compositor().compose(tracked, Occlusion().look(tracked).over(patch), 1.0)
    there = cv2.erode((thing & lower()).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    before, after = (np.abs(each.astype(int) - image).max(-1) > 2 for each in (plain, kept))
    assert before[there].mean() > 0.05  # without a mask the mouth is drawn over it
    assert after[there].mean() < 0.03
    visible = lower() & ~thing
    assert after[visible].mean() > 0.15 * before[visible].mean()  # and what is visible is dubbed


def test_a_face_with_nothing_before_it_is_dubbed_as_ever() -> None:
    tracked = tracked_portrait()
    cover = Occlusion().look(tracked)
    assert cover.share is None
    assert cover.weight == 1
    assert cover.clear
    patch = Renderer(bank := Bank()).render(tracked, jaw_drop(0), 1.0, 0)
    assert patch is None
    bank.observe(tracked)
    patch = Renderer(bank).render(tracked, jaw_drop(0.1), 1.0, 0)
    assert patch is not None
    assert cover.over(patch) is patch


def test_a_mouth_that_is_hidden_fades_to_the_live_one_and_comes_back() -> None:
    occlusion, (masked, _) = Occlusion(), painted(mask)
    free = [portrait()] * 5
    covers = [occlusion.look(each) for each in seen([*free, *[masked] * 8, *[portrait()] * 20])]
    weights = np.array([cover.weight for cover in covers])
    assert (weights[:5] == 1).all()
    assert weights[12] == 0
    assert weights[-1] == 1
    assert np.abs(np.diff(weights)).max() <= PERIOD_NS / AWAY_NS + 1e-6
    assert not any(cover.clear for cover in covers[5:13])
    assert (np.diff(weights[5:13]) <= 0).all()
    assert (np.diff(weights[16:]) >= 0).all()


def test_a_hidden_mouth_is_hidden_from_the_first_frame_on() -> None:
    masked, _ = painted(mask)
    (tracked,) = seen([masked])
    assert Occlusion().look(tracked).weight == 0


def test_the_bank_does_not_learn_what_hides_the_mouth() -> None:
    generator = MouthbankGenerator()
    images = [painted(each)[0] for each in (mask, microphone, cup)]
    for tracked in seen(images):
        generator.observe(tracked)
    assert not generator.identity.mouths
    assert generator.identity.neutral is None
    picker = generator.frames_to_calibrate()
    for tracked in seen(images):
        picker.show(tracked)
    assert not picker.chosen()
    generator.observe(tracked_portrait())
    assert len(generator.identity.mouths) == 1


class Counting:
    """The net, and how often it was asked."""

    def __init__(self, session: object) -> None:
        self.session, self.calls = session, 0

    def run(self, feeds: object) -> object:
        self.calls += 1
        return self.session.run(feeds)  # type: ignore[attr-defined]


def long_free() -> tuple[Occlusion, Counting, list[TrackedFrame]]:
    """With how often its net is asked, and twenty frames more than it takes to be calm."""
    occlusion = Occlusion()
    occlusion._session = counting = Counting(occlusion._session)  # type: ignore[assignment]
    return occlusion, counting, seen([portrait()] * (CALM_NS // PERIOD_NS + 20))


def test_a_mouth_that_has_long_been_free_is_looked_at_now_and_then_while_it_looks_the_same() -> None:
    occlusion, counting, tracked = long_free()
    first = CALM_NS // PERIOD_NS
    for each in tracked:
        occlusion.look(each)
        occlusion.look(each)  # once a frame, however often it is asked
    assert counting.calls == first + 20 * PERIOD_NS // UNCHANGED_NS
    cupped, _ = painted(cup)
    for k in range(6):
        occlusion.look(replace(tracked[-1], frame=frame_of(cupped, len(tracked) + k)))
    assert counting.calls == first + 20 * PERIOD_NS // UNCHANGED_NS + 6  # what is before the mouth, in every frame


def test_where_the_machine_is_short_a_free_mouth_is_looked_at_less_often() -> None:
    occlusion, counting, tracked = long_free()
    first = CALM_NS // PERIOD_NS
    for each in tracked:
        occlusion.short = True
        occlusion.look(each)
    assert counting.calls <= first + 3
    cupped, _ = painted(cup)
    later = [replace(tracked[-1], frame=frame_of(cupped, len(tracked) + k)) for k in range(16)]
    covers = [occlusion.look(each) for each in later]
    assert any(cover.share is not None for cover in covers[:11])  # it is found all the same, and followed
    assert all(cover.share is not None for cover in covers[12:])


def test_what_was_before_another_face_says_nothing() -> None:
    occlusion, (masked, _) = Occlusion(), painted(mask)
    for each in seen([masked] * 6):
        occlusion.look(each)
    assert occlusion.look(TrackedFrame(frame_of(portrait(), 6), the_face(), shot=1)).weight == 1


class Blind:
    """A net that finds nothing."""

    def run(self, feeds: object) -> dict[str, np.ndarray]:
        return {"covered": np.zeros((1, SIZE, SIZE), np.float32)}


@pytest.mark.parametrize(("after", "stays"), [(pen, True), (None, False)])
def test_a_thing_stays_where_the_face_was_lost_for_a_moment_and_the_net_sees_it_no_more(
    after: Paint | None, stays: bool
) -> None:
    occlusion, (hidden, _) = Occlusion(), painted(pen)
    free = [portrait()] * 24
    covers = [occlusion.look(each) for each in seen([*free, hidden, hidden])]
    assert covers[-1].share is not None
    occlusion._session = Blind()  # type: ignore[assignment]
    image = portrait() if after is None else painted(after)[0]
    shots = [TrackedFrame(frame_of(image, 26 + k), the_face(), shot=1) for k in range(10)]
    covers = [occlusion.look(each) for each in shots]
    assert (covers[-1].share is not None) == stays


EVERYWHERE = np.full((SIZE, SIZE), 255, np.uint8)


def test_one_doubtful_pixel_is_no_thing_and_a_thing_is_all_that_hangs_together() -> None:
    found = np.full((SIZE, SIZE), 0.05, np.float32)
    assert Things()(found, EVERYWHERE) is None
    found[40:42, 40:42] = 0.995
    assert Things()(found, EVERYWHERE) is None  # too small for anything
    found[60:80, 60:80] = 0.4
    assert Things()(found, EVERYWHERE) is None  # nowhere sure
    found[70, 70] = 0.99
    share = Things()(found, EVERYWHERE)
    assert share is not None
    assert share[62:78, 62:78].min() > 0.7
    assert share[40, 40] == 0


def test_what_comes_from_beside_is_believed_at_once_and_what_appears_within_after_three_looks() -> None:
    nothing, island, arm = (np.zeros((SIZE, SIZE), np.float32) for _ in range(3))
    island[40:60, 40:60] = arm[40:60, 40:] = 0.99
    things = Things()
    looks = [things(found, EVERYWHERE) for found in (nothing, island, nothing, island, island, island, nothing, arm)]
    assert [share is not None for share in looks] == [False, False, False, False, False, True, False, True]


def test_a_crop_is_the_same_from_a_large_picture() -> None:
    small, large = tracked_portrait(240), tracked_portrait(1080)
    assert small.face is not None
    assert large.face is not None
    one, other = (taken(each.frame.image, view_of(each.face)).astype(int) for each in (small, large) if each.face)
    assert np.abs(one - other).mean() < 8


def test_the_bundle_is_small() -> None:
    folder = load_part("mouthbank", "occlusion").folder
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000


@cache
def turning() -> list[TrackedFrame]:
    """The head turned farther and farther, as the tracker sees it: 0 to 60 degrees, then too far."""
    tracker = MediaPipeTracker()
    try:
        tracker.track(frame_of(portrait()))
        images = [turned(portrait(), the_face(), -angle) for angle in (*range(0, 66, 6), 85, 85)]
        return [tracker.track(Frame(image, (k + 1) * 200 * MS, k + 1)) for k, image in enumerate(images)]
    finally:
        tracker.close()


def test_a_head_that_turns_away_fades_before_its_face_is_lost() -> None:
    fade = TurnFade()
    weights = np.array([fade(each) for each in turning()])
    faces = [each.face for each in turning()]
    assert faces[-1] is None
    assert (weights[:5] == 1).all()  # up to 24 degrees
    last = max(k for k, face in enumerate(faces) if face is not None)
    assert weights[last] < 0.1  # so that there is nothing left to be switched off
    assert (np.diff(weights) <= 1e-6).all()
    assert ((weights > 0.05) & (weights < 0.95)).sum() >= 3


def test_a_head_that_trembles_where_it_fades_is_no_flicker() -> None:
    fade, steady = TurnFade(), next(each for each in turning() if each.face and turned_deg(each.face.pose) > TURNED + 3)
    assert steady.face is not None
    weights = []
    for k in range(12):
        tilt = cv2.Rodrigues(np.radians([0.0, 1.5 * (-1) ** k, 0.0]))[0].astype(np.float32)
        pose = replace(steady.face.pose, rotation=tilt @ steady.face.pose.rotation)
        weights.append(
            fade(replace(steady, frame=frame_of(steady.frame.image, k), face=replace(steady.face, pose=pose)))
        )
    assert np.ptp(weights[2:]) < 0.02


def test_a_turned_face_is_still_the_one_that_was_followed() -> None:
    people, front = People(Bank()), turning()[0]
    away = next(each for each in turning() if each.face is not None and each.face.descriptor is None)
    assert people.who(front) is people.expected
    assert people.who(away) is people.expected
    assert people.who(replace(away, shot=away.shot + 1)) is None  # behind a cut it may be anybody


def test_turned_faces_calibrate_nothing() -> None:
    picker = CalibrationFrames()
    for each in turning()[-6:]:
        picker.show(each)
    assert not picker.chosen()


class AtTheSide:
    """A net that finds something at one side of the mouth."""

    def run(self, feeds: object) -> dict[str, np.ndarray]:
        found = np.zeros((1, SIZE, SIZE), np.float32)
        found[..., 62:] = 1
        return {"covered": found}


def test_who_always_has_something_before_the_mouth_is_learnt_with_it() -> None:
    occlusion = Occlusion()
    occlusion._session = AtTheSide()  # type: ignore[assignment]
    covers = [occlusion.look(each) for each in seen([portrait()] * (STAYS_NS // PERIOD_NS + 2))]
    assert not any(cover.clear for cover in covers[:-2])
    assert covers[-1].clear
    assert covers[-1].share is not None  # and still it stays before the mouth
