"""What tells the folder of a trained avatar from others (``docs/avatar.md``)."""

from __future__ import annotations

from pathlib import Path

ABOUT, REST = "avatar.json", "rest.png"


def is_avatar(spec: str) -> bool:
    """``spec`` names a folder that an avatar is in."""
    try:
        return (Path(spec) / ABOUT).is_file()
    except (OSError, ValueError):  # a name that is too long, a zero byte
        return False
