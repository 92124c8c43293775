"""What a session's engine knows of its person, to and from files: what ``enroll`` makes and ``--identity`` takes."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from realtime_dub.errors import BundleError
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import Identity
from realtime_dub.web.limits import BANK_S, BANKS_AT_ONCE
from realtime_dub.web.refusals import Refusal

MOST_BYTES = 30_000_000


class BankInbox:
    """Banks that pages send: one of each session, and few read at a time, because each fills memory."""

    def __init__(self) -> None:
        self._arriving: set[str] = set()
        self._reading = asyncio.Semaphore(BANKS_AT_ONCE)

    async def read(self, session: str, engine: str, body: Coroutine[Any, Any, bytes]) -> Identity:
        """The bank for ``engine`` in ``body``, which is awaited for so long. Raises Refusal, BundleError."""
        if session in self._arriving:
            body.close()
            raise Refusal(429, "A mouth bank is already being uploaded.", "Wait a moment.", {"Retry-After": "5"})
        self._arriving.add(session)
        try:
            async with asyncio.timeout(BANK_S):
                data = await body
            async with self._reading:
                return await asyncio.to_thread(from_bytes, data, engine)
        except TimeoutError:
            raise Refusal(408, "The mouth bank came too slowly.", "Send it again.") from None
        finally:
            self._arriving.discard(session)


def to_bytes(bank: Identity) -> bytes:
    """Blocking. Raises BundleError where nobody was seen yet."""
    with tempfile.TemporaryDirectory(prefix="realtime-dub-") as folder:
        path = Path(folder) / "me.bank"
        bank.copy().save(path)
        return path.read_bytes()


def from_bytes(data: bytes, engine: str) -> Identity:
    """Blocking. Raises ConfigError for an engine that learns nothing; BundleError for what is no bank, or is one that
    would unpack to more than it should.
    """
    kind = registry.identity_kind(engine)
    try:
        return kind.read(data, "the file")
    except BundleError as error:
        why = str(error).removeprefix("cannot read bank the file: ").partition("; ")[0]
        raise BundleError("the file", f"is not a mouth bank: {why}", "choose one that was saved here") from error
