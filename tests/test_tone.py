"""The colour of lips: a mouth of the bank that was filmed in another light is drawn as the live lips are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from realtime_dub.blend import colour
from realtime_dub.blend.composite import Compositor
from realtime_dub.face.landmarks import LIPS
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import MS, NS, Floats, Image
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.render import Renderer
from realtime_dub.mouth.mouthbank.tone import Tone, lips_colour
from tests.faces import tracked_portrait, with_lips

pytestmark = pytest.mark.computes

LAMP = np.array([0.6, 1.0, 1.05])  # a warm one, BGR


def lit(image: Image, light: Floats) -> Image:
    return np.clip(image * light, 0, 255).astype(np.uint8)


def later(tracked: TrackedFrame, at_ns: int, image: Image | None = None) -> TrackedFrame:
    frame = tracked.frame
    return replace(tracked, frame=replace(frame, pts_ns=at_ns, image=frame.image if image is None else image))


def lips_of(tracked: TrackedFrame, image: Image) -> Floats:
    assert tracked.face is not None
    return lips_colour(image, tracked.face.points[LIPS])


@pytest.mark.parametrize("light", [LAMP, 1 / LAMP], ids=["warm", "cold"])
def test_a_mouth_from_another_light_is_drawn_in_the_colour_of_the_live_lips(light: Floats) -> None:
    bank, tracked = Bank(), tracked_portrait()
    bank.observe(tracked)
    other = replace(bank.mouths[0], image=lit(bank.mouths[0].image, light))
    patch = Renderer(bank).show(tracked, other)
    assert patch is not None
    made = Compositor().compose(tracked, patch, 1.0)
    live = lips_of(tracked, tracked.frame.image)
    assert np.abs(lips_colour(other.image, other.lips) - live).max() > 20
    assert np.abs(lips_of(tracked, made) - live).max() < 6


def test_what_is_dark_between_lips_stays_dark() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[20:] = (80, 90, 150)
    where = np.full((40, 60), 255, np.uint8)
    usual = colour.grey_of(np.array([80, 90, 150], np.float32))
    made = colour.add_two(image, np.full(3, 50, np.float32), np.array([30, 0, -20], np.float32), where, usual)
    assert not made[:20].any()
    assert np.abs(made[20:].astype(int) - (110, 90, 130)).max() <= 1
    beside = colour.add_two(image, np.full(3, 50, np.float32), np.zeros(3, np.float32), where * 0, usual)
    assert (beside == image + 50).all()


def test_another_light_is_followed_at_once_and_another_lip_slowly() -> None:
    tracked, tone = tracked_portrait(), Tone()
    assert not tone.known(tracked)
    for k in range(50):
        tone.follow(later(tracked, k * 40 * MS))
    first = tone.lips.copy()
    tone.follow(later(tracked, 2 * NS, lit(tracked.frame.image, LAMP)))
    assert tone.lips == pytest.approx(first * LAMP, abs=4)
    pale = with_lips(-60, -60, 0)
    tone.follow(later(tracked, 2 * NS + 40 * MS, pale))
    assert np.abs(tone.lips - first).max() < 6
    for k in range(100):
        tone.follow(later(tracked, 3 * NS + k * 40 * MS, pale))
    assert tone.lips == pytest.approx(lips_of(tracked, pale), abs=3)


@pytest.mark.parametrize("gap", ["a cut", "a long while", "an earlier frame"])
def test_behind_a_break_lips_are_learnt_anew(gap: str) -> None:
    tracked, tone = tracked_portrait(), Tone()
    tone.follow(later(tracked, NS))
    at_ns = {"a cut": NS + 40 * MS, "a long while": 4 * NS, "an earlier frame": NS // 2}[gap]
    pale = with_lips(-60, -60, 0)
    again = later(tracked, at_ns, pale)
    if gap == "a cut":
        again = replace(again, shot=tracked.shot + 1)
        assert not tone.known(again)
    tone.follow(again)
    assert tone.lips == pytest.approx(lips_of(tracked, pale), abs=1)
