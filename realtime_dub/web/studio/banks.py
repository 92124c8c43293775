"""Mouth banks of a session, to and from files: what ``realtime-dub enroll`` makes and ``--identity`` takes."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from realtime_dub.errors import BundleError
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.web.limits import BANK_S, BANKS_AT_ONCE
from realtime_dub.web.refusals import Refusal

__all__ = ["MOST_BYTES", "Bank", "BankInbox", "from_bytes", "to_bytes"]

MOST_BYTES = 30_000_000


class BankInbox:
    """Banks that pages send: one of each session, and few read at a time, because each fills memory."""

    def __init__(self) -> None:
        self._arriving: set[str] = set()
        self._reading = asyncio.Semaphore(BANKS_AT_ONCE)

    async def read(self, session: str, body: Coroutine[Any, Any, bytes]) -> Bank:
        """The bank in ``body``, which is awaited for so long. Raises Refusal, BundleError."""
        if session in self._arriving:
            body.close()
            raise Refusal(429, "A mouth bank is on its way already.", "Wait a moment.", {"Retry-After": "5"})
        self._arriving.add(session)
        try:
            async with asyncio.timeout(BANK_S):
                data = await body
            async with self._reading:
                return await asyncio.to_thread(from_bytes, data)
        except TimeoutError:
            raise Refusal(408, "The mouth bank came too slowly.", "Send it again.") from None
        finally:
            self._arriving.discard(session)


def to_bytes(bank: Bank) -> bytes:
    """Blocking. Raises BundleError where nobody was seen yet."""
    with tempfile.TemporaryDirectory(prefix="realtime-dub-") as folder:
        path = Path(folder) / "me.bank"
        bank.copy().save(path)
        return path.read_bytes()


def from_bytes(data: bytes) -> Bank:
    """Blocking. Raises BundleError for what is no bank, or is one that would unpack to more than it should."""
    try:
        return Bank.read(data, "the file")
    except BundleError as error:
        why = str(error).removeprefix("cannot read bank the file: ").partition("; ")[0]
        raise BundleError("the file", f"is no mouth bank: {why}", "choose one that was saved here") from error
