"""The table of publishers: what ``--to`` takes. A new one is one file and one line here."""

from __future__ import annotations

from pathlib import Path

from realtime_dub.clock import Clock, MonotonicClock
from realtime_dub.errors import ConfigError, DependencyError
from realtime_dub.imports import resolve
from realtime_dub.publishers.base import Publisher

# Modules are imported when used. A device may follow the name: vcam:/dev/video2.
DEVICES = {
    "vcam": "realtime_dub.publishers.vcam:VirtualCameraPublisher",
    "window": "realtime_dub.publishers.window:WindowPublisher",
    "null": "realtime_dub.publishers.null:NullPublisher",
}
TAKES_A_DEVICE = ("vcam",)
MUXER = "realtime_dub.publishers.muxer:MuxPublisher"
SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".ts", ".flv")
SCHEMES = ("rtmp", "rtmps", "srt", "udp")
OSC = "realtime_dub.publishers.osc:OscPublisher"
CSV = "realtime_dub.publishers.blendshapes_csv:BlendshapeCsvPublisher"
WEB = {
    "webrtc": "realtime_dub.web.publish.webrtc_publisher:WebRtcPublisher",
    "whip": "realtime_dub.web.publish.whip_publisher:WhipPublisher",
    "whips": "realtime_dub.web.publish.whip_publisher:WhipPublisher",
}
CHOICES = (
    "vcam, vcam:DEVICE, window, null, a file such as out.mp4 or out.mkv, rtmp://..., srt://..., udp://..., "
    "webrtc, webrtc:PORT, whip://..., whips://..., blendshapes.csv or osc://HOST:PORT"
)
FILE_CHOICES = f"a file name that ends in {', '.join(SUFFIXES)}, .csv"
AVAILABLE = {
    "vcam": "realtime_dub.publishers.vcam:is_available",
    "window": "realtime_dub.publishers.window:is_available",
}


def open_publisher(
    spec: str,
    *,
    clock: Clock | None = None,
    live: bool = True,
    crf: int | None = None,
    preset: str | None = None,
    encoder: str | None = None,
    codec: str | None = None,
) -> Publisher:
    """The publisher that ``spec`` names, not opened yet. Raises ConfigError that lists the choices.

    Where not ``live``, only files are to be had. ``clock`` is for publishers that keep time themselves: those of WEB.
    ``crf`` and ``preset`` are libx264's, ``encoder`` one of ``h264.NAMES``, ``codec`` one of
    ``codecs.NAMES``, for a file or a network stream. Raises
    DependencyError where those of WEB are asked for and the libraries are not there.
    """
    if (path := file_of(spec, live)) is not None:
        if path.suffix.lower() == ".csv":
            weights: Publisher = resolve(CSV)(spec)
            return weights
        return _muxer(spec, crf, preset, encoder, codec)
    name, _, device = spec.partition(":")
    if live and name.lower() in WEB and (name.lower() == "webrtc" or device.startswith("//")):
        return _web(name.lower(), spec, clock or MonotonicClock())
    if live and name in DEVICES:
        return _device(name, device)
    scheme = spec.partition("://")[0].lower() if "://" in spec else ""
    if live and scheme == "osc":
        osc: Publisher = resolve(OSC)(spec)
        return osc
    if live and scheme in SCHEMES:
        return _muxer(spec, crf, preset, encoder, codec)
    raise ConfigError("unknown output", repr(spec), f"choose {CHOICES if live else FILE_CHOICES}")


def file_of(spec: str, live: bool = True) -> Path | None:
    """The file that ``spec`` names, by its suffix; None for a device or an address. A colon may be part of the name.

    >>> [file_of(spec) for spec in ("12:30.mp4", "vcam:/dev/a.mp4", "rtmp://host/a.mp4", "window")]
    [PosixPath('12:30.mp4'), None, None, None]
    """
    device = live and spec.partition(":")[0] in TAKES_A_DEVICE and ":" in spec
    path = Path(spec)
    return path if path.suffix.lower() in (*SUFFIXES, ".csv") and "://" not in spec and not device else None


def default_publisher() -> Publisher:
    """A virtual camera if there is one, else a preview window. Raises ConfigError that says what to do."""
    for name, probe in AVAILABLE.items():
        if resolve(probe)():
            return open_publisher(name)
    advice = resolve("realtime_dub.publishers.vcam:advice")()
    raise ConfigError(
        "nowhere to show the video:",
        "there is no virtual camera and no display",
        f"give --to out.mp4, or for a camera {advice}",
    )


def _device(name: str, device: str) -> Publisher:
    if device and name not in TAKES_A_DEVICE:
        raise ConfigError("cannot choose a device for", repr(name), f"leave out {':' + device!r}")
    make = resolve(DEVICES[name])
    publisher: Publisher = make(device) if device else make()
    return publisher


def _muxer(spec: str, crf: int | None, preset: str | None, encoder: str | None, codec: str | None) -> Publisher:
    options = {name: value for name, value in (("encoder", encoder), ("codec", codec)) if value is not None}
    muxer: Publisher = resolve(MUXER)(spec, crf=crf, preset=preset, **options)
    return muxer


def _web(name: str, spec: str, clock: Clock) -> Publisher:
    try:
        make = resolve(WEB[name])
    except ModuleNotFoundError as error:
        raise DependencyError(f"--to {name} needs", error.name or "", "run: pip install 'realtime-dub[web]'") from error
    publisher: Publisher = make(spec, clock)
    return publisher
