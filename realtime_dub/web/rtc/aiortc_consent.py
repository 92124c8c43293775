"""Whether the other side is still there and wants what is sent to it (RFC 7675), on lines that take long.

aioice asks every five seconds, takes no answer that needs more than half a second, and ends a connection where six in a
row did. On a line whose buffers hold a second all else works, and half a minute after its beginning everything would be
over. Here an answer may take ``ANSWER_S``, and consent lasts as long as the RFC says.
"""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from typing import Any

from aioice.stun import TransactionError
from aiortc import RTCPeerConnection

from realtime_dub.web.rtc.aiortc_guard import transports

ASK_S, LASTS_S = 5.0, 30.0  # between two questions; since the newest one that was answered
AGAIN = 2  # times that a question is sent once more: after 0.5 s, and 1 s later
ANSWER_S = 3.5  # that aioice waits then


def ask_patiently(pc: RTCPeerConnection) -> None:
    """Before it is connected."""
    for each in transports(pc):
        ice = each.transport._connection
        ice.query_consent = partial(_ask_on, ice)


async def _ask_on(ice: Any, ask_s: float = ASK_S, lasts_s: float = LASTS_S) -> None:
    """Until nobody has answered for too long; in the place of aioice's own."""
    answered_s = time.monotonic()
    while True:
        await asyncio.sleep(ask_s * random.uniform(0.8, 1.2))
        asked_s = time.monotonic()
        if any([await _answers(ice, pair) for pair in tuple(ice._nominated.values())]):
            answered_s = asked_s
        elif time.monotonic() - answered_s >= lasts_s:
            ice._query_consent_task = None  # closing would cancel this
            await ice.close()
            return


async def _answers(ice: Any, pair: Any) -> bool:
    key = ice.remote_password.encode()
    try:
        await pair.protocol.request(
            ice.build_request(pair, nominate=False), pair.remote_addr, integrity_key=key, retransmissions=AGAIN
        )
    except TransactionError:
        return False
    return True
