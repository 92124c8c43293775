"""Where a face rests by looks at one that talks, and that a drawn mouth does not jump when it is found anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.media import voice
from realtime_dub.face.alignment import LOWER, TEMPLATE, canonicalise, mouth_width, neutral_shape, project
from realtime_dub.face.landmarks import LIPS
from realtime_dub.face.types import Points, TrackedFrame
from realtime_dub.media import MS, Floats
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.looks import face_at_rest, talking
from realtime_dub.mouth.mouthbank.settling import SETTLES_NS, Settling
from tests.faces import frame_of, jaw_drop, tracked_portrait

pytestmark = pytest.mark.computes

WIDTH = mouth_width(TEMPLATE)
STEP_NS = 120 * MS  # between two looks of the live loop
LOWER_BY = 0.04  # mouth widths that a talking mouth stands lower
SLIGHTLY = 0.015


def usual() -> Floats:
    """Of mouths that stand lower as soon as they talk, and whose jaw drops to open them."""
    lower = np.zeros((len(LOWER), 3), np.float32)
    lower[:, 1] = LOWER_BY
    return np.stack([lower.reshape(-1), jaw_drop(1.0).reshape(-1)]).astype(np.float32)


def face(opened: float = 0.0, talks: bool = False) -> Points:
    shape = TEMPLATE.copy()
    shape[LOWER] += jaw_drop(opened) * np.float32(WIDTH)
    shape[LOWER, 1] += LOWER_BY * WIDTH * talks
    return shape


def words(count: int) -> list[Points]:
    """Looks at somebody who talks without a pause."""
    return [face(0.16 * (0.5 + 0.5 * float(np.sin(1.9 * k))), talks=True) for k in range(count)]


def lower(rest: Points) -> float:
    """Than the template's mouth, in its widths."""
    return float((rest - TEMPLATE)[LIPS, 1].mean()) / WIDTH


def known(looks: list[Points], line: Floats | None, step_ns: int = STEP_NS) -> Bank:
    bank = Bank(usual=line)
    for k, look in enumerate(looks):
        bank.learn_face(look, k * step_ns)
    return bank


def rests(looks: list[Points], line: Floats | None) -> Points:
    neutral = known(looks, line).neutral
    assert neutral is not None
    return neutral


@pytest.mark.parametrize("count", [4, 8, 24, 120, 400])
def test_who_was_seen_talking_only_rests_where_they_would_without_words(count: int) -> None:
    plain, put_back = (lower(rests(words(count), line)) for line in (None, usual()))
    assert plain > 0.9 * LOWER_BY
    assert abs(put_back) < (0.6 if count < 8 else 0.4) * LOWER_BY


def test_who_was_seen_at_rest_rests_as_seen() -> None:
    still = [face()] * 60
    assert np.abs(rests(still, usual()) - TEMPLATE).max() == pytest.approx(0, abs=1e-6)
    opened = [face(0.15)] * 60  # a photograph's, or of somebody who draws breath: nothing says that it talks
    assert np.abs(rests(opened, usual()) - face(0.15)).max() == pytest.approx(0, abs=1e-6)


def test_with_pauses_enough_it_is_the_median_of_the_least_open() -> None:
    looks = [*words(60), *[face()] * 60, *words(60), *[face()] * 60]
    assert np.abs(rests(looks, usual()) - neutral_shape(np.stack(looks))).max() < 0.12 * LOWER_BY * WIDTH


def test_a_net_that_says_nothing_of_usual_mouths_leaves_it_at_that() -> None:
    looks = words(100)
    assert np.array_equal(rests(looks, None), face_at_rest(np.stack(looks[:96]), np.ones(96, np.float32), None))


def test_a_mouth_talks_whatever_the_rate_at_which_it_is_looked_at() -> None:
    for step_ns in (20 * MS, 40 * MS, 120 * MS, 240 * MS):
        times_ns = np.arange(0, 4_000 * MS, step_ns)
        syllables = 0.1 + 0.1 * np.sin(times_ns / (1_000 * MS) * 2 * np.pi * 3.3)
        assert talking(syllables.astype(np.float32), times_ns).mean() > 0.9, step_ns
        breath = 0.1 + 0.1 * np.sin(times_ns / (1_000 * MS) * 2 * np.pi * 0.05)
        assert talking(breath.astype(np.float32), times_ns).max() < 0.1, step_ns
    apart = np.arange(20) * 400 * MS  # what lies between two looks is not known
    assert talking(np.tile([0.0, 0.3], 10).astype(np.float32), apart).max() == 0


def test_a_copy_learns_alone() -> None:
    bank = known(words(30), usual())
    before, other = bank.neutral, bank.copy()
    for k in range(30, 90):
        other.learn_face(face(), k * STEP_NS)
    assert bank.neutral is before
    for k in range(30, 42):
        bank.learn_face(words(42)[k], k * STEP_NS)
    assert bank.neutral is not None
    assert other.neutral is not None
    assert lower(other.neutral) < lower(bank.neutral)


def with_face(seen: TrackedFrame, canonical: Points, k: int) -> TrackedFrame:
    """The portrait's frame as if its face had this shape."""
    assert seen.face is not None
    return replace(
        seen,
        frame=replace(seen.frame, pts_ns=k * STEP_NS, seq=k),
        face=canonicalise(project(canonical, seen.face.pose)),
    )


def test_the_banks_mouths_lie_where_they_were_seen_wherever_the_face_is_found_to_rest() -> None:
    seen, bank = tracked_portrait(), Bank()
    shapes = [*words(20), *[face()] * 60]
    for k, shape in enumerate(shapes):
        bank.observe(with_face(seen, shape, k))
        if k == 19:
            assert bank.neutral is not None
            before = bank.neutral
    assert bank.neutral is not None
    assert np.abs(bank.neutral - before)[LIPS].max() > 0.01 * WIDTH
    lips = [canonicalise(project(shape, seen.face.pose)).canonical[LIPS] for shape in shapes if seen.face is not None]
    assert len(bank.mouths) >= 3
    for mouth in bank.mouths:
        lies = mouth.shape * mouth_width(bank.neutral) + bank.neutral[LIPS].mean(0)
        assert min(float(np.abs(lies - each).max()) for each in lips) < 1e-4


def test_a_mouth_goes_to_where_a_face_is_found_to_rest_and_does_not_jump() -> None:
    settling, bank = Settling(), Bank(neutral=TEMPLATE)
    moved, at_ns = np.zeros((len(LOWER), 3), np.float32), 40 * MS
    assert not settling(bank, moved, lambda known: moved, at_ns).any()
    bank.neutral = face(talks=True)
    left = [settling(bank, moved, lambda known: moved, at_ns + k * 40 * MS)[:, 1] for k in range(1, 26)]
    assert left[0] == pytest.approx(-LOWER_BY, rel=1e-3)  # all of it is still to be gone
    steps = np.diff([each.mean() for each in left])
    assert (steps > 0).all()
    assert steps.max() < LOWER_BY * 40 * MS / SETTLES_NS
    assert np.abs(left[-1]).max() < 0.01 * LOWER_BY
    bank.neutral = TEMPLATE
    assert not settling(bank, moved, lambda known: moved, at_ns + 5_000 * MS).any()  # nothing was drawn just before


def drawn_at(found: Points | None) -> np.ndarray:
    """Lips (35, 40, 2) on the portrait while it speaks; before the 11th it is found to rest at ``found``."""
    seen, sound = tracked_portrait(), voice("demo")[VOICE_RATE // 2 :]
    assert seen.face is not None
    bank = Bank(neutral=seen.face.canonical, frozen=True)
    generator, lips = MouthbankGenerator(identity=bank, learn=False), []
    generator.hear(sound[: 3 * VOICE_RATE], 0)
    for k in range(45):
        if k == 20 and found is not None:
            bank.neutral = found
        generator.generate(TrackedFrame(frame_of(seen.frame.image, k), seen.face), k * 40 * MS)
        if k >= 10:
            points = generator.people.current.renderer.drawn_points
            assert points is not None
            lips.append(points[LIPS, :2] / seen.face.pose.scale)
    return np.stack(lips)


def test_the_drawn_mouth_does_not_jump() -> None:
    seen = tracked_portrait().face
    assert seen is not None
    found = seen.canonical.copy()
    found[LOWER, 1] += SLIGHTLY  # more would be taken for an expression of the face, which is kept
    apart = (drawn_at(found) - drawn_at(None))[..., 1].mean(1)
    assert np.abs(apart[:10]).max() == 0
    assert np.abs(np.diff(apart)).max() < 0.45 * SLIGHTLY
    assert apart[-1] == pytest.approx(SLIGHTLY * float(seen.pose.rotation[1, 1]), rel=0.1)
