"""What a machine has and lacks: the checks behind ``realtime-dub doctor`` and the lists of ``realtime-dub devices``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from importlib import import_module, metadata
from typing import TYPE_CHECKING

from realtime_dub import __version__
from realtime_dub.errors import RealtimeDubError, UserError
from realtime_dub.finding import Finding, State
from realtime_dub.imports import NOT_FOR_MEDIAPIPE, left_out, resolve
from realtime_dub.mouth import registry

if TYPE_CHECKING:
    from rich.table import Table

    from realtime_dub.web.config import ServeConfig

COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}
PYTHONS = ((3, 11), (3, 13))  # from, up to but without
MIN_CORES = 2
SPEED_TEST_S = 2.0
FRAME_MS = 40.0  # 25 pictures a second

# Distribution -> the module that it brings.
LIBRARIES = {
    "av": "av",
    "mediapipe": "mediapipe",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "opencv-contrib-python": "cv2",
    "pydantic": "pydantic",
    "python-osc": "pythonosc",
    "pyvirtualcam": "pyvirtualcam",
    "sounddevice": "sounddevice",
    "soxr": "soxr",
}
# What a library's loader says it lacks -> what to do.
SYSTEM_LIBRARIES = {
    "libGL": "run: sudo apt install libgl1",
    "libgthread": "run: sudo apt install libglib2.0-0",
    "libglib": "run: sudo apt install libglib2.0-0",
    "PortAudio": "run: sudo apt install libportaudio2 (needed for microphones and speakers only)",
}
ONLY_FOR_DEVICES = ("sounddevice", "pyvirtualcam")  # files can be dubbed without
DEVICES = {
    "Cameras": "realtime_dub.sources.registry:list_cameras",
    "Microphones": "realtime_dub.sources.voices:list_microphones",
    "Speakers": "realtime_dub.sources.voices:list_speakers",
    "Virtual cameras": "realtime_dub.publishers.vcam:list_virtual_cameras",
}


def can_run(checks: list[Finding]) -> bool:
    """Whether anything at all can be dubbed."""
    return all(check.state != "fail" for check in checks)


def examine() -> list[Finding]:
    """All checks, in the order in which to mend what they find. Takes about SPEED_TEST_S and what imports take."""
    checks = [_python(), *(_library(*item) for item in LIBRARIES.items())]
    for name, check in CHECKS.items():
        checks += _guarded(name, check)
    return checks


def examine_network(config: ServeConfig) -> list[Finding]:
    """What ``realtime-dub serve`` is to be reached by, really tried."""
    try:
        found: list[Finding] = resolve("realtime_dub.web.http.reach:look")(config)
    except ModuleNotFoundError as error:
        return [Finding("browser studio", "fail", f"{error.name} is missing", "run: pip install 'realtime-dub[web]'")]
    return found


def table(checks: list[Finding]) -> Table:
    """The checks for a terminal."""
    from rich.table import Table
    from rich.text import Text

    out = Table(title=f"realtime-dub {__version__}", title_justify="left")
    for heading in ("", "", "found", "what to do"):
        out.add_column(heading, overflow="fold")
    for check in checks:
        state = Text(check.state, style=COLORS[check.state])
        out.add_row(state, Text(check.name), Text(check.detail), Text(check.advice))
    return out


def list_devices() -> dict[str, list[str]]:
    """Names by kind of device; where there are none, a line that says so or why."""
    return {title: _listed(target) or ["none"] for title, target in DEVICES.items()}


def _listed(target: str) -> list[str]:
    try:
        return [str(line) for line in resolve(target)()]
    except (RealtimeDubError, ImportError, OSError) as error:
        return [f"cannot be listed: {error}"]


def _guarded(name: str, check: Callable[[], Finding]) -> list[Finding]:
    """A check that itself cannot run has found something: a library it needs was reported above."""
    try:
        return [check()]
    except UserError as error:
        return [Finding(name, "fail" if name in NEEDED else "warn", str(error))]
    except (ImportError, OSError) as error:
        return [Finding(name, "fail" if name in NEEDED else "warn", f"cannot be checked: {error}")]


def _python() -> Finding:
    version = sys.version.split()[0]
    if PYTHONS[0] <= sys.version_info[:2] < PYTHONS[1]:
        return Finding("Python", "ok", version)
    return Finding("Python", "fail", version, "install Python 3.11 or 3.12")


def _library(distribution: str, module: str) -> Finding:
    try:
        version = metadata.version(distribution)
        with left_out(*(NOT_FOR_MEDIAPIPE if module == "mediapipe" else ())):
            import_module(module)
    except metadata.PackageNotFoundError:
        return Finding(distribution, "fail", "not installed", f"run: pip install {distribution}")
    except (ImportError, OSError) as error:
        advice = next((do for name, do in SYSTEM_LIBRARIES.items() if name in str(error)), "install it again")
        state: State = "warn" if distribution in ONLY_FOR_DEVICES else "fail"
        return Finding(distribution, state, f"{version} does not load: {error}", advice)
    return Finding(distribution, "ok", version)


def _opencv_alone() -> Finding:
    others = [name for name in ("opencv-python", "opencv-python-headless") if _installed(name)]
    if others:
        advice = f"run: pip uninstall {' '.join(others)} && pip install --force-reinstall opencv-contrib-python"
        return Finding("OpenCV", "warn", f"{' and '.join(others)} owns the same folder", advice)
    return Finding("OpenCV", "ok", "one build")


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _encoders() -> Finding:
    from realtime_dub.publishers.encoding import require_encoder

    require_encoder("libx264")
    require_encoder("aac")
    return Finding("encoders", "ok", "H.264 and AAC")


def _device(name: str, title: str, advice: str) -> Callable[[], Finding]:
    def check() -> Finding:
        names = [str(line) for line in resolve(DEVICES[title])()]
        return Finding(name, "ok", "; ".join(names)) if names else Finding(name, "warn", "none found", advice)

    return check


def _virtual_camera() -> Finding:
    from realtime_dub.publishers.vcam import advice, is_available

    if is_available():
        return Finding("virtual camera", "ok", "there is one that is free")
    return Finding("virtual camera", "warn", "none", advice())


def _display() -> Finding:
    from realtime_dub.publishers.window import is_available

    if is_available():
        return Finding("display", "ok", "a preview window can be shown")
    return Finding("display", "warn", "none", "without one use --to vcam or --to out.mp4")


def _providers() -> Finding:
    import onnxruntime

    return Finding("ONNX Runtime", "ok", ", ".join(onnxruntime.get_available_providers()))


def _bundle() -> Finding:
    bundle = resolve("realtime_dub.inference.bundle:load_default")(registry.DEFAULT)
    spec = getattr(bundle, "spec", bundle)
    label = " ".join(str(getattr(spec, name)) for name in ("name", "version") if hasattr(spec, name))
    return Finding("mouth bundle", "ok", f"{label or 'built in'}, contents verified")


def _cores() -> Finding:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count >= MIN_CORES:
        return Finding("CPU cores", "ok", str(count))
    return Finding("CPU cores", "warn", str(count), f"live dubbing wants {MIN_CORES}: expect a longer delay")


def _speed() -> Finding:
    """The face tracker on the built-in picture for SPEED_TEST_S."""
    tracker = resolve("realtime_dub.face.tracker:MediaPipeTracker")("largest")
    source = resolve("realtime_dub.sources.demo:DemoSource")()
    source.open()
    took: list[float] = []
    try:
        tracker.track(source.read())  # the first call loads the model
        end = time.perf_counter() + SPEED_TEST_S
        while (began := time.perf_counter()) < end:
            tracker.track(source.read())
            took.append(1000 * (time.perf_counter() - began))
    finally:
        tracker.close()
        source.close()
    worst = sorted(took)[int(0.95 * len(took))]
    detail = f"{sum(took) / len(took):.1f} ms a picture, 95 % within {worst:.1f} ms"
    if worst < FRAME_MS / 2:
        return Finding("face tracker", "ok", detail)
    return Finding("face tracker", "warn", detail, "close other programs, or use --fps 15 and a smaller picture")


CHECKS: dict[str, Callable[[], Finding]] = {
    "OpenCV": _opencv_alone,
    "encoders": _encoders,
    "mouth bundle": _bundle,
    "ONNX Runtime": _providers,
    "CPU cores": _cores,
    "face tracker": _speed,
    "camera": _device("camera", "Cameras", "plug one in, or use --webcam talk.mp4 or --webcam demo"),
    "microphone": _device("microphone", "Microphones", "plug one in, or use --mic voice.wav or --mic demo"),
    "virtual camera": _virtual_camera,
    "display": _display,
}
NEEDED = ("mouth bundle", "ONNX Runtime", "encoders")
