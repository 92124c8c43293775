"""Other forms of a network, made of it once and kept: with half or an eighth of its numbers' width, or for several
streams at once. Making them takes the package onnx (``export/``); running them does not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from realtime_dub.errors import BundleError
from realtime_dub.inference.contract import Precision
from realtime_dub.inference.engine_cache import EngineCache, Surroundings, Wanted
from realtime_dub.inference.spec import BundleSpec, StateSpec, TensorSpec

Tensor = TypeVar("Tensor", TensorSpec, StateSpec)

FILE = "network.onnx"
MAKER = "network"  # in place of a backend: such an entry runs on any
ALONE, TOGETHER = "", "batch"


def wanted(network: str, label: str, precision: Precision, together: bool) -> Wanted:
    """The entry of a network with these numbers, for one stream or for several ``together``."""
    shapes = TOGETHER if together else ALONE
    return Wanted(network=network, label=label, backend=MAKER, precision=precision, shapes=shapes)


def together(spec: BundleSpec) -> BundleSpec:
    """``spec`` with an axis "batch" in the place of one stream, the first axis of every tensor."""
    parts = {name: tuple(map(_opened, getattr(spec, name))) for name in ("inputs", "outputs", "states")}
    return spec.model_copy(update=parts)


def _opened(tensor: Tensor) -> Tensor:
    return tensor.model_copy(update={"shape": (TOGETHER, *tensor.shape[1:])})


def keep(cache: EngineCache, asked: Wanted, make: Callable[[], bytes]) -> bytes:
    """What ``make`` gives, or gave before."""

    def write(folder: Path) -> None:
        (folder / FILE).write_bytes(make())

    return (cache.get(asked, Surroundings(), write) / FILE).read_bytes()


def load(cache: EngineCache, asked: Wanted) -> bytes:
    """Raises BundleError where it was not made yet, or is damaged."""
    found = cache.find(asked, Surroundings())
    if found.folder is None:
        do = f"run: export-engine NAME --precision {asked.precision}"
        raise BundleError(f"cannot load the {asked.precision} form of", f"{asked.label}: {found.why}", do)
    return (found.folder / FILE).read_bytes()
