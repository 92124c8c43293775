"""What the network is made of, by the names that its published files have: a U-net, and a StyleGAN2 that it steers.

After Wang, Li, Zhang, Shan: Towards Real-World Blind Face Restoration with Generative Facial Prior (CVPR 2021), in the
form without CUDA code of its own that versions 1.2 to 1.4 have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

DECODER, MLP, RGB = "stylegan_decoder", "stylegan_decoder.style_mlp.", "toRGB."
UNUSED = (MLP, RGB)  # of training alone: the style is given, and the U-net's own pictures are shown to nobody
_PUBLISHED = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64}

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Shape:
    """``widths``: channels of the decoder by the side of its maps; the U-net's are half of them."""

    style: int = 512  # numbers of a style
    widths: dict[int, int] = field(default_factory=lambda: dict(_PUBLISHED))

    @property
    def sides(self) -> list[int]:
        """Of maps, from 8 up to the picture's."""
        return sorted(self.widths)[1:]

    @property
    def size(self) -> int:
        return self.sides[-1]

    @property
    def styles(self) -> int:
        """How many the decoder is told."""
        return 2 * int(math.log2(self.size)) - 2

    def net(self, side: int) -> int:
        """Channels of the U-net."""
        return self.widths[side] // 2


PUBLISHED = Shape()


def expected(shape: Shape) -> Shapes:
    """Every tensor that is used, with its shape."""
    return dict([*_unet(shape), *_decoder(shape)])


def _unet(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    net, sides = shape.net, shape.sides
    yield from _conv("conv_body_first", 3, net(sides[-1]), 1)
    for place, side in enumerate(reversed(sides)):
        yield from _block(f"conv_body_down.{place}", net(side), net(side // 2))
    yield from _conv("final_conv", net(4), net(4), 3)
    for place, side in enumerate(sides):
        yield from _block(f"conv_body_up.{place}", net(side // 2), net(side))
        for steered in ("scale", "shift"):
            yield from _conv(f"condition_{steered}.{place}.0", net(side), net(side), 3)
            yield from _conv(f"condition_{steered}.{place}.2", net(side), net(side), 3)
    yield "final_linear.weight", (shape.styles * shape.style, net(4) * 16)
    yield "final_linear.bias", (shape.styles * shape.style,)


def _decoder(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    widths = shape.widths
    yield f"{DECODER}.constant_input.weight", (1, widths[4], 4, 4)
    yield from _styled(f"{DECODER}.style_conv1", widths[4], widths[4], shape.style)
    yield from _coloured(f"{DECODER}.to_rgb1", widths[4], shape.style)
    yield f"{DECODER}.noises.noise0", (1, 1, 4, 4)
    for place, side in enumerate(shape.sides):
        first, second = 2 * place, 2 * place + 1
        yield from _styled(f"{DECODER}.style_convs.{first}", widths[side // 2], widths[side], shape.style)
        yield from _styled(f"{DECODER}.style_convs.{second}", widths[side], widths[side], shape.style)
        yield from _coloured(f"{DECODER}.to_rgbs.{place}", widths[side], shape.style)
        for number in (first + 1, second + 1):
            yield f"{DECODER}.noises.noise{number}", (1, 1, side, side)


def _conv(name: str, before: int, after: int, kernel: int, bias: bool = True) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (after, before, kernel, kernel)
    if bias:
        yield f"{name}.bias", (after,)


def _block(name: str, before: int, after: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _conv(f"{name}.conv1", before, before, 3)
    yield from _conv(f"{name}.conv2", before, after, 3)
    yield from _conv(f"{name}.skip", before, after, 1, bias=False)


def _modulated(name: str, before: int, after: int, style: int, kernel: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.modulated_conv.weight", (1, after, before, kernel, kernel)
    yield f"{name}.modulated_conv.modulation.weight", (before, style)
    yield f"{name}.modulated_conv.modulation.bias", (before,)
    yield f"{name}.bias", (1, after, 1, 1)


def _styled(name: str, before: int, after: int, style: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _modulated(name, before, after, style, 3)
    yield f"{name}.weight", (1,)  # of the noise


def _coloured(name: str, before: int, style: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _modulated(name, before, 3, style, 1)
