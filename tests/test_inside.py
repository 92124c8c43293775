"""Teeth and tongue between lips that were never seen apart: painted there, nowhere else, and only where they lack."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from realtime_dub.blend.composite import Compositor
from realtime_dub.blend.masks import dilated, polygon
from realtime_dub.face.landmarks import LIPS_INNER, LIPS_OUTER
from realtime_dub.face.types import TrackedFrame
from realtime_dub.inference.bundle import load_part
from realtime_dub.inference.spec import PaintSpec
from realtime_dub.media import MS, Image
from realtime_dub.mouth.contract import SparesWork
from realtime_dub.mouth.mouthbank import inside as module
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.inside import SIDE, SIZE, Inside
from realtime_dub.mouth.mouthbank.render import Renderer
from tests.faces import frame_of, jaw_drop, portrait, read, tracked_portrait

pytestmark = pytest.mark.computes

OPENED = 0.2  # mouth widths


@cache
def painter() -> Inside:
    return Inside()


def known(tracked: TrackedFrame) -> Bank:
    bank = Bank()
    bank.observe(tracked)
    return bank


def opened(tracked: TrackedFrame, amount: float, renderer: Renderer | None = None) -> Image:
    patch = (renderer or Renderer(known(tracked), painter())).render(tracked, jaw_drop(amount), 1.0, 0)
    assert patch is not None
    return Compositor().compose(tracked, patch, 1.0)


def dark(tracked: TrackedFrame, amount: float) -> Image:
    return opened(tracked, amount, Renderer(known(tracked)))


@cache
def inner() -> np.ndarray:
    """Where the lips of the opened portrait are apart."""
    image = dark(tracked_portrait(), OPENED)
    face = read(image).face
    assert face is not None
    lips = face.points[LIPS_INNER].astype(np.float64)
    return polygon(lips, (0, 0, image.shape[1], image.shape[0])) > 200


def between(image: Image) -> np.ndarray:
    """The grey levels there."""
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[inner()].astype(float)


def test_a_still_portrait_opens_to_more_than_a_dark_slit() -> None:
    tracked = tracked_portrait()
    slit, mouth = between(dark(tracked, OPENED)), between(opened(tracked, OPENED))
    assert mouth.mean() > 1.2 * slit.mean()
    assert np.quantile(mouth - slit, 0.9) > 40  # a tenth of it is teeth
    assert mouth.max() < 250  # and no lamp is lit in it


def test_the_generator_paints() -> None:
    generator, tracked = MouthbankGenerator(), tracked_portrait()
    person = generator.people.expected
    person.learn(tracked)
    assert np.array_equal(opened(tracked, OPENED, person.renderer), opened(tracked, OPENED))


def test_nothing_beyond_the_lips_changes() -> None:
    tracked = tracked_portrait()
    before, after = dark(tracked, OPENED), opened(tracked, OPENED)
    face = read(before).face
    assert face is not None
    outline = dilated(face.points[LIPS_OUTER].astype(np.float64), 0.05 * face.pose.scale)
    lips = polygon(outline, (0, 0, before.shape[1], before.shape[0])) > 0
    changed = (before != after).any(-1)
    assert changed.sum() > 200
    assert not changed[~lips].any()


def test_a_mouth_that_the_bank_knows_open_stays_as_it_is() -> None:
    tracked = tracked_portrait()
    bank, seen = known(tracked), read(dark(tracked, OPENED))
    assert seen.face is not None
    bank.observe(TrackedFrame(frame_of(seen.frame.image), seen.face))
    assert len(bank.mouths) == 2
    for amount in (0.0, 0.05, 0.1, 0.2):
        plain, painting = (opened(tracked, amount, Renderer(bank, each)) for each in (None, painter()))
        assert np.array_equal(plain, painting)


def test_paint_comes_with_the_opening_and_stays() -> None:
    tracked, changes = tracked_portrait(), []
    for amount in (0.0, 0.03, 0.07, 0.08, 0.09, 0.11):
        difference = opened(tracked, amount).astype(int) - dark(tracked, amount)
        changes.append(float(np.abs(difference).sum()))
    assert changes[0] == changes[1] == 0  # shut, and a dark line
    assert changes[2] > 0
    assert changes == sorted(changes)
    assert not np.array_equal(opened(tracked, 0.6), dark(tracked, 0.6))


def test_upper_teeth_stay_with_the_head_while_the_jaw_goes_down() -> None:
    """Where the bright row under the upper lip ends, pixels of the frame."""
    tracked, ends = tracked_portrait(), []
    assert tracked.face is not None
    x, top = tracked.face.points[LIPS_INNER[5], :2]
    unit = tracked.face.pose.scale
    for amount in (0.2, 0.26, 0.32):
        line = cv2.cvtColor(opened(tracked, amount), cv2.COLOR_BGR2GRAY).astype(float)
        columns = slice(int(x - 0.12 * unit), int(x + 0.12 * unit))
        rows = line[int(top) : int(top + 0.16 * unit), columns].mean(1)
        ends.append(int(np.diff(rows).argmin()))
    assert max(ends) - min(ends) <= 1


def test_without_time_the_inside_goes_dark_bit_by_bit_and_comes_back() -> None:
    tracked, inside = tracked_portrait(), Inside()
    renderer, levels = Renderer(known(tracked), inside), []
    for k in range(40):
        inside.short = k < 20
        patch = renderer.render(tracked, jaw_drop(OPENED), 1.0, k * 40 * MS)
        assert patch is not None
        levels.append(between(Compositor().compose(tracked, patch, 1.0)).mean())
    slit, mouth = between(dark(tracked, OPENED)).mean(), between(opened(tracked, OPENED)).mean()
    assert levels[19] == pytest.approx(slit)
    assert levels[-1] == pytest.approx(mouth)
    assert np.abs(np.diff(levels[1:])).max() < 0.2 * (mouth - slit)


def test_the_generator_that_is_short_of_time_tells_the_painter() -> None:
    generator = MouthbankGenerator()
    assert isinstance(generator, SparesWork)
    generator.short = True
    assert generator._inside.short


def test_paint_is_lit_as_the_face_is() -> None:
    face, levels = tracked_portrait().face, []
    for gain in (1.0, 0.5):
        image = np.asarray(portrait() * gain, np.uint8)
        levels.append(between(opened(TrackedFrame(frame_of(image), face), OPENED)).mean())
    assert levels[1] == pytest.approx(0.5 * levels[0], rel=0.15)


@pytest.mark.parametrize("height", [64, 160, 1080])
def test_faces_of_every_size_and_at_the_edge_are_painted_within_the_frame(height: int) -> None:
    tracked = tracked_portrait(height)
    if tracked.face is None:
        return
    y = int(tracked.face.points[LIPS_INNER, 1].mean())
    cut = np.ascontiguousarray(tracked.frame.image[: y + 2])
    for image in (tracked.frame.image, cut):
        each = replace(tracked, frame=frame_of(image))
        assert opened(each, OPENED).shape == image.shape


def test_the_bundle_paints_what_its_first_version_painted() -> None:
    """Written anew for less work, with the same weights: some of the green that 1.0.0 gave."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    image = np.stack([0.3 + 0.4 * x / SIZE, 0.4 + 0.3 * y / SIZE, 0.8 - 0.2 * x / SIZE])
    drawing = np.stack([((x - 48) / wide) ** 2 + ((y - 46) / high) ** 2 < 1 for wide, high in ((38, 24), (32, 16))])
    jaws = np.array([[47, 34, 75, 72], [48, 52, 75, 72]], np.float32)
    given = {"image": image, "drawing": drawing.astype(np.float32), "jaws": jaws}
    painted = load_part("mouthbank", module.PART).session().run({name: each[None] for name, each in given.items()})
    green = painted["painted"][0, 1]
    expected = [
        [0.34465, 0.50108, 0.41295, 0.47721, 0.36085],
        [0.15512, 0.60531, 0.44614, 0.56772, 0.18272],
        [0.16081, 0.19447, 0.18137, 0.19617, 0.18791],
        [0.20953, 0.21159, 0.22820, 0.21998, 0.20543],
        [0.55211, 0.41502, 0.45479, 0.42618, 0.50175],
    ]
    np.testing.assert_allclose(green[[32, 36, 40, 56, 60]][:, [24, 40, 47, 56, 70]], expected, atol=2e-5)
    np.testing.assert_allclose(painted["painted"].mean((0, 2, 3)), [0.29273, 0.32976, 0.41934], atol=2e-5)


def test_the_bundle_is_small_and_sees_what_it_learnt_from() -> None:
    bundle = load_part("mouthbank", module.PART)
    assert isinstance(bundle.spec, PaintSpec)
    assert (bundle.spec.size, bundle.spec.side) == (SIZE, SIDE)
    assert (bundle.folder / bundle.spec.model).stat().st_size < 2_000_000
    assert all(each.licence for each in bundle.spec.training_data)
