"""A browser's frames leave in the YUV that they came in: only what was drawn is converted."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from realtime_dub.clock import VirtualClock
from realtime_dub.i420 import Planes, planes_of
from realtime_dub.media import Frame, OutputFormat, Tick
from realtime_dub.web.rtc.browser_input import BrowserInput
from realtime_dub.web.rtc.browser_sources import BrowserVideo
from realtime_dub.web.rtc.output_timeline import OutputTimeline, TimelinePublisher

SIZES = [(160, 120), (1280, 720)]
BT709 = 1  # ITU-T H.273


def coloured(width: int, height: int) -> Planes:
    """Planes with every colour that video range has, some of which no screen can show."""
    rng = np.random.default_rng(0)
    small = rng.integers(16, 236, (height * 3 // 16, width // 8), np.uint8)
    return np.asarray(cv2.resize(small, (width, height * 3 // 2), interpolation=cv2.INTER_LINEAR), np.uint8)


def sent(picture: av.VideoFrame) -> Frame:
    """What a run reads of a frame that a browser sends."""
    picture.pts, picture.time_base = 0, Fraction(1, 90_000)
    browser_input = BrowserInput(VirtualClock())
    browser_input.add_frame(picture)
    source = BrowserVideo(browser_input, Fraction(25))
    source.open()
    browser_input.add_frame(picture)
    try:
        return source.read()
    finally:
        source.close()


def tick(frame: Frame, **changes: object) -> Tick:
    return replace(Tick(frame.image, 0, 40_000_000, 0, None, coded=frame.coded), **changes)


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_that_was_not_changed_leaves_as_it_came(size: tuple[int, int]) -> None:
    planes = coloured(*size)
    frame = sent(av.VideoFrame.from_ndarray(planes, "yuv420p"))
    left: list[Planes] = []
    loop = SimpleNamespace(call_soon_threadsafe=lambda call, *given: call(*given))
    timeline = OutputTimeline(VirtualClock(), loop)  # type: ignore[arg-type]
    timeline.add_frame = lambda given, pts_ns: left.append(given)  # type: ignore[method-assign]
    publisher = TimelinePublisher(timeline, timeline.next_run())
    publisher.open(OutputFormat(*size, Fraction(25), 48_000, 1, True))
    publisher.publish(tick(frame))
    assert np.array_equal(left[0], planes)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("box", [(40, 30, 60, 50), (41, 31, 33, 27), (0, 0, 21, 17), (101, 83, 59, 37), (5, 5, 0, 9)])
def test_only_what_was_drawn_is_converted_exact_to_a_level(
    size: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    planes = coloured(*size)
    frame = sent(av.VideoFrame.from_ndarray(planes, "yuv420p"))
    x, y, width, height = box
    image = frame.image.copy()
    image[y : y + height, x : x + width] = np.random.default_rng(0).integers(0, 256, (height, width, 3))
    kept, made = (planes_of(tick(frame, image=image, **how)) for how in ({"changed": (box,)}, {"coded": None}))
    inside = np.zeros(planes.shape, bool)
    left, top, right, bottom = x & ~1, y & ~1, (x + width + 1) & ~1, (y + height + 1) & ~1
    if width and height:
        inside[top:bottom, left:right] = True
        chroma = inside[size[1] :].reshape(2, size[1] // 2, size[0] // 2)
        chroma[:, top // 2 : bottom // 2, left // 2 : right // 2] = True
    assert np.array_equal(kept[~inside], planes[~inside])
    assert np.array_equal(kept[inside], made[inside])


@pytest.mark.parametrize("tag", [{"color_range": ColorRange.JPEG}, {"colorspace": BT709}, {}])
def test_what_is_coded_otherwise_is_converted(tag: dict[str, int]) -> None:
    width = 160 if tag else 158 + 1  # an odd one is cut
    picture = av.VideoFrame.from_ndarray(np.full((120, width, 3), (200, 60, 90), np.uint8)).reformat(format="yuv420p")
    for name, value in tag.items():
        setattr(picture, name, value)
    frame = sent(picture)
    assert frame.coded is None
    there = cv2.cvtColor(planes_of(tick(frame)), cv2.COLOR_YUV2BGR_I420)
    assert np.abs(there.astype(int) - frame.image).max() <= 3


def test_planes_of_another_size_are_not_taken_over() -> None:
    frame = sent(av.VideoFrame.from_ndarray(coloured(160, 120), "yuv420p"))
    other = np.full((60, 80, 3), 90, np.uint8)
    assert planes_of(tick(frame, image=other)).shape == (90, 80)
