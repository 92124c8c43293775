"""How often a stream's sequence numbers have begun anew, told to an SRTP context that did not see it (RFC 3711, 3.3.1).

libsrtp counts it from the numbers that pass, and takes a step of less than half a round for the next one. Where another
process goes on with a stream, packets that nobody gets bring its context to where the stream is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

STEP = (1 << 15) - 1
_HEADER = struct.Struct("!BBHLL")


def caught_up(protect: Callable[[bytes], object], source: int, seen: int, index: int) -> int:
    """Bring the context of ``source`` from ``seen`` near ``index``; where it is then. Both: 48 bits, of a packet.

    ``seen`` is the highest that passed, or less than one round where none did.
    """
    while index - seen > STEP:
        seen += STEP
        protect(_HEADER.pack(0x80, 0, seen & 0xFFFF, 0, source))
    return max(seen, index)
