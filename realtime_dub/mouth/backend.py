"""Runs a bundle's network. A backend is one class and one line in the table; it is imported when used.

A session holds weights only and may be called by several streams at once: what a stream remembers is handed in and out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy.typing as npt

from realtime_dub.errors import BundleError
from realtime_dub.imports import resolve

Arrays = Mapping[str, npt.NDArray[Any]]

BACKENDS = {
    "onnx-cpu": "realtime_dub.mouth.onnx:OnnxSession",
}
# What runs a network of which nobody knows what it does.
SANDBOXES = {
    "onnx-cpu": "realtime_dub.mouth.sandbox:SandboxSession",
}


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


def open_session(model: bytes, name: str, backend: str = "auto", known: bool = True) -> Session:
    """The network in ``model`` on the named backend, or on the first of the table that can. Raises BundleError.

    ``name``: of the network, for messages. One that is not ``known`` runs where it can do no harm.
    """
    table = BACKENDS if known else SANDBOXES
    if backend != "auto" and backend not in table:
        raise BundleError("unknown backend", repr(backend), f"choose auto or one of {', '.join(table)}")
    names = list(table) if backend == "auto" else [backend]
    reasons = []
    for each in names:
        try:
            session: Session = resolve(table[each])(model, name)
            return session
        except BundleError:
            raise
        except Exception as error:  # every library has its own tree; the reasons go into one line
            reasons.append(f"{each}: {type(error).__name__}: {error}")
    raise BundleError("no backend can run", f"{name}: {' | '.join(reasons)}", "reinstall, or fetch the bundle again")
