"""Gradients through trunks that differ in their heads alone, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from realtime_dub.media import Floats
from realtime_dub.mouth.mouthbank.trunk import TAPS, TrunkShape, bent, gelu_slope, normalised

Weights: TypeAlias = dict[str, Floats]
DROPOUT = 0.1  # of channels, in training


class Forward:
    """The way of rows ``told`` (b, m, inputs) through trunks with one body, remembered for the way back.

    ``weights``: of each, by name. ``said``: of each (b, m, components). With ``rng`` channels are dropped, as in
    training.
    """

    def __init__(
        self, shape: TrunkShape, weights: Sequence[Weights], told: Floats, rng: np.random.Generator | None = None
    ) -> None:
        self._weights = w = weights[0]
        self._seen = _taps(told, 1)
        x = self._seen @ w["enter.weight"] + w["enter.bias"]
        self._blocks = []
        for i, dilation in enumerate(shape.dilations):
            block = _Block(w, i, dilation, x, rng)
            self._blocks.append(block)
            x = block.out
        self._x, self._x_tanh = x, bent(x)
        heard = np.float32(0.5) * x * (1 + self._x_tanh)
        self._heads = [_Head(each, heard) for each in weights]
        self.said = [head.said for head in self._heads]

    def backward(self, slopes: Sequence[Floats], gradients: Sequence[Weights]) -> None:
        """Fills ``gradients``, by name, from the slope by what each has ``said``; of the body it is their mean."""
        heads = zip(self._heads, slopes, gradients, strict=True)
        slope = sum(head.backward(own, gradient) for head, own, gradient in heads) / np.float32(len(self._heads))
        slope = np.asarray(slope * gelu_slope(self._x, self._x_tanh), np.float32)
        for block in reversed(self._blocks):
            slope = block.backward(slope, self._weights, gradients[0])
        _weights_of(self._seen, slope, gradients[0], "enter")


class _Head:
    """What makes a motion of what the body ``heard`` (b, m, width)."""

    def __init__(self, w: Weights, heard: Floats) -> None:
        self._weights, self._heard = w, heard
        self._left = heard @ w["leave.weight"] + w["leave.bias"]
        self._left_tanh = bent(self._left)
        self._made_of = np.float32(0.5) * self._left * (1 + self._left_tanh)
        self.said = self._made_of @ w["motion.weight"] + w["motion.bias"]

    def backward(self, slope: Floats, gradient: Weights) -> Floats:
        """The slope by what was heard."""
        slope = _through(self._made_of, slope, self._weights, gradient, "motion")
        slope = slope * gelu_slope(self._left, self._left_tanh)
        return _through(self._heard, slope, self._weights, gradient, "leave")


class _Block:
    """A residual step: normalise, dilated convolution, pointwise one."""

    def __init__(self, w: Weights, i: int, dilation: int, x: Floats, rng: np.random.Generator | None) -> None:
        self._i, self._dilation = i, dilation
        self._normal, self._scale = normalised(x)
        self._seen = _taps(self._normal * w[f"{i}.norm.weight"] + w[f"{i}.norm.bias"], dilation)
        self._inner = self._seen @ w[f"{i}.dilated.weight"] + w[f"{i}.dilated.bias"]
        self._tanh = bent(self._inner)
        self._kept = None
        if rng is not None:
            shape = len(x), 1, x.shape[2]
            self._kept = (rng.random(shape) >= DROPOUT).astype(np.float32) / np.float32(1 - DROPOUT)
        self._given = np.float32(0.5) * self._inner * (1 + self._tanh)
        if self._kept is not None:
            self._given = self._given * self._kept
        self.out = x + (self._given @ w[f"{i}.pointwise.weight"] + w[f"{i}.pointwise.bias"])

    def backward(self, slope: Floats, w: Weights, gradient: Weights) -> Floats:
        i = self._i
        inner = _through(self._given, slope, w, gradient, f"{i}.pointwise")
        if self._kept is not None:
            inner = inner * self._kept
        seen = _through(self._seen, inner * gelu_slope(self._inner, self._tanh), w, gradient, f"{i}.dilated")
        back = _untaps(seen, self._dilation)
        gradient[f"{i}.norm.weight"][...] = (back * self._normal).sum((0, 1))
        gradient[f"{i}.norm.bias"][...] = back.sum((0, 1))
        back = back * w[f"{i}.norm.weight"]
        along = (back * self._normal).mean(-1, keepdims=True)
        return np.asarray(slope + self._scale * (back - back.mean(-1, keepdims=True) - self._normal * along))


def _through(x: Floats, slope: Floats, w: Weights, gradient: Weights, name: str) -> Floats:
    """Back through a product with weights ``name``: their slopes, and that of what went in, ``x``."""
    _weights_of(x, slope, gradient, name)
    return slope @ w[f"{name}.weight"].T


def _weights_of(x: Floats, slope: Floats, gradient: Weights, name: str) -> None:
    flat = slope.reshape(-1, slope.shape[-1])
    np.matmul(x.reshape(len(flat), -1).T, flat, out=gradient[f"{name}.weight"])
    gradient[f"{name}.bias"][...] = flat.sum(0)


def _taps(x: Floats, dilation: int) -> Floats:
    """Each frame of ``x`` (b, m, c) beside those before it that a kernel touches (b, m, TAPS * c), zeros before."""
    rows, length, channels = x.shape
    seen = np.zeros((rows, length, TAPS * channels), np.float32)
    for k in range(TAPS):
        late = (TAPS - 1 - k) * dilation
        if late < length:
            seen[:, late:, k * channels : (k + 1) * channels] = x[:, : length - late]
    return seen


def _untaps(seen: Floats, dilation: int) -> Floats:
    """The slope of :func:`_taps`."""
    length, channels = seen.shape[1], seen.shape[2] // TAPS
    back = np.zeros((len(seen), length, channels), np.float32)
    for k in range(TAPS):
        late = (TAPS - 1 - k) * dilation
        if late < length:
            back[:, : length - late] += seen[:, late:, k * channels : (k + 1) * channels]
    return back
