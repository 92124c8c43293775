"""The virtual camera, through a backend registered with pyvirtualcam."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
from media_files import grid, output_format, picture, publish, ticks
from pyvirtualcam import PixelFormat, register_backend
from pyvirtualcam.camera import BACKENDS
from pyvirtualcam.util import encode_fourcc

from realtime_dub.errors import ConfigError, DeviceError
from realtime_dub.i420 import coded_of, image_of
from realtime_dub.media import Tick
from realtime_dub.publishers.vcam import HELP, VirtualCameraPublisher, is_available, list_virtual_cameras


class Recorder:
    """A camera that keeps what it is sent."""

    opened: ClassVar[list[Recorder]] = []
    native: ClassVar[PixelFormat | None] = None

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: str | None, **_: Any) -> None:
        if device == "unknown":
            raise RuntimeError("no such device")
        self.fps, self.fourcc = fps, fourcc
        self.shape = (height * 3 // 2, width) if fourcc == encode_fourcc(PixelFormat.I420.value) else (height, width, 3)
        self.name = device or "recorder 0"
        self.sent: list[np.ndarray] = []
        self.closed = 0
        self.opened.append(self)

    def send(self, frame: np.ndarray) -> None:
        if len(self.sent) == 5:
            raise RuntimeError("unplugged")
        self.sent.append(frame.reshape(self.shape).copy())

    def close(self) -> None:
        self.closed += 1

    def device(self) -> str:
        return self.name

    def native_fourcc(self) -> int | None:
        return encode_fourcc(self.native.value) if self.native is not None else None


class Yuv(Recorder):
    """A camera that is in YUV itself, as v4l2loopback is where it is sent that."""

    native = PixelFormat.I420


class BgrAlone(Recorder):
    """A camera that takes no YUV."""

    def __init__(self, *, fourcc: int, **options: Any) -> None:
        if fourcc == encode_fourcc(PixelFormat.I420.value):
            raise RuntimeError("Unsupported image format.")
        super().__init__(fourcc=fourcc, **options)


class Taken(Recorder):
    """A camera that another program uses."""

    def __init__(self, **_: Any) -> None:
        raise RuntimeError("device is in use")


@pytest.fixture
def backend() -> Iterator[str]:
    Recorder.opened.clear()
    register_backend("recorder", Recorder)
    register_backend("yuv", Yuv)
    register_backend("bgr alone", BgrAlone)
    register_backend("taken", Taken)
    yield "recorder"
    for name in ("recorder", "yuv", "bgr alone", "taken"):
        del BACKENDS[name]


def test_pictures_arrive_as_they_are(backend: str) -> None:
    fmt = output_format(fps=30, rate=0)
    publisher = VirtualCameraPublisher(backend=backend)
    publish(publisher, fmt, ticks(fmt, grid(4, fmt.fps)))
    publisher.close()
    *tried, camera = Recorder.opened
    assert [other.closed for other in tried] == [1]  # in YUV, of which this one is not
    assert (camera.fps, camera.fourcc, camera.closed) == (30.0, encode_fourcc(PixelFormat.BGR.value), 1)
    assert publisher.name == "vcam recorder 0"
    assert all(np.array_equal(sent, picture(fmt, k)) for k, sent in enumerate(camera.sent))


def test_pictures_that_are_views_are_sent_too(backend: str) -> None:
    fmt = output_format(rate=0)
    mirrored = ticks(fmt, grid(1, fmt.fps), pictures=lambda fmt, k: picture(fmt, k)[:, ::-1])
    publish(VirtualCameraPublisher("studio", backend), fmt, mirrored)
    assert Recorder.opened[-1].name == "studio"
    assert np.array_equal(Recorder.opened[-1].sent[0], picture(fmt, 0)[:, ::-1])


def drawn_on(coded: bool) -> Tick:
    """A frame that came in YUV, with something drawn into it."""
    planes = np.random.default_rng(0).integers(16, 236, (180, 160), np.uint8)
    image, box = image_of(planes), (40, 30, 20, 10)
    image[30:40, 40:60] = (20, 40, 60)
    return Tick(image, 0, 40_000_000, 0, None, None, coded_of(planes) if coded else None, (box,) if coded else ())


def test_a_camera_in_yuv_gets_what_came_in_yuv_as_it_came(backend: str) -> None:
    fmt, given = output_format(rate=0), drawn_on(coded=True)
    publish(VirtualCameraPublisher(backend="yuv"), fmt, iter([given, drawn_on(coded=False)]))
    (camera,) = Recorder.opened
    assert camera.fourcc == encode_fourcc(PixelFormat.I420.value)
    kept, made = camera.sent
    assert given.coded is not None
    untouched = np.ones((120, 160), bool)
    untouched[30:40, 40:60] = False
    assert np.array_equal(kept[:120][untouched], given.coded.planes[0][untouched])
    assert np.array_equal(kept[:120][~untouched], made[:120][~untouched])


@pytest.mark.parametrize(("name", "width"), [("bgr alone", 160), ("yuv", 161)])
def test_where_yuv_cannot_be_sent_bgr_is(backend: str, name: str, width: int) -> None:
    fmt = output_format(width=width, rate=0)
    publish(VirtualCameraPublisher(backend=name), fmt, ticks(fmt, grid(1, fmt.fps)))
    assert Recorder.opened[-1].fourcc == encode_fourcc(PixelFormat.BGR.value)
    assert np.array_equal(Recorder.opened[-1].sent[0], picture(fmt, 0))


@pytest.mark.parametrize("system", ["Linux", "Darwin", "Windows"])
def test_a_camera_that_cannot_be_had_says_what_to_do(
    backend: str, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    with pytest.raises(DeviceError) as caught:
        VirtualCameraPublisher(backend="taken").open(output_format())
    assert "device is in use" in str(caught.value)
    assert str(caught.value).endswith(HELP[system])
    assert "\n" not in str(caught.value)


def test_a_device_that_is_not_there_lists_what_is(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Windows")
    with pytest.raises(DeviceError, match=r"no such device.*; there is recorder 0"):
        VirtualCameraPublisher("unknown", backend).open(output_format())


def test_a_camera_that_goes_away_is_one_line(backend: str) -> None:
    fmt = output_format(rate=0)
    with pytest.raises(DeviceError, match="cannot send to vcam recorder 0: unplugged"):
        publish(VirtualCameraPublisher(backend=backend), fmt, ticks(fmt, grid(6, fmt.fps)))


def test_an_unknown_backend_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="unknown virtual camera backend 'none'; use "):
        VirtualCameraPublisher(backend="none").open(output_format())


def test_a_camera_that_is_there_is_found(backend: str) -> None:
    with pytest.MonkeyPatch.context() as patch:  # undone before the fixture takes its backends away
        for name in [name for name in BACKENDS if name != backend]:
            patch.delitem(BACKENDS, name)
        assert is_available()
        assert [camera.closed for camera in Recorder.opened] == [1]
        patch.setattr("platform.system", lambda: "Windows")
        assert list_virtual_cameras() == ["recorder 0"]
        patch.delitem(BACKENDS, backend)
        assert not is_available()


def test_devices_are_listed_by_name() -> None:
    assert all(name.startswith("/dev/video") for name in list_virtual_cameras())
