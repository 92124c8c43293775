"""Runs a bundle's network. A backend is one class and one line in the table; it is imported when used.

A session holds weights only and may be called by several streams at once: what a stream remembers is handed in and out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from realtime_dub.errors import BundleError
from realtime_dub.imports import resolve

Arrays = Mapping[str, npt.NDArray[Any]]

BACKENDS = {
    "onnx-cpu": "realtime_dub.mouth.onnx:OnnxSession",
}


class Session(Protocol):
    """A network ready to run."""

    backend: str

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name for all inputs by name."""


def open_session(model: Path, backend: str = "auto") -> Session:
    """The network in ``model`` on the named backend, or on the first of the table that can. Raises BundleError."""
    if backend != "auto" and backend not in BACKENDS:
        raise BundleError("unknown backend", repr(backend), f"choose auto or one of {', '.join(BACKENDS)}")
    names = list(BACKENDS) if backend == "auto" else [backend]
    reasons = []
    for name in names:
        try:
            session: Session = resolve(BACKENDS[name])(model)
            return session
        except Exception as error:  # every library has its own tree; the reasons go into one line
            reasons.append(f"{name}: {type(error).__name__}: {error}")
    raise BundleError("no backend can run", f"{model}: {' | '.join(reasons)}", "reinstall, or fetch the bundle again")
