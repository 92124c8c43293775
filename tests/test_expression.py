"""What stays of the live mouth under another voice: a smile, a raised corner, pressed lips; not its words."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
import pytest

from benchmarks.expression import EXPRESSIONS, bent
from realtime_dub.blend.composite import Compositor
from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width
from realtime_dub.face.landmarks import CORNERS, LIPS_OUTER, mean_lip_opening
from realtime_dub.face.types import Face, Points, Pose, TrackedFrame
from realtime_dub.media import MS, Frame, Image
from realtime_dub.mouth.mouthbank import measures
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.expression import Expression
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.looks import MOST_LOOKS
from realtime_dub.mouth.mouthbank.people import Person
from realtime_dub.mouth.mouthbank.render import Renderer
from realtime_dub.mouth.mouthbank.way import Way
from tests.faces import jaw_drop, read, tracked_portrait
from tests.sitters import at_rest, dubbed, sitter

pytestmark = pytest.mark.computes

FRAME_NS = 40 * MS
POSE = Pose(np.eye(3, dtype=np.float32), 1.0, np.zeros(3, np.float32))
BLACK = np.zeros((2, 2, 3), np.uint8)
LEFT, RIGHT = np.searchsorted(LOWER, CORNERS)


def shape(expression: str = "none", share: float = 1.0, opened: float = 0.0, spread: float = 0.0) -> Points:
    """A face with an expression; it opens the mouth, and spreads (or rounds) the lips as vowels do."""
    made = TEMPLATE + np.float32(share) * EXPRESSIONS[expression] + np.float32(spread) * EXPRESSIONS["smile"]
    made[LOWER] += jaw_drop(opened)
    return made


def look(canonical: Points, k: int, shot: int = 0) -> TrackedFrame:
    return TrackedFrame(Frame(BLACK, k * FRAME_NS, k), Face(canonical, canonical, POSE), "", shot)


@pytest.fixture(scope="module")
def bank() -> Bank:
    """Of somebody who was seen to speak without a smile."""
    bank = Bank()
    for k in range(30):
        bank.learn_face(shape(opened=0.2 * max(0.0, float(np.sin(k)))), k * 120 * MS)
    return bank


def followed(shapes: Iterable[Points], bank: Bank) -> np.ndarray:
    """What is kept in each frame (T, points, 3)."""
    expression = Expression()
    return np.stack([expression.kept(look(each, k), bank) for k, each in enumerate(shapes)])


def on_face(kept: np.ndarray) -> np.ndarray:
    whole = np.zeros((len(kept), 478, 3), np.float32)
    whole[:, LOWER] = kept
    return whole


def raised(kept: Points) -> tuple[float, float]:
    return -float(kept[LEFT, 1]), -float(kept[RIGHT, 1])


def spoken(k: int) -> dict[str, float]:
    """Four syllables a second, every other one with spread lips."""
    at = 2 * np.pi * 4 * k / 25
    return {"opened": 0.12 * (1 - np.cos(at)), "spread": 0.4 * float(np.sin(at / 2))}


def test_a_smile_is_kept_and_goes_again(bank: Bank) -> None:
    share = np.clip(np.minimum(np.arange(75) - 10, 60 - np.arange(75)) / 10, 0, 1)
    kept = followed([shape("smile", each, **spoken(k)) for k, each in enumerate(share)], bank)
    height = -kept[:, [LEFT, RIGHT], 1].mean(1)
    assert np.corrcoef(height, share)[0, 1] > 0.85
    assert height[30:50].mean() == pytest.approx(0.13, abs=0.03)
    assert np.abs(height[[0, 5, -1]]).max() < 0.02
    wide = (kept[:, RIGHT, 0] - kept[:, LEFT, 0]) / 2
    assert wide[30:50].mean() == pytest.approx(0.1, abs=0.03)


def test_a_mouth_that_does_not_speak_is_followed_at_once(bank: Bank) -> None:
    share = np.clip((np.arange(50) - 25) / 12, 0, 1)
    kept = followed([shape("smile", each) for each in share], bank)
    height = -kept[:, [LEFT, RIGHT], 1].mean(1) / 0.13
    assert height[37] > 0.85 * share[37]


def test_a_slight_smile_is_kept_in_a_mouth_that_does_not_speak(bank: Bank) -> None:
    share = np.clip(np.arange(50) / 12, 0, 1)
    assert raised(followed([shape("slight smile", each) for each in share], bank)[-1])[0] > 0.05


# Who talks stands lower and narrower than at rest, without an expression.

LOWERED = -0.5  # of a smile


def lowered(k: int, share: float = 1.0, smiles: float = 0.0) -> Points:
    """A mouth that talks, so much lower; it may smile, too."""
    return shape("smile", LOWERED * share + smiles, **spoken(k))


def usual_line() -> np.ndarray:
    """Of mouths that talk (2, points * 3): lowered, and opened by a jaw."""
    width = mouth_width(TEMPLATE)
    opened = np.float32(mean_lip_opening(shape(opened=0.1)) - mean_lip_opening(TEMPLATE)) / width
    return np.stack([np.float32(LOWERED) * EXPRESSIONS["smile"][LOWER], jaw_drop(0.1) / opened]).reshape(2, -1) / width


def met(shapes: Iterable[Points], usual: np.ndarray | None) -> Bank:
    bank = Bank(usual=usual)
    for k, each in enumerate(shapes):
        bank.learn_face(each, k * 40 * MS)
    return bank


@pytest.fixture(scope="module")
def talker() -> Bank:
    """Of somebody who was seen to rest, and to talk."""
    return met([shape()] * 60 + [lowered(k) for k in range(60)] + [shape()] * 60, usual_line())


def test_a_mouth_that_talks_has_no_expression(talker: Bank) -> None:
    kept = followed([lowered(k) for k in range(75)], talker)
    assert np.abs(kept).max() < 0.01


def test_nor_has_one_that_talks_and_rests_by_turns(talker: Bank) -> None:
    shapes = [lowered(k) if k // 25 % 2 == 0 else shape() for k in range(150)]
    assert np.abs(followed(shapes, talker)).max() < 0.03  # where it falls silent, for some frames


def test_a_smile_of_a_mouth_that_talks_is_kept_whole(talker: Bank) -> None:
    kept = followed([lowered(k, smiles=1.0) for k in range(75)], talker)
    height = -kept[30:, [LEFT, RIGHT], 1].mean()
    assert height == pytest.approx(0.13, abs=0.02)


def test_who_stands_lower_than_most_is_known_by_it_once_they_were_seen(talker: Bank) -> None:
    talks = np.stack([lowered(k, 1.8) for k in range(MOST_LOOKS)])
    known = talker.copy()
    assert known.neutral is not None
    known.way = Way.of(talks, known.neutral)
    before, after = (np.abs(followed(talks[:75], each)[30:]).mean() for each in (talker, known))
    assert after < 0.5 * before


def test_without_a_usual_line_a_face_is_followed_from_rest(talker: Bank) -> None:
    bank = talker.copy()
    bank.usual = None
    kept = followed([lowered(k) for k in range(75)], bank)
    assert -kept[-1, [LEFT, RIGHT], 1].mean() < -0.03


def test_each_corner_alone(bank: Bank) -> None:
    left, right = raised(followed([shape("one corner", **spoken(k)) for k in range(40)], bank)[-1])
    assert right == pytest.approx(0.12, abs=0.04)
    assert abs(left) < 0.03


def test_pressed_lips_stay_thin(bank: Bank) -> None:
    kept = followed([shape("pressed")] * 30, bank)[-1]
    thick = [TEMPLATE, TEMPLATE.copy()]
    thick[1][LOWER] += kept
    heights = [each[LIPS_OUTER[15], 1] - each[LIPS_OUTER[5], 1] for each in thick]
    assert heights[1] < 0.75 * heights[0]


def test_words_of_the_live_mouth_are_not_kept(bank: Bank) -> None:
    kept = followed([shape(**spoken(k)) for k in range(100)], bank)
    seen = np.stack([shape(**spoken(k))[LOWER] for k in range(100)])
    assert np.std(kept[:, [LEFT, RIGHT], 1]) < 0.1 * np.std(seen[:, [LEFT, RIGHT], 1])
    opening = mean_lip_opening(np.stack([shape(opened=0.1)] * 100) + on_face(kept))
    assert np.ptp(opening) < 0.005
    assert np.std(kept[:, [LEFT, RIGHT], 0], axis=0).max() < 0.1 * np.std(seen[:, [LEFT, RIGHT], 0], axis=0).max()


@pytest.mark.parametrize("name", [name for name in EXPRESSIONS if name != "none"])
@pytest.mark.parametrize("opened", [0.0, 0.3])
def test_no_expression_parts_the_lips_nor_keeps_an_open_jaw(bank: Bank, name: str, opened: float) -> None:
    kept = followed([shape(name, opened=opened)] * 40, bank)[-1]
    assert kept.any()
    shut = TEMPLATE.copy()
    shut[LOWER] += kept
    assert mean_lip_opening(shut) == pytest.approx(float(mean_lip_opening(TEMPLATE)), abs=0.003)


def test_it_begins_anew_at_a_cut_and_after_a_while_without_a_face(bank: Bank) -> None:
    for later, shot in ((0, 1), (60, 0)):
        expression = Expression()
        for k in range(30):
            expression.kept(look(shape("smile"), k), bank)
        assert raised(expression.kept(look(shape("smile"), 30), bank))[0] > 0.1
        assert abs(raised(expression.kept(look(shape(), 31 + later, shot), bank))[0]) < 0.01


def test_the_same_frame_again_changes_nothing_and_nothing_piles_up(bank: Bank) -> None:
    expression = Expression()
    frames = [look(shape("smile", **spoken(k)), k) for k in range(200)]
    first = expression.kept(frames[0], bank)
    assert np.array_equal(first, expression.kept(frames[0], bank))
    size = held(expression)
    for frame in frames:
        expression.kept(frame, bank)
    assert held(expression) == size


def held(expression: Expression) -> int:
    """Bytes of its arrays."""
    return sum(np.asarray(each).nbytes for each in vars(expression).values() if not isinstance(each, tuple))


def test_everybody_has_their_own(bank: Bank) -> None:
    one, other = Person.with_bank(bank.copy()), Person.with_bank(bank.copy())
    for k in range(30):
        one.expression.kept(look(shape("smile"), k), one.bank)
    assert not np.abs(other.expression.kept(look(shape(), 30), other.bank)).max() > 0.01


def test_a_smile_does_not_become_the_resting_face_unless_it_stays() -> None:
    bank = Bank()
    for k in range(24):
        bank.learn_face(shape(opened=0.1 * (k % 3)), k * 120 * MS)
    assert bank.neutral is not None
    rest, wide = bank.neutral.copy(), bank.wide
    for k in range(24, 24 + MOST_LOOKS):
        bank.learn_face(shape("smile", opened=0.15 * (k % 3)), k * 120 * MS)
    assert np.abs(bank.neutral - rest).max() < 0.02
    assert bank.wide == pytest.approx(wide, abs=0.02)
    for k in range(MOST_LOOKS):
        bank.learn_face(shape("smile"), (24 + MOST_LOOKS + k) * 120 * MS)
    assert mouth_width(bank.neutral) > mouth_width(rest) + 0.1


def test_who_is_met_smiling_is_known_at_rest_once_they_rest() -> None:
    bank = Bank()
    for k in range(60):
        bank.learn_face(shape("smile", share=1.0 if k < 24 else 0.0), k * 120 * MS)
    assert bank.neutral is not None
    assert mouth_width(bank.neutral) == pytest.approx(mouth_width(TEMPLATE), abs=0.02)


@cache
def smiling_portrait(opened: float = 0.0) -> Image:
    tracked = tracked_portrait()
    assert tracked.face is not None
    moved = EXPRESSIONS["smile"].copy()
    moved[LOWER] += jaw_drop(opened)
    return bent(tracked.frame.image, tracked.face, moved)


@pytest.mark.parametrize("opened", [0.0, 0.15])
def test_lips_close_on_p_b_and_m_while_smiling(opened: float) -> None:
    bank, expression, tracked = Bank(), Expression(), read(smiling_portrait(opened))
    bank.observe(tracked_portrait())
    kept = expression.kept(tracked, bank)
    patch = Renderer(bank).render(tracked, jaw_drop(0.0), 1.0, 0, kept=kept)
    assert patch is not None
    face = read(Compositor().compose(tracked, patch, 1.0)).face
    assert face is not None
    assert float(mean_lip_opening(face.canonical)) < 0.045
    assert corners_of(face) > corners_of(tracked_portrait().face) + 0.06


def corners_of(face: Face | None) -> float:
    assert face is not None
    return -float(face.canonical[list(CORNERS), 1].mean())


def test_a_smiling_face_keeps_its_corners_while_dubbed() -> None:
    rest = at_rest("first")
    smiling = bent(sitter("first"), rest, EXPRESSIONS["smile"])
    shown = list(dubbed(MouthbankGenerator(), [sitter("first")] * 4 + [smiling] * 20))[-5:]
    assert all(each.patch is not None for each in shown)
    assert np.mean([corners_of(read(each.image).face) for each in shown]) > corners_of(rest) + 0.06


def test_measures_in_one_product_are_those_of_their_definition() -> None:
    shapes = np.random.default_rng(0).normal(size=(3, 478, 3)).astype(np.float32)
    assert np.allclose(measures.measures(shapes), measures._defined(shapes), atol=1e-5)
    assert np.allclose(measures.measures(shapes[0]), measures._defined(shapes)[0], atol=1e-5)
