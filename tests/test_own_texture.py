"""own-texture: medians of a person's own frames, teeth, and what is laid into the frame; with the shipped bundle."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_dub.blend.composite import Compositor
from realtime_dub.blend.masks import lower_face, polygon
from realtime_dub.errors import BundleError
from realtime_dub.face.landmarks import LIPS, SPARSE_LIPS
from realtime_dub.inference.bundle import load_default, look_aheads
from realtime_dub.media import MS, Image
from realtime_dub.mouth import registry
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.own_texture.generator import OwnTextureGenerator
from realtime_dub.mouth.own_texture.median import SHARE, UNIT, shares_of, weighted_median, whole, width_for
from realtime_dub.mouth.own_texture.render import ENOUGH, TextureRenderer
from realtime_dub.mouth.own_texture.shape import LipStream
from realtime_dub.mouth.own_texture.synthesis import Synthesis, spread
from realtime_dub.mouth.own_texture.teeth import Chosen, Teeth, inside, lines
from realtime_dub.mouth.own_texture.textures import (
    CAPACITY,
    HEIGHT,
    PIXELS,
    SPARSE_PLACES,
    WIDTH,
    Texture,
    Textures,
    distances,
    place_of,
)
from tests.faces import frame_of, jaw_drop, opening_of, portrait, tracked_portrait
from tests.talkers import mouth_frame
from tests.test_motion import syllables

pytestmark = pytest.mark.computes

RATE = 16_000


def slow_median(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """One value after another: sorted, and added up until half of the weight is there."""
    found = np.empty(images.shape[1:], np.uint8)
    for at in np.ndindex(*found.shape):
        values = images[(slice(None), *at)]
        order = np.argsort(values, kind="stable")
        total = 0
        for place in order:
            total += int(weights[place])
            if 2 * total >= int(weights.sum()):
                found[at] = values[place]
                break
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**31), st.sampled_from([2, 17, 256]))
def test_a_median_is_the_slow_ones_to_the_level(count: int, seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, levels, (count, 3, 4, 3), dtype=np.uint8)
    weights = whole(shares_of(rng.random(count).astype(np.float32) * 0.2, max(1, count // 4)))
    assert 0 < weights.sum(dtype=int) <= UNIT
    np.testing.assert_array_equal(weighted_median(images, weights), slow_median(images, weights))


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 300), st.integers(1, 100), st.integers(0, 2**31))
def test_the_best_frames_hold_nine_tenths_of_the_weight(count: int, best: int, seed: int) -> None:
    distance = np.random.default_rng(seed).random(count).astype(np.float32) * 0.3 + 0.01
    weights = shares_of(distance, best)
    assert weights.sum() == pytest.approx(1)
    assert weights[distance.argmin()] == weights.max()
    held = np.sort(weights)[::-1][:best].sum()
    if best < count * SHARE - 1:
        assert held == pytest.approx(SHARE, abs=0.01)
    else:
        assert held >= SHARE - 0.01


def test_one_frame_alone_has_all_the_weight() -> None:
    assert whole(shares_of(np.array([0.3], np.float32), 5)).tolist() == [UNIT]
    assert width_for(np.zeros(4, np.float32), 9) > 1


# Textures and teeth, of mouths that are painted.


def lips(opening: float, width: float = 1.0) -> np.ndarray:
    """A lip shape (40, 3) whose inner lips are ``opening`` mouth widths apart in the middle."""
    turn = np.concatenate([np.linspace(np.pi, 2 * np.pi, 11), np.linspace(0, np.pi, 11)[1:-1]])
    ring = np.stack([np.cos(turn), np.sin(turn), np.zeros(20)], 1)
    outer = ring * (width / 2, opening / 2 + 0.14, 0)
    inner = ring * (0.42 * width, opening / 2 * (np.pi / 3.04), 0)
    return np.concatenate([outer, inner]).astype(np.float32)


def painted(
    opening: float, number: int = 0, upper: float = 0.0, lower: float = 0.0, blur: float = 0.0, level: int = 0
) -> Texture:
    """A mouth with rows of teeth that are ``upper`` and ``lower`` mouth widths high."""
    shape = lips(opening)
    image = np.full((HEIGHT, WIDTH, 3), (110 + level, 130 + level, 190 + level), np.uint8)
    cv2.fillPoly(image, [np.rint(place_of(shape[20:])).astype(np.int32)], (20, 15, 40))
    top, bottom = (round(each) for each in lines(shape))
    between = cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [np.rint(place_of(shape[20:])).astype(np.int32)], 1)
    columns = (np.arange(WIDTH) // 5 % 2)[None, :, None] * np.array([18, 18, 18]) + np.array([205, 215, 220])
    teeth = np.zeros((HEIGHT, WIDTH), bool)
    teeth[top : top + round(upper * PIXELS)] = True
    teeth[bottom - round(lower * PIXELS) : bottom] = lower > 0
    teeth &= between > 0
    image[teeth] = np.broadcast_to(columns, image.shape)[teeth]
    if blur:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    return Texture(image, shape, np.zeros(2, np.float32), 10.0, number, np.array([0, 1], np.float32))


def test_textures_are_bounded_and_of_two_alike_the_sharper_one_stays() -> None:
    kept = Textures()
    kept.add(painted(0.1, 1))
    kept.add(replace(painted(0.1, 2), sharpness=20.0))
    kept.add(replace(painted(0.1, 3), sharpness=15.0))
    assert [each.number for each in kept.kept] == [2]
    rng = np.random.default_rng(0)
    blank = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for at in range(CAPACITY + 10):
        shape = lips(0.1) + rng.normal(0, 0.05, (40, 3)).astype(np.float32)
        kept.add(replace(painted(0.1), image=blank, shape=shape, number=at))
    assert len(kept) == len(kept.images()) == CAPACITY


@pytest.fixture
def rows_of_teeth() -> list[Texture]:
    return [
        painted(0.04, 10),
        painted(0.25, 11, level=-10),
        painted(0.26, 12, upper=0.1, blur=2.5),
        painted(0.24, 13, upper=0.1),
        painted(0.28, 14, lower=0.09),
        painted(0.27, 15, lower=0.09, blur=2.5),
    ]


def see_all(teeth: Teeth, textures: list[Texture]) -> None:
    for each in textures:
        teeth.see(each)


def test_teeth_are_found_where_they_are_bright_and_sharp(rows_of_teeth: list[Texture]) -> None:
    teeth = Teeth()
    see_all(teeth, rows_of_teeth)
    assert teeth.upper is not None
    assert teeth.lower is not None
    assert (teeth.upper.number, teeth.lower.number) == (13, 14)


def test_a_user_chooses_teeth_and_their_lines(rows_of_teeth: list[Texture]) -> None:
    teeth = Teeth(Chosen(upper=12, lower=40, upper_line=30))
    see_all(teeth, rows_of_teeth)
    assert teeth.upper is not None
    assert teeth.lower is not None
    assert (teeth.upper.number, teeth.lower.number) == (12, 15)  # 15 is the nearest to 40 of those that were seen
    assert teeth.upper.line == 30
    assert np.abs(teeth.upper.detail[:28]).max() < 1


def test_teeth_are_laid_between_the_lips_alone(rows_of_teeth: list[Texture]) -> None:
    teeth, blurred = Teeth(), painted(0.25, upper=0.1, blur=2.5)
    see_all(teeth, rows_of_teeth)
    laid = teeth.lay_over(blurred.image, blurred.shape)
    between = inside(blurred.shape, soft=True) > 0
    assert (laid[~between] == blurred.image[~between]).all()
    edges = [
        np.abs(cv2.Sobel(each[..., 1].astype(np.float32), cv2.CV_32F, 1, 0))[between].mean()
        for each in (laid, blurred.image)
    ]
    assert edges[0] > 1.4 * edges[1]  # in the upper half: the lower one shows no teeth
    shut = painted(0.02)
    assert teeth.lay_over(shut.image, shut.shape) is shut.image


def test_teeth_that_are_not_there_are_not_drawn_and_sharp_ones_are_left(rows_of_teeth: list[Texture]) -> None:
    """Both would draw a net: a row of teeth across another one, or across itself."""
    teeth, upper_alone, sharp = Teeth(), painted(0.25, upper=0.1, blur=2.5), painted(0.25, upper=0.1)
    see_all(teeth, rows_of_teeth)
    laid = teeth.lay_over(upper_alone.image, upper_alone.shape).astype(int)
    top, bottom = lines(upper_alone.shape)
    low = np.arange(HEIGHT)[:, None, None] > (top + bottom) / 2 + 4
    assert np.abs((laid - upper_alone.image) * ~low).max() > 8
    assert np.abs((laid - upper_alone.image) * low).max() <= 8
    assert np.abs(teeth.lay_over(sharp.image, sharp.shape).astype(int) - sharp.image).max() <= 8


def test_a_table_gives_nearly_the_median_itself() -> None:
    synthesis = Synthesis(textures := Textures())
    for at, opening in enumerate(np.linspace(0.0, 0.3, 40)):
        synthesis.add(painted(float(opening), at, upper=0.06))
    wanted = lips(0.17)
    direct = synthesis.make(wanted)
    assert (
        np.abs(synthesis.make(wanted, quick=True).image.astype(int) - direct.image).mean() < 3
    )  # there is no table yet
    while synthesis.prepare():
        pass
    quick = synthesis.make(wanted, quick=True)
    assert np.abs(quick.shape - direct.shape).max() < 0.02
    assert np.abs(quick.image.astype(int) - direct.image).mean() < 4
    chosen = spread(textures.shapes(), 5)
    assert min(distances(np.delete(chosen, k, 0), chosen[k]).min() for k in range(5)) > 0.01


def test_sparse_points_are_among_the_lips() -> None:
    np.testing.assert_array_equal(LIPS[SPARSE_PLACES], SPARSE_LIPS)


# The portrait.


def opened(share: float, seq: int) -> Image:
    return mouth_frame(share, 480)


@pytest.fixture(scope="module")
def renderer() -> TextureRenderer:
    """Has seen the portrait at rest, and with its mouth open."""
    from realtime_dub.face.tracker import MediaPipeTracker

    bank = Bank()
    made = TextureRenderer(bank)
    tracker = MediaPipeTracker(smooth=False)
    try:
        for seq, share in enumerate([*np.zeros(8), *np.linspace(0.1, 1, 16)]):
            tracked = tracker.track(frame_of(mouth_frame(float(share), 480), seq))
            bank.observe(tracked)
            made.observe(tracked)
    finally:
        tracker.close()
    assert len(made.textures) >= ENOUGH
    return made


def drawn(renderer: TextureRenderer, amount: float) -> Image:
    patch = renderer.render(tracked_portrait(), jaw_drop(amount), 1.0, 0)
    assert patch is not None
    return Compositor().compose(tracked_portrait(), patch, 1.0)


def test_a_still_face_opens_its_mouth_and_nothing_else_changes(renderer: TextureRenderer) -> None:
    face = tracked_portrait().face
    assert face is not None
    shut, wide = drawn(renderer, 0.0), drawn(renderer, 0.2)
    assert opening_of(wide) > opening_of(shut) + 0.08
    outline = lower_face(face.points, face.pose.scale)
    beyond = polygon(outline, (0, 0, wide.shape[1], wide.shape[0])) == 0
    assert (wide[beyond] == portrait()[beyond]).all()


def test_small_steps_of_the_shape_are_small_steps_of_the_picture(renderer: TextureRenderer) -> None:
    pictures = [drawn(renderer, 0.1 + 0.002 * k).astype(int) for k in range(6)]
    steps = [np.abs(one - other).mean() for one, other in pairwise(pictures)]
    assert max(steps) < 0.25


# With the net that ships.


def heard(sizes: list[int], sound: np.ndarray) -> np.ndarray:
    stream = LipStream(load_default("own-texture"))
    at, turn = 0, 0
    while at < len(sound):
        part = sound[at : at + sizes[turn % len(sizes)]]
        stream.hear(part, at * 1_000_000_000 // RATE)
        at, turn = at + len(part), turn + 1
    return np.stack([stream.at(k * 10 * MS).displacement for k in range(120)])


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=4))
def test_chunks_of_any_size_give_the_same_lips(sizes: list[int]) -> None:
    sound = syllables(2)
    assert np.abs(heard(sizes, sound) - heard([len(sound)], sound)).max() < 1e-5


def test_the_registry_makes_one_and_other_bundles_are_refused() -> None:
    made = registry.create("own-texture")
    assert isinstance(made, OwnTextureGenerator)
    assert made.latency().look_ahead_ns == 200 * MS
    made.close()
    assert look_aheads("own-texture") == [40, 80, 120, 160, 200]
    assert registry.create("own-texture", look_ahead_ms=80).latency().look_ahead_ns == 80 * MS
    with pytest.raises(BundleError, match="for the engine mouthbank"):
        OwnTextureGenerator(load_default("mouthbank").folder)


def test_a_voice_moves_the_mouth_and_silence_leaves_it() -> None:
    made = OwnTextureGenerator(silence="live")
    tracked = tracked_portrait()
    made.observe(tracked)
    sound = syllables(4)
    made.hear(sound, 0)
    frames = [replace(tracked, frame=replace(tracked.frame, pts_ns=k * 40 * MS, seq=k)) for k in range(50)]
    patches = [made.generate(each, each.frame.pts_ns) for each in frames]
    assert patches[2] is None
    assert sum(each is not None for each in patches) > 15
    shown = made.blendshapes()
    assert shown is not None
