"""At what size an avatar is shown, before what, and how its face is made crisper."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from faces import portrait
from test_avatar import write_avatar

from realtime_dub.cli import run
from realtime_dub.cli.sizes import shown_size
from realtime_dub.clock import VirtualClock
from realtime_dub.config import FileConfig, LiveConfig, build
from realtime_dub.errors import ConfigError
from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.media import Image
from realtime_dub.mouth.avatar.canvas import Canvas, covering
from realtime_dub.mouth.avatar.enhancing import Seen
from realtime_dub.mouth.avatar.painter import scaled
from realtime_dub.mouth.avatar.sharpening import MOST, Sharpener, sharpness
from realtime_dub.mouth.avatar.upper import BROWS, IRISES, Upper
from realtime_dub.pipeline import assembly
from realtime_dub.sources.registry import open_video

pytestmark = pytest.mark.computes

RED = np.full((1, 1, 3), (0, 0, 255), np.uint8)
PLATE = np.full((100, 100, 3), 40, np.uint8)


def face(side: int = 200) -> tuple[Image, np.ndarray]:
    """A portrait, and where its face roughly is."""
    image = np.ascontiguousarray(cv2.resize(portrait(240)[:, :240], (side, side), interpolation=cv2.INTER_AREA))
    points = TEMPLATE[:, :2] / np.ptp(TEMPLATE[:, 1]) * side * 0.5 + side * 0.45
    return image, points.astype(np.float32)


def seen(picture: Image, points: np.ndarray) -> Seen:
    share = np.ones(picture.shape[:2], np.float32)
    share[:, :5] = 0
    return Seen(picture, share, points)


def test_it_is_as_large_as_it_was_recorded_unless_a_size_is_asked_for() -> None:
    plain = Canvas(PLATE)
    assert plain.side == 100
    square = np.full((100, 100, 3), 9, np.uint8)
    assert plain.with_square(square) is square
    large = Canvas(PLATE, size=(640, 360))
    assert large.side == 360
    whole = large.with_square(np.full((360, 360, 3), 9, np.uint8))
    assert whole.shape == (360, 640, 3)
    assert (whole[:, 140:500] == 9).all()
    assert not whole[:, :140].any()  # black bars
    assert (large.behind == 40).all()
    assert large.places(np.zeros((1, 2), np.float32)).tolist() == [[140, 0]]
    tall = Canvas(PLATE, RED, (90, 160))  # as pages in telephones are: shoulders stand on its lower edge
    assert tall.places(np.zeros((1, 2), np.float32)).tolist() == [[0, 70]]
    assert (tall.with_square(np.zeros((90, 90, 3), np.uint8))[:70] == RED).all()


def test_a_backdrop_goes_on_beside_the_person_without_a_seam() -> None:
    wide = Canvas(PLATE, RED, (200, 100))
    assert (wide.behind == RED).all()
    share = wide.share(np.ones((100, 100), np.float32))
    assert share[:, 50].min() == 1
    assert share[:, 0].max() < 0.2
    assert np.array_equal(Canvas(PLATE, RED).share(share), share)


def test_sizes_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="cannot show an avatar at 5000x300; give a size from 64 to 4096"):
        Canvas(PLATE, size=(5000, 300))
    assert shown_size("720p", "demo") == {"width": 1280, "height": 720}
    with pytest.raises(ConfigError, match="cannot use --size 'large'"):
        shown_size("large", "demo")
    with pytest.raises(ConfigError, match=r"cannot use --size with film\.mp4; leave it out"):
        shown_size("480p", "film.mp4")


def test_what_is_behind_keeps_its_shape() -> None:
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 20:60] = 200
    assert (covering(picture, (20, 20)) == 200).all()
    assert covering(picture, (160, 80)).shape == (80, 160, 3)


def test_a_painting_is_scaled_by_a_curve_and_stays_within_levels() -> None:
    painted = np.zeros((4, 8, 8), np.float32)
    painted[:, :, 4:] = 1
    person, share = scaled(painted, 12)
    assert person.shape == (12, 12, 3)
    assert (person.min(), person.max()) == (0, 255)
    assert (share.min(), share.max()) == (0, 1)


def test_the_source_and_the_engine_are_told_one_size(tmp_path: Path) -> None:
    folder = str(write_avatar(tmp_path / "me.avatar"))
    source = open_video(folder, clock=VirtualClock(), live=False, shown=(128, 96))
    info = source.open()
    assert (info.width, info.height) == (128, 96)
    assert source.read().image.shape == (96, 128, 3)
    source.close()
    asked = build(LiveConfig, webcam=folder, width=320, height=240)
    assert assembly.video_options(asked)["shown"] == (320, 240)
    for other in (
        build(LiveConfig, webcam=folder),
        build(FileConfig, input="demo", width=320, output=tmp_path / "o.mp4"),
    ):
        assert assembly.video_options(other)["shown"] is None


@pytest.mark.parametrize("soft", [0.5, 0.8, 1.1])
def test_the_filter_is_as_strong_as_what_is_soft_needs(soft: float) -> None:
    """A painting that is softer than the recording gets as sharp as it; no pixel leaves what is near it."""
    true, points = face()
    blurred = cv2.GaussianBlur(true, (0, 0), soft)
    painted = seen(blurred, points)
    filtered = Sharpener.like(painted, true, 1.5)
    assert 0 < filtered.amount <= MOST
    found = filtered.enhanced(painted)
    wanted, before, after = (sharpness(each, points, 1.5) for each in (true, blurred, found))
    assert before < 0.97 * wanted
    assert abs(after - wanted) < 0.25 * abs(before - wanted) or filtered.amount > 0.95 * MOST
    near = np.ones((5, 5), np.uint8)
    assert (found >= cv2.erode(blurred, near)).all()
    assert (found <= cv2.dilate(blurred, near)).all()
    assert np.array_equal(found[:, :5], blurred[:, :5])  # what is no person


def test_what_is_sharp_is_left_alone() -> None:
    true, points = face()
    painted = seen(true, points)
    filtered = Sharpener.like(painted, cv2.GaussianBlur(true, (0, 0), 1), 1.5)
    assert filtered.amount == 0
    assert filtered.enhanced(painted) is true


def test_other_engines_enhance_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["file", "demo", "--mic", "demo", "--enhance", "-o", str(tmp_path / "o.mp4")]) == 2
    assert "engine mouthbank takes no --enhance; leave it out or choose another --engine" in capsys.readouterr().err


def test_brows_and_eyes_stay_in_the_recorded_range_and_blinks_are_left_out() -> None:
    rng = np.random.default_rng(0)
    moved = np.zeros((200, 478, 3), np.float32)
    moved[:, BROWS, 1] = 0.02 * np.sin(np.arange(200) / 20)[:, None]
    moved[:, IRISES, 0] = 0.01 * np.sign(np.sin(np.arange(200) / 13))[:, None]
    moved[:, IRISES, :2] += 0.002 * rng.standard_normal((200, 1, 2))
    opening = TEMPLATE[145, 1] - TEMPLATE[159, 1]
    moved[50:54, [159, 386], 1] += 0.9 * opening  # a blink, in which eyes are found elsewhere
    moved[50:54, IRISES, 1] += 0.2
    upper = Upper(TEMPLATE, moved, 25)
    found = np.stack([upper.at(k * 17_000_000) for k in range(1200)])  # over both turns of the stretch
    assert np.ptp(found[:, BROWS[0], 1]) > 0.03
    assert np.ptp(found[:, IRISES[0], 0]) > 0.015
    assert np.abs(found[:, IRISES, 1]).max() < 0.01
    assert found[:, :, 0].max() <= moved[:, :, 0].max()
    assert found[:, BROWS].min() >= moved[:, BROWS].min()
    still = np.setdiff1d(np.arange(478), np.concatenate([BROWS, IRISES]))
    assert not found[:, still].any()
    assert np.abs(np.diff(found[:, BROWS[0], 1])).max() < 0.002
    assert not Upper(TEMPLATE, np.zeros((1, 478, 3), np.float32), 25).at(10**10).any()
