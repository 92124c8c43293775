"""The names in a network's file, read and added to without the library that writes such files.

An ``.onnx`` is a message of Protocol Buffers. Of a message that stands twice in a file the second is merged into the
first: so what is put behind a file is added to it.
"""

from __future__ import annotations

from collections.abc import Iterator

GRAPH, NODE, OUTPUT = 7, 1, 12  # fields of ModelProto and GraphProto
NODE_OUTPUT, NODE_TYPE = 2, 4
NAME = 1  # of ValueInfoProto
BYTES = 2  # wire type of what has a length
SIZES = {1: 8, 5: 4}


def outputs_of(model: bytes, kind: str) -> list[str]:
    """The outputs of a network's nodes of one kind, such as Ceil. Raises ValueError for what is no such file."""
    found = []
    for graph in _fields(memoryview(model), GRAPH):
        for node in _fields(graph, NODE):
            if any(bytes(each) == kind.encode() for each in _fields(node, NODE_TYPE)):
                found += [bytes(each).decode("utf-8", "replace") for each in _fields(node, NODE_OUTPUT)]
    return found


def with_output(model: bytes, name: str) -> bytes:
    """The network that gives one of its tensors, too."""
    return model + _field(GRAPH, _field(OUTPUT, _field(NAME, name.encode())))


def _fields(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """What has a length in the fields of this number."""
    at = 0
    while at < len(message):
        key, at = _number(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            _, at = _number(message, at)
        elif kind in SIZES:
            at += SIZES[kind]
        elif kind == BYTES:
            size, at = _number(message, at)
            if at + size > len(message):
                raise ValueError("a part is longer than the file")
            if number == wanted:
                yield message[at : at + size]
            at += size
        else:
            raise ValueError(f"a part of kind {kind}")


def _number(message: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("a number has no end")


def _field(number: int, data: bytes) -> bytes:
    return _coded(number << 3 | BYTES) + _coded(len(data)) + data


def _coded(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])
