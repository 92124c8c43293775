"""Cameras, microphones and speakers, and where a picture can be shown."""

from __future__ import annotations

from realtime_dub.clock import MonotonicClock
from realtime_dub.errors import RealtimeDubError
from realtime_dub.finding import Finding
from realtime_dub.imports import resolve
from realtime_dub.media import MS

DEVICES = {
    "Cameras": "realtime_dub.sources.registry:list_cameras",
    "Microphones": "realtime_dub.sources.voices:list_microphones",
    "Speakers": "realtime_dub.sources.voices:list_speakers",
    "Virtual cameras": "realtime_dub.publishers.vcam:list_virtual_cameras",
}
HEARD_NS, MOST_NS = 300 * MS, 6_000 * MS  # a sink's monitor that nobody plays into takes 3 s to give its first block


def list_devices() -> dict[str, list[str]]:
    """Names by kind of device; where there are none, a line that says so or why."""
    return {title: _listed(target) or ["none"] for title, target in DEVICES.items()}


def _listed(target: str) -> list[str]:
    try:
        return [str(line) for line in resolve(target)()]
    except (RealtimeDubError, ImportError, OSError) as error:
        return [f"cannot be listed: {error}"]


def camera() -> Finding:
    """Each is opened, and gives a frame."""
    names = [str(line) for line in resolve(DEVICES["Cameras"])()]
    if not names:
        return Finding("camera", "warn", "none found", "plug one in, or use --webcam talk.mp4 or --webcam demo")
    failed = {name: error for name in names if (error := _why_no_frame(name.partition(" (")[0])) is not None}
    if not failed:
        return Finding("camera", "ok", "; ".join(names))
    whats, dos = zip(*(str(error).partition("; ")[::2] for error in failed.values()), strict=True)
    return Finding("camera", "warn", "; ".join([*(name for name in names if name not in failed), *whats]), dos[0])


def microphone() -> Finding:
    """The default one is opened, and heard for a moment."""
    names = [str(line) for line in resolve(DEVICES["Microphones"])()]
    if not names:
        return Finding("microphone", "warn", "none found", "plug one in, or use --mic voice.wav or --mic demo")
    told = "; ".join(names)
    try:
        heard = _loudest(names[0])
    except RealtimeDubError as error:
        return Finding("microphone", "warn", f"{told}: {error}", "choose another one with --mic")
    if heard is None:
        return Finding("microphone", "warn", f"{told}: {names[0]} gives no sound", "choose another one with --mic")
    if heard == 0:
        return Finding("microphone", "ok", told, f"{names[0]} is silent just now: is it muted?")
    return Finding("microphone", "ok", told)


def _why_no_frame(device: str) -> RealtimeDubError | None:
    source = resolve("realtime_dub.sources.webcam:WebcamSource")(device, 640, 480, 25, MonotonicClock())
    try:
        source.open()
    except RealtimeDubError as error:
        return error
    finally:
        source.close()
    return None


def _loudest(device: str) -> float | None:
    """The loudest sample in HEARD_NS of it; None where nothing comes. Raises RealtimeDubError."""
    clock = MonotonicClock()
    source = resolve("realtime_dub.sources.microphone:MicrophoneSource")(device, clock)
    heard_ns, loudest, until_ns = 0, 0.0, clock.now_ns() + MOST_NS
    try:
        source.open()
        while heard_ns < HEARD_NS and clock.now_ns() < until_ns:
            block = source.read()
            if not block.gap:
                heard_ns += block.duration_ns
                loudest = max(loudest, float(abs(block.samples).max(initial=0.0)))
    finally:
        source.close()
    return loudest if heard_ns else None


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
