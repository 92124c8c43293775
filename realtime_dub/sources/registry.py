"""The table of video sources, and which of them an argument means."""

from __future__ import annotations

import re
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

from realtime_dub.clock import Clock
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.paths import is_missing
from realtime_dub.sources.base import VideoSource
from realtime_dub.sources.cameras import list_cameras

__all__ = ["VIDEO_SOURCES", "kind_of", "list_cameras", "open_video"]

# A new source is one file and one line here; modules are imported when used.
VIDEO_SOURCES = {
    "demo": "realtime_dub.sources.demo:DemoSource",
    "file": "realtime_dub.sources.video_file:VideoFileSource",
    "image": "realtime_dub.sources.image:ImageSource",
    "url": "realtime_dub.sources.url:UrlSource",
    "webcam": "realtime_dub.sources.webcam:WebcamSource",
}
IMAGE_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def kind_of(spec: str) -> str:
    """The key of VIDEO_SOURCES that an argument means.

    >>> [kind_of(s) for s in ("demo", "0", "/dev/video2", "rtsp://host/cam", "me.JPG", "talk.mp4")]
    ['demo', 'webcam', 'webcam', 'url', 'image', 'file']
    """
    if spec == "demo":
        return "demo"
    if re.fullmatch(r"\d+|/dev/video.*", spec):
        return "webcam"
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", spec):
        return "url"
    return "image" if Path(spec).suffix.lower() in IMAGE_SUFFIXES else "file"


def open_video(
    spec: str,
    *,
    clock: Clock,
    width: int = 640,
    height: int = 480,
    fps: float | Fraction = 25,
    loop: bool = False,
    live: bool,
    stream: int | None = None,
) -> VideoSource:
    """The source that ``spec`` means, not yet opened.

    ``width``, ``height`` and ``fps`` are asked of a camera and given by the demo; a still has ``fps``; files and
    streams have their own. ``stream``: which of several pictures of these, from 1. With ``live``, what could be pulled
    faster runs at its own speed. Raises MediaError for a path that is not there.
    """
    kind = kind_of(spec)
    if kind in ("file", "image") and is_missing(spec):
        raise MediaError("no such file:", spec, "give a camera's number, a file, a URL, or demo")
    if stream is not None and kind not in ("file", "url"):
        raise ConfigError("--video-stream chooses", f"among the pictures of a file or stream: {spec!r} is none")
    make = _attribute(VIDEO_SOURCES[kind])
    if kind == "webcam":
        return make(spec, width, height, fps, clock)  # type: ignore[no-any-return]
    if kind == "url":
        return make(spec, clock, stream=stream)  # type: ignore[no-any-return]
    pulled: dict[str, tuple[Any, ...]] = {
        "demo": (width, height, fps),
        "file": (spec, loop, stream),
        "image": (spec, fps),
    }
    source: VideoSource = make(*pulled[kind])
    return _attribute("realtime_dub.sources.paced:PacedVideo")(source, clock) if live else source


def _attribute(where: str) -> Any:
    module, attribute = where.split(":")
    return getattr(import_module(module), attribute)
