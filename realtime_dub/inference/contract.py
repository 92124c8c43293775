"""What a backend gives and what it is told: the contract between networks and what runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy.typing as npt

from realtime_dub.inference.spec import BundleSpec

Arrays = Mapping[str, npt.NDArray[Any]]
Precision = Literal["fp32", "fp16", "int8"]
Progress = Callable[[str, float], None]  # what is being done, and its share done, 0..1


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


@dataclass(frozen=True)
class CpuSettings:
    """How ONNX Runtime works on the processor. Small networks at 25 calls a second lose by more than one thread."""

    threads: int = 1
    spinning: bool = False  # threads wait for work without sleeping: quicker, and a processor core for each
    arena: bool = True  # memory is kept from call to call


@dataclass(frozen=True, eq=False)
class Opening:
    """What a backend may want to know of a network, beside its bytes."""

    name: str = "network"  # for messages
    spec: BundleSpec | None = None  # sizes, axes and states, of which profiles and bindings are made
    device: str = ""  # "0" = the first GPU; "" = the backend's choice
    cache: Path | None = None  # where what is built of it may be kept
    precision: Precision = "fp32"
    progress: Progress | None = None  # of what is being built
    settings: CpuSettings = CpuSettings()
    streams: int = 1  # that may go through one call together
    known: bool = True  # else it runs where it can do no harm
