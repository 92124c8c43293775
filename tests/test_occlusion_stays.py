"""A thing that came before a face is there until it has gone, also where the net loses sight of it."""

from __future__ import annotations

from itertools import count

import cv2
import numpy as np
import pytest

from realtime_dub.media import MS, Image
from realtime_dub.mouth.mouthbank.occlusion_stays import MANY, UNSEEN_NS, ClearFace, Staying
from realtime_dub.mouth.mouthbank.occlusion_view import SIZE

pytestmark = pytest.mark.computes

STEP_NS = 40 * MS
EVERYWHERE = np.full((SIZE, SIZE), 255, np.uint8)
MOUTH = cv2.ellipse(np.zeros((SIZE, SIZE), np.uint8), (48, 48), (14, 6), 0, 0, 360, (255,), -1)
HAND = np.zeros((SIZE, SIZE), np.uint8)
HAND[:40, 50:70] = 1
NOTHING = np.zeros((SIZE, SIZE), np.float32)


def face(light: float = 0.0) -> Image:
    """Skin with a gradient and a mouth."""
    image = np.full((SIZE, SIZE, 3), (120, 140, 170), np.float32)
    image += np.linspace(-20, 20, SIZE, dtype=np.float32)[None, :, None] + light
    image[MOUTH > 0] = (90, 90, 160)
    return np.clip(image, 0, 255).astype(np.uint8)


def behind_hand(light: float = 0.0) -> Image:
    """The same, a hand of nearly its colour before it."""
    image = face(light).astype(np.float32)
    image[HAND > 0] += (-30, -25, -20)
    return np.clip(image, 0, 255).astype(np.uint8)


CLOCK = count(start=1_000 * STEP_NS, step=STEP_NS)


def looked(staying: Staying, image: Image, seen: float = 0.0, yaw: float = 0.0, sure: bool = False) -> np.ndarray:
    """The covered pixels, where the net sees the hand with this probability."""
    found = (HAND * seen).astype(np.float32)
    covered = staying(HAND.copy() if sure else None, found, image, EVERYWHERE, MOUTH, yaw, next(CLOCK))
    return np.zeros((SIZE, SIZE), bool) if covered is None else covered > 0


def known(looks: int = MANY) -> Staying:
    """One face, seen with nothing before it."""
    staying = Staying()
    for _ in range(looks):
        assert not looked(staying, face()).any()
    return staying


def test_a_thing_is_followed_with_less_proof_than_it_takes_to_be_believed() -> None:
    staying = known()
    assert not looked(staying, behind_hand(), seen=0.6).any()
    assert looked(staying, behind_hand(), seen=0.99, sure=True).any()
    assert looked(staying, behind_hand(), seen=0.6)[HAND > 0].all()


def test_a_hand_that_the_net_loses_stays_as_long_as_the_face_looks_unlike_itself() -> None:
    staying = known()
    looked(staying, behind_hand(), seen=0.99, sure=True)
    covers = [looked(staying, behind_hand()) for _ in range(20)]
    assert all(each[HAND > 0].mean() > 0.8 for each in covers)
    assert covers[-1][HAND == 0].mean() < 0.03
    assert not looked(staying, face()).any()  # gone
    assert not looked(staying, behind_hand()).any()  # nothing begins by that alone


def test_nothing_stays_for_ever_that_the_net_does_not_see() -> None:
    staying = known()
    looked(staying, behind_hand(), seen=0.99, sure=True)
    covers = [looked(staying, behind_hand()) for _ in range(UNSEEN_NS // STEP_NS + 2)]
    assert covers[0].any()
    assert not covers[-1].any()


def test_a_doubt_about_much_of_the_face_does_not_undo_what_its_look_alone_tells() -> None:
    staying = known()
    looked(staying, behind_hand(), seen=0.99, sure=True)
    doubtful = np.s_[:, 58:]  # beside the hand, and two fifths of the face
    image = behind_hand().astype(np.float32)
    image[doubtful] += 9  # less than would be unlike the face without a doubt
    found = NOTHING.copy()
    found[doubtful] = 0.03
    covered = staying(None, found, image.astype(np.uint8), EVERYWHERE, MOUTH, 0.0, next(CLOCK))
    assert covered is not None
    assert covered[HAND > 0].mean() > 0.8
    assert covered[HAND == 0].mean() < 0.1


def test_another_light_is_no_thing_and_a_turned_head_is_not_compared() -> None:
    for light, yaw in ((30.0, 0.0), (0.0, 0.4)):
        staying = known()
        looked(staying, behind_hand(), seen=0.99, sure=True)
        bright = np.roll(face(light), 9, axis=1) if yaw else face(light)
        assert not looked(staying, bright, yaw=yaw).any()


def test_lips_that_move_beside_a_thing_are_not_taken_for_it() -> None:
    staying = Staying()
    for _ in range(MANY // 2):
        looked(staying, face())
    looked(staying, behind_hand(), seen=0.99, sure=True)
    moved = behind_hand()
    moved[MOUTH > 0] = (20, 20, 30)
    assert not looked(staying, moved)[(MOUTH > 0) & (HAND == 0)].any()


def test_a_look_is_learnt_from_later_and_that_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at a face alone is learnt from in the frame behind it, or by the next look."""
    seen: list[int] = []
    see = ClearFace.see
    monkeypatch.setattr(ClearFace, "see", lambda *told: (seen.append(1), see(*told))[1])
    rng, after, before = np.random.default_rng(2), Staying(), Staying()
    for k in range(12):
        image = np.clip(face().astype(np.float32) + rng.normal(0, 6, (SIZE, SIZE, 3)), 0, 255).astype(np.uint8)
        for staying in (after, before):
            done = len(seen)
            assert staying(None, NOTHING, image, EVERYWHERE, MOUTH, 0.01 * k, k * STEP_NS) is None
            assert len(seen) - done == (k > 0 and staying is before)  # what waited, never more than one look
            if staying is after:
                staying.learn()
                assert len(seen) - done == 1
                staying.learn()  # once
                assert len(seen) - done == 1
    before.learn()
    for name in ("_mean", "_variance", "_looks", "_yaw"):
        assert np.array_equal(getattr(after._face, name), getattr(before._face, name))
    covers = [looked(each, behind_hand(), seen=0.99, sure=True) for each in (after, before)]
    assert covers[0].any()
    assert np.array_equal(*covers)


def another_face() -> Image:
    coarse = np.random.default_rng(0).uniform(40, 220, (8, 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR), np.uint8)


@pytest.mark.parametrize(("image", "stays"), [(behind_hand(), True), (another_face(), False)])
def test_a_thing_stays_where_the_face_was_lost_behind_it_and_not_before_another_one(image: Image, stays: bool) -> None:
    staying = known()
    looked(staying, behind_hand(), seen=0.99, sure=True)
    staying.doubt()
    assert looked(staying, image).any() == stays


def test_a_hand_at_rest_that_is_seen_at_its_edge_alone_is_there_whole() -> None:
    staying, tip = known(), HAND.copy()
    tip[6:] = 0
    found = np.zeros((SIZE, SIZE), np.float32)
    for _ in range(2):  # it has come, and of all of it the net sees a tip
        covered = staying(tip, tip * np.float32(0.99), behind_hand(), EVERYWHERE, MOUTH, 0.0, next(CLOCK))
    assert covered is not None
    assert (covered > 0)[HAND > 0].mean() > 0.9
    assert (covered > 0)[HAND == 0].mean() < 0.01
    assert staying(None, found, face(), EVERYWHERE, MOUTH, 0.0, next(CLOCK)) is None


def test_a_hand_may_pull_the_landmarks_along() -> None:
    staying = known()
    looked(staying, behind_hand(), seen=0.99, sure=True)
    assert looked(staying, behind_hand(), yaw=0.2)[HAND > 0].mean() > 0.8
    assert not looked(staying, behind_hand(), yaw=0.5).any()


def test_what_neither_the_net_nor_the_faces_look_tells_both_together_do() -> None:
    image = face().astype(np.float32)
    image[HAND > 0] += (-10, -10, -10)  # of the face's own colour, on lips as well
    pale = np.clip(image, 0, 255).astype(np.uint8)
    covered = {}
    for doubt in (0.0, 0.05):
        staying = known()
        assert not looked(staying, pale, seen=doubt).any()  # nothing begins by that
        looked(staying, behind_hand(), seen=0.99, sure=True)
        covered[doubt] = looked(staying, pale, seen=doubt)
    assert not covered[0.0].any()
    assert covered[0.05][HAND > 0].mean() > 0.7  # all but a pale rim
    assert covered[0.05][HAND == 0].mean() < 0.03
