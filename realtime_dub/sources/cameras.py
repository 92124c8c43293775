"""Which cameras there are, without opening one and without OpenCV."""

from __future__ import annotations

import re
from pathlib import Path

DEVICES = Path("/dev")
SYSTEM = Path("/sys/class/video4linux")


def camera_paths(devices: Path = DEVICES) -> list[str]:
    """The video nodes of Linux, by number. Empty elsewhere, where cameras have numbers only."""
    nodes = [
        (int(match[1]), path) for path in devices.glob("video*") if (match := re.fullmatch(r"video(\d+)", path.name))
    ]
    return [str(path) for _, path in sorted(nodes)]


def list_cameras(devices: Path = DEVICES, system: Path = SYSTEM) -> list[str]:
    """The cameras for a person to choose from, "/dev/video0 (Integrated Camera)".

    Nodes that carry no pictures but a camera's side data (those with an index above 0) are left out.
    """
    lines = []
    for path in camera_paths(devices):
        about = system / Path(path).name
        if _read(about / "index") in ("", "0"):
            name = _read(about / "name")
            lines.append(f"{path} ({name})" if name else path)
    return lines


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
