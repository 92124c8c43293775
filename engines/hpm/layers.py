"""What the network is built of: transformer blocks with convolutions, attention between two rows, and predictors.

The names of the parameters are those of published checkpoints. ``gone`` is True where a row is padding.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.hpm.shapes import BANDS


def sinusoids(count: int, width: int) -> Tensor:
    """Positions (count, width): sine and cosine in turn, of wavelengths from 2π to 20000π."""
    angles = torch.arange(count, dtype=torch.float64)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1).float()


class Attention(nn.Module):
    """Attention of a row to itself, the row added and normed behind it."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.w_qs, self.w_ks, self.w_vs = (nn.Linear(width, width) for _ in range(3))
        self.layer_norm, self.fc = nn.LayerNorm(width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, gone: Tensor | None) -> Tensor:
        found = attended(self.w_qs(x), self.w_ks(x), self.w_vs(x), self.heads, self.size, gone)
        normed: Tensor = self.layer_norm(self.dropout(self.fc(found)) + x)
        return normed


def attended(query: Tensor, key: Tensor, value: Tensor, heads: int, size: int, gone: Tensor | None) -> Tensor:
    """Scaled dot products: (b, n, w) asks (b, m, w), w = heads * size."""
    return summed(weighed(query, key, heads, size, gone), value, heads, size)


def weighed(query: Tensor, key: Tensor, heads: int, size: int, gone: Tensor | None) -> Tensor:
    """What share each of a row (b, m, w) has in what (b, n, w) hears: (b, heads, n, m)."""
    query, key = (each.reshape(*each.shape[:2], heads, size).transpose(1, 2) for each in (query, key))
    scores = query @ key.transpose(2, 3) / math.sqrt(size)
    if gone is not None:
        scores = scores.masked_fill(gone[:, None, None], -math.inf)
    return scores.softmax(-1)


def summed(weights: Tensor, value: Tensor, heads: int, size: int) -> Tensor:
    """A row (b, m, w) in shares (b, heads, n, m): (b, n, w)."""
    found = (weights @ value.reshape(*value.shape[:2], heads, size).transpose(1, 2)).transpose(1, 2)
    return found.reshape(*found.shape[:2], heads * size)


class Convolutions(nn.Module):
    """Two convolutions over time, the row added and normed behind them."""

    def __init__(self, width: int, inner: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.w_1 = nn.Conv1d(width, inner, kernel, padding=kernel // 2)
        self.w_2 = nn.Conv1d(inner, width, 1)
        self.layer_norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        made = pointwise(self.w_2, torch.relu(self.w_1(x.transpose(1, 2))).transpose(1, 2))
        normed: Tensor = self.layer_norm(self.dropout(made) + x)
        return normed


def pointwise(join: nn.Conv1d, x: Tensor) -> Tensor:
    """A convolution of one step over (b, n, w): a product of matrices, which is quicker."""
    return functional.linear(x, join.weight[:, :, 0], join.bias)


class Block(nn.Module):
    """Attention, then convolutions; what is padding stays zero."""

    def __init__(self, width: int, heads: int, inner: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.slf_attn = Attention(width, heads, dropout)
        self.pos_ffn = Convolutions(width, inner, kernel, dropout)

    def forward(self, x: Tensor, gone: Tensor | None) -> Tensor:
        return emptied(self.pos_ffn(emptied(self.slf_attn(x, gone), gone)), gone)


def emptied(x: Tensor, gone: Tensor | None) -> Tensor:
    return x if gone is None else x.masked_fill(gone[..., None], 0.0)


class Blocks(nn.Module):
    """Positions, which are not learnt, and blocks."""

    def __init__(self, width: int, heads: int, layers: int, inner: int, kernel: int, positions: int, drop: float):
        super().__init__()
        self.position_enc = nn.Parameter(sinusoids(positions + 1, width)[None], requires_grad=False)
        self.layer_stack = nn.ModuleList([Block(width, heads, inner, kernel, drop) for _ in range(layers)])

    def forward(self, x: Tensor, gone: Tensor | None) -> Tensor:
        x = x + self.position_enc[:, : x.shape[1]]
        for block in self.layer_stack:
            x = block(x, gone)
        return x


class Across(nn.Module):
    """Several heads of one row ask another row; the parameters are those of PyTorch's own attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, query: Tensor, row: Tensor, gone: Tensor | None) -> Tensor:
        return self.heard(query, row, gone)[0]

    def heard(self, query: Tensor, row: Tensor, gone: Tensor | None) -> tuple[Tensor, Tensor]:
        """(b, n, w), and what share each of the row has in it (b, n, m), mean of the heads."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        asked, key, value = (
            functional.linear(x, w, b) for x, w, b in zip((query, row, row), weights, biases, strict=True)
        )
        shares = weighed(asked, key, self.heads, self.size, gone)
        return self.out_proj(summed(shares, value, self.heads, self.size)), shares.mean(1)


class Widening(nn.Module):
    """A transposed convolution: ``times`` places for each of a row, whose weights are a length and a direction per
    channel.
    """

    def __init__(self, width: int, times: int) -> None:
        super().__init__()
        made = nn.ConvTranspose1d(width, width, 2 * times)
        self.times, self.bias = times, made.bias
        self.weight_g = nn.Parameter(made.weight.detach().norm(dim=(1, 2), keepdim=True))
        self.weight_v = nn.Parameter(made.weight.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight_v * (self.weight_g / self.weight_v.square().sum((1, 2), keepdim=True).sqrt())
        edge, more = (self.times + 1) // 2, self.times % 2
        return functional.conv_transpose1d(x, weight, self.bias, self.times, edge, more)


def factors(count: int) -> list[int]:
    """The primes of ``count``, which may be 1: steps from video frames to mel frames."""
    found, prime = [], 2
    while count > 1:
        while count % prime == 0:
            found.append(prime)
            count //= prime
        prime += 1
    return found


class Along(nn.Module):
    """A convolution over the time of (b, n, w)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.conv(x.transpose(1, 2)).transpose(1, 2)
        return made


class Predictor(nn.Module):
    """One number for each mel frame."""

    def __init__(self, width: int, inner: int, dropout: float = 0.5) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for place, inputs in ((1, width), (2, inner)):
            layers[f"conv1d_{place}"] = Along(inputs, inner)
            layers[f"relu_{place}"] = nn.ReLU()
            layers[f"layer_norm_{place}"] = nn.LayerNorm(inner)
            layers[f"dropout_{place}"] = nn.Dropout(dropout)
        self.conv_layer = nn.Sequential(layers)
        self.linear_layer = nn.Linear(inner, 1)

    def forward(self, x: Tensor, gone: Tensor | None) -> Tensor:
        """(b, n, w) to (b, n)."""
        found: Tensor = self.linear_layer(self.conv_layer(x))
        return emptied(found, gone)[..., 0]


class _Held(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.conv(x)
        return made


class Postnet(nn.Module):
    """Five convolutions: what is to be added to a mel spectrogram."""

    def __init__(self, inner: int, dropout: float = 0.5) -> None:
        super().__init__()
        widths = [BANDS, *[inner] * 4, BANDS]
        pairs = pairwise(widths)
        self.convolutions = nn.ModuleList([nn.Sequential(_Held(a, b), nn.BatchNorm1d(b)) for a, b in pairs])
        self.dropout = nn.Dropout(dropout)

    def forward(self, mel: Tensor) -> Tensor:
        x = mel.transpose(1, 2)
        for layer in self.convolutions[:-1]:
            x = self.dropout(torch.tanh(layer(x)))
        made: Tensor = self.dropout(self.convolutions[-1](x)).transpose(1, 2)
        return made
