"""Runs a bundle's network. A backend is one file and one line in the table; it is imported when used.

A session holds weights only and may be called by several streams at once: what a stream remembers is handed in and out
(``inference/state.py``), or kept by the session where that lies nearer to it. Other packages add backends by an entry
point of the group ``realtime_dub.backends``: its name is the backend's, it is called as those of the table are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from realtime_dub.errors import BundleError
from realtime_dub.imports import installed, resolve
from realtime_dub.inference import AUTO
from realtime_dub.inference.contract import Opening, Session

GROUP = "realtime_dub.backends"
BACKENDS = {
    "onnx-cpu": "realtime_dub.inference.backends.ort:open_on_cpu",
    "onnx-cuda": "realtime_dub.inference.backends.ort:open_on_cuda",
}
# What runs a network of which nobody knows what it does.
SANDBOXES = {
    "onnx-cpu": "realtime_dub.inference.sandbox.session:open_apart",
}
# Small networks lose more on the way to a GPU than it saves them.
SMALL_TASKS = ("motion", "landmarks", "mask")


def open_session(model: bytes, opening: Opening, backend: str = AUTO) -> Session:
    """The network in ``model`` on the named backend, or on the first that can. Raises BundleError."""
    table = backends() if opening.known else SANDBOXES
    if backend != AUTO and backend not in table:
        raise _unknown(backend, opening)
    reasons = []
    for each in _order(table, opening) if backend == AUTO else [backend]:
        try:
            return _opened(table[each], model, opening)
        except BundleError:
            raise
        except Exception as error:  # every library has its own tree; the reasons go into one line
            reasons.append(f"{each}: {type(error).__name__}: {error}")
    what = f"{opening.name}: {' | '.join(reasons)}"
    raise BundleError("no backend can run", what, "reinstall, or fetch the bundle again")


def backends() -> dict[str, Any]:
    """By name what opens a network: our own, then those that other packages bring."""
    return {**installed(GROUP), **BACKENDS}


def _order(table: Mapping[str, Any], opening: Opening) -> list[str]:
    """The backends in which ``auto`` tries them. Another package's is not used unless it is asked for."""
    names = [name for name in table if name in BACKENDS]
    small = opening.spec is None or opening.spec.task in SMALL_TASKS
    return names if small else sorted(names, key=lambda name: name == "onnx-cpu")


def _opened(where: Any, model: bytes, opening: Opening) -> Session:
    make = resolve(where) if isinstance(where, str) else where.load()
    session: Session = make(model, opening)
    return session


def _unknown(backend: str, opening: Opening) -> BundleError:
    if backend in backends():
        what = f"{opening.name} on {backend}: it did not come with the program"
        return BundleError("cannot run", what, f"leave out --backend, or use {', '.join(SANDBOXES)}")
    return BundleError("unknown backend", repr(backend), f"choose {AUTO} or one of {', '.join(backends())}")
