"""The drawing of a mouth as one graph: crop, warp, colour, blend and paste between one copy in and one copy out.

What OpenCV does in `mouth/mouthbank/render.py`, `blend/pyramid.py` and `blend/composite.py`, for a mouth of the bank
that is drawn at its full size. Splines are solved and outlines filled by the caller: they are a few numbers, and small
masks. Resize and GridSample are bicubic with OpenCV's weights; its remap takes places by 32nds of a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from realtime_dub.blend.colour import BRIGHTEST, GREY, MAX_SHIFT

LEVELS = 3  # of the pyramid, for masks of 64 pixels and more a side
SMALLEST = 8 << LEVELS  # pixels a side of the lips' box
OPSET, IR = 17, 8
UINT8, FLOAT, INT64 = TensorProto.UINT8, TensorProto.FLOAT, TensorProto.INT64
# Boxes are x, y, right, bottom. `window` is the part of the frame that pixels are taken from; the others lie in it.
INPUTS: dict[str, tuple[int, Sequence[str | int]]] = {
    "frame": (UINT8, ("rows", "columns", 3)),  # BGR
    "window": (INT64, (4,)),  # in the frame
    "box": (INT64, (4,)),  # of the patch, in the window
    "skin": (FLOAT, ("skin_rows", "skin_columns", 2)),  # where the patch's pixels come from: displacement on a grid
    "mouth": (UINT8, ("mouth_rows", "mouth_columns", 3)),  # a picture of the bank
    "inner": (INT64, (4,)),  # of the lips, in the patch
    "lips": (FLOAT, ("lip_rows", "lip_columns", 2)),  # the same for the lips' pixels, from the lips' box into `mouth`
    "soft": (UINT8, ("high", "wide")),  # the lips and a rim
    "rim": (UINT8, ("high", "wide")),  # 255 where both pictures show the same skin
    "red": (UINT8, ("high", "wide")),  # the lips and what is between them
    "tone": (FLOAT, (3,)),  # what they lack of the live lips' colour, BGR
    "usual": (FLOAT, ()),  # how light a pixel is that takes all of that
    "alpha": (UINT8, ("patch_rows", "patch_columns")),
}


class _Graph:
    """Nodes, added one by one; what a call gives is the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def __call__(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"{operator}_{len(self.nodes)}_{place}" for place in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def number(self, value: Any, kind: Any = np.float32) -> str:
        name = f"value_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def whole(self, *values: int) -> str:
        return self.number(values, np.int64)


def graph() -> bytes:
    """The network; ``INPUTS`` in, ``composed`` (height, width, 3) BGR out: the frame's part ``box`` with the mouth."""
    make = _Graph()
    window = _cropped(make, _planes(make, "frame"), "window")
    below = _cropped(make, window, "box")
    skin = _levels(make, _sampled(make, window, "skin", below, _side(make, "box", 0), _side(make, "box", 1)))
    patch = _levels(make, make("Add", skin, _padded(make, _lips(make, skin), "inner", skin)))
    opacity = make("Div", _mask(make, "alpha"), make.number(255))
    pasted = make("Add", below, make("Mul", make("Sub", patch, below), opacity))
    composed = make(
        "Cast", make("Transpose", make("Squeeze", _levels(make, pasted), make.whole(0)), perm=[1, 2, 0]), to=UINT8
    )
    make.nodes.append(helper.make_node("Identity", [composed], ["composed"]))
    inputs = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in INPUTS.items()]
    output = helper.make_tensor_value_info("composed", UINT8, ("patch_rows", "patch_columns", 3))
    made = helper.make_graph(make.nodes, "compose", inputs, [output], make.weights)
    model: onnx.ModelProto = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _lips(make: _Graph, skin: str) -> str:
    """What the bank's picture changes in the lips' box of ``skin``."""
    below = _cropped(make, skin, "inner")
    own = _levels(make, _sampled(make, _planes(make, "mouth"), "lips", below, make.whole(0), make.whole(0)))
    lit = _levels(make, make("Add", own, _toned(make, own, _light(make, below, own))))
    weight = make("Div", _mask(make, "soft"), make.number(255))
    return _mixed(make, make("Sub", lit, below), weight, LEVELS)


def _toned(make: _Graph, own: str, light: str) -> str:
    """What is added to ``own``: ``light`` around the lips, ``tone`` in its place on them, to what is dark less."""
    grey = _levels(make, make("Conv", own, make.number(GREY.reshape(1, 3, 1, 1))))
    where = make("Div", _mask(make, "red"), make.number(255))
    share = make(
        "Min", make("Div", make("Mul", grey, where), make("Max", "usual", make.number(1))), make.number(BRIGHTEST)
    )
    tone = make("Reshape", "tone", make.whole(1, 3, 1, 1))
    return str(make("Add", make("Mul", tone, share), make("Mul", light, make("Sub", make.number(1), where))))


def _light(make: _Graph, below: str, own: str) -> str:
    """The median (1, 3, 1, 1) of the difference on the rim, bounded, in whole levels; 0 without a rim."""
    on = make("Greater", make("Reshape", _mask(make, "rim"), make.whole(1, 1, -1)), make.number(127))
    apart = make("Reshape", make("Sub", below, own), make.whole(1, 3, -1))
    masked = make("Where", on, apart, make.number(1e6))
    size = make("Slice", make("Shape", masked), make.whole(2), make.whole(3))
    ordered, _ = make("TopK", masked, size, outputs=2, axis=2, largest=0, sorted=1)
    count = make("Reshape", make("ReduceSum", make("Cast", on, to=INT64), make.whole(2), keepdims=0), make.whole(1))
    last = make("Sub", count, make.whole(1))
    places = [make("Max", make("Div", each, make.whole(2)), make.whole(0)) for each in (last, count)]
    low, high = (make("Gather", ordered, each, axis=2) for each in places)
    median = make("Mul", make("Add", low, high), make.number(0.5))
    bounded = make("Round", make("Clip", median, make.number(-MAX_SHIFT), make.number(MAX_SHIFT)))
    known = make("Where", make("Greater", count, make.whole(0)), bounded, make.number(0))
    return str(make("Reshape", known, make.whole(1, 3, 1, 1)))


def _mixed(make: _Graph, difference: str, weight: str, levels: int) -> str:
    """Burt and Adelson's blend of a difference, as ``blend/pyramid.py`` has it."""
    if levels == 0:
        return str(make("Mul", difference, weight))
    low = _down(make, difference, 3)
    detail = make("Mul", make("Sub", difference, _up(make, low, difference)), weight)
    mixed = _mixed(make, low, _down(make, weight, 1), levels - 1)
    return str(make("Add", detail, _up(make, mixed, difference)))


def _down(make: _Graph, picture: str, channels: int) -> str:
    """Half as large, as cv2.pyrDown: the edge mirrored."""
    taps = np.array([1, 4, 6, 4, 1], np.float32) / 16
    kernel = make.number(np.repeat(np.outer(taps, taps)[None, None], channels, 0))
    mirrored = make("Pad", picture, make.whole(0, 0, 2, 2, 0, 0, 2, 2), mode="reflect")
    return str(make("Conv", mirrored, kernel, strides=[2, 2], group=channels))


def _up(make: _Graph, picture: str, like: str) -> str:
    """As large as ``like``, as cv2.pyrUp: mirrored at the left and the top, repeated at the right and the bottom."""
    for axis in (2, 3):
        picture = _doubled(make, picture, axis)
    end = make("Slice", make("Shape", like), make.whole(2), make.whole(4))
    return str(make("Slice", picture, make.whole(0, 0), end, make.whole(2, 3)))


def _doubled(make: _Graph, picture: str, axis: int) -> str:
    last = make("Slice", picture, make.whole(-1), make.whole(2**31), make.whole(axis))
    second = make("Slice", picture, make.whole(1), make.whole(2), make.whole(axis))
    before = make("Concat", second, make("Slice", picture, make.whole(0), make.whole(-1), make.whole(axis)), axis=axis)
    after = make("Concat", make("Slice", picture, make.whole(1), make.whole(2**31), make.whole(axis)), last, axis=axis)
    around = make("Add", before, after)
    even = make("Add", make("Mul", around, make.number(0.125)), make("Mul", picture, make.number(0.75)))
    odd = make("Mul", make("Add", picture, after), make.number(0.5))
    pairs = make("Concat", *(make("Unsqueeze", each, make.whole(axis + 1)) for each in (even, odd)), axis=axis + 1)
    rest = make("Slice", make("Shape", picture), make.whole(3), make.whole(4))
    shape = make("Concat", make.whole(0, 0, -1), rest, axis=0) if axis == 2 else make.whole(0, 0, 0, -1)
    return str(make("Reshape", pairs, shape))


def _sampled(make: _Graph, picture: str, grid: str, like: str, left: str, top: str) -> str:
    """``picture`` at the pixels of ``like``, whose corner lies at ``left`` and ``top`` of it, moved by ``grid``."""
    size = make("Slice", make("Shape", like), make.whole(2), make.whole(4))
    coarse = make("Unsqueeze", make("Transpose", grid, perm=[2, 0, 1]), make.whole(0))
    wanted = make("Concat", make.whole(1, 2), size, axis=0)
    cubic: dict[str, Any] = {"mode": "cubic", "cubic_coeff_a": -0.75, "coordinate_transformation_mode": "half_pixel"}
    dense = make("Resize", coarse, "", "", wanted, **cubic)
    rows, columns = (make("Gather", size, make.number(place, np.int64), axis=0) for place in (0, 1))
    zero, one = make.number(0, np.int64), make.number(1, np.int64)
    x = make("Add", make("Range", zero, columns, one), left)
    y = make("Unsqueeze", make("Add", make("Range", zero, rows, one), top), make.whole(1))
    shifts = make("Split", dense, make.whole(1, 1), axis=1, outputs=2)
    within = make("Cast", make("Slice", make("Shape", picture), make.whole(2), make.whole(4)), to=FLOAT)
    sides = make("Split", within, make.whole(1, 1), axis=0, outputs=2)
    scaled = [
        _scaled(make, make("Add", make("Cast", at, to=FLOAT), shift), side)
        for at, shift, side in ((x, shifts[0], sides[1]), (y, shifts[1], sides[0]))
    ]
    where = make("Transpose", make("Concat", *scaled, axis=1), perm=[0, 2, 3, 1])
    return str(make("GridSample", picture, where, mode="bicubic", padding_mode="border", align_corners=1))


def _scaled(make: _Graph, place: str, side: str) -> str:
    """Pixels as GridSample counts them: -1 is the first, 1 the last of a ``side``."""
    last = make("Sub", side, make.number(1))
    return str(make("Sub", make("Div", make("Mul", place, make.number(2)), last), make.number(1)))


def _planes(make: _Graph, image: str) -> str:
    """An image (height, width, 3) of 8 bits as (1, 3, height, width)."""
    return str(make("Unsqueeze", make("Cast", make("Transpose", image, perm=[2, 0, 1]), to=FLOAT), make.whole(0)))


def _mask(make: _Graph, mask: str) -> str:
    return str(make("Unsqueeze", make("Cast", mask, to=FLOAT), make.whole(0, 1)))


def _side(make: _Graph, box: str, place: int) -> str:
    return str(make("Slice", box, make.whole(place), make.whole(place + 1)))


def _cropped(make: _Graph, picture: str, box: str) -> str:
    start = make("Concat", _side(make, box, 1), _side(make, box, 0), axis=0)
    end = make("Concat", _side(make, box, 3), _side(make, box, 2), axis=0)
    return str(make("Slice", picture, start, end, make.whole(2, 3)))


def _padded(make: _Graph, picture: str, box: str, like: str) -> str:
    """``picture``, which is ``box`` of ``like``, with zeros around it."""
    size = make("Slice", make("Shape", like), make.whole(2), make.whole(4))
    end = make("Concat", _side(make, box, 3), _side(make, box, 2), axis=0)
    start = make("Concat", _side(make, box, 1), _side(make, box, 0), axis=0)
    pads = make("Concat", make.whole(0, 0), start, make.whole(0, 0), make("Sub", size, end), axis=0)
    return str(make("Pad", picture, pads, make.number(0)))


def _levels(make: _Graph, picture: str) -> str:
    """As 8 bits would hold it."""
    return str(make("Clip", make("Round", picture), make.number(0), make.number(255)))
