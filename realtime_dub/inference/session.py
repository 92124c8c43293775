"""Runs a bundle's network. A backend is one file and one line in the table; it is imported when used.

A session holds weights only and may be called by several streams at once: what a stream remembers is handed in and out
(``inference/state.py``), or kept by the session where that lies nearer to it. Other packages add backends by an entry
point of the group ``realtime_dub.backends``: its name is the backend's, it is called as those of the table are.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from realtime_dub.errors import BundleError, UserError
from realtime_dub.imports import installed, resolve
from realtime_dub.inference import AUTO, choice, libraries, variants
from realtime_dub.inference.batching import BatchingSession
from realtime_dub.inference.contract import CpuSettings, Opening, Session
from realtime_dub.inference.engine_cache import EngineCache

log = logging.getLogger(__name__)
GROUP = "realtime_dub.backends"
MOST_THREADS = 4  # of a large network: tracking, drawing and encoding want their part
BACKENDS = {
    "cpu": "realtime_dub.inference.backends.ort:open_on_cpu",
    "cuda": "realtime_dub.inference.backends.ort_gpu:open_on_cuda",
    "tensorrt": "realtime_dub.inference.backends.tensorrt:open_tensorrt",
    "tensorrt-ep": "realtime_dub.inference.backends.ort_gpu:open_tensorrt_provider",
    "tensorrt-rtx": "realtime_dub.inference.backends.tensorrt:open_tensorrt_rtx",
    "tensorrt-rtx-ep": "realtime_dub.inference.backends.ort_rtx:open_rtx_provider",
}
# What runs a network of which nobody knows what it does.
SANDBOXES = {
    "cpu": "realtime_dub.inference.sandbox.session:open_apart",
}
# They build an engine for seconds or minutes, so ``auto`` takes them only where they were measured to be the best.
BUILDERS = ("tensorrt", "tensorrt-ep", "tensorrt-rtx", "tensorrt-rtx-ep")
# Small networks lose more on the way to a GPU than it saves them.
SMALL_TASKS = ("motion", "landmarks", "mask", "paint", "expression", "head")


def open_session(model: bytes, opening: Opening, backend: str = AUTO) -> Session:
    """The network in ``model`` on the named backend, or on the first that can. Raises UserError.

    ``auto`` takes what ``export-engine`` measured to be the best on this machine, if it did.
    """
    table = backends() if opening.known else SANDBOXES
    if backend != AUTO and backend not in table:
        raise _unknown(backend, opening)
    if backend != AUTO:
        return _only(table, backend, model, opening)
    if opening.known and (session := _measured(table, model, opening)) is not None:
        return session
    reasons: list[str] = []
    for each in _order(table, opening):
        if (session := _tried(table, each, model, opening, reasons)) is not None:
            return session
    raise _nobody(opening, reasons)


def settings_for(task: str) -> CpuSettings:
    """How a network works on the processor until it is known what is best for it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return CpuSettings() if task in SMALL_TASKS else CpuSettings(threads=min(cores, MOST_THREADS))


def backends() -> dict[str, Any]:
    """By name what opens a network: our own, then those that other packages bring."""
    return {**installed(GROUP), **BACKENDS}


def _measured(table: Mapping[str, Any], model: bytes, opening: Opening) -> Session | None:
    """On what was measured to be the best on this machine; None where nothing was, or where it cannot be had."""
    best = choice.chosen(hashlib.sha256(model).hexdigest())
    if best is None or best.backend not in table:
        return None
    try:
        libraries.require(best.backend)
        return _opened(table[best.backend], model, _as_chosen(opening, best))
    except Exception as error:
        log.warning("%s: the backend chosen for it cannot be used: %s: %s", opening.name, best.backend, error)
        return None


def _as_chosen(opening: Opening, best: choice.Choice) -> Opening:
    return replace(opening, precision=best.precision, settings=best.settings, streams=best.streams)


def _only(table: Mapping[str, Any], backend: str, model: bytes, opening: Opening) -> Session:
    """On ``backend``. What the user can mend is said as it is."""
    if opening.known:
        libraries.require(backend)
    try:
        return _opened(table[backend], model, opening)
    except UserError:
        raise
    except Exception as error:
        what = f"{opening.name}: {_reason(backend, error)}"
        raise BundleError("cannot run", what, "leave out --backend, or fetch the bundle again") from error


def _tried(
    table: Mapping[str, Any], backend: str, model: bytes, opening: Opening, reasons: list[str]
) -> Session | None:
    """The session, or None and one more of the ``reasons``."""
    try:
        return _opened(table[backend], model, opening)
    except BundleError:
        raise
    except Exception as error:  # every library has its own tree; the reasons go into one line
        reasons.append(_reason(backend, error))
        return None


def _reason(backend: str, error: Exception) -> str:
    return f"{backend}: {error}" if isinstance(error, UserError) else f"{backend}: {type(error).__name__}: {error}"


def _order(table: Mapping[str, Any], opening: Opening) -> list[str]:
    """The backends in which ``auto`` tries them. Another package's is not used unless it is asked for."""
    names = [name for name in table if name in BACKENDS and name not in BUILDERS]
    small = opening.spec is None or opening.spec.task in SMALL_TASKS
    return names if small else sorted(names, key=lambda name: name == "cpu")


def _opened(where: Any, model: bytes, opening: Opening) -> Session:
    make = resolve(where) if isinstance(where, str) else where.load()
    form = _form(model, opening)
    if opening.streams == 1 or opening.spec is None:
        alone: Session = make(form, opening)
        return alone
    spec = variants.together(opening.spec)
    session: Session = make(form, replace(opening, spec=spec))
    return BatchingSession(session, spec, opening.streams)


def _form(model: bytes, opening: Opening) -> bytes:
    """The network as it is, or the form of it that is asked for. Raises BundleError where that was not made."""
    together = opening.streams > 1
    if opening.precision == "fp32" and not together:
        return model
    network = hashlib.sha256(model).hexdigest()
    asked = variants.wanted(network, opening.name, opening.precision, together)
    return variants.load(EngineCache(opening.cache), asked)


def _nobody(opening: Opening, reasons: list[str]) -> BundleError:
    what = f"{opening.name}: {' | '.join(reasons)}"
    return BundleError("no backend can run", what, "reinstall, or fetch the bundle again")


def _unknown(backend: str, opening: Opening) -> BundleError:
    if backend in backends():
        what = f"{opening.name} on {backend}: it did not come with the program"
        return BundleError("cannot run", what, f"leave out --backend, or use {', '.join(SANDBOXES)}")
    return BundleError("unknown backend", repr(backend), f"choose {AUTO} or one of {', '.join(backends())}")
