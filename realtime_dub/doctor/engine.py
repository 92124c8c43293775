"""What mouths are drawn and films written with: the bundle, ONNX Runtime, encoders, processor cores."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from realtime_dub.errors import DependencyError
from realtime_dub.finding import Finding
from realtime_dub.imports import resolve
from realtime_dub.mouth import registry

MIN_CORES = 2


def bundle() -> Finding:
    bundle = resolve("realtime_dub.inference.bundle:load_default")(registry.DEFAULT)
    spec = getattr(bundle, "spec", bundle)
    label = " ".join(str(getattr(spec, name)) for name in ("name", "version") if hasattr(spec, name))
    return Finding("mouth bundle", "ok", f"{label or 'built in'}, contents verified")


def painters(given: Path | None = None) -> Finding:
    """How many mouths a second painters paint here: those that come with the program, and the bundle ``given``."""
    engines = [registry.engine(name) for name in registry.names()]
    held = [found for each in engines if each.holds for found in resolve(each.holds)(each.name, given)]
    told = "; ".join(map(str, held))
    if all(found.live for found in held):
        return Finding("painters", "ok", told)
    return Finding("painters", "warn", told, "use the slow one with realtime-dub file, or close other programs")


def providers() -> Finding:
    import onnxruntime

    return Finding("ONNX Runtime", "ok", ", ".join(onnxruntime.get_available_providers()))


def encoders() -> Finding:
    from realtime_dub.publishers.encoding import require_encoder

    require_encoder("libx264")
    require_encoder("aac")
    return Finding("encoders", "ok", "H.264 and AAC")


def hardware() -> Finding:
    """Which encoders in hardware make something of a frame here."""
    from realtime_dub.publishers.h264 import HARDWARE, why_not

    found = {name: why_not(encoder) for name, encoder in HARDWARE.items()}
    works = [name for name, why in found.items() if why is None]
    told = "; ".join(f"{name}: {why or 'works'}" for name, why in found.items())
    return Finding("hardware encoders", "ok", told, f"--encoder {works[0]} or auto uses it" if works else "")


def script_voice() -> Finding:
    """What says scripts: ``--mic tts:`` and ``realtime-dub voice``."""
    from realtime_dub.voice.espeak import INSTALL, espeak
    from realtime_dub.voice.tts.by_flite import names

    try:
        found = espeak()
    except DependencyError as error:
        return Finding("script voice", "warn", str(error).partition(";")[0], INSTALL)
    told = f"espeak-ng {found.version}, {len(found.languages())} languages; voices of piper's from their files"
    with contextlib.suppress(DependencyError):
        told += f"; flite: {', '.join(names())}"
    return Finding("script voice", "ok", told)


def cores() -> Finding:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count >= MIN_CORES:
        return Finding("CPU cores", "ok", str(count))
    return Finding("CPU cores", "warn", str(count), f"live dubbing wants {MIN_CORES}: expect a longer delay")
