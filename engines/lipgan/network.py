"""LipGAN's generators: a window of mel, the face without its lower half and another moment's face -> the face.

After K R Prajwal et al., Towards Automatic Face-to-Face Translation (2019), and Rudrabha/LipGAN, branch
``fully_pythonic``. Layers stand in the order in which they are made there, which is how its weights are found again
(``keras_import.py``); padding is TensorFlow's ``same``, which lies behind where it is odd.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Kind = Literal["residual", "basic"]
Pair = tuple[int, int]
SIZE = 96  # pixels a side
BANDS, FRAMES = 80, 27  # of the mel window
HIDDEN_FROM = 0.5  # of the height
EPSILON, MOMENTUM = 1e-3, 0.2  # of the batch norms, as Keras has them (its momentum is 1 - ours)
KERNELS: dict[Kind, tuple[int, ...]] = {"residual": (7, 5, 3, 3, 3, 3), "basic": (11, 7, 5, 3, 3, 3)}
FACE_BLOCKS = (0, 2, 3, 2, 2, 0)  # residual blocks of each stage
STRIDES: tuple[Pair, ...] = ((1, 1), (3, 3), (3, 1), (3, 3))  # of the stages that hear
DECODER_BLOCKS = (0, 2, 2, 2, 2, 0)


@dataclass(frozen=True)
class Shape:
    """Sizes of a generator: as published unless it is for a test."""

    kind: Kind = "residual"
    widths: tuple[int, int, int, int, int] = (32, 64, 128, 256, 512)


class Conv(nn.Sequential):
    """Convolution, batch norm, ReLU. ``size``: of what comes in, for the padding; None pads nothing."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: Pair = (1, 1), size: Pair | None = None
    ) -> None:
        layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, stride), *normed(outputs)]
        if size is not None:
            layers.insert(0, nn.ZeroPad2d(same_padding(size, kernel, stride)))
        super().__init__(*layers)


class Up(nn.Sequential):
    """Transposed convolution 3×3, batch norm, ReLU: ``stride`` times the size."""

    def __init__(self, inputs: int, outputs: int, stride: int = 2) -> None:
        super().__init__(nn.ConvTranspose2d(inputs, outputs, 3, stride), Cut(3 - stride), *normed(outputs))


class Cut(nn.Module):
    """Without its last rows and columns: what reaches over the end, which ``same`` cuts off."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : -self._count, : -self._count] if self._count else x


class Block(nn.Module):
    """Two convolutions beside the way straight on."""

    def __init__(self, width: int, size: Pair) -> None:
        super().__init__()
        self.convs = nn.Sequential(*(Conv(width, width, size=size) for _ in range(2)))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.convs(x) + x)


def normed(width: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(width, eps=EPSILON, momentum=MOMENTUM), nn.ReLU()


def same_padding(size: Pair, kernel: int, stride: Pair) -> tuple[int, int, int, int]:
    """Left, right, top, bottom, as TensorFlow pads ``same``.

    >>> same_padding((96, 96), 5, (2, 2)), same_padding((27, 9), 3, (3, 1))
    ((1, 2, 1, 2), (1, 1, 0, 0))
    """
    (top, bottom), (left, right) = (_pads(*each, kernel) for each in zip(size, stride, strict=True))
    return left, right, top, bottom


def _pads(size: int, stride: int, kernel: int) -> Pair:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class FaceEncoder(nn.Module):
    """Both faces (b, 6, 96, 96) -> a map of each stage, and what is left of them (b, w, 1, 1)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        widths = (*shape.widths, shape.widths[-1])
        sizes = [SIZE, SIZE, *(SIZE >> step for step in range(1, 5))]  # of what goes in
        residual = shape.kind == "residual"
        stages, inputs = [], 6
        for stage, (width, kernel, size) in enumerate(zip(widths, KERNELS[shape.kind], sizes, strict=True)):
            stride = (2, 2) if stage else (1, 1)
            made: list[nn.Module] = [Conv(inputs, width, kernel, stride, (size, size))]
            after = size // stride[0]
            made += [Block(width, (after, after)) for _ in range(FACE_BLOCKS[stage] if residual else 0)]
            stages.append(nn.Sequential(*made))
            inputs = width
        self.stages = nn.ModuleList(stages)
        self.embedded = inputs if residual else inputs // 2
        self.ends = nn.Sequential(Conv(inputs, inputs), Conv(inputs, self.embedded, 1))

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps, self.ends(x)


class AudioEncoder(nn.Sequential):
    """Mel (b, 1, 80, 27) -> (b, w, 1, 1)."""

    def __init__(self, shape: Shape) -> None:
        layers: list[nn.Module] = []
        inputs, size = 1, (BANDS, FRAMES)
        for width, stride in zip(shape.widths, STRIDES, strict=False):
            layers.append(Conv(inputs, width, 3, stride, size))
            size = (-(-size[0] // stride[0]), -(-size[1] // stride[1]))
            layers += [
                Block(width, size) if shape.kind == "residual" else Conv(width, width, size=size) for _ in range(2)
            ]
            inputs = width
        last = shape.widths[-1]
        super().__init__(*layers, Conv(inputs, last), Conv(last, last, 1))


class Decoder(nn.Module):
    """What was seen and heard (b, e, 1, 1), with the face's maps from the smallest to the largest -> (b, 3, 96, 96)."""

    def __init__(self, shape: Shape, embedded: int) -> None:
        super().__init__()
        widths = (shape.widths[-1], *reversed(shape.widths))
        stages, inputs, size = [], embedded, 1
        for stage, width in enumerate(widths):
            stride = 2 if stage else 3
            size *= stride
            made: list[nn.Module] = [Up(inputs, width, stride)]
            blocks = DECODER_BLOCKS[stage] if shape.kind == "residual" else 0
            made += [Block(width, (size, size)) for _ in range(blocks)]
            stages.append(nn.Sequential(*made))
            inputs = 2 * width
        self.stages = nn.ModuleList(stages)
        half = shape.widths[0] // 2
        convs = (Conv(inputs, half, size=(SIZE, SIZE)), Conv(half, half, size=(SIZE, SIZE)))
        self.paint = nn.Sequential(*convs, nn.Conv2d(half, 3, 1), nn.Sigmoid())

    def forward(self, x: Tensor, maps: list[Tensor]) -> Tensor:
        for stage, seen in zip(self.stages, reversed(maps), strict=True):
            x = torch.cat([seen, stage(x)], 1)
        return self.paint(x)


class Generator(nn.Module):
    """One of LipGAN's generators."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape or Shape()
        self.face = FaceEncoder(self.shape)
        self.audio = AudioEncoder(self.shape)
        self.decoder = Decoder(self.shape, self.face.embedded + self.shape.widths[-1])

    def forward(self, mel: Tensor, face: Tensor, reference: Tensor) -> Tensor:
        """The face (b, 3, 96, 96) that speaks the window ``mel`` (b, 27, 80); faces BGR in 0..1.

        Of ``face`` the lower half is not looked at; ``reference`` is the same person's at another time.
        """
        maps, seen = self.face(torch.cat([reference, hidden(face)], 1))
        heard = self.audio(mel.transpose(1, 2).unsqueeze(1))
        return self.decoder(torch.cat([seen, heard], 1), maps)


def hidden(face: Tensor, rows: int = round(SIZE * HIDDEN_FROM)) -> Tensor:
    """The face with nothing below its first ``rows`` rows."""
    return functional.pad(face[:, :, :rows], (0, 0, 0, face.shape[2] - rows))


def made_of(module: nn.Module, kind: type[nn.Module]) -> Iterator[nn.Module]:
    """The layers of a kind, in the order in which they were made."""
    return (each for each in module.modules() if isinstance(each, kind))
