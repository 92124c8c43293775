"""Python and the libraries: whether they are there, of which version, and load."""

from __future__ import annotations

import sys
from importlib import import_module, metadata

from realtime_dub.finding import Finding, State
from realtime_dub.imports import NOT_FOR_MEDIAPIPE, left_out

PYTHONS = ((3, 11), (3, 13))  # from, up to but without
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


def python() -> Finding:
    version = sys.version.split()[0]
    if PYTHONS[0] <= sys.version_info[:2] < PYTHONS[1]:
        return Finding("Python", "ok", version)
    return Finding("Python", "fail", version, "install Python 3.11 or 3.12")


def library(distribution: str, module: str) -> Finding:
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


def opencv_alone() -> Finding:
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
