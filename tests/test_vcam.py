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
from realtime_dub.publishers.vcam import HELP, VirtualCameraPublisher, is_available, list_virtual_cameras


class Recorder:
    """A camera that keeps what it is sent."""

    opened: ClassVar[list[Recorder]] = []

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: str | None, **_: Any) -> None:
        if device == "unknown":
            raise RuntimeError("no such device")
        self.shape, self.fps, self.fourcc = (height, width, 3), fps, fourcc
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
        return None


class Taken(Recorder):
    """A camera that another program uses."""

    def __init__(self, **_: Any) -> None:
        raise RuntimeError("device is in use")


@pytest.fixture
def backend() -> Iterator[str]:
    Recorder.opened.clear()
    register_backend("recorder", Recorder)
    register_backend("taken", Taken)
    yield "recorder"
    del BACKENDS["recorder"], BACKENDS["taken"]


def test_pictures_arrive_as_they_are(backend: str) -> None:
    fmt = output_format(fps=30, rate=0)
    publisher = VirtualCameraPublisher(backend=backend)
    publish(publisher, fmt, ticks(fmt, grid(4, fmt.fps)))
    publisher.close()
    (camera,) = Recorder.opened
    assert (camera.fps, camera.fourcc, camera.closed) == (30.0, encode_fourcc(PixelFormat.BGR.value), 1)
    assert publisher.name == "vcam recorder 0"
    assert all(np.array_equal(sent, picture(fmt, k)) for k, sent in enumerate(camera.sent))


def test_pictures_that_are_views_are_sent_too(backend: str) -> None:
    fmt = output_format(rate=0)
    mirrored = ticks(fmt, grid(1, fmt.fps), pictures=lambda fmt, k: picture(fmt, k)[:, ::-1])
    publish(VirtualCameraPublisher("studio", backend), fmt, mirrored)
    assert Recorder.opened[0].name == "studio"
    assert np.array_equal(Recorder.opened[0].sent[0], picture(fmt, 0)[:, ::-1])


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
