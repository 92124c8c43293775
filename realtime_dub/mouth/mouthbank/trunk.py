"""The motion net behind the speech net, in NumPy: so that it may run with weights of one person's own.

The network of a bundle tells what its speech net heard of each frame (``told``), and the bundle brings the weights of
what follows, its *trunk*. Convolutions over time after WaveNet (van den Oord et al. 2016), as the bundle's network has
them: all dilations are even, so every other frame of 10 ms stands by itself, and only these are computed.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from realtime_dub.face.alignment import LOWER
from realtime_dub.media import Floats
from realtime_dub.mouth.mouthbank import bank_shapes
from realtime_dub.mouth.mouthbank.bank_bounds import MOST_WEIGHTS, check_archive

STRIDE = 2  # frames of the network, of which one is computed
TAPS = 3
MOST_WIDTH, MOST_BLOCKS, MOST_DILATION = 512, 16, 64
HEAD = ("leave.", "motion.")  # names of what makes a motion of what the body heard
MOST_WEIGHT, MOST_CHANGE = 100.0, 4.0
_EPSILON = 1e-5  # of the layer norm
_CUBE, _SLOPE = 0.044715, math.sqrt(2 / math.pi)


@dataclass(frozen=True)
class TrunkShape:
    """``details``: how many of the inputs, the last ones, are no sounds and no levels. Dilations in computed frames."""

    inputs: int
    width: int
    components: int
    details: int
    dilations: tuple[int, ...]

    def parts(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name and shape of each array of weights, in the order in which they lie."""
        wide = self.width
        yield from (("enter.weight", (TAPS * self.inputs, wide)), ("enter.bias", (wide,)))
        for i in range(len(self.dilations)):
            yield from ((f"{i}.norm.weight", (wide,)), (f"{i}.norm.bias", (wide,)))
            yield from ((f"{i}.dilated.weight", (TAPS * wide, wide)), (f"{i}.dilated.bias", (wide,)))
            yield from ((f"{i}.pointwise.weight", (wide, wide)), (f"{i}.pointwise.bias", (wide,)))
        yield from (("leave.weight", (wide, wide)), ("leave.bias", (wide,)))
        yield from (("motion.weight", (wide, self.components)), ("motion.bias", (self.components,)))

    @property
    def size(self) -> int:
        """How many weights there are."""
        return sum(math.prod(shape) for _, shape in self.parts())

    @property
    def body(self) -> int:
        """How many of them come before the head: what all look-aheads of a bundle have in common."""
        return sum(math.prod(shape) for name, shape in self.parts() if not name.startswith(HEAD))

    def views(self, flat: Floats, head: int = 0) -> dict[str, Floats]:
        """The arrays that lie in ``flat`` (size,), which they share; where several heads do, those of one of them."""
        found, at, body = {}, 0, self.body
        beyond = head * (self.size - body)
        for name, shape in self.parts():
            first, count = at + (beyond if at >= body else 0), math.prod(shape)
            found[name] = flat[first : first + count].reshape(shape)
            at += count
        return found


class Trunk:
    """Its weights ``flat`` (size,), by name in ``weights``; ``basis`` (components, len(LOWER) * 3), mouth widths."""

    def __init__(self, shape: TrunkShape, flat: Floats, basis: Floats) -> None:
        self.shape, self.flat, self.basis = shape, flat, basis
        self.weights = shape.views(flat)

    def changed(self, change: npt.NDArray[np.floating[Any]]) -> Trunk:
        """Another one whose weights are off by ``change`` (size,)."""
        return Trunk(self.shape, np.asarray(self.flat + change.astype(np.float32), np.float32), self.basis)

    def to_bytes(self) -> bytes:
        """For a bundle: plain arrays, weights in 16 bits."""
        shape, packed = self.shape, io.BytesIO()
        sizes = np.array([shape.inputs, shape.width, shape.components, shape.details], np.int32)
        dilations = np.array(shape.dilations, np.int32)
        weights = self.flat.astype(np.float16)
        np.savez(packed, sizes=sizes, dilations=dilations, weights=weights, basis=self.basis.astype(np.float32))
        return packed.getvalue()

    @classmethod
    def read(cls, data: bytes) -> Self:
        """What :meth:`to_bytes` gave. Raises ValueError, or what NumPy raises, for what it cannot have given."""
        check_archive(data, plain=True, most_array=MOST_WEIGHTS)
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            sizes = bank_shapes.numbers(arrays["sizes"], (4,), MOST_WIDTH).astype(int)
            told = arrays["dilations"]
            if told.ndim != 1 or not 0 < len(told) <= MOST_BLOCKS:
                raise ValueError("a trunk has no blocks, or too many")
            dilations = bank_shapes.numbers(told, told.shape, MOST_DILATION).astype(int)
            if min(sizes[:3]) < 1 or not 0 <= sizes[3] <= sizes[0] or dilations.min() < 1:
                raise ValueError("a trunk has impossible sizes")
            inputs, width, components, details = (int(size) for size in sizes)
            shape = TrunkShape(inputs, width, components, details, tuple(int(each) for each in dilations))
            flat = bank_shapes.numbers(arrays["weights"], (shape.size,), MOST_WEIGHT)
            basis = bank_shapes.numbers(arrays["basis"], (shape.components, len(LOWER) * 3), MOST_WEIGHT)
        return cls(shape, flat, basis)


class TrunkStream:
    """A stream through a trunk: what was told of one computed frame after another, to coefficients of motion."""

    def __init__(self, trunk: Trunk) -> None:
        self._trunk = trunk
        self.forget()

    def forget(self) -> None:
        """Nothing was told yet."""
        shape = self._trunk.shape
        self._pasts = [np.zeros((TAPS - 1, shape.inputs), np.float32)]
        self._pasts += [np.zeros(((TAPS - 1) * d, shape.width), np.float32) for d in shape.dilations]

    def run(self, told: Floats) -> Floats:
        """(n, inputs) to (n, components)."""
        trunk = self._trunk
        w = trunk.weights
        x = self._taps(0, told, 1) @ w["enter.weight"] + w["enter.bias"]
        for i, dilation in enumerate(trunk.shape.dilations):
            normal = normalised(x)[0] * w[f"{i}.norm.weight"] + w[f"{i}.norm.bias"]
            inner = gelu(self._taps(i + 1, normal, dilation) @ w[f"{i}.dilated.weight"] + w[f"{i}.dilated.bias"])
            x = x + (inner @ w[f"{i}.pointwise.weight"] + w[f"{i}.pointwise.bias"])
        made_of = gelu(gelu(x) @ w["leave.weight"] + w["leave.bias"])
        return np.asarray(made_of @ w["motion.weight"] + w["motion.bias"], np.float32)

    def _taps(self, layer: int, x: Floats, dilation: int) -> Floats:
        """Each frame of ``x`` (n, c) beside those before it that a kernel touches (n, TAPS * c)."""
        joined = np.concatenate([self._pasts[layer], x])
        self._pasts[layer] = joined[len(x) :]
        return np.concatenate([joined[k * dilation : k * dilation + len(x)] for k in range(TAPS)], 1)


def normalised(x: Floats) -> tuple[Floats, Floats]:
    """``x`` (..., c) at mean 0 and spread 1 over its channels; and one over the spread (..., 1)."""
    share = np.float32(1 / x.shape[-1])
    centred = x - np.add.reduce(x, -1, keepdims=True) * share  # a third of the time of a mean
    spread = np.sqrt(np.add.reduce(centred * centred, -1, keepdims=True) * share + np.float32(_EPSILON))
    scale = np.float32(1) / spread
    return centred * scale, scale


def bent(x: Floats) -> Floats:
    """The hyperbolic tangent in the Gaussian error linear unit (Hendrycks and Gimpel 2016)."""
    inner = x * x
    inner *= np.float32(_SLOPE * _CUBE)
    inner += np.float32(_SLOPE)
    inner *= x
    np.tanh(inner, out=inner)
    return inner


def gelu(x: Floats) -> Floats:
    made = bent(x)
    made += np.float32(1)
    made *= x
    made *= np.float32(0.5)
    return made


def gelu_slope(x: Floats, tanh: Floats) -> Floats:
    """Its derivative, where ``tanh`` = :func:`bent` of ``x``."""
    inner = np.float32(_SLOPE) * (1 + np.float32(3 * _CUBE) * x * x)
    return np.asarray(np.float32(0.5) * (1 + tanh + x * (1 - tanh * tanh) * inner), np.float32)
