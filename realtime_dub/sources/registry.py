"""The table of video sources, and which of them an argument means."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

from realtime_dub.clock import Clock
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.fitting import Size
from realtime_dub.imports import resolve
from realtime_dub.media import BLACK, Colour
from realtime_dub.paths import is_missing, is_number
from realtime_dub.sources.avatars import is_avatar
from realtime_dub.sources.base import VideoSource
from realtime_dub.sources.cameras import list_cameras
from realtime_dub.sources.kinds import content_of

__all__ = ["VIDEO_SOURCES", "kind_of", "list_cameras", "open_video"]

# A new source is one file and one line here; modules are imported when used.
VIDEO_SOURCES = {
    "animation": "realtime_dub.sources.animation:AnimationSource",
    "avatar": "realtime_dub.sources.avatar:AvatarSource",
    "demo": "realtime_dub.sources.demo:DemoSource",
    "file": "realtime_dub.sources.video_file:VideoFileSource",
    "image": "realtime_dub.sources.image:ImageSource",
    "url": "realtime_dub.sources.url:UrlSource",
    "webcam": "realtime_dub.sources.webcam:WebcamSource",
}
CAMERAS = ("url", "webcam")  # that come at the speed of life, some time after they were taken
# FFmpeg knows more, such as file:// and cache://, which read this machine's files behind the back of those who look.
SCHEMES = (
    *("http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "rtmpt", "rtmpts", "srt", "rist", "udp", "rtp", "srtp", "tcp"),
    *("tls", "mms", "mmsh", "mmst", "ftp", "sftp"),
)
IMAGE_SUFFIXES = {
    *(".avif", ".bmp", ".heic", ".heif", ".hif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
}


def kind_of(spec: str) -> str:
    """The key of VIDEO_SOURCES that an argument means; ``file`` also for an animation, which is a film like any other.
    An avatar is a folder.

    Files are told by their content, and by their names only where that says nothing.

    >>> [kind_of(s) for s in ("demo", "0", "/dev/video2", "rtsp://host/cam", "me.JPG", "talk.mp4")]
    ['demo', 'webcam', 'webcam', 'url', 'image', 'file']
    """
    kind = _kind_of(spec)
    return "file" if kind == "animation" else kind


def _kind_of(spec: str) -> str:
    if spec == "demo":
        return "demo"
    if is_number(spec) or spec.startswith("/dev/video"):
        return "webcam"
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", spec):
        return "url"
    if is_avatar(spec):
        return "avatar"
    if (content := content_of(spec)) is not None:
        return {"still": "image", "film": "file", "animation": "animation"}[content]
    return "image" if Path(spec).suffix.lower() in IMAGE_SUFFIXES else "file"


def open_video(
    spec: str,
    *,
    clock: Clock,
    width: int = 640,
    height: int = 480,
    fps: float | Fraction = 25,
    smaller: Size | None = None,
    shown: Size | None = None,
    loop: bool = False,
    background: Colour = BLACK,
    live: bool,
    stream: int | None = None,
    keep_coded: bool = True,
    late_ns: int = 0,
) -> VideoSource:
    """The source that ``spec`` means, not yet opened.

    ``width``, ``height`` and ``fps`` are asked of a camera and given by the demo; a still has ``fps``; files and
    streams have their own. ``smaller`` is asked of a camera that is too slow at the size. ``shown``: the size of an
    avatar's picture, where it is not to be the recording's. ``keep_coded``: a camera's JPEG keeps its planes, which
    pays where an output encodes them. ``late_ns``: how long a camera's picture takes until it comes. ``background``
    shows in bars and through what is transparent. ``stream``: which of several pictures of a file or stream, from 1.
    With ``live``, what could be pulled faster runs at its own speed.

    Raises MediaError for a path that is not there, ConfigError for an address that is none of a network.
    """
    kind = _kind_of(spec)
    if kind in ("file", "image") and is_missing(spec):
        raise MediaError("no such file:", spec, "give a camera's number, a file, a URL, or demo")
    if kind == "url":
        _check_scheme(spec)
    made_of: dict[str, tuple[Any, ...]] = {
        "animation": (spec, loop),
        "avatar": (spec, fps, shown),
        "demo": (width, height, fps),
        "file": (spec, loop),
        "image": (spec, fps),
        "url": (spec, clock),
        "webcam": (spec, width, height, fps, clock),
    }
    options: dict[str, Any] = {} if kind == "demo" else {"background": background}
    if kind == "file":
        options["live"] = live
    if kind == "webcam":
        options |= {"smaller": smaller, "keep_coded": keep_coded}
    if late_ns:
        if kind not in CAMERAS:
            raise ConfigError("--camera-late needs", f"a camera or an address, not {spec!r}", "leave it out")
        options["late_ns"] = late_ns
    if stream is not None:
        if kind not in ("file", "url"):
            raise ConfigError("--video-stream needs", f"a video file or an address, not {spec!r}", "leave it out")
        options["stream"] = stream
    source: VideoSource = resolve(VIDEO_SOURCES[kind])(*made_of[kind], **options)
    paced = live and kind not in CAMERAS
    return resolve("realtime_dub.sources.paced:PacedVideo")(source, clock) if paced else source


def _check_scheme(address: str) -> None:
    scheme = address.partition("://")[0].lower()
    if scheme not in SCHEMES:
        raise ConfigError(
            "cannot read from", f"{scheme}://", "give a file by its path, or an rtsp:// or http:// address"
        )
