"""A vocoder whose sound begins as the voice does: pulses at its pitch, and breath, each shaped frame by frame.

The network hears how high the voice is in its spectrogram, and how much of the pulses and of the noise each frequency
takes; what that sounds like is arithmetic. So phases fit from the first step on, and little training goes far. After
Wang, Takaki, Yamagishi: Neural source-filter waveform models for statistical parametric speech synthesis (TASLP 28,
2020), Engel, Hantrakul, Gu, Roberts: DDSP (ICLR 2020); pitch as classes after Kim, Salamon, Li, Bello: CREPE (ICASSP
2018); blocks at the rate of the frames and the inverse transform behind them after Siuzdak: Vocos (ICLR 2024).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.common import Array
from engines.vocoder.sounding import Sounding
from realtime_dub.audio.frontends.framing import hann, slaney_edges, slaney_filters
from realtime_dub.audio.frontends.voice_mel import AT_16K, LEAST

LOWEST_HZ, HIGHEST_HZ = 60.0, 420.0  # of a voice
HIGHEST_PULSE_HZ = 7_600.0  # pulses have nothing above
AROUND = 2  # frames that are made up at either end
NEAR = 2  # classes of pitch whose mean is taken, either way
SMOOTH = 5  # frames
MOST_GAIN = 1.0  # natural logarithm, of what a band is brought nearer by
LOUDEST = 7.0  # natural logarithm of a gain
MEAN, SPREAD = -5.0, 2.5  # of a spectrogram


@dataclass(frozen=True)
class SourceShape:
    """The sizes, for hops of 160 at 16 kHz."""

    bands: int = 80
    channels: int = 128
    blocks: int = 5
    wider: int = 3  # a block's inside
    kernel: int = 7
    pitches: int = 96  # classes, evenly spaced on a logarithmic scale
    ear: int = 64  # channels of what hears the pitch
    ear_blocks: int = 3

    @property
    def hop(self) -> int:
        return AT_16K.hop


class Block(nn.Module):
    """A block of ConvNeXt (Liu et al., CVPR 2022) over time: (b, n, c) to the same."""

    def __init__(self, channels: int, kernel: int, wider: int, share: float) -> None:
        super().__init__()
        self.along = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.wide, self.back = nn.Linear(channels, wider * channels), nn.Linear(wider * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), share))

    def forward(self, x: Tensor) -> Tensor:
        found = self.norm(self.along(x.transpose(1, 2)).transpose(1, 2))
        return x + self.scale * self.back(functional.gelu(self.wide(found)))


class Trunk(nn.Module):
    """A spectrogram (b, bands, n) to (b, n, outputs), nearly nothing at first."""

    def __init__(self, sizes: tuple[int, int, int], outputs: int, shape: SourceShape) -> None:
        super().__init__()
        inputs, channels, blocks = sizes
        self.enter = nn.Conv1d(inputs, channels, shape.kernel, padding=shape.kernel // 2)
        self.norm = nn.LayerNorm(channels)
        self.blocks = nn.Sequential(*(Block(channels, shape.kernel, shape.wider, 1 / blocks) for _ in range(blocks)))
        self.last_norm, self.leave = nn.LayerNorm(channels), nn.Linear(channels, outputs)
        nn.init.normal_(self.leave.weight, std=0.01)
        nn.init.zeros_(self.leave.bias)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.norm(self.enter((mel - MEAN) / SPREAD).transpose(1, 2))
        made: Tensor = self.leave(self.last_norm(self.blocks(x)))
        return made


class Transform(nn.Module):
    """Windows (b, n, 640) to the real and imaginary parts of their spectra (b, n, 321), and back; as products of
    matrices, which every backend has.
    """

    to_real: Tensor
    to_imaginary: Tensor
    from_real: Tensor
    from_imaginary: Tensor

    def __init__(self) -> None:
        super().__init__()
        size, window = AT_16K.window, hann(AT_16K.window)
        turns = np.exp(-2j * np.pi * np.outer(np.arange(size), np.arange(size // 2 + 1)) / size)
        twice = np.full(size // 2 + 1, 2.0)
        twice[[0, -1]] = 1.0
        overlap = (window**2).reshape(-1, AT_16K.hop).sum(0)  # of the four windows that lie on a sample
        weight = window / np.tile(overlap, size // AT_16K.hop) / size
        for name, values in {
            "to_real": window[:, None] * turns.real,
            "to_imaginary": window[:, None] * turns.imag,
            "from_real": (weight[:, None] * turns.real * twice).T,
            "from_imaginary": (weight[:, None] * turns.imag * twice).T,
        }.items():
            self.register_buffer(name, torch.from_numpy(values.astype(np.float32)))

    def forward(self, pieces: Tensor) -> tuple[Tensor, Tensor]:
        return pieces @ self.to_real, pieces @ self.to_imaginary

    def back(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Windowed pieces that overlap and are added."""
        return real @ self.from_real + imaginary @ self.from_imaginary


class SourceFilter(Sounding):
    """Log mel (b, 80, n) to samples (b, n * 160)."""

    title = "source-filter"
    steps: Tensor  # (pitches,) log Hz
    spread: Tensor
    bands: Tensor
    noise: Tensor

    def __init__(self, shape: SourceShape) -> None:
        super().__init__()
        self.shape: SourceShape = shape
        bins, self.quiet = AT_16K.window // 2 + 1, level() + math.log(2) / 2  # pulses and noise each half
        self.ear = Trunk((shape.bands, shape.ear, shape.ear_blocks), shape.pitches, shape)
        self.filters = Trunk((shape.bands, shape.channels, shape.blocks), 3 * bins, shape)
        self.transform = Transform()
        steps = np.linspace(math.log(LOWEST_HZ), math.log(HIGHEST_HZ), shape.pitches)
        noise = np.random.default_rng(1).standard_normal(AT_16K.rate * 2)
        for name, values in {
            "steps": steps,
            "spread": spread(shape.bands),
            "bands": bands(shape.bands),
            "noise": noise,
        }.items():
            self.register_buffer(name, torch.from_numpy(values.astype(np.float32)))

    def forward(self, mel: Tensor) -> Tensor:
        heard = functional.pad(mel, (AROUND, AROUND), mode="replicate")
        made = self.sounded(heard, self.pitch(self.ear(heard)), self._breath(heard))
        made = self._brought(made, heard)
        return made[:, AROUND * self.shape.hop : -AROUND * self.shape.hop]

    def plain(self) -> SourceFilter:
        """On the CPU, for use alone."""
        net = SourceFilter(self.shape)
        net.load_state_dict({name: each.detach().cpu() for name, each in self.state_dict().items()})
        return net.eval().requires_grad_(False)

    def pitch(self, classes: Tensor) -> Tensor:
        """Log Hz (b, n) of what the ear says (b, n, pitches): the mean around the likeliest class."""
        likely = classes.softmax(-1).transpose(1, 2)
        likely = functional.avg_pool1d(likely, SMOOTH, 1, SMOOTH // 2, count_include_pad=False).transpose(1, 2)
        place = torch.arange(self.shape.pitches, device=likely.device)
        near = (place - likely.argmax(-1, keepdim=True)).abs() <= NEAR
        weight = likely * near
        found = (weight * self.steps).sum(-1) / weight.sum(-1)
        return functional.avg_pool1d(found[:, None], 3, 1, 1, count_include_pad=False)[:, 0]

    def sounded(self, mel: Tensor, log_hz: Tensor, breath: Tensor) -> Tensor:
        """Samples of a spectrogram at a pitch (b, n), with white noise (b, n * hop) for its breath."""
        told = self.filters(mel)
        voiced, turned, noisy = told.chunk(3, -1)
        level = mel.transpose(1, 2) @ self.spread - self.quiet
        one, other = (self.transform(_windows(each)) for each in (pulses(log_hz.exp()), breath))
        loud, soft = ((level + each).clamp(max=LOUDEST).exp() for each in (voiced, noisy))
        real, imaginary = loud * turned.cos(), loud * turned.sin()
        return _added(
            self.transform.back(
                one[0] * real - one[1] * imaginary + other[0] * soft,
                one[0] * imaginary + one[1] * real + other[1] * soft,
            )
        )

    def _brought(self, sound: Tensor, mel: Tensor) -> Tensor:
        """The sound with each band brought nearer to the spectrogram that it was made of."""
        real, imaginary = self.transform(_windows(sound))
        found = ((real**2 + imaginary**2 + 1e-12).sqrt() @ self.bands).clamp_min(LEAST).log()
        gain = (mel.transpose(1, 2) - found).clamp(-MOST_GAIN, MOST_GAIN) @ self.spread
        return _added(self.transform.back(real * gain.exp(), imaginary * gain.exp()))

    def _breath(self, mel: Tensor) -> Tensor:
        """The same noise for each sound (b, n * hop), over and over."""
        place = torch.arange(mel.shape[-1] * self.shape.hop, device=mel.device) % len(self.noise)
        return self.noise[place].expand(mel.shape[0], -1)


def spread(bands: int) -> Array:
    """(bands, 321): at each frequency, between which bands it lies."""
    centres = slaney_edges(AT_16K.low_hz, AT_16K.high_hz, bands + 2)[1:-1]
    bins = np.arange(AT_16K.window // 2 + 1) * AT_16K.rate / AT_16K.window
    return np.stack([np.interp(bins, centres, row) for row in np.eye(bands)])


def bands(count: int) -> Array:
    """(321, count): the bands of a spectrogram, of spectra as long as a window."""
    filters = slaney_filters(AT_16K.low_hz, AT_16K.high_hz, count, AT_16K.rate, AT_16K.window)
    return np.asarray(filters * AT_16K.fft / AT_16K.window)


def level() -> float:
    """What a spectrogram of white noise of mean square 1 has everywhere."""
    return float(np.log(AT_16K.filters().sum(0).mean() * np.sqrt((hann(AT_16K.window) ** 2).sum())))


def pulses(hz: Tensor) -> Tensor:
    """Samples (b, n * hop) of all overtones of pitches (b, n), as strong as each other; mean square 1."""
    hop = AT_16K.hop
    part = torch.arange(hop, device=hz.device) / hop
    after = torch.cat([hz[:, 1:], hz[:, -1:]], 1)
    at = hz[..., None] + (after - hz)[..., None] * part
    within = at.cumsum(-1) / AT_16K.rate
    whole = within[..., -1].cumsum(-1) - within[..., -1]
    turns = (within + (whole - whole.floor())[..., None]).flatten(1)
    count = (HIGHEST_PULSE_HZ / at.flatten(1)).floor()
    half = math.pi * (turns - turns.floor())
    below = half.sin()
    edge = below.abs() < 1e-4
    ratio = ((2 * count + 1) * half).sin() / torch.where(edge, torch.ones_like(below), below)
    total = torch.where(edge, 2 * count + 1, ratio)
    return (total - 1) / 2 * (2 / count).sqrt()


def _windows(sound: Tensor) -> Tensor:
    """Pieces (b, n, 640) of samples (b, n * 160), the k-th centred on sample ``k * 160``."""
    hops = functional.pad(sound.unflatten(1, (-1, AT_16K.hop)), (0, 0, 2, 1))
    return torch.cat([hops[:, k : k - 3 or None] for k in range(4)], -1)


def _added(pieces: Tensor) -> Tensor:
    """Samples (b, n * 160) of pieces (b, n, 640) that lie as :func:`_windows` takes them."""
    parts = pieces.unflatten(-1, (4, AT_16K.hop))
    laid = [functional.pad(parts[:, :, k], (0, 0, k, 3 - k)) for k in range(4)]
    return torch.stack(laid).sum(0)[:, 2:-1].flatten(1)
