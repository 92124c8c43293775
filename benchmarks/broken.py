"""Broken copies of files: of any bytes, of JSON, of a network (protobuf, field by field), of an archive of arrays.

All follow from the dice. The network's fields are told apart by the numbers that ONNX gives them; no package for it is
needed.
"""

from __future__ import annotations

import functools
import io
import json
import random
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

NUMBERS = (0, 1, 2, 3, 7, 16, 127, 128, 255, 1 << 15, 1 << 31, (1 << 31) - 1, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)
WORDS = "Loop If Scan Gather Expand ConstantOfShape Reshape Range Tile Where Cast Log Sqrt Reciprocal Pow NonZero Pad"
WORDS += " Concat Split Slice Conv MatMul Transpose Resize OneHot Unique CumSum Einsum Identity Shape Size Evil"
# The fields that are messages themselves, by the message they are in.
MESSAGES: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 8: "opset"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 13: "value"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph"},
    "value": {2: "type"},
    "type": {1: "tensor type"},
    "tensor type": {2: "shape"},
    "shape": {1: "dimension"},
}
Field = list[Any]  # number, wire type, value: an int, bytes, or a list of fields


def broken_bytes(whole: bytes, dice: random.Random) -> bytes:
    """Flipped, cut, doubled, zeroed; at most a few places."""
    data = bytearray(whole)
    for _ in range(dice.choice((1, 1, 2, 4))):
        at, count = dice.randrange(len(data) + 1), dice.choice((1, 4, 64, 1_000))
        way = dice.randrange(6)
        if way == 0:
            for _ in range(dice.choice((1, 3, 30))):
                if data:
                    data[dice.randrange(len(data))] = dice.randrange(256)
        elif way == 1:
            del data[at:]
        elif way == 2:
            del data[at : at + count]
        elif way == 3:
            data[at:at] = data[:count]
        elif way == 4:
            data[at : at + count] = bytes(len(data[at : at + count]))
        else:
            number = struct.pack("<Q", dice.choice(NUMBERS))[: dice.choice((1, 2, 4, 8))]
            data[at : at + len(number)] = number
    return bytes(data)


# JSON.


def broken_json(whole: bytes, dice: random.Random) -> bytes:
    """Values exchanged, taken away, nested, of other types and sizes."""
    tree = json.loads(whole)
    for _ in range(dice.choice((1, 1, 2, 3))):
        _break_value(tree, dice)
    return json.dumps(tree).encode()


def _break_value(tree: Any, dice: random.Random) -> None:
    holder, key = _any_place(tree, dice)
    way, old = dice.randrange(7), holder[key]
    if way == 0:
        del holder[key]
    elif way == 1 and isinstance(old, int | float):
        holder[key] = old * dice.choice((-1, 0, 0.5, 2, 10, 1e3, 1e9, 1e300))
    elif way == 2 and isinstance(old, list):
        holder[key] = old * dice.choice((0, 2, 100))
    elif way == 3:
        holder[key] = [old] * dice.choice((1, 3))
    elif way == 4 and isinstance(old, int | float | str):
        holder[key] = old + dice.choice((1, 10)) if not isinstance(old, str) else old + "x"
    elif way == 5:
        other, name = _any_place(tree, dice)
        holder[key] = json.loads(json.dumps(other[name]))
    else:
        holder[key] = dice.choice([None, True, -1, 0, 1, 1e308, float("nan"), "", "x" * 10_000, "\0", [], {}, *NUMBERS])


def _any_place(tree: Any, dice: random.Random) -> tuple[Any, Any]:
    """A container and a key in it."""
    holder: Any = {"": tree}
    key: Any = ""
    while isinstance(holder[key], dict | list) and holder[key] and (holder[key] is tree or dice.random() < 0.7):
        holder = holder[key]
        key = dice.choice(list(holder)) if isinstance(holder, dict) else dice.randrange(len(holder))
    return (tree, dice.choice(list(tree))) if holder[key] is tree and tree else (holder, key)


# Protobuf.


def broken_message(whole: bytes, dice: random.Random) -> bytes:
    """A network with fields taken away, doubled, moved, or of other values; at times with a loop without an end."""
    model = _copy(_parsed(whole))
    for _ in range(dice.choice((1, 1, 2, 4))):
        _break_field(model, dice)
    return _written(model)


@functools.lru_cache(maxsize=4)
def _parsed(whole: bytes) -> list[Field]:
    return _fields(whole, "model")


def _fields(data: bytes, kind: str) -> list[Field]:
    fields, at = [], 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: Any
        if wire == 0:
            value, at = _varint(data, at)
        elif wire == 2:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
            if (inner := MESSAGES.get(kind, {}).get(number)) is not None:
                value = _fields(value, inner)
        else:
            size = 4 if wire == 5 else 8
            value, at = data[at : at + size], at + size
        fields.append([number, wire, value])
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _written(fields: list[Field]) -> bytes:
    parts = []
    for number, wire, value in fields:
        parts.append(_number(number << 3 | wire))
        if wire == 0:
            parts.append(_number(value))
        elif wire == 2:
            data = _written(value) if isinstance(value, list) else value
            parts += [_number(len(data)), data]
        else:
            parts.append(value)
    return b"".join(parts)


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _copy(fields: list[Field]) -> list[Field]:
    return [[number, wire, _copy(value) if isinstance(value, list) else value] for number, wire, value in fields]


def _break_field(model: list[Field], dice: random.Random) -> None:
    message = _any_message(model, dice)
    at = dice.randrange(len(message))
    way = dice.choice((0, 1, 2, 3, 5, 5, 5, 4 if dice.random() < 0.2 else 5))
    if way == 0:
        del message[at]
    elif way == 1:
        message.insert(at, _copy([message[dice.randrange(len(message))]])[0])
    elif way == 2:
        other = dice.randrange(len(message))
        message[at], message[other] = message[other], message[at]
    elif way == 3:
        other_message = _any_message(model, dice)
        message[at] = _copy([dice.choice(other_message)])[0]
    elif way == 4:
        graph = next((field[2] for field in model if field[0] == 7), message)
        if isinstance(graph, list):
            graph.insert(0, [1, 2, _endless_loop()])
    else:
        message[at][2] = _other_value(message[at], dice)


def _any_message(model: list[Field], dice: random.Random) -> list[Field]:
    """Any depth; the graph's own parts more often than what is within them."""
    message = model
    while True:
        inner = [field[2] for field in message if isinstance(field[2], list) and field[2]]
        if not inner or (message is not model and dice.random() < 0.35):
            return message
        message = dice.choice(inner)


def _other_value(field: Field, dice: random.Random) -> Any:
    wire, value = field[1], field[2]
    if wire == 0:
        return dice.choice((*NUMBERS, value ^ 1, value + 1, value * 2)) & (1 << 64) - 1
    if isinstance(value, list):
        return value * dice.choice((0, 2))
    if wire != 2:
        return dice.randbytes(len(value))
    ways: list[Callable[[], bytes]] = [
        lambda: dice.choice(WORDS.split()).encode(),
        lambda: b"",
        lambda: np.full(max(len(value) // 4, 1), dice.choice((np.nan, np.inf, 1e30, 0)), np.float32).tobytes(),
        lambda: np.full(max(len(value) // 8, 1), dice.choice(NUMBERS), np.uint64).tobytes(),
        lambda: value[: len(value) // 2],
        lambda: value * 2 if len(value) < 1_000_000 else value,
    ]
    return dice.choice(ways)()


def _endless_loop() -> list[Field]:
    """A node; its condition is its body's own, which says yes."""
    body = [
        [1, 2, [[1, 2, b"go"], [2, 2, b"on"], [4, 2, b"Identity"]]],
        [1, 2, [[1, 2, b"x"], [2, 2, b"y"], [4, 2, b"Identity"]]],
        [2, 2, b"body"],
        *([11, 2, _value(name, kind)] for name, kind in ((b"turn", 7), (b"go", 9), (b"x", 1))),
        *([12, 2, _value(name, kind)] for name, kind in ((b"on", 9), (b"y", 1))),
    ]
    attribute = [[1, 2, b"body"], [6, 2, body], [20, 0, 5]]
    return [[1, 2, b""], [1, 2, b""], [1, 2, b"mel"], [2, 2, b"never"], [4, 2, b"Loop"], [5, 2, attribute]]


def _value(name: bytes, kind: int) -> list[Field]:
    return [[1, 2, name], [2, 2, [[1, 2, [[1, 0, kind]]]]]]


# Archives of arrays.


def broken_archive(members: Mapping[str, bytes], dice: random.Random) -> bytes:
    """Arrays with other values, shapes and types; members taken away, doubled, exchanged, renamed, packed otherwise."""
    broken = dict(members)
    for _ in range(dice.choice((1, 1, 2, 3))):
        name = dice.choice(list(broken) or ["neutral.npy"])
        way = dice.randrange(8)
        if way == 0:
            broken.pop(name, None)
        elif way == 1:
            broken[name] = dice.choice(list(members.values()))
        elif way == 2:
            broken[dice.choice(("x", f"{name}.npy", "image1.npy", "../a", "image0", "a" * 500))] = members[
                "neutral.npy"
            ]
        elif way == 3:
            broken[name] = broken_bytes(broken.get(name) or b"x", dice)
        else:
            broken[name] = _other_array(broken.get(name, b""), dice)
    out = io.BytesIO()
    method = dice.choice(
        (zipfile.ZIP_STORED,) * 4 + (zipfile.ZIP_DEFLATED,) * 3 + (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    )
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in broken.items():
            archive.writestr(name, data)
    return out.getvalue()


def _other_array(data: bytes, dice: random.Random) -> bytes:
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception:  # what NumPy raises for a head that makes no sense is of many kinds
        return data
    if array.dtype.kind not in "iufb":  # broken already
        return data
    out = io.BytesIO()
    with np.errstate(all="ignore"):
        np.save(out, _changed(array, dice), allow_pickle=False)
    return out.getvalue()


def _changed(array: Any, dice: random.Random) -> Any:
    kinds = ("f8", "f4", "f2", "i8", "u1", "?", "c8", "U4", "M8[s]", "S3")
    values = (0, -1, 1e-30, 1e6, 1e38, np.nan, np.inf)
    ways: list[Callable[[], Any]] = [
        lambda: np.zeros_like(array),
        lambda: np.full(array.shape, dice.choice(values), np.float64),
        lambda: array * dice.choice((-1, 0, 0.01, 0.5, 2, 100)),
        lambda: array.reshape(-1)[: dice.randrange(array.size + 1)],
        lambda: array[None],
        lambda: array.T,
        lambda: array.astype(dice.choice(kinds)) if array.dtype.kind in "iuf" else array,
        lambda: _one_value(array, dice.choice(values), dice),
        lambda: np.zeros((dice.choice((1, 1_000, 1_000_000)), 3), np.float32),
        lambda: (
            array + np.random.default_rng(dice.randrange(1 << 30)).normal(0, dice.choice((0.01, 1, 30)), array.shape)
        ),
    ]
    return dice.choice(ways)()


def _one_value(array: Any, value: float, dice: random.Random) -> Any:
    out = np.array(array, np.float64)
    if out.size:
        out.reshape(-1)[dice.randrange(out.size)] = value
    return out
