"""The weights in a checkpoint: the averaged ones where it has them, each shape compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from engines.common.checkpoint import open_checkpoint
from engines.common.checkpoint.published import Published, listed
from engines.gfpgan.layers import DECODER, UNUSED, Shape, expected
from realtime_dub.media import Floats

GFPGAN = Published(
    called="GFPGAN's network",
    give="give GFPGANv1.2, 1.3 or 1.4, or an ONNX file made of it",
    before=("params_ema.", "params.", "module.", "state_dict."),
)
MOST_SIZE, MOST_WIDTH = 1024, 1024
_COLOURS = re.compile(rf"{DECODER}\.to_rgbs\.(\d+)\.bias")


def read_weights(path: Path) -> tuple[Shape, dict[str, Floats]]:
    """The network's sizes, and every tensor that it uses as float32. Raises BundleError, which says what differs."""
    with open_checkpoint(path) as checkpoint:
        found = {name: each for name, each in GFPGAN.named(checkpoint.tensors).items() if not name.startswith(UNUSED)}
        shapes = {name: tensor.shape for name, tensor in found.items()}
        shape = shape_of(path, shapes)
        GFPGAN.compare(path, expected(shape), shapes)
        weights = {name: np.array(tensor.read(), np.float32) for name, tensor in found.items()}
    GFPGAN.check_numbers(path, weights)
    return shape, weights


def shape_of(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Shape:
    """What the tensors are a network of. Raises BundleError where they are none of this kind."""
    levels = sum(1 for name in shapes if _COLOURS.fullmatch(name))
    first = shapes.get(f"{DECODER}.style_conv1.modulated_conv.modulation.weight", ())
    if not levels or len(first) != 2:
        raise GFPGAN.unlike(path, f"it has {listed(shapes)}")
    sides = [4 * 2**level for level in range(levels + 1)]
    widths = {4: first[0]}
    for place, side in enumerate(sides[1:]):
        bias = shapes.get(f"{DECODER}.style_convs.{2 * place}.bias", ())
        widths[side] = bias[1] if len(bias) == 4 else 0
    if sides[-1] > MOST_SIZE or any(width % 2 or not 2 <= width <= MOST_WIDTH for width in widths.values()):
        raise GFPGAN.unlike(path, f"it makes pictures of {sides[-1]} pixels with {listed(map(str, widths.values()))}")
    return Shape(first[1], widths)
