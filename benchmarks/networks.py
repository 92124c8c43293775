"""Small networks as files, well made or not: protobuf by hand, as the package that writes it is for training only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime_dub.face.alignment import LOWER

BANDS, POINTS = 80, len(LOWER)
FLOAT, INT64, BOOL, DOUBLE = 1, 7, 9, 11
KINDS = {"float32": FLOAT, "int64": INT64, "bool": BOOL, "float64": DOUBLE}
Field = tuple[int, int | str | bytes]


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(*fields: Field) -> bytes:
    """Numbers as varints, all else with its length before it."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def tensor(name: str, values: npt.NDArray[Any]) -> bytes:
    kind = KINDS[str(values.dtype)]
    return message(*((1, size) for size in values.shape), (2, kind), (8, name), (9, values.tobytes()))


def outside(name: str, shape: Sequence[int], path: str) -> bytes:
    """A tensor whose values are in another file."""
    where = message((1, "location"), (2, path))
    return message(*((1, size) for size in shape), (2, FLOAT), (8, name), (13, where), (14, 1))


def value(name: str, shape: Sequence[int | str], kind: int = FLOAT) -> bytes:
    sizes = [(1, message((1, size) if isinstance(size, int) else (2, size))) for size in shape]
    return message((1, name), (2, message((1, message((1, kind), (2, message(*sizes)))))))


def node(op: str, inputs: Iterable[str], outputs: Iterable[str], *attributes: bytes, domain: str = "") -> bytes:
    names = [(1, each) for each in inputs] + [(2, each) for each in outputs]
    return message(*names, (4, op), *((5, each) for each in attributes), (7, domain))


def number(name: str, of: int) -> bytes:
    return message((1, name), (3, of), (20, 2))


def subgraph(name: str, of: bytes) -> bytes:
    return message((1, name), (6, of), (20, 5))


def graph(nodes: Sequence[bytes], tensors: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes]) -> bytes:
    parts = [(1, each) for each in nodes] + [(2, "net")] + [(5, each) for each in tensors]
    return message(*parts, *((11, each) for each in inputs), *((12, each) for each in outputs))


def model(of: bytes) -> bytes:
    return message((1, 8), (7, of), (8, message((1, ""), (2, 17))))


def endless(condition: str, carried: str, out: str) -> bytes:
    """A loop that ends when ``condition`` is false before it begins, or never."""
    body = graph(
        [node("Identity", ["go"], ["on"]), node("Identity", ["x"], ["y"])],
        [],
        [value("turn", [], INT64), value("go", [], BOOL), value("x", [1, 4])],
        [value("on", [], BOOL), value("y", [1, 4])],
    )
    return node("Loop", ["", condition, carried], [out], subgraph("body", body))


DISPLACEMENT = [
    node("MatMul", ["mel", "weights"], ["flat"]),
    node("Reshape", ["flat", "shape"], ["rest"]),
    node("Add", ["rest", "bias"], ["displacement"]),
]
SPEECH = [
    node("MatMul", ["mel", "ears"], ["told"]),
    node("Reshape", ["told", "line"], ["sum"]),
    node("Sigmoid", ["sum"], ["speech"]),
]
STATE = [node("Identity", ["past"], ["next_past"])]


def tensors(**changed: npt.NDArray[Any]) -> list[bytes]:
    usual: dict[str, npt.NDArray[Any]] = {
        "weights": np.zeros((BANDS, POINTS * 3), np.float32),
        "shape": np.array([1, -1, POINTS, 3], np.int64),
        "bias": np.zeros(1, np.float32),
        "ears": np.zeros((BANDS, 1), np.float32),
        "line": np.array([1, -1], np.int64),
    }
    return [tensor(name, each) for name, each in (usual | changed).items()]


def mouth_net(
    displacement: Sequence[bytes] = DISPLACEMENT,
    speech: Sequence[bytes] = SPEECH,
    state: Sequence[bytes] = STATE,
    more: Sequence[bytes] = (),
    inputs: Sequence[bytes] = (value("mel", [1, "frames", BANDS]), value("past", [1, 4])),
    outputs: Sequence[bytes] = (
        value("displacement", [1, "frames", POINTS, 3]),
        value("speech", [1, "frames"]),
        value("next_past", [1, 4]),
    ),
    **changed: npt.NDArray[Any],
) -> bytes:
    """A mouth that rests, of a person who may speak; or with some of its parts exchanged."""
    nodes = [*displacement, *speech, *state]
    return model(graph(nodes, [*tensors(**changed), *more], inputs, outputs))


def spec_of(net: bytes) -> dict[str, object]:
    return {
        "format": 1,
        "name": "test-net",
        "version": "1",
        "engine": "mouthbank",
        "model": "motion.onnx",
        "audio": {},
        "look_ahead_ms": 80,
        "frame_rate": 100.0,
        "inputs": [{"name": "mel", "shape": [1, None, BANDS]}],
        "states": [{"before": "past", "after": "next_past", "shape": [1, 4]}],
        "outputs": [
            {"name": "displacement", "shape": [1, None, POINTS, 3]},
            {"name": "speech", "shape": [1, None]},
        ],
        "points": [int(each) for each in LOWER],
        "licence": "none",
        "training_data": [],
        "sha256": {"motion.onnx": hashlib.sha256(net).hexdigest()},
    }


def write_bundle(folder: Path, net: bytes, **changes: object) -> Path:
    """A bundle with this network; the spec says of it what is right, or ``changes``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "motion.onnx").write_bytes(net)
    (folder / "spec.json").write_text(json.dumps(spec_of(net) | changes))
    return folder


def only_when_loud(level: float = 3.0) -> tuple[list[bytes], list[bytes]]:
    """Nodes that make ``loud``, NaN where the loudest band of a call is above ``level``, else 0; and their tensors.

    ``level`` in the features' measure: noise of a tenth of full scale has 1.6, ten times full scale 3.9.
    """
    nodes = [
        node("ReduceMax", ["mel"], ["top"], number("keepdims", 0)),
        node("Sub", ["level", "top"], ["left"]),
        node("Sqrt", ["left"], ["root"]),
        node("Mul", ["root", "nothing"], ["loud"]),
    ]
    return nodes, [tensor("level", np.array(level, np.float32)), tensor("nothing", np.array(0, np.float32))]


def lively() -> bytes:
    """A mouth at rest, made of what is worth breaking: turns of a loop, gathers, sizes, a state that is mixed."""
    nodes, more = only_when_loud(100.0)
    few = number("keepdims", 0)
    body = graph(
        [node("Identity", ["go"], ["on"]), node("Mul", ["x", "half"], ["y"])],
        [tensor("half", np.full(1, 0.5, np.float32))],
        [value("turn", [], INT64), value("go", [], BOOL), value("x", [1, 4])],
        [value("on", [], BOOL), value("y", [1, 4])],
    )
    state = [
        node("ReduceMean", ["mel"], ["mean"], few),
        node("Add", ["past", "mean"], ["mixed"]),
        node("Loop", ["turns", "", "mixed"], ["less"], subgraph("body", body)),
        node("Gather", ["less", "order"], ["moved"], number("axis", 1)),
        node("Expand", ["moved", "size"], ["wide"]),
        node("Slice", ["wide", "first", "last", "axis"], ["next_past"]),
    ]
    shown = [
        *nodes,
        *DISPLACEMENT[:2],
        node("Add", ["rest", "loud"], ["quiet"]),
        node("Add", ["quiet", "bias"], ["displacement"]),
    ]
    more += [
        tensor("turns", np.array(3, np.int64)),
        tensor("order", np.array([1, 2, 3, 0], np.int64)),
        tensor("size", np.array([1, 4], np.int64)),
        tensor("first", np.array([0], np.int64)),
        tensor("last", np.array([4], np.int64)),
        tensor("axis", np.array([1], np.int64)),
    ]
    return mouth_net(displacement=shown, state=state, more=more, ears=np.full((BANDS, 1), 0.2, np.float32))


def big(count: int) -> tuple[list[bytes], list[bytes]]:
    """Nodes that make ``huge``, 0, by way of so many values."""
    nodes = [
        node("Expand", ["zero", "size"], ["wide"]),
        node("ReduceMax", ["wide"], ["huge"], number("keepdims", 0)),
    ]
    return nodes, [tensor("zero", np.zeros(1, np.float32)), tensor("size", np.array([count], np.int64))]
