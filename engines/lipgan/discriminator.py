"""LipGAN's discriminator: how far a face is from what is said, and the loss that it is trained with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.lipgan.network import BANDS, EPSILON, FRAMES, SIZE, STRIDES, Pair, same_padding

MARGIN = 1.0  # of the distance of what does not belong together
LEAK = 0.2
TINY = 1e-12  # under the root, whose slope at zero has no bounds


@dataclass(frozen=True)
class Shape:
    """As published unless it is for a test. ``width``: values that are compared; its parts are the layers' widths."""

    width: int = 512

    @property
    def face_widths(self) -> tuple[int, ...]:
        return (self.width // 8, self.width // 4, self.width // 2, self.width, self.width)

    @property
    def audio_widths(self) -> tuple[int, ...]:
        return (self.width // 16, self.width // 8, self.width // 4, self.width // 2)


class Conv(nn.Sequential):
    """Convolution, norm over a whole instance with one gain, leaky ReLU.

    The norm is that of keras-contrib without an axis: over places and channels. One per channel would leave nothing
    of what is one pixel large, as the voice is at last.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: Pair, size: Pair | None) -> None:
        pads = [] if size is None else [nn.ZeroPad2d(same_padding(size, kernel, stride))]
        conv = nn.Conv2d(inputs, outputs, kernel, stride)
        super().__init__(*pads, conv, InstanceNorm(), nn.LeakyReLU(LEAK))


class InstanceNorm(nn.Module):
    """Takes mean and spread of each instance out, and puts in one of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        spread, mean = torch.std_mean(x, (1, 2, 3), correction=0, keepdim=True)
        return (x - mean) / (spread + EPSILON) * self.gain + self.bias


class Discriminator(nn.Module):
    """Faces and windows of mel -> their distance."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or Shape()
        layers: list[nn.Module] = []
        inputs, side = 3, SIZE
        for width, kernel in zip(shape.face_widths, (7, 5, 3, 3, 3), strict=True):
            layers.append(Conv(inputs, width, kernel, (2, 2), (side, side)))
            inputs, side = width, side // 2
        self.face = nn.Sequential(*layers, nn.Conv2d(inputs, shape.width, 3), nn.Flatten())
        layers, inputs, size = [], 1, (BANDS, FRAMES)
        for width, stride in zip(shape.audio_widths, STRIDES, strict=True):
            layers.append(Conv(inputs, width, 3, stride, size))
            inputs, size = width, (-(-size[0] // stride[0]), -(-size[1] // stride[1]))
        ends = (Conv(inputs, shape.width, 3, (1, 1), None), Conv(shape.width, shape.width, 1, (1, 1), None))
        self.audio = nn.Sequential(*layers, *ends, nn.Flatten())

    def forward(self, face: Tensor, mel: Tensor) -> Tensor:
        """Distances (b,), 0..2, of faces (b, 3, 96, 96) and windows (b, 27, 80)."""
        seen = functional.normalize(self.face(face).float())
        heard = functional.normalize(self.audio(mel.transpose(1, 2).unsqueeze(1)).float())
        return torch.sqrt((seen - heard).square().sum(1) + TINY)


def contrastive(distance: Tensor, apart: bool) -> Tensor:
    """The mean loss of distances (b,), drawing what is real and in sync to 0, what is ``apart`` to the margin."""
    return (functional.relu(MARGIN - distance) if apart else distance).square().mean()
