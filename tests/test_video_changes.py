"""Films, streams and cameras whose pictures change in the middle: never stretched or torn, told as another scene."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from changing_films import PART, halves, joined, write_changing
from films import steady, write_film
from test_video_file import whole
from test_video_live import Usb
from test_video_url import Station, on_air

from realtime_dub.clock import MonotonicClock, VirtualClock
from realtime_dub.fitting import Fit, fitted
from realtime_dub.media import MS, Frame, Image
from realtime_dub.sources.paced import PacedVideo
from realtime_dub.sources.url import UrlSource
from realtime_dub.sources.video_file import VideoFileSource
from realtime_dub.sources.webcam import WebcamSource

RED, BLUE, WHITE, GREEN = (0, 0, 230), (230, 0, 0), (255, 255, 255), (0, 200, 0)
FIRST = halves(120, 160, RED, BLUE)


def assert_shows(image: Image, rows: slice, columns: slice, picture: Image) -> None:
    """``picture``, scaled, within these bounds, and black around it."""
    inner = image[rows, columns]
    expected = cv2.resize(picture, (inner.shape[1], inner.shape[0]), interpolation=cv2.INTER_NEAREST)
    assert np.abs(inner.astype(int) - expected).mean() < 8
    around = np.ones(image.shape[:2], bool)
    around[rows, columns] = False
    assert not around.any() or image[around].max() < 12


def assert_another_scene(frames: list[Frame]) -> None:
    assert [f.scene for f in frames] == [0] * PART + [1] * PART
    assert {f.image.shape for f in frames} == {frames[0].image.shape}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [
        ((160, 160), slice(0, 120), slice(20, 140)),  # height, width
        ((60, 160), slice(30, 90), slice(0, 160)),
        ((240, 320), slice(0, 120), slice(0, 160)),
        ((48, 64), slice(0, 120), slice(0, 160)),
        ((160, 120), slice(0, 120), slice(35, 125)),  # turned
    ],
)
def test_another_size_is_fitted_in(
    tmp_path: Path, suffix: str, size: tuple[int, int], rows: slice, columns: slice
) -> None:
    second = halves(*size, WHITE, GREEN)
    _, frames, notes = whole(write_changing(tmp_path / f"a{suffix}", (FIRST, {}), (second, {})))
    assert len(frames) == 2 * PART
    assert notes == []
    assert_another_scene(frames)
    for frame in frames[:PART]:
        assert_shows(frame.image, slice(0, 120), slice(0, 160), FIRST)
    for frame in frames[PART:]:
        assert_shows(frame.image, rows, columns, second)


def test_files_strung_together(tmp_path: Path) -> None:
    second = halves(90, 160, WHITE, GREEN)
    film = joined(tmp_path / "a.ts", lambda path, k: write_film(path, steady(PART), lambda _: (FIRST, second)[k]))
    _, frames, _ = whole(film)
    assert_another_scene(frames)
    assert_shows(frames[-1].image, slice(15, 105), slice(0, 160), second)
    assert all(b.pts_ns - a.pts_ns == 40 * MS for a, b in pairwise(frames))


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_another_shape_of_pixels_is_another_picture(tmp_path: Path, codec: str) -> None:
    """As broadcasts do it between 4:3 and 16:9: the size stays, the shape of its pixels changes."""
    parts = [(FIRST, {"sample_aspect_ratio": aspect}) for aspect in (Fraction(1), Fraction(4, 3))]
    info, frames, _ = whole(write_changing(tmp_path / "a.ts", *parts, codec=codec))
    assert (info.width, info.height) == (160, 120)
    assert_another_scene(frames)
    assert_shows(frames[PART - 1].image, slice(0, 120), slice(0, 160), FIRST)
    assert_shows(frames[PART].image, slice(15, 105), slice(0, 160), FIRST)


def test_a_changing_film_that_starts_again(tmp_path: Path) -> None:
    parts = [(FIRST, {"sample_aspect_ratio": aspect}) for aspect in (Fraction(1), Fraction(4, 3))]
    source = VideoFileSource(write_changing(tmp_path / "a.ts", *parts), loop=True)
    source.open()
    frames = [source.read() for _ in range(5 * PART)]
    source.close()
    assert [f.scene for f in frames] == [k // PART for k in range(5 * PART)]
    for k, frame in enumerate(frames):
        rows = slice(15, 105) if k // PART % 2 else slice(0, 120)
        assert_shows(frame.image, rows, slice(0, 160), FIRST)


@pytest.mark.parametrize("change", [{"sample_aspect_ratio": Fraction(4, 3)}, {"size": (60, 160)}])
def test_a_changing_film_that_is_rewound(tmp_path: Path, change: dict[str, Any]) -> None:
    """What was kept tells its shape no more once the decoder is in the second part: the film is opened anew."""
    second = halves(*change.pop("size"), WHITE, GREEN) if "size" in change else FIRST
    film = write_changing(tmp_path / "a.ts", (FIRST, {"sample_aspect_ratio": Fraction(1)}), (second, change))
    _, expected, _ = whole(film)
    source = VideoFileSource(film)
    source.open()
    source.keep(1 << 30)
    for _ in range(PART + 5):
        source.skip()
    source.rewind()
    again = [source.read() for _ in expected]
    source.close()
    assert [each.scene for each in again] == [each.scene for each in expected]
    assert all(np.array_equal(one.image, other.image) for one, other in zip(again, expected, strict=True))


def test_another_format_of_pixels_changes_nothing(tmp_path: Path) -> None:
    parts = [(FIRST, {"pix_fmt": pix_fmt}) for pix_fmt in ("yuv420p", "yuv444p")]
    _, frames, _ = whole(write_changing(tmp_path / "a.mkv", *parts))
    assert {f.scene for f in frames} == {0}
    for frame in frames:
        assert_shows(frame.image, slice(0, 120), slice(0, 160), FIRST)


def test_another_rate_keeps_the_frames_own_times(tmp_path: Path) -> None:
    _, frames, _ = whole(write_changing(tmp_path / "a.mp4", (FIRST, {}), (FIRST, {"rate": 10})))
    gaps = [(b.pts_ns - a.pts_ns) // MS for a, b in pairwise(frames)]
    assert gaps == [40] * PART + [100] * (PART - 1)
    assert {f.scene for f in frames} == {0}


def test_a_scene_is_known_though_its_first_frame_was_skipped(tmp_path: Path) -> None:
    film = write_changing(tmp_path / "a.mkv", (FIRST, {}), (halves(60, 160, WHITE, GREEN), {}))
    clock = VirtualClock()
    paced = PacedVideo(VideoFileSource(film), clock)
    paced.open()
    assert paced.read().scene == 0
    clock.advance_to(1300 * MS)
    assert paced.read().scene == 1
    assert paced.skipped > PART
    paced.close()


def test_stream_over_the_network(tmp_path: Path) -> None:
    second = halves(60, 160, WHITE, GREEN)
    film = write_changing(tmp_path / "a.ts", (FIRST, {}), (second, {}))
    with on_air(Station(film)) as station:
        source = UrlSource(station.url, MonotonicClock(), timeout_s=5)
        info = source.open()
        frame = source.read()
        assert frame.scene == 0
        while frame.scene == 0:
            assert_shows(frame.image, slice(0, 120), slice(0, 160), FIRST)
            frame = source.read()
        source.close()
    assert (info.width, info.height) == (160, 120)
    assert_shows(frame.image, slice(30, 90), slice(0, 160), second)


def test_camera_that_comes_back_as_another(tmp_path: Path) -> None:
    second = halves(60, 160, WHITE, GREEN)
    films = [
        write_film(tmp_path / f"{k}.mp4", steady(300), lambda _, k=k: (FIRST, second)[k], codec="mpeg4")
        for k in range(2)
    ]
    usb = Usb(films[0])
    source = WebcamSource("0", 640, 480, 25, MonotonicClock(), opener=usb.opener)
    source.open()
    assert_shows(source.read().image, slice(0, 120), slice(0, 160), FIRST)
    usb.plugged, usb.film = False, films[1]
    while not source.read().stale:
        pass
    usb.plugged = True
    while (frame := source.read()).stale:
        assert frame.scene == 0
    source.close()
    assert frame.scene == 1
    assert_shows(frame.image, slice(30, 90), slice(0, 160), second)


def test_bars_have_the_background() -> None:
    image = fitted(np.full((90, 320, 3), 200, np.uint8), (160, 120), background=(10, 20, 30))
    assert (image[:36] == (10, 20, 30)).all()
    assert (image[-36:] == (10, 20, 30)).all()
    assert image[40:80].min() == 200


def test_pictures_of_the_first_size_are_not_touched() -> None:
    fit, image = Fit(), np.zeros((4, 6, 3), np.uint8)
    assert fit(image) is image
    assert fit(np.zeros((8, 6, 3), np.uint8)).shape == (4, 6, 3)
    assert fit(image) is image
    assert fit.scene == 2
