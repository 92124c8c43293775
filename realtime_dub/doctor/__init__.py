"""What a machine has and lacks: the checks behind ``realtime-dub doctor`` and the lists of ``realtime-dub devices``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from realtime_dub.doctor import devices, engine, face, libraries
from realtime_dub.doctor.devices import list_devices
from realtime_dub.doctor.network import examine_network
from realtime_dub.doctor.report import table
from realtime_dub.errors import UserError
from realtime_dub.finding import Finding

__all__ = ["can_run", "examine", "examine_network", "list_devices", "table"]

# In the order in which to mend what they find.
CHECKS: dict[str, Callable[[], Finding]] = {
    "OpenCV": libraries.opencv_alone,
    "encoders": engine.encoders,
    "hardware encoders": engine.hardware,
    "mouth bundle": engine.bundle,
    "painters": engine.painters,
    "backends": engine.backends,
    "script voice": engine.script_voice,
    "CPU cores": engine.cores,
    "face tracker": face.speed,
    "camera size": face.camera_size,
    "camera": devices.camera,
    "microphone": devices.microphone,
    "virtual camera": devices.virtual_camera,
    "display": devices.display,
}
NEEDED = ("mouth bundle", "backends", "encoders")


def can_run(checks: list[Finding]) -> bool:
    """Whether anything at all can be dubbed."""
    return all(check.state != "fail" for check in checks)


def examine(bundle: Path | None = None) -> list[Finding]:
    """All checks; ``bundle``: one to be measured, too. Takes as long as the face tracker is timed, and imports take."""
    checks = [libraries.python(), *(libraries.library(*item) for item in libraries.LIBRARIES.items())]
    for name, check in (CHECKS | {"painters": partial(engine.painters, bundle)}).items():
        checks += _guarded(name, check)
    return checks


def _guarded(name: str, check: Callable[[], Finding]) -> list[Finding]:
    """A check that itself cannot run has found something: a library it needs was reported above."""
    try:
        return [check()]
    except UserError as error:
        return [Finding(name, "fail" if name in NEEDED else "warn", str(error))]
    except (ImportError, OSError) as error:
        return [Finding(name, "fail" if name in NEEDED else "warn", f"cannot be checked: {error}")]
