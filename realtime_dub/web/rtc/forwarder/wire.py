"""Messages between a worker and its forwarder, one a datagram of a socket that both have.

To the forwarder: what one sender needs (``Place``, with the descriptor of its socket), that it has ended, a run of
payloads for all of a group, and whether it lives. Back: packets that the system did not take, or none where a sender
cannot be served there; of place 0, that it lives.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from pylibsrtp import Policy

TAKE, DROP, RUN, ASK = range(4)
ASKED = bytes((ASK,))
NUMBERED, LAST = 1, 2  # of a run: its frames have a number in each connection; its last payload is its frame's
MOST_FIELD = 255  # bytes of a field of Place
MOST_MESSAGE = 1 << 17  # bytes: a run's payloads are 64,000 at most
RUN_HEAD = struct.Struct("<BBHHHII3s")  # what, marks, payloads, bytes of the first, its number, group, ticks, time
DROPPED = struct.Struct("<BI")
BACK = struct.Struct("<IH")  # place, bytes of each packet but the last; packets are behind it
NAME_BYTES = 2  # of a numbered payload: the descriptor's first part; the frame's number is behind it
TAGS = {Policy.SRTP_PROFILE_AES128_CM_SHA1_80: 10, Policy.SRTP_PROFILE_AES128_CM_SHA1_32: 4}
GCM_TAG = 16
_PLACE = struct.Struct("<BIIIIQHBBIH?256p256p256p256p")


class Place(NamedTuple):
    """One sender's: all that is its own of the packets that it sends.

    ``next_index``: of its next packet, sequence number and how often that began anew (RFC 3711); ``picture``: the
    number of its newest frame, where frames have one, 15 bits; ``first`` and ``kind``: the first bytes of headers,
    without a marker; ``before``, ``has_time``, ``after``: the header's extensions, where between the two is when it
    leaves.
    """

    number: int
    group: int
    source: int  # SSRC
    timestamp_0: int
    next_index: int
    picture: int
    first: int
    kind: int
    profile: int  # of libsrtp
    port: int
    has_time: bool
    before: bytes
    after: bytes
    key: bytes  # and salt
    host: bytes

    @property
    def fits(self) -> bool:
        return max(map(len, (self.before, self.after, self.key, self.host))) <= MOST_FIELD

    def packed(self) -> bytes:
        return _PLACE.pack(TAKE, *self)

    @classmethod
    def read(cls, message: memoryview) -> Place:
        return cls(*_PLACE.unpack_from(message)[1:])


def tag_bytes(profile: int) -> int:
    """What encryption adds to a packet."""
    return TAGS.get(profile, GCM_TAG)
