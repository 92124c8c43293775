"""The slim painter: LipGAN's way of hearing and seeing, small enough for two cores of a processor.

What is different, and why:
* Faces are halved by putting four pixels into one place (``PixelUnshuffle``), and doubled in the same way at the end:
  the dearest layers of LipGAN, at 96², are gone.
* Only the rows that are hidden are decoded, and a few above them, in which what is painted goes over to what is seen.
* The net does not paint all of it: it says from where the reference's pixels are to be brought, and over them a colour
  and how much of it. Skin, beard and light come from the person; a net of two million weights has seen too few.
* While it is trained, what it has heard also has to tell how the lower face moves (``motion``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from realtime_dub.face.alignment import LOWER
from realtime_dub.inference.spec import CropSpec

SIZE, HIDDEN_ROWS = 96, 40
FIRST_ROW = 32  # painted from here on; up to HIDDEN_ROWS it goes over to what is seen
BANDS, FRAMES = 80, 27
MOTION = 3 * len(LOWER)  # numbers by which the lower face is told
REACH = 0.2  # of the crop's side: how far pixels are brought, at most
CROP = CropSpec(
    size=SIZE, alignment="pose", margins=(-0.25, 0.08, 0.0, 0.0), hidden_from=HIDDEN_ROWS / SIZE, reference=True
)


@dataclass(frozen=True)
class Shape:
    """Sizes: maps of 48, 24, 12, 6 and 3 pixels a side; of the voice as LipGAN's; ``motion``: values it has to tell."""

    widths: tuple[int, int, int, int, int] = (16, 32, 56, 96, 128)
    audio_widths: tuple[int, int, int, int] = (10, 20, 40, 80)
    heard: int = 128
    motion: int = 16


def conv(
    inputs: int, outputs: int, kernel: int = 3, stride: int | tuple[int, int] = 1, pad: int | tuple[int, int] = 1
) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, pad, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


def up(inputs: int, outputs: int, stride: int = 2) -> nn.Sequential:
    """``stride`` times the size; 4×4 where it doubles, so that every pixel is made of as many."""
    kernel = 4 if stride == 2 else 3
    layer = nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding=int(stride == 2), bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


class Block(nn.Module):
    """Two convolutions beside the way straight on."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(conv(width, width), nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.convs(x))


class Listener(nn.Module):
    """What hears in the slim painter, and tells how the lower face moves.

    The motion is told in a few directions of it, each of spread 1, as :meth:`directed` has set them.
    """

    motion_mean: Tensor
    motion_lines: Tensor

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or Shape()
        self.audio = _audio(shape)
        self.motion = nn.Linear(shape.heard, shape.motion)
        self.register_buffer("motion_mean", torch.zeros(MOTION))
        self.register_buffer("motion_lines", torch.zeros(MOTION, shape.motion))

    def directed(self, mean: Tensor, lines: Tensor) -> None:
        """Set the directions: motions (n, 504) are told as ``(motion - mean) @ lines``."""
        self.motion_mean.copy_(mean)
        self.motion_lines.copy_(lines)

    def hear(self, mel: Tensor) -> Tensor:
        """What is heard (b, heard, 1, 1) in windows (b, 27, 80)."""
        heard: Tensor = self.audio(mel.transpose(1, 2).unsqueeze(1))
        return heard

    def told(self, heard: Tensor) -> Tensor:
        """The motion of the lower face (b, motion) that is heard."""
        told: Tensor = self.motion(heard.flatten(1))
        return told

    def to_tell(self, motion: Tensor) -> Tensor:
        """What should be told (b, motion) of motions (b, 168, 3)."""
        return (motion.flatten(1) - self.motion_mean) @ self.motion_lines


class SlimNet(Listener):
    """The slim painter."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__(shape)
        shape = self.shape
        w = shape.widths
        self.unshuffle = nn.PixelUnshuffle(2)
        self.face = nn.ModuleList(
            [
                conv(24, w[0]),
                nn.Sequential(conv(w[0], w[1], stride=2), Block(w[1])),
                nn.Sequential(conv(w[1], w[2], stride=2), Block(w[2])),
                nn.Sequential(conv(w[2], w[3], stride=2), Block(w[3])),
                conv(w[3], w[4], stride=2),
            ]
        )
        self.face_end = conv(w[4], w[4], 3, 1, 0)
        self.decoder = nn.ModuleList(
            [
                up(w[4] + shape.heard, w[4], 3),
                nn.Sequential(up(2 * w[4], w[3]), Block(w[3])),
                nn.Sequential(up(2 * w[3], w[2]), Block(w[2])),
                nn.Sequential(up(2 * w[2], w[1]), Block(w[1])),
                up(2 * w[1], w[0]),
            ]
        )
        self.paint = nn.Sequential(conv(2 * w[0], 32), nn.Conv2d(32, 4 * 4 + 2, 3, 1, 1))
        self.shuffle = nn.PixelShuffle(2)
        rows = torch.arange(FIRST_ROW, SIZE, dtype=torch.float32)
        ramp = ((rows - FIRST_ROW + 0.5) / (HIDDEN_ROWS - FIRST_ROW)).clamp(0, 1)
        self.register_buffer("ramp", ramp[None, None, :, None], persistent=False)
        self.register_buffer("grid", _grid(), persistent=False)

    def forward(self, mel: Tensor, face: Tensor, reference: Tensor) -> Tensor:
        """The face (b, 3, 96, 96) that speaks the window ``mel`` (b, 27, 80); faces BGR in 0..1.

        Of ``face`` nothing below HIDDEN_ROWS is looked at; ``reference`` is the same person's at another time.
        """
        return self.painted(self.hear(mel), face, reference)[0]

    def painted(self, heard: Tensor, face: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """The face, and by how much pixels are brought (b, 2, 64, 96), in shares of half the crop's side."""
        seen = functional.pad(face[:, :, :HIDDEN_ROWS], (0, 0, 0, SIZE - HIDDEN_ROWS))
        x = self.unshuffle(torch.cat([reference, seen], 1))
        maps = []
        for stage in self.face:
            x = stage(x)
            maps.append(x)
        x = self._decoded(torch.cat([self.face_end(x), heard], 1), maps)
        made = self.paint(x)
        brought = 2 * REACH * functional.interpolate(torch.tanh(made[:, 16:] / 2), scale_factor=2.0, mode="bilinear")
        below = self._below(self.shuffle(made[:, :16]), brought, reference)
        below = face[:, :, FIRST_ROW:] * (1 - self.ramp) + below * self.ramp
        return torch.cat([face[:, :, :FIRST_ROW], below], 2), brought

    def _decoded(self, x: Tensor, maps: list[Tensor]) -> Tensor:
        """(b, w, 1, 1) and the maps -> (b, w, 32, 48): from 24 pixels a side on, the painted rows alone."""
        for stage, seen, side in zip(self.decoder, reversed(maps), (3, 6, 12, 24, 48), strict=True):
            x = stage(x)
            if side == 24:
                x = x[:, :, FIRST_ROW // 4 :]
            x = torch.cat([seen[:, :, side * FIRST_ROW // SIZE if side >= 24 else 0 :], x], 1)
        return x

    def _below(self, colours: Tensor, brought: Tensor, reference: Tensor) -> Tensor:
        at = self.grid + brought.permute(0, 2, 3, 1)
        taken = functional.grid_sample(reference.float(), at.float(), padding_mode="border", align_corners=False)
        gate = torch.sigmoid(colours[:, 3:] - 1.0)
        return taken + gate * (torch.sigmoid(colours[:, :3]) - taken)


def _audio(shape: Shape) -> nn.Sequential:
    a = shape.audio_widths
    stages = [
        conv(1, a[0]),
        Block(a[0]),
        nn.Sequential(nn.ZeroPad2d((0, 0, 0, 1)), conv(a[0], a[1], 3, 3, 0)),  # 27×9
        Block(a[1]),
        conv(a[1], a[2], 3, (3, 1), (0, 1)),  # 9×9
        Block(a[2]),
        conv(a[2], a[3], 3, 3, 0),  # 3×3
        Block(a[3]),
    ]
    return nn.Sequential(*stages, conv(a[3], shape.heard, 3, 1, 0), conv(shape.heard, shape.heard, 1, 1, 0))


def _grid() -> Tensor:
    """Where the painted pixels lie (1, 64, 96, 2), as ``grid_sample`` counts: -1 and 1 are the crop's edges."""
    at = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
    y, x = torch.meshgrid(at[FIRST_ROW:], at, indexing="ij")
    return torch.stack([x, y], -1)[None]
