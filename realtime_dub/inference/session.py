"""Runs a bundle's network. A backend is one file and one line in the table; it is imported when used.

A session holds weights only and may be called by several streams at once: what a stream remembers is handed in and out
(``inference/state.py``), or kept by the session where that lies nearer to it. Other packages add backends by an entry
point of the group ``realtime_dub.backends``: its name is the backend's, it is called as those of the table are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy.typing as npt

from realtime_dub.errors import BundleError
from realtime_dub.imports import installed, resolve
from realtime_dub.inference import AUTO
from realtime_dub.inference.spec import BundleSpec

Arrays = Mapping[str, npt.NDArray[Any]]
Precision = Literal["fp32", "fp16", "bf16", "fp8"]

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
SMALL_TASKS = ("motion", "landmarks")


class Declared(NamedTuple):
    """A tensor as the network itself declares it. Sizes that are not fixed are names or None."""

    name: str
    kind: str  # "tensor(float)"
    shape: tuple[Any, ...]


class Session(Protocol):
    """A network ready to run."""

    backend: str
    inputs: Sequence[Declared]
    outputs: Sequence[Declared]

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name for all inputs by name."""


@dataclass(frozen=True, eq=False)
class Opening:
    """What a backend may want to know of a network, beside its bytes."""

    name: str = "network"  # for messages
    spec: BundleSpec | None = None  # sizes, axes and states, of which profiles and bindings are made
    device: str = ""  # "0" = the first GPU; "" = the backend's choice
    cache: Path | None = None  # where what is built of it may be kept
    precision: Precision = "fp32"
    progress: Callable[[str, float], None] | None = None  # what is being built, and its share done, 0..1
    known: bool = True  # else it runs where it can do no harm


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
