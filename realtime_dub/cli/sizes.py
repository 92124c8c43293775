"""What ``--size`` means."""

from __future__ import annotations

from realtime_dub.errors import ConfigError
from realtime_dub.paths import is_number

__all__ = ["shown_size", "size_of"]

SIZES = {"480p": "640x480", "720p": "1280x720", "1080p": "1920x1080"}


def size_of(text: str) -> dict[str, int]:
    """Width and height; nothing for auto. Raises ConfigError."""
    if text == "auto":
        return {}
    width, _, height = SIZES.get(text, text).partition("x")
    if not (is_number(width) and is_number(height)):
        raise ConfigError("cannot use --size", repr(text), f"give auto, {', '.join(SIZES)} or WIDTHxHEIGHT")
    return {"width": int(width), "height": int(height)}


def shown_size(text: str, picture: str) -> dict[str, int]:
    """The same for pictures that are made here. Raises ConfigError for those that have a size of their own."""
    asked = size_of(text)
    if asked:
        from realtime_dub.sources.registry import kind_of

        if kind_of(picture) in ("file", "image"):
            raise ConfigError("cannot use --size with", picture, "leave it out: it keeps its own size")
    return asked
