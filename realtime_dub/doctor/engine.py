"""What mouths are drawn and films written with: the bundle, what runs it, encoders, processor cores."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from realtime_dub.errors import DependencyError, UserError
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


def backends() -> Finding:
    """What runs networks: each makes the usual engine and tries its network. Those that build are not waited for."""
    from realtime_dub.inference import libraries, session

    ready = [name for name in session.BUILDERS if not libraries.missing(name)]
    failed = {name: _why_it_does_not_run(name) for name in session.BACKENDS if name not in session.BUILDERS}
    told = "; ".join(f"{name}: {why or 'works'}" for name, why in failed.items())
    told += f"; installed: {', '.join(ready)}" if ready else ""
    if failed["cpu"] is not None:
        return Finding("backends", "fail", told, "run: pip install --force-reinstall onnxruntime")
    broken = [name for name in _for_cards() if failed.get(name) is not None]
    return Finding("backends", "warn" if broken else "ok", told, "docs/gpu.md says what each needs" if broken else "")


def _for_cards() -> list[str]:
    """The backends that this ONNX Runtime has, and that need a graphics card."""
    import onnxruntime

    return ["cuda"] if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else []


def _why_it_does_not_run(backend: str) -> str | None:
    try:
        registry.create(registry.DEFAULT, backend=backend).close()
    except UserError as error:
        return str(error).partition("; ")[0].rpartition("Error: ")[2].partition(" (run: ")[0]
    return None


def encoders() -> Finding:
    """Of what films are written in, as a film would be; without H.264 and AAC none is written."""
    from realtime_dub.publishers.codecs import USUAL, why_not
    from realtime_dub.publishers.encoding import require_encoder

    require_encoder("aac")
    found = why_not()
    if (why := found[USUAL]) is not None:
        return Finding("encoders", "fail", f"H.264: {why}", "run: pip install --force-reinstall av")
    works = [name for name, why in found.items() if why is None]
    told = "; ".join([", ".join(works) + " and AAC work", *(f"{name}: {why}" for name, why in found.items() if why)])
    if len(works) == len(found):
        return Finding("encoders", "ok", told)
    return Finding("encoders", "warn", told, f"use --codec {USUAL}, which is usual")


def hardware() -> Finding:
    """Which encoders in hardware make something of a frame here. Nobody needs one."""
    from realtime_dub.publishers.h264 import HARDWARE, why_not

    found = why_not(HARDWARE)
    works = [name for name, why in found.items() if why is None]
    told = "; ".join(f"{name}: {why or 'works'}" for name, why in found.items())
    if works:
        return Finding("hardware encoders", "ok", told, f"--encoder {works[0]} or auto uses it")
    return Finding("hardware encoders", "warn", told, "none is needed: without --encoder, H.264 is made in software")


def script_voice() -> Finding:
    """What says scripts: ``--mic tts:`` and ``realtime-dub voice``."""
    from realtime_dub.voice.espeak import INSTALL, Manner, espeak
    from realtime_dub.voice.tts.by_flite import names

    try:
        found = espeak()
    except DependencyError as error:
        return Finding("script voice", "warn", str(error).partition(";")[0], INSTALL)
    if not found.speak("yes", Manner()).seconds:
        return Finding("script voice", "warn", f"espeak-ng {found.version} says nothing", INSTALL)
    told = f"espeak-ng {found.version}, {len(found.languages())} languages; voices of piper's from their files"
    with contextlib.suppress(DependencyError):
        told += f"; flite: {', '.join(names())}"
    return Finding("script voice", "ok", told)


def cores() -> Finding:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count >= MIN_CORES:
        return Finding("CPU cores", "ok", str(count))
    return Finding("CPU cores", "warn", str(count), f"live dubbing wants {MIN_CORES}: expect a longer delay")
