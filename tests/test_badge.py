"""The badge: seen in what leaves, nothing else changed, nobody's frame written into, planes kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from live_helpers import FACE

from realtime_dub import cli
from realtime_dub.blend.composite import Compositor
from realtime_dub.blend.patch import MouthPatch, WholeFrame
from realtime_dub.config import LiveConfig, build
from realtime_dub.errors import ConfigError
from realtime_dub.face.types import TrackedFrame
from realtime_dub.i420 import coded_of, image_of, planes_of
from realtime_dub.media import MS, NS, Box, Frame, Image, Tick
from realtime_dub.pipeline.coded import leaving
from realtime_dub.trust.badge import HOLD_NS, Badge
from realtime_dub.trust.badge_style import BadgeStyle

pytestmark = pytest.mark.computes

SIZES = [(1280, 720), (640, 480), (160, 120)]
PLACES = ["top-left", "top-right", "bottom-left", "bottom-right"]


def grey(width: int, height: int, level: int = 128) -> Image:
    return np.full((height, width, 3), level, np.uint8)


def outside(image: Image, box: Box) -> Image:
    """All pixels that are not in ``box``."""
    keep = np.ones(image.shape[:2], bool)
    keep[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = False
    return image[keep]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("place", PLACES)
def test_it_is_seen_on_any_ground_in_its_corner_alone(size: tuple[int, int], level: int, place: str) -> None:
    before = grey(*size, level)
    after, box = Badge(BadgeStyle(place=place)).over(before.copy(), 0, dubbed=True, own=True)
    assert box is not None
    x, y, width, height = box
    assert x % 2 == y % 2 == 0
    assert (x + width / 2 < size[0] / 2) == place.endswith("left")
    assert (y + height / 2 < size[1] / 2) == place.startswith("top")
    assert 0 <= x <= size[0] - width
    assert 0 <= y <= size[1] - height
    assert np.array_equal(outside(after, box), outside(before, box))
    inside = after[y : y + height, x : x + width].astype(int)
    assert (inside > 150).mean() > 0.02  # letters
    assert (inside < 110).mean() > 0.4  # ground


def test_a_frame_of_others_is_not_written_into() -> None:
    frame = grey(320, 240)
    after, box = Badge(BadgeStyle("always")).over(frame, 0, dubbed=False, own=False)
    assert box is not None
    assert (frame == 128).all()
    assert after is not frame


def test_it_comes_with_the_first_dubbed_frame_and_stays_over_a_pause() -> None:
    badge = Badge()
    shown = {}
    for ms, dubbed in ((0, False), (40, True), (80, False), (3_000, False), (3_041, False), (3_080, True)):
        shown[ms] = badge.over(grey(320, 240), ms * MS, dubbed, own=True)[1] is not None
    assert HOLD_NS == 3 * NS
    assert shown == {0: False, 40: True, 80: True, 3_000: True, 3_041: False, 3_080: True}


def test_off_leaves_everything_as_it_came() -> None:
    frame = grey(320, 240)
    assert Badge(BadgeStyle("off")).over(frame, 0, dubbed=True, own=True) == (frame, None)


def test_a_frame_that_is_shown_again_is_not_drawn_on_twice() -> None:
    badge, frame = Badge(), grey(320, 240)
    once = badge.over(frame, 0, dubbed=True, own=True)[0].copy()
    again, box = badge.over(frame, 40 * MS, dubbed=True, own=True)
    assert box is not None
    assert np.array_equal(again, once)


def test_without_room_the_word_goes_first_and_then_all() -> None:
    wide = Badge(BadgeStyle(percent=20)).over(grey(320, 240), 0, dubbed=True, own=True)[1]
    narrow = Badge(BadgeStyle(percent=20)).over(grey(120, 240), 0, dubbed=True, own=True)[1]
    assert wide is not None
    assert narrow is not None
    assert wide[2] > 120 > narrow[2]
    assert Badge().over(grey(14, 14), 0, dubbed=True, own=True)[1] is None


def drawn_on(size: tuple[int, int]) -> tuple[TrackedFrame, MouthPatch]:
    """A frame that came as planes, and a mouth for it."""
    rng = np.random.default_rng(0)
    planes = rng.integers(40, 200, (size[1] * 3 // 2, size[0]), np.uint8)
    tracked = TrackedFrame(Frame(image_of(planes), 0, 0, coded=coded_of(planes)), FACE)
    alpha = np.full((20, 30), 255, np.uint8)
    return tracked, MouthPatch(np.full((20, 30, 3), 9, np.uint8), alpha, (150, 140, 30, 20), FACE.pose, 0)


def test_planes_are_kept_but_for_mouth_and_badge() -> None:
    tracked, patch = drawn_on((320, 240))
    image = Compositor().compose(tracked, patch, 1.0)
    image, coded, changed = leaving(tracked, image, patch, tracked.frame.coded, Badge(), 0)
    assert coded is tracked.frame.coded
    assert changed[0] == (150, 140, 30, 20)
    assert len(changed) == 2
    given = planes_of(Tick(image, 0, 40 * MS, 0, None, coded=coded, changed=changed))
    whole = planes_of(Tick(image, 0, 40 * MS, 0, None))
    luma = np.ones((240, 320), bool)
    for x, y, width, height in changed:
        luma[y : y + height, x : x + width] = False
        assert np.array_equal(given[y : y + height, x : x + width], whole[y : y + height, x : x + width])
    assert np.array_equal(given[:240][luma], coded.planes[0][luma])


def test_the_engines_own_picture_is_copied() -> None:
    tracked, _ = drawn_on((320, 240))
    avatar = WholeFrame(grey(320, 240), 0)
    image = Compositor().compose(tracked, avatar, 1.0)
    leaving(tracked, image, avatar, None, Badge(), 0)
    assert (avatar.image == 128).all()


def top_left(path: Path) -> np.ndarray:
    """Of every frame: how many pixels where the badge would be are as bright as its letters."""
    with av.open(str(path)) as film:
        frames = [frame.to_ndarray(format="gray") for frame in film.decode(video=0)]
    return np.array([(each[8:32, 8:96] > 200).sum() for each in frames])


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, dict[str, object]]]:
    folder = tmp_path_factory.mktemp("badge")

    def make(*options: str) -> tuple[Path, dict[str, object]]:
        path, stats = folder / "film.mp4", folder / "stats.json"
        given = ["file", "demo", "--mic", "demo", "-o", str(path), "--seconds", "0.6", "--stats-json", str(stats), "-q"]
        assert cli.run([*given, *options]) == 0
        return path, json.loads(stats.read_text())

    return make


def test_a_film_has_it_unless_it_is_switched_off(films: Callable[..., tuple[Path, dict[str, object]]]) -> None:
    """The built-in portrait's corner is dark. What was shown is in the statistics, for whoever writes it down."""
    path, stats = films()
    assert stats["badge"] == "corner, top-left, 5 % of the height"
    assert top_left(path)[-1] > 100
    path, stats = films("--badge", "off", "--engine", "passthrough")
    assert stats["badge"] == "off"
    assert (top_left(path) < 20).all()
    path, stats = films("--badge", "always", "--engine", "passthrough")
    assert (top_left(path) > 100).all()


def test_words_that_cannot_be_drawn_are_refused() -> None:
    assert build(LiveConfig, badge_word="doublé").badge_style.word == "doublé"
    for word in ("配音", "a\nb", "x" * 41):
        with pytest.raises(ConfigError, match="badge_word"):
            build(LiveConfig, badge_word=word)
    assert cli.run(["file", "demo", "--mic", "demo", "-o", "x.mp4", "--badge", "maybe"]) == 2
