"""Where nothing is drawn, what stands before the mouth is looked for now and then: nobody sees the difference."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.media import voice
from realtime_dub.blend.composite import Compositor
from realtime_dub.media import NS, Image
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.mouthbank import occlusion as occlusions
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.occlusion import IDLE_NS, UNCHANGED_NS, Occlusion
from tests.faces import portrait, tracked_portrait
from tests.test_occlusion import PERIOD_NS, Counting, Paint, mask, microphone, painted, pen, seen

pytestmark = pytest.mark.computes

CALM = 60  # frames
SPOKEN_NS = 3 * NS  # when the voice begins


def known() -> Bank:
    face = tracked_portrait().face
    assert face is not None
    bank = Bank()
    bank.observe(tracked_portrait())
    bank.closed, bank.wide, bank.frozen = face.canonical, 0.2, True
    return bank


def heard() -> np.ndarray:
    """Silence, then somebody who speaks."""
    said = voice("demo")[VOICE_RATE // 2 : 2 * VOICE_RATE]
    return np.concatenate([np.zeros(SPOKEN_NS * VOICE_RATE // NS), said]).astype(np.float32)


def generator() -> tuple[MouthbankGenerator, Counting]:
    made = MouthbankGenerator(identity=known(), silence="live")
    made._occlusion._session = counting = Counting(made._occlusion._session)  # type: ignore[assignment]
    return made, counting


def dubbed(images: list[Image], observes: bool = True) -> tuple[list[Image], list[int]]:
    """As the live loop does it: what leaves, and how often the net was asked up to each frame."""
    made, counting = generator()
    sound, left, asked, at = heard(), [], [], 0
    for k, tracked in enumerate(seen(images)):
        while made.heard_until_ns() < k * PERIOD_NS:
            made.hear(sound[at : at + 640], at * NS // VOICE_RATE)
            at += 640
        patch = made.generate(tracked, k * PERIOD_NS)
        left.append(tracked.frame.image if patch is None else Compositor().compose(tracked, patch, 1.0))
        if observes and k % 3 == 0:
            made.observe(tracked)
        asked.append(counting.calls)
    return left, asked


@pytest.mark.parametrize("observes", [True, False])
def test_in_silence_and_where_nothing_changes_the_net_is_asked_four_times_a_second(observes: bool) -> None:
    _, asked = dubbed([portrait()] * 100, observes)
    calm, spoken = asked[70] - asked[40], asked[99] - asked[84]
    assert 30 * PERIOD_NS // IDLE_NS - 1 <= calm <= 30 * PERIOD_NS // IDLE_NS + 2
    assert 15 * PERIOD_NS // UNCHANGED_NS - 1 <= spoken <= 15 * PERIOD_NS // UNCHANGED_NS + 2


@pytest.mark.parametrize("paint", [mask, microphone, pen])
@pytest.mark.parametrize("before", [1, 3, 5])
def test_speech_that_begins_behind_a_thing_is_as_if_every_frame_was_looked_at(
    paint: Paint, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thing comes so many frames before the voice. What hides the mouth may hide it sooner: nothing has to fade."""
    first = SPOKEN_NS // PERIOD_NS - before
    images = [portrait()] * first + [painted(paint)[0]] * 20
    saved, _ = dubbed(images)
    monkeypatch.setattr(occlusions, "IDLE_NS", 0)
    monkeypatch.setattr(occlusions, "CALM_NS", 1 << 62)
    whole, _ = dubbed(images)
    assert any((one != image).any() for one, image in zip(whole, images, strict=True)) or paint is not pen
    for one, other, image in zip(saved, whole, images, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1 or (one == image).all()


def rested(occlusion: Occlusion) -> int:
    """The number of the next frame, behind one that was not looked at as nothing is drawn."""
    for k, tracked in enumerate(seen([portrait()] * CALM)):
        assert occlusion.look(tracked, idle=True).clear
        if occlusion._idle and tracked.frame.pts_ns - (occlusion._looked_ns or 0) == 2 * PERIOD_NS:
            return k + 1
    raise AssertionError("the net was asked in every frame")


@pytest.mark.parametrize(("paint", "hidden"), [(mask, True), (None, False)])
def test_a_frame_that_is_asked_about_in_earnest_is_looked_at_where_the_face_has_changed(
    paint: Paint | None, hidden: bool
) -> None:
    occlusion = Occlusion()
    occlusion._session = counting = Counting(occlusion._session)  # type: ignore[assignment]
    at = rested(occlusion)
    before, image = counting.calls, portrait() if paint is None else painted(paint)[0]
    tracked = seen([image] * (at + 1))[at]
    assert occlusion.look(tracked, idle=True).clear
    assert counting.calls == before
    assert [occlusion.clear(tracked) for _ in range(3)] == [not hidden] * 3
    assert counting.calls == before + hidden


def test_nothing_is_learnt_of_a_frame_that_was_not_looked_at() -> None:
    made, counting = generator()
    made.hear(np.zeros(4 * VOICE_RATE, np.float32), 0)
    images = [portrait()] * CALM + [painted(mask)[0]] * 12
    mouths = []
    for k, tracked in enumerate(seen(images)):
        assert made.generate(tracked, k * PERIOD_NS) is None
        made.observe(tracked)
        mouths.append(len(made.identity.mouths))
    assert mouths[-1] == mouths[CALM - 1]
    assert counting.calls < CALM
