"""Whether the person of a session agreed that others' voices move their mouth, and the record of it."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from realtime_dub.errors import RealtimeDubError
from realtime_dub.trust.consent import Consent, Purpose, give
from realtime_dub.web.config import SessionOptions, room_voice
from realtime_dub.web.refusals import Refusal

WHO = "the person at the page"
log = logging.getLogger("realtime_dub.web")


class Agreement:
    """Of one session."""

    def __init__(self, session: str) -> None:
        self._session = session
        self.record: Consent | None = None  # while it lasts

    async def check(self, options: SessionOptions) -> None:
        """Raises Refusal where another's voice is asked for and the person has not agreed."""
        if options.role != "studio" or not (options.languages or room_voice(options.voice)):
            return
        if not options.consent:
            what = "An interpreter's voice moves your mouth, and you have not agreed to that."
            raise Refusal(403, what, "Agree to it on the page, or send consent: true with the options.")
        if self.record is None:
            await self.agreed("room")

    async def agreed(self, what: str) -> None:
        """The person has said so, just now. It is kept as long as the session, and said in the log."""
        self.record = await self._given("room", self._session.encode())
        seal = "" if self.record is None else self.record.seal
        log.info("the person agreed", extra={"session": self._session[:6], "to": what, "seal": seal})

    async def for_bank(self, subject: bytes) -> bytes:
        """A record for a bank of this face; empty where the person was not asked."""
        made = await self._given("dub", subject) if self.record is not None else None
        return b"" if made is None else made.to_bytes()

    def revoked(self) -> str:
        """They took it back: the line that proves it."""
        before = "nothing was agreed to" if self.record is None else f"agreed to at {self.record.at:%Y-%m-%dT%H:%M:%SZ}"
        now, self.record = datetime.now(UTC), None
        line = f"{now:%Y-%m-%dT%H:%M:%SZ} session {self._session[:6]}: the face is forgotten ({before})"
        log.info("a face is forgotten", extra={"session": self._session[:6], "what": line})
        return line

    async def _given(self, purpose: Purpose, subject: bytes) -> Consent | None:
        try:
            return await asyncio.to_thread(give, WHO, purpose, subject)
        except RealtimeDubError as error:  # no folder for a key
            log.warning("a consent has no seal", extra={"session": self._session[:6], "why": str(error)})
            return None
