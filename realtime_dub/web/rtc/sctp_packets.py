"""Packets of data channels (SCTP, RFC 9260), looked at before aiortc reads them.

A parameter that says it has no bytes is read by aiortc over and over: one packet of 32 bytes, and the server would hear
nobody any more and take all memory there is.
"""

from __future__ import annotations

import struct

HEADER, LEAST = 12, 4  # bytes: of a packet, of a chunk or a parameter
DATA = 0  # the kind of a chunk
PARAMETERS_AT = {1: 16, 2: 16, 4: 0, 5: 0, 6: 0, 9: 0, 130: 0}  # kinds of chunks that have some, behind so many bytes


def is_whole(packet: bytes) -> bool:
    """Each chunk and each parameter in it is as long as its own head, at least."""
    at = HEADER
    while at + LEAST <= len(packet):
        kind, _, length = struct.unpack_from("!BBH", packet, at)
        behind = PARAMETERS_AT.get(kind)
        if length < LEAST or (behind is not None and not _parameters(packet[at + LEAST + behind : at + length])):
            return False
        at += length + -length % 4
    return True


def pieces(packet: bytes) -> int:
    """How many of its chunks are of messages. Of one that :func:`is_whole`."""
    at, found = HEADER, 0
    while at + LEAST <= len(packet):
        kind, _, length = struct.unpack_from("!BBH", packet, at)
        found += kind == DATA
        at += length + -length % 4
    return found


def _parameters(body: bytes) -> bool:
    at = 0
    while at + LEAST <= len(body):
        _, length = struct.unpack_from("!HH", body, at)
        if length < LEAST:
            return False
        at += length + -length % 4
    return True
