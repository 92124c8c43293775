"""The network as an ONNX graph, built of its weights: no PyTorch. BGR in 0..1 goes in and comes out.

A convolution whose weights a style scales is the plain one of a scaled map: scales of what goes in stand before it, and
the norm of what comes out behind it. So all weights are constants. The noise is the stored one, the same for each
picture: another one for each would flicker.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engines.common.onnx_graph import Graph
from engines.gfpgan.layers import DECODER, Shape
from realtime_dub.media import Floats

BATCH, FACE, RESTORED = "batch", "face", "restored"
SLOPE, EPSILON = 0.2, 1e-8
GAIN = 2**0.5  # of maps that a style has shaped


def ports(shape: Shape) -> tuple[dict[str, tuple[int | str, ...]], dict[str, tuple[int | str, ...]]]:
    """What goes in and what comes out."""
    picture = (BATCH, 3, shape.size, shape.size)
    return {FACE: picture}, {RESTORED: picture}


def model_of(shape: Shape, weights: Mapping[str, Floats]) -> bytes:
    """The network's file. ``weights``: as :func:`layers.expected` names them."""
    graph, (inputs, outputs) = _Network(shape, weights), ports(shape)
    graph.build()
    return graph.model("gfpgan", inputs.items(), outputs.items())


class _Network(Graph):
    """The parts of this network. Its maps are those of the publication but for the colours at both ends."""

    def __init__(self, shape: Shape, weights: Mapping[str, Floats]) -> None:
        super().__init__(weights)
        self._shape = shape
        self._twice, self._half = (self.keep(np.array([1, 1, by, by], np.float32)) for by in (2, 0.5))
        self._squares = self.keep(np.array([-1, 1], np.int64))

    def build(self) -> None:
        last, skips = self.down(self.signed(FACE))
        styles, steered = self.styles(last), self.steered(last, skips)
        rgb = self.decoded(styles, steered)
        turned = self.add("Gather", [rgb, self.keep(np.array([2, 1, 0], np.int64))], axis=1)
        halved = self.add("Mul", [turned, self.number(0.5)])
        self.add("Add", [halved, self.number(0.5)], RESTORED)

    def number(self, value: float) -> str:
        return self.keep(np.array(value, np.float32))

    def signed(self, x: str) -> str:
        """RGB in -1..1."""
        turned = self.add("Gather", [x, self.keep(np.array([2, 1, 0], np.int64))], axis=1)
        return self.add("Sub", [self.add("Mul", [turned, self.number(2)]), self.number(1)])

    def weight(self, name: str) -> str:
        return self.keep(self._weights[name], name)

    def conv(self, x: str, name: str, leaky: bool = True) -> str:
        kernel = self._weights[f"{name}.weight"].shape[-1]
        bias = [self.weight(f"{name}.bias")] if f"{name}.bias" in self._weights else []
        made = self.add("Conv", [x, self.weight(f"{name}.weight"), *bias], pads=[kernel // 2] * 4)
        return self.leaky(made) if leaky else made

    def leaky(self, x: str) -> str:
        return self.add("LeakyRelu", [x], alpha=SLOPE)

    def resized(self, x: str, by: str) -> str:
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return self.add("Resize", [x, "", by], **how)

    def block(self, x: str, name: str, by: str) -> str:
        made = self.conv(self.resized(self.conv(x, f"{name}.conv1"), by), f"{name}.conv2")
        return self.add("Add", [made, self.conv(self.resized(x, by), f"{name}.skip", leaky=False)])

    def down(self, x: str) -> tuple[str, list[str]]:
        """The smallest map, and those on the way to it, the smallest first."""
        x, maps = self.conv(x, "conv_body_first"), []
        for place in range(len(self._shape.sides)):
            x = self.block(x, f"conv_body_down.{place}", self._half)
            maps.append(x)
        return self.conv(x, "final_conv"), maps[::-1]

    def styles(self, x: str) -> list[str]:
        """One (batch, style) for each layer of the decoder."""
        flat = self.add("Flatten", [x])
        given = [flat, self.weight("final_linear.weight"), self.weight("final_linear.bias")]
        every = self.add("Gemm", given, transB=1)
        names = [f"style_{number}" for number in range(self._shape.styles)]
        sizes = self.keep(np.full(len(names), self._shape.style, np.int64))
        self.add("Split", [every, sizes], *names, axis=1)
        return names

    def steered(self, x: str, skips: list[str]) -> list[tuple[str, str]]:
        """For each side of the decoder's maps, by what a half of its channels is multiplied and what is added."""
        found = []
        for place, skip in enumerate(skips):
            x = self.block(self.add("Add", [x, skip]), f"conv_body_up.{place}", self._twice)
            both = [
                self.conv(self.conv(x, f"condition_{each}.{place}.0"), f"condition_{each}.{place}.2", leaky=False)
                for each in ("scale", "shift")
            ]
            found.append((both[0], both[1]))
        return found

    def decoded(self, styles: list[str], steered: list[tuple[str, str]]) -> str:
        """RGB in about -1..1."""
        x = self.styled(self.weight(f"{DECODER}.constant_input.weight"), styles[0], "style_conv1", 0)
        rgb = self.coloured(x, styles[1], "to_rgb1")
        for place, given in enumerate(steered):
            first, number = 2 * place, 2 * place + 1
            x = self.styled(x, styles[number], f"style_convs.{first}", number, larger=True)
            x = self.steer(x, *given)
            x = self.styled(x, styles[number + 1], f"style_convs.{first + 1}", number + 1)
            mine = self.coloured(x, styles[number + 2], f"to_rgbs.{place}")
            rgb = self.add("Add", [mine, self.resized(rgb, self._twice)])
        return rgb

    def steer(self, x: str, scale: str, shift: str) -> str:
        """The second half of the channels."""
        free, led = f"{x}_free", f"{x}_led"
        self.add("Split", [x], free, led, axis=1)
        moved = self.add("Add", [self.add("Mul", [led, scale]), shift])
        return self.add("Concat", [free, moved], axis=1)

    def scales(self, style: str, name: str) -> str:
        """(batch, channels): what a style makes of the channels that go in."""
        given = [style, self.weight(f"{name}.modulation.weight"), self.weight(f"{name}.modulation.bias")]
        return self.add("Gemm", given, transB=1)

    def as_maps(self, values: str) -> str:
        """(batch, channels) as (batch, channels, 1, 1)."""
        return self.add("Unsqueeze", [values, self.keep(np.array([2, 3], np.int64))])

    def styled(self, x: str, style: str, part: str, noise: int, larger: bool = False) -> str:
        name = f"{DECODER}.{part}"
        conv = f"{name}.modulated_conv"
        scales, weight = self.scales(style, conv), self._weights[f"{conv}.weight"][0]
        x = self.add("Mul", [x, self.as_maps(scales)])
        if larger:
            x = self.resized(x, self._twice)
        made = self.add("Conv", [x, self.keep(weight, f"{conv}.weight")], pads=[weight.shape[-1] // 2] * 4)
        power = self.keep(np.ascontiguousarray(np.square(weight, dtype=np.float64).sum((2, 3)).T.astype(np.float32)))
        square = self.add("MatMul", [self.add("Mul", [scales, scales]), power])
        norm = self.add("Sqrt", [self.add("Add", [square, self.number(EPSILON)])])
        made = self.add("Div", [made, self.as_maps(self.add("Mul", [norm, self.number(1 / GAIN)]))])
        grain = self._weights[f"{name}.weight"] * self._weights[f"{DECODER}.noises.noise{noise}"]
        made = self.add("Add", [made, self.keep(grain + self._weights[f"{name}.bias"])])
        return self.leaky(made)

    def coloured(self, x: str, style: str, part: str) -> str:
        conv = f"{DECODER}.{part}.modulated_conv"
        scaled = self.add("Mul", [x, self.as_maps(self.scales(style, conv))])
        weight = self.keep(self._weights[f"{conv}.weight"][0], f"{conv}.weight")
        bias = self.keep(self._weights[f"{DECODER}.{part}.bias"].reshape(-1), f"{DECODER}.{part}.bias")
        return self.add("Conv", [scaled, weight, bias])
