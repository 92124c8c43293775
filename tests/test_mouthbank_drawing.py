"""The drawn mouth: bank, renderer, cavity and gate, measured by finding the face again in the result."""

from __future__ import annotations

import io
import itertools
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_dub.blend.composite import Compositor
from realtime_dub.blend.masks import lower_face, polygon
from realtime_dub.errors import BundleError
from realtime_dub.face.landmarks import LIPS_INNER
from realtime_dub.media import MS, Image
from realtime_dub.mouth.gate import FADE_IN_NS, FADE_OUT_NS, HOLD_NS, SpeechGate
from realtime_dub.mouth.mouthbank.bank import CAPACITY, Bank, lip_shape
from realtime_dub.mouth.mouthbank.cavity import max_lip_opening
from realtime_dub.mouth.mouthbank.render import Lips, Renderer, _unbent
from tests.faces import frame_of, jaw_drop, opening_of, read, tracked_portrait

pytestmark = pytest.mark.computes


@pytest.fixture
def bank() -> Bank:
    bank = Bank()
    bank.observe(tracked_portrait())
    return bank


def drawn(bank: Bank, amount: float, share: float = 1.0) -> Image:
    tracked = tracked_portrait()
    patch = Renderer(bank).render(tracked, jaw_drop(amount), share, 0)
    assert patch is not None
    return Compositor().compose(tracked, patch, 1.0)


def test_a_still_face_opens_its_mouth_as_far_as_told(bank: Bank) -> None:
    shut, half, wide = (opening_of(drawn(bank, amount)) for amount in (0.0, 0.1, 0.2))
    assert shut < 0.05
    assert half == pytest.approx(0.11, abs=0.05)
    assert wide == pytest.approx(0.2, abs=0.06)


def test_lips_that_are_asked_to_pass_through_each_other_touch(bank: Bank) -> None:
    touching, crossed = drawn(bank, -0.02).astype(int), drawn(bank, -0.3).astype(int)
    assert opening_of(crossed.astype(np.uint8)) < 0.05
    assert np.abs(touching - crossed).mean() < 0.5


def test_of_two_bank_mouths_the_one_that_need_not_be_opened_is_taken(bank: Bank) -> None:
    tracked = tracked_portrait()
    assert tracked.face is not None
    assert bank.neutral is not None
    renderer = Renderer(bank)
    asked = lip_shape(renderer._target(tracked.face, bank.neutral, jaw_drop(0.2), 1.0), bank.neutral)
    moved, wider, narrower = asked.copy(), asked.copy(), asked.copy()
    moved[:, 1] += 0.015
    wider[30:, 1] += 0.02
    narrower[30:, 1] -= 0.02  # nearer than the moved one by the mean of the points, and not the one to take
    for better in (moved, wider):
        bank.mouths = [
            replace(bank.mouths[0], shape=shape, max_lip_opening=max_lip_opening(shape)) for shape in (narrower, better)
        ]
        assert (
            renderer._choose(tracked.face, Lips(asked), Lips(lip_shape(tracked.face.canonical, bank.neutral)))[0]
            is bank.mouths[1]
        )


def test_a_bank_mouth_keeps_some_of_its_shape_but_lips_that_should_touch_do(bank: Bank) -> None:
    tracked = tracked_portrait()
    assert tracked.face is not None
    assert bank.neutral is not None
    renderer = Renderer(bank)
    open_mouth, shut_mouth = (
        lip_shape(renderer._target(tracked.face, bank.neutral, jaw_drop(amount), 1.0), bank.neutral)
        for amount in (0.2, 0.0)
    )
    mouth = replace(bank.mouths[0], shape=open_mouth, max_lip_opening=max_lip_opening(open_mouth))
    halfway = (open_mouth + shut_mouth) / 2
    kept = _unbent(mouth, Lips(halfway), 1.0)
    assert max_lip_opening(halfway[:, :2]) < max_lip_opening(halfway[:, :2] + kept) < max_lip_opening(open_mouth[:, :2])
    assert 0 < np.abs(kept).max() < 0.5 * np.abs((open_mouth - halfway)[:, :2]).max()
    pressed = shut_mouth.copy()
    pressed[20:] = pressed[20]
    assert not _unbent(mouth, Lips(pressed), 1.0).any()
    assert not _unbent(mouth, Lips(halfway), 0.0).any()
    far = _unbent(replace(mouth, shape=open_mouth + np.float32([0, 0.5, 0])), Lips(halfway), 1.0)
    assert np.abs(far).max() < 0.03


def test_an_unseen_inside_is_dark_and_not_stretched_skin(bank: Bank) -> None:
    tracked = tracked_portrait()
    assert tracked.face is not None
    before, after = tracked.frame.image, drawn(bank, 0.25)
    # The middle of the opening lies about an eighth of a mouth width under the line of the closed lips.
    x, y = tracked.face.points[LIPS_INNER[[5, 15]], :2].mean(0)
    y += 0.11 * tracked.face.pose.scale
    patch = (slice(int(y) - 2, int(y) + 3), slice(int(x) - 8, int(x) + 9))
    assert after[patch].mean() < 0.5 * before[patch].mean()


def test_nothing_outside_the_lower_face_changes(bank: Bank) -> None:
    tracked = tracked_portrait()
    assert tracked.face is not None
    after = drawn(bank, 0.2)
    outline = lower_face(tracked.face.points, tracked.face.pose.scale)
    inside = polygon(outline, (0, 0, tracked.frame.width, tracked.frame.height)) > 0
    assert np.array_equal(after[~inside], tracked.frame.image[~inside])
    assert (after[inside] != tracked.frame.image[inside]).any(-1).mean() > 0.2


def test_share_goes_from_the_live_mouth_to_the_dubbed_one(bank: Bank) -> None:
    openings = [opening_of(drawn(bank, 0.2, share)) for share in (0.0, 0.5, 1.0)]
    assert openings == sorted(openings)
    untouched = drawn(bank, 0.2, 0.0).astype(int) - tracked_portrait().frame.image
    assert np.abs(untouched).max() <= 2


def test_an_enrolled_open_mouth_is_used_and_shows_its_inside(bank: Bank) -> None:
    # The person is enrolled with an open mouth whose inside is painted blue, which nothing else in the face is.
    tracked = tracked_portrait()
    open_picture = drawn(bank, 0.22).copy()
    seen = read(open_picture)
    assert seen.face is not None
    inner = np.rint(seen.face.points[LIPS_INNER, :2]).astype(np.int32)
    cv2.fillPoly(open_picture, [inner], (200, 40, 40))
    enrolled = Bank()
    enrolled.observe(tracked)
    enrolled.observe(type(seen)(frame_of(open_picture), seen.face))
    assert len(enrolled.mouths) == 2
    result = drawn(enrolled, 0.2).astype(int)
    assert ((result[..., 0] - result[..., 2]) > 60)[200:320, 200:340].sum() > 100


def test_tiny_and_cut_faces_give_a_patch_inside_the_frame_or_none(bank: Bank) -> None:
    small = tracked_portrait(64)
    if small.face is not None:
        patch = Renderer(bank).render(small, jaw_drop(0.2), 1.0, 0)
        if patch is not None:
            x, y, w, h = patch.box
            assert x >= 0
            assert y >= 0
            assert x + w <= small.frame.width
            assert y + h <= small.frame.height


def test_bank_is_bounded_and_keeps_variety(bank: Bank) -> None:
    tracked = tracked_portrait()
    for step in range(3 * CAPACITY):
        picture = drawn(bank, 0.0)
        assert tracked.face is not None
        canonical = tracked.face.canonical.copy()
        canonical[LIPS_INNER[11:], 1] += 0.3 * (step % 97) / 97
        face = type(tracked.face)(tracked.face.points, canonical, tracked.face.pose)
        bank.observe(type(tracked)(frame_of(picture, step), face))
        if step > 4 and len(bank.mouths) == CAPACITY and step % 40:
            continue
    gaps = sorted(mouth.max_lip_opening for mouth in bank.mouths)
    assert len(bank.mouths) <= CAPACITY
    assert gaps[-1] - gaps[0] > 0.2


def test_bank_survives_saving(bank: Bank, tmp_path: Path) -> None:
    path = tmp_path / "me.bank"
    bank.save(path)
    loaded = Bank.load(path)
    assert np.array_equal(loaded.neutral, bank.neutral)
    assert np.array_equal(loaded.mouths[0].image, bank.mouths[0].image)
    assert np.array_equal(drawn(loaded, 0.15), drawn(bank, 0.15))


@pytest.mark.parametrize("content", [b"", b"not a bank", b"PK\x03\x04 broken"])
def test_a_broken_bank_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.bank"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"cannot read bank .*bad\.bank"):
        Bank.load(path)


def test_a_bank_with_a_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.bank"
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("format.npy", stream.getvalue())
    with pytest.raises(BundleError):
        Bank.load(path)


def test_gate_opens_fast_shuts_slowly_and_bridges_short_pauses() -> None:
    gate, step = SpeechGate(), 20 * MS

    def run(speech: float, length_ns: int, start_ns: int) -> list[float]:
        return [gate(speech, start_ns + n * step) for n in range(length_ns // step)]

    assert max(run(0.1, 400 * MS, 0)) == 0
    rise = run(0.9, 400 * MS, 400 * MS)
    assert rise[FADE_IN_NS // step] == 1.0
    assert min(run(0.1, HOLD_NS - step, 800 * MS)) == 1.0
    after = run(0.1, 1000 * MS, 800 * MS + HOLD_NS)
    assert after[-1] == 0
    assert 0 < after[(FADE_OUT_NS // 2) // step] < 1
    assert max(abs(a - b) for a, b in itertools.pairwise(after)) <= step / FADE_OUT_NS + 1e-9
