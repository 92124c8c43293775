"""What a session's engine knows of its person, to and from files: what ``enroll`` makes and ``--identity`` takes."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from realtime_dub.errors import BundleError
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import Identity
from realtime_dub.web.limits import BANK_S, BANKS_AT_ONCE, BANKS_BURST, BANKS_PER_S
from realtime_dub.web.rates import TokenBucket
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.checks import Checks

MOST_BYTES = 30_000_000


class BankInbox:
    """Banks that pages send: one of each session, and few read at a time, because each fills memory.

    Each is read by a process with limits (``check_file``), which writes it plain: what is read here has no pictures to
    decode, and nothing to unpack.
    """

    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        self._arriving: set[str] = set()
        self._rates: dict[str, TokenBucket] = {}  # of sessions that sent some
        self._reading = asyncio.Semaphore(BANKS_AT_ONCE)

    async def read(self, session: str, engine: str, body: Coroutine[Any, Any, bytes]) -> Identity:
        """The bank for ``engine`` in ``body``, which is awaited for so long. Raises Refusal, BundleError."""
        if session in self._arriving:
            body.close()
            raise Refusal(429, "A mouth bank is already being uploaded.", "Wait a moment.", {"Retry-After": "5"})
        if not self._may_send(session, time.monotonic()):
            body.close()
            raise Refusal(429, "Too many mouth banks were sent.", "Wait a moment.", {"Retry-After": "10"})
        self._arriving.add(session)
        try:
            async with asyncio.timeout(BANK_S):
                data = await body
            async with self._reading:
                return await asyncio.to_thread(self._read, data, engine)
        except TimeoutError:
            raise Refusal(408, "The mouth bank came too slowly.", "Send it again.") from None
        finally:
            self._arriving.discard(session)

    def _may_send(self, session: str, now_s: float) -> bool:
        self._rates = {id: rate for id, rate in self._rates.items() if rate.left(now_s) < BANKS_BURST}
        return self._rates.setdefault(session, TokenBucket(BANKS_PER_S, BANKS_BURST)).take(1, now_s)

    def _read(self, data: bytes, engine: str) -> Identity:
        """Blocking. Raises Refusal, BundleError, ConfigError."""
        registry.identity_kind(engine)
        with tempfile.TemporaryDirectory(prefix="realtime-dub-") as folder:
            path, out = Path(folder) / "sent", Path(folder) / "me.bank"
            path.write_bytes(data)
            self._checks.run("bank", path, out, engine)
            return from_bytes(out.read_bytes(), engine, plain=True)


def to_bytes(bank: Identity, plain: bool = False) -> bytes:
    """Blocking. Raises BundleError where nobody was seen yet."""
    with tempfile.TemporaryDirectory(prefix="realtime-dub-") as folder:
        path = Path(folder) / "me.bank"
        bank.copy().save(path, plain)
        return path.read_bytes()


def from_bytes(data: bytes, engine: str, plain: bool = False) -> Identity:
    """Blocking. Raises ConfigError for an engine that learns nothing; BundleError for what is no bank, or is one that
    would unpack to more than it should. ``plain``: only what is neither coded nor packed is taken.
    """
    kind = registry.identity_kind(engine)
    try:
        return kind.read(data, "the file", plain)
    except BundleError as error:
        why = str(error).removeprefix("cannot read bank the file: ").partition("; ")[0]
        raise BundleError("the file", f"is not a mouth bank: {why}", "choose one that was saved here") from error
