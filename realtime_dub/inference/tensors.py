"""Whether a network's tensors are what its spec says, when it is opened and at every call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from realtime_dub.errors import BundleError
from realtime_dub.inference.contract import Declared, Session
from realtime_dub.inference.spec import BundleSpec, Shape

FLOATS = "tensor(float)"
_FLOAT32 = np.dtype(np.float32)  # compared with its name, each call would look that up


class Expected(NamedTuple):
    """Shapes by name. A size of None or "time" is as long as the call is, one of "batch" as many streams as it has."""

    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]


def declared_by(spec: BundleSpec) -> Expected:
    """What a spec says of its network's tensors."""
    states = spec.states
    inputs: dict[str, Shape] = {tensor.name: tensor.shape for tensor in spec.inputs}
    outputs: dict[str, Shape] = {tensor.name: tensor.shape for tensor in spec.outputs}
    inputs |= {each.before: each.shape for each in states}
    outputs |= {each.after: each.shape for each in states}
    return Expected(inputs, outputs)


def check_declared(name: str, expected: Expected, session: Session) -> None:
    """Raises BundleError where the network of the bundle ``name`` has other inputs, or lacks outputs."""
    given = {each.name for each in session.inputs}
    for odd in sorted(given ^ set(expected.inputs)):
        raise _unlike(name, f"it {'wants' if odd in given else 'has no'} input {odd}")
    _check_each(name, "input", expected.inputs, session.inputs)
    for missing in sorted(set(expected.outputs) - {each.name for each in session.outputs}):
        raise _unlike(name, f"it has no output {missing}")
    _check_each(name, "output", expected.outputs, session.outputs)


def check_results(
    name: str, expected: Expected, results: Mapping[str, npt.NDArray[Any]], length: int, batch: int = 1
) -> None:
    """Raises BundleError where a call of ``batch`` streams over ``length`` steps gave something else."""
    for tensor, shape in expected.outputs.items():
        found = results[tensor]
        if found.dtype != _FLOAT32 or found.shape != _sizes(shape, length, batch):
            raise _unlike(name, f"it gave {tensor} as {found.dtype}{list(found.shape)}")


def _sizes(shape: Shape, length: int, batch: int) -> tuple[int, ...]:
    return tuple([size if isinstance(size, int) else batch if size == "batch" else length for size in shape])


def _check_each(name: str, what: str, expected: Mapping[str, Shape], found: Iterable[Declared]) -> None:
    for each in found:
        if each.name in expected and not (each.kind == FLOATS and _fits(expected[each.name], each.shape)):
            raise _unlike(name, f"its {what} {each.name} is {each.kind}{list(each.shape)}")


def _fits(expected: Shape, declared: tuple[Any, ...]) -> bool:
    """What a network leaves open is seen when it runs."""
    if len(expected) != len(declared):
        return False
    pairs = zip(expected, declared, strict=True)
    return all(own == size for own, size in pairs if isinstance(size, int))


def _unlike(name: str, how: str) -> BundleError:
    return BundleError("cannot run bundle", f"{name}: its network is not as its spec says: {how}", "fetch it again")
