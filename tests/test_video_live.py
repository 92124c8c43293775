"""Sources that run at their own speed: pulled ones paced by the clock, and cameras that come and go."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from films import number, numbered, steady, write_film
from hypothesis import given
from hypothesis import strategies as st
from patience import PATIENCE_S

from realtime_dub.clock import MonotonicClock, VirtualClock
from realtime_dub.errors import DeviceError, EndOfStream, MediaError
from realtime_dub.media import MS, NS, Frame, VideoInfo
from realtime_dub.sources.base import DecodesInTurn
from realtime_dub.sources.cameras import camera_paths, list_cameras
from realtime_dub.sources.demo import DemoSource
from realtime_dub.sources.image import ImageSource
from realtime_dub.sources.paced import PacedVideo
from realtime_dub.sources.registry import VIDEO_SOURCES, kind_of, open_video
from realtime_dub.sources.video_file import VideoFileSource
from realtime_dub.sources.webcam import WebcamSource, open_camera

START_NS = 7 * NS


def small_demo() -> DemoSource:
    return DemoSource(64, 64, 25)


class SlowDecoder:
    """The demo on a machine that takes ``work_ns`` for each of its frames."""

    def __init__(self, clock: VirtualClock, work_ns: int) -> None:
        self._source, self._clock, self._work_ns = small_demo(), clock, work_ns
        self.open, self.close = self._source.open, self._source.close

    def read(self) -> Frame:
        self._clock.advance_to(self._clock.now_ns() + self._work_ns)
        return self._source.read()


def test_paced_film_keeps_its_own_times(tmp_path: Path) -> None:
    times = [80, 120, 150, 290, 300]
    clock = VirtualClock(START_NS)
    paced = PacedVideo(VideoFileSource(write_film(tmp_path / "a.mkv", times, numbered(64, 64), sound_ms=400)), clock)
    assert paced.open().live
    frames = [paced.read() for _ in times]
    assert [(f.pts_ns - START_NS) // MS for f in frames] == [0, 40, 70, 210, 220]
    assert [number(f.image) for f in frames] == [0, 1, 2, 3, 4]
    with pytest.raises(EndOfStream):
        paced.read()
    assert (paced.skipped, paced.notes) == (0, [])
    paced.close()


def test_late_reader_gets_the_newest_frame_and_stays_with_it() -> None:
    clock = VirtualClock(START_NS)
    paced = PacedVideo(small_demo(), clock)
    paced.open()
    paced.read()
    clock.advance_to(START_NS + 210 * MS)
    assert paced.read().pts_ns == START_NS + 200 * MS  # at once, 10 ms late
    assert paced.skipped == 4
    assert paced.read().pts_ns == START_NS + 240 * MS
    paced.close()


def test_end_of_a_film_is_shown_however_late(tmp_path: Path) -> None:
    clock = VirtualClock(START_NS)
    paced = PacedVideo(VideoFileSource(write_film(tmp_path / "a.mp4", steady(5), numbered(64, 64))), clock)
    paced.open()
    paced.read()
    clock.advance_to(START_NS + 10 * NS)
    assert number(paced.read().image) == 4
    paced.close()


@pytest.mark.parametrize("work_ms", [30, 39, 60, 300])
def test_decoder_slower_than_life_plays_slow_but_does_not_freeze(work_ms: int) -> None:
    clock = VirtualClock(START_NS)
    paced = PacedVideo(SlowDecoder(clock, work_ms * MS), clock)
    paced.open()
    paced.read()
    clock.advance_to(clock.now_ns() + 2 * NS)  # nor after a pause of the reader
    shown, stamps = [], []
    for _ in range(20):
        stamps.append(paced.read().pts_ns)
        shown.append(clock.now_ns())
    assert max(b - a for a, b in pairwise(shown)) <= 2 * work_ms * MS
    assert max(at - stamp for at, stamp in zip(shown, stamps, strict=True)) < 40 * MS
    paced.close()


@pytest.mark.parametrize("fps", [25, 30, 60])
def test_a_turn_is_waited_for_in_the_time_that_a_frame_has_to_spare(fps: int) -> None:
    clock, period = VirtualClock(START_NS), NS / fps
    paced, waited = PacedVideo(DemoSource(64, 64, fps), clock), []

    @contextmanager
    def turn(until_ns: int) -> Iterator[None]:
        """Others are at work for as long as they are waited for; then the frame takes its time."""
        waited.append(max(0, until_ns - clock.now_ns()))
        clock.advance_to(until_ns)
        clock.advance_to(clock.now_ns() + 7 * MS)
        yield

    paced.turn = turn
    paced.open()
    frames = [(paced.read(), clock.now_ns()) for _ in range(50)]
    for k, (frame, now_ns) in enumerate(frames[1:], 1):  # the first says when time begins
        assert now_ns == pytest.approx(frame.pts_ns, abs=MS)  # in time, all of them
        assert frame.pts_ns - frames[0][0].pts_ns == pytest.approx(k * period, abs=MS)
    assert (paced.skipped, waited[0]) == (0, 0)
    assert min(waited[1:]) == pytest.approx(period - 8 * MS, abs=MS)
    clock.advance_to(clock.now_ns() + round(2.5 * period))  # the reader was away: nobody is waited for
    paced.read()
    assert waited[-1] == 0
    paced.close()


@given(st.lists(st.integers(0, 300), min_size=1, max_size=40))
def test_delay_never_grows(work_ms: list[int]) -> None:
    clock = VirtualClock(START_NS)
    paced = PacedVideo(small_demo(), clock)
    paced.open()
    times, shown = [], -1
    for work in work_ms:
        frame = paced.read()
        times.append(frame.pts_ns)
        shown = frame.seq + paced.skipped
        assert 0 <= clock.now_ns() - START_NS - shown * 40 * MS < 40 * MS
        clock.advance_to(clock.now_ns() + work * MS)
    assert times == sorted(set(times))
    paced.close()


def test_close_ends_a_wait(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    paced = PacedVideo(ImageSource(tmp_path / "a.png", Fraction(1, 60)), MonotonicClock())
    paced.open()
    paced.read()
    ended = threading.Event()

    def reader() -> None:
        with pytest.raises(EndOfStream):
            paced.read()
        ended.set()

    thread = threading.Thread(target=reader)
    thread.start()
    time.sleep(0.05)
    paced.close()
    assert ended.wait(PATIENCE_S)
    thread.join()


class Usb:
    """A film in a camera's place, read by OpenCV at 100 frames a second, that can be pulled out and put back."""

    def __init__(self, film: Path) -> None:
        self.film = film
        self.plugged = True
        self.opened = 0
        self.asked: list[int] = []

    def opener(self, device: str) -> UsbCapture:
        self.opened += 1
        return UsbCapture(self)


class UsbCapture:
    def __init__(self, usb: Usb) -> None:
        self._usb = usb
        self._capture = cv2.VideoCapture(str(usb.film) if usb.plugged else "")
        self.isOpened, self.get, self.retrieve = self._capture.isOpened, self._capture.get, self._capture.retrieve
        self.release = self._capture.release

    def set(self, property_: int, value: float) -> bool:
        self._usb.asked.append(property_)
        return self._capture.set(property_, value)

    def grab(self) -> bool:
        time.sleep(0.01)
        return self._usb.plugged and self._capture.grab()


@pytest.fixture(scope="module")
def camera_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Longer than any test: a film that ends is an unplugging of its own."""
    return write_film(tmp_path_factory.mktemp("camera") / "a.mp4", steady(750), numbered(64, 48), codec="mpeg4")


@pytest.fixture
def usb(camera_film: Path) -> Usb:
    return Usb(camera_film)


def camera(usb: Usb, clock: MonotonicClock | VirtualClock) -> WebcamSource:
    return WebcamSource("0", 640, 480, 25, clock, opener=usb.opener)


class Leisurely(UsbCapture):
    """A camera that says that it gives ten frames a second at more than 640x480."""

    def __init__(self, usb: Usb) -> None:
        super().__init__(usb)
        self.sizes: list[float] = []
        self.get = lambda property_: 10.0 if self.sizes[-1] > 640 else 30.0  # type: ignore[assignment]

    def set(self, property_: int, value: float) -> bool:
        if property_ == cv2.CAP_PROP_FRAME_WIDTH:
            self.sizes.append(value)
        return super().set(property_, value)


@pytest.mark.parametrize(
    ("smaller", "sizes", "fps"), [((640, 480), [1280, 640], 30), (None, [1280], 10)], ids=["chosen here", "asked for"]
)
def test_a_camera_that_is_slow_at_a_large_size_is_asked_for_a_smaller_one_unless_somebody_named_it(
    usb: Usb, smaller: tuple[int, int] | None, sizes: list[int], fps: int
) -> None:
    capture = Leisurely(usb)
    source = WebcamSource("0", 1280, 720, 30, MonotonicClock(), opener=lambda device: capture, smaller=smaller)
    info = source.open()
    source.close()
    assert (capture.sizes, info.fps) == (sizes, fps)
    assert len(source.notes) == (smaller is not None)
    assert all("10 frames a second at 1280x720: it was asked for 640x480" in note for note in source.notes)


def read_until(source: WebcamSource, stale: bool, limit: int = 300) -> Frame:
    for _ in range(limit):
        frame = source.read()
        if frame.stale == stale:
            return frame
    raise AssertionError(f"no frame with stale={stale} in {limit}")


def read_all(source: WebcamSource) -> None:
    try:
        while True:
            source.read()
    except EndOfStream:
        pass


def test_camera_gives_the_newest_picture_stamped(usb: Usb) -> None:
    clock = MonotonicClock()
    source = camera(usb, clock)
    before_ns = clock.now_ns()
    info = source.open()
    assert (info.width, info.height, info.fps, info.live) == (64, 48, 25, True)
    source.read()
    time.sleep(0.2)  # the reader is away while the camera goes on
    asked_ns = clock.now_ns()
    frames = [source.read() for _ in range(5)]
    source.close()
    assert before_ns < frames[0].pts_ns
    assert frames[0].pts_ns > asked_ns - 150 * MS  # of all that came meanwhile, not the oldest
    assert number(frames[0].image) >= 5
    assert all(a.pts_ns < b.pts_ns and a.seq + 1 == b.seq for a, b in pairwise(frames))
    assert not any(f.stale for f in frames)
    assert usb.asked[0] == cv2.CAP_PROP_FOURCC
    assert cv2.CAP_PROP_BUFFERSIZE in usb.asked


def test_a_camera_that_is_known_to_be_late_gives_the_time_of_the_picture(usb: Usb) -> None:
    clock, late_ns = MonotonicClock(), 120 * MS
    source = WebcamSource("0", 640, 480, 25, clock, opener=usb.opener, late_ns=late_ns)
    source.open()
    ages = [-(source.read().pts_ns - clock.now_ns()) for _ in range(5)]
    usb.plugged = False
    gone = read_until(source, stale=True)
    ages.append(clock.now_ns() - gone.pts_ns)  # the last picture goes on in the same time
    source.close()
    assert all(late_ns <= age <= late_ns + 60 * MS for age in ages), ages


def test_a_camera_decodes_in_its_turn(usb: Usb) -> None:
    clock, inside, asked = MonotonicClock(), [0], []

    class Watched(UsbCapture):
        def __init__(self, usb: Usb) -> None:
            super().__init__(usb)
            retrieve = self.retrieve
            self.retrieve = lambda: (asked.append(inside[0]), retrieve())[1]  # type: ignore[assignment,func-returns-value]

    @contextmanager
    def turn(until_ns: int) -> Iterator[None]:
        assert until_ns <= clock.now_ns() + 20 * MS  # half of a frame, from its capture on
        inside[0] += 1
        yield
        inside[0] -= 1

    source = WebcamSource("0", 640, 480, 25, clock, opener=lambda _: Watched(usb))
    assert isinstance(source, DecodesInTurn)
    source.turn = turn
    source.open()
    for _ in range(5):
        source.read()
    source.close()
    assert len(asked) >= 5
    assert set(asked) == {1}


def test_unplugged_camera_goes_on_with_its_last_picture_and_comes_back(usb: Usb) -> None:
    clock = MonotonicClock()
    source = camera(usb, clock)
    source.open()
    source.read()
    usb.plugged = False
    first = read_until(source, stale=True)
    gone = [source.read() for _ in range(8)]
    assert all(f.stale and np.array_equal(f.image, first.image) for f in gone)
    # At the nominal rate: a stale picture never comes before its period is over.
    assert all(b.pts_ns - a.pts_ns > 30 * MS and b.seq == a.seq + 1 for a, b in pairwise([first, *gone]))
    usb.plugged = True
    back = read_until(source, stale=False)
    assert back.pts_ns > gone[-1].pts_ns
    assert not source.read().stale
    assert usb.opened >= 2
    source.close()
    with pytest.raises(EndOfStream):
        source.read()


def test_close_of_an_unplugged_camera_unblocks_its_reader(usb: Usb) -> None:
    source = camera(usb, MonotonicClock())
    source.open()
    usb.plugged = False
    ended = threading.Event()

    def reader() -> None:
        read_all(source)
        ended.set()

    thread = threading.Thread(target=reader)
    thread.start()
    time.sleep(0.1)
    source.close()
    source.close()
    assert ended.wait(PATIENCE_S)
    thread.join()


def test_times_rise_though_the_clock_stands_still(usb: Usb) -> None:
    source = camera(usb, VirtualClock())
    source.open()
    times = [source.read().pts_ns for _ in range(5)]
    source.close()
    assert times == sorted(set(times))


def test_camera_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(DeviceError, match=r"no such camera: /dev/video97; (choose one of /dev/video|there is none)"):
        open_camera("97")
    with pytest.raises(DeviceError, match="no such camera: /dev/nothing"):
        WebcamSource("/dev/nothing", 640, 480, 25, MonotonicClock()).open()


def test_camera_without_picture_is_refused(usb: Usb) -> None:
    usb.plugged = False
    with pytest.raises(DeviceError, match="no picture from camera") as caught:
        camera(usb, MonotonicClock()).open()
    assert "\n" not in str(caught.value)


def test_list_of_cameras(tmp_path: Path) -> None:
    devices, system = tmp_path / "dev", tmp_path / "sys"
    devices.mkdir()
    for node, index, name in (
        ("video10", "0", "Rear"),
        ("video2", "0", "Front"),
        ("video3", "1", "Front"),
        ("video4", "", ""),
    ):
        (devices / node).touch()
        if name:
            (system / node).mkdir(parents=True)
            (system / node / "index").write_text(index + "\n")
            (system / node / "name").write_text(name + "\n")
    (devices / "video-other").touch()
    assert camera_paths(devices) == [str(devices / f"video{n}") for n in (2, 3, 4, 10)]
    assert list_cameras(devices, system) == [
        f"{devices}/video2 (Front)",
        f"{devices}/video4",
        f"{devices}/video10 (Rear)",
    ]


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("demo", "demo"),
        ("0", "webcam"),
        ("12", "webcam"),
        ("/dev/video2", "webcam"),
        ("rtsp://me:secret@host/1", "url"),
        ("https://host/a.m3u8", "url"),
        ("me.JPG", "image"),
        ("photos/me.png", "image"),
        ("talk.mp4", "file"),
        ("demo.mp4", "file"),
        ("moving.gif", "file"),
    ],
)
def test_what_an_argument_means(spec: str, kind: str) -> None:
    assert kind_of(spec) == kind
    assert kind in VIDEO_SOURCES


def test_every_source_of_the_table_can_be_made(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 10, 3), np.uint8))
    write_film(tmp_path / "a.mp4", steady(3), numbered(64, 64))
    clock = VirtualClock()

    def opened(spec: str, live: bool) -> VideoInfo:
        source = open_video(spec, clock=clock, width=64, height=48, fps=30, live=live)
        info = source.open()
        assert source.read().image.shape == (info.height, info.width, 3)
        source.close()
        return info

    for live in (True, False):
        assert opened("demo", live) == VideoInfo(64, 48, Fraction(30), live, "demo")
        assert opened(str(tmp_path / "a.png"), live) == VideoInfo(10, 8, Fraction(30), live, "a.png")
        assert opened(str(tmp_path / "a.mp4"), live).live == live
    with pytest.raises(DeviceError):
        open_video("97", clock=clock, live=True).open()
    with pytest.raises(MediaError, match="no such file: gone"):
        open_video("gone.mp4", clock=clock, live=True)
    with pytest.raises(MediaError, match="no such file: gone"):
        open_video("gone.png", clock=clock, live=False)


def decoders() -> int:
    """FFmpeg's threads of this process that decode H.264."""
    names = [task.joinpath("comm").read_text() for task in Path("/proc/self/task").iterdir()]
    return sum(name.startswith("av:h264") for name in names)


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.cpu_count() == 1,
    reason="the names of threads are told there, of several",
)
def test_a_small_film_that_is_shown_at_its_own_speed_is_decoded_on_its_readers_thread(tmp_path: Path) -> None:
    path = write_film(
        tmp_path / "film.mp4", steady(12), numbered(1024, 576)
    )  # smaller ones have one on two cores anyway
    large = write_film(tmp_path / "large.mp4", steady(3), numbered(2560, 1440))
    before, images = decoders(), {}
    for live in (False, True):
        source = VideoFileSource(path, live=live)
        try:
            source.open()
            images[live] = [source.read().image for _ in range(12)]
            assert (decoders() > before) is not live
        finally:
            source.close()
    assert all(np.array_equal(*pair) for pair in zip(images[False], images[True], strict=True))
    source = VideoFileSource(large, live=True)
    try:
        source.open()
        assert decoders() > before  # more than a thread could be trusted with
    finally:
        source.close()
