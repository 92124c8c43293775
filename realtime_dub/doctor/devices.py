"""Cameras, microphones and speakers, and where a picture can be shown."""

from __future__ import annotations

from collections.abc import Callable

from realtime_dub.errors import RealtimeDubError
from realtime_dub.finding import Finding
from realtime_dub.imports import resolve

DEVICES = {
    "Cameras": "realtime_dub.sources.registry:list_cameras",
    "Microphones": "realtime_dub.sources.voices:list_microphones",
    "Speakers": "realtime_dub.sources.voices:list_speakers",
    "Virtual cameras": "realtime_dub.publishers.vcam:list_virtual_cameras",
}


def list_devices() -> dict[str, list[str]]:
    """Names by kind of device; where there are none, a line that says so or why."""
    return {title: _listed(target) or ["none"] for title, target in DEVICES.items()}


def _listed(target: str) -> list[str]:
    try:
        return [str(line) for line in resolve(target)()]
    except (RealtimeDubError, ImportError, OSError) as error:
        return [f"cannot be listed: {error}"]


def device(name: str, title: str, advice: str) -> Callable[[], Finding]:
    def check() -> Finding:
        names = [str(line) for line in resolve(DEVICES[title])()]
        return Finding(name, "ok", "; ".join(names)) if names else Finding(name, "warn", "none found", advice)

    return check


def virtual_camera() -> Finding:
    from realtime_dub.publishers.vcam import advice, is_available

    if is_available():
        return Finding("virtual camera", "ok", "one is free")
    return Finding("virtual camera", "warn", "none", advice())


def display() -> Finding:
    from realtime_dub.publishers.window import is_available

    if is_available():
        return Finding("display", "ok", "a preview window can be shown")
    return Finding("display", "warn", "none", "without one use --to vcam or --to out.mp4")
