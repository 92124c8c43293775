"""The virtual camera: what a meeting program then finds in its list of cameras. Picture only; see ``--speaker``.

Where the system's camera is in YUV itself, frames are sent in YUV 4:2:0: those that came so, with the patch's box alone
converted (``i420.py``). Taken from pyvirtualcam's sources: v4l2loopback takes that as it is, OBS's camera on Windows as
NV12, on macOS as UYVY; Unity Capture is in RGBA and gets BGR. Run on none of them so far.
"""

from __future__ import annotations

import contextlib
import platform
from pathlib import Path
from typing import Literal

import numpy as np
import pyvirtualcam
from pyvirtualcam import PixelFormat
from pyvirtualcam.camera import BACKENDS

from realtime_dub.errors import ConfigError, DeviceError
from realtime_dub.i420 import planes_of
from realtime_dub.media import MS, OutputFormat, Tick

HELP = {
    "Linux": "run: sudo apt install v4l2loopback-dkms && sudo modprobe v4l2loopback devices=1 exclusive_caps=1 "
    'card_label="Realtime Dub"',
    "Darwin": "install OBS 30 or later, start it once and press Start Virtual Camera, then quit it",
    "Windows": "install OBS from obsproject.com, which brings the OBS Virtual Camera",
}
SEND_NS = 2 * MS  # one 640x480 picture through v4l2loopback
YUV = (PixelFormat.I420, PixelFormat.NV12, PixelFormat.YUYV, PixelFormat.UYVY)  # of a camera that is in YUV itself


class VirtualCameraPublisher:
    """Sends pictures to ``device`` (a path on Linux, a name elsewhere; None = the first that is free).

    ``backend`` is the name of one that is registered with pyvirtualcam; None tries all.
    """

    name = "vcam"
    policy: Literal["latest", "every"] = "latest"
    latency_ns = SEND_NS

    def __init__(self, device: str | None = None, backend: str | None = None) -> None:
        self._device, self._backend = device, backend
        self._camera: pyvirtualcam.Camera | None = None

    def open(self, fmt: OutputFormat) -> None:
        """Raises DeviceError that says how this system gets a virtual camera."""
        if self._backend is not None and self._backend not in BACKENDS:
            raise ConfigError("unknown virtual camera backend", repr(self._backend), f"use {', '.join(BACKENDS)}")
        try:
            self._camera = self._opened(fmt)
        except (RuntimeError, ValueError) as error:
            raise DeviceError("no virtual camera", f"({error})", self._advice()) from error
        self.name = f"vcam {self._camera.device}"

    def _opened(self, fmt: OutputFormat) -> pyvirtualcam.Camera:
        """In YUV where the camera is in YUV itself, and the frames can be; else in BGR."""
        if fmt.width % 2 == fmt.height % 2 == 0:
            with contextlib.suppress(RuntimeError):  # what is wrong with more than the format, the next one says
                camera = self._camera_of(fmt, PixelFormat.I420)
                if camera.native_fmt in YUV:
                    return camera
                camera.close()
        return self._camera_of(fmt, PixelFormat.BGR)

    def _camera_of(self, fmt: OutputFormat, pixels: PixelFormat) -> pyvirtualcam.Camera:
        size = fmt.width, fmt.height
        return pyvirtualcam.Camera(*size, float(fmt.fps), fmt=pixels, device=self._device, backend=self._backend)

    def _advice(self) -> str:
        others = list_virtual_cameras()
        return f"there is {', '.join(others)}" if self._device and others else advice()

    def publish(self, tick: Tick) -> None:
        """Send the picture. Raises DeviceError where the device is gone."""
        assert self._camera is not None, "publish comes after open"
        try:
            planar = self._camera.fmt is PixelFormat.I420
            self._camera.send(planes_of(tick) if planar else np.ascontiguousarray(tick.image))
        except (RuntimeError, ValueError, OSError) as error:
            raise DeviceError(
                "cannot send to", f"{self.name}: {error}", "start realtime-dub again when it is back"
            ) from error

    def close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()


def advice() -> str:
    """What to do on this system to have a virtual camera."""
    return HELP.get(platform.system(), "see the documentation of pyvirtualcam")


def list_virtual_cameras() -> list[str]:
    """Names of the devices that pictures can be sent to; outside Linux the one that is free, if there is one."""
    if platform.system() != "Linux":
        return [name for name in (_first_free(),) if name]
    drivers = sorted(Path("/sys/devices/virtual/video4linux").glob("video*"))
    return [f"/dev/{path.name} ({_label(path)})" for path in drivers]


def is_available() -> bool:
    """Whether a picture could be sent right now; opens the device for a moment."""
    return _first_free() is not None


def _first_free() -> str | None:
    try:
        with pyvirtualcam.Camera(640, 480, 25, fmt=pyvirtualcam.PixelFormat.BGR) as camera:
            return str(camera.device)
    except (RuntimeError, ValueError):
        return None


def _label(path: Path) -> str:
    try:
        return (path / "name").read_text().strip()
    except OSError:
        return "no name"
