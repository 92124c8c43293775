"""Who came by which link: a link that is revoked takes along whoever it has let in."""

from __future__ import annotations

from typing import Protocol

from realtime_dub.web.invites import Invite
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.oversight import Host as OverseenHost
from realtime_dub.web.studio.oversight import Oversight

REVOKED = Refusal(403, "The link that you came by was revoked.", "Ask whoever sent it for a new one.")


class Host(OverseenHost, Protocol):
    @property
    def oversight(self) -> Oversight: ...


class Links:
    """Of one studio, on the server's loop."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._came: dict[str, Invite] = {}  # by session
        self._revoked_ms: dict[tuple[str, str], int] = {}  # by room and role; links that were made until then

    def counts(self, invite: Invite | None) -> bool:
        """Not revoked since the server began; without a link nothing can be."""
        return invite is None or invite.made_ms > self._revoked_ms.get((invite.room, invite.role), 0)

    async def came(self, id: str, invite: Invite) -> None:
        """That session. Raises Refusal where the link was revoked while it was being made; it is over then."""
        if not self.counts(invite):
            await self._host.end(id, "its link was revoked")
            raise REVOKED
        present = {each: link for each, link in self._came.items() if self._host.overseen(each) is not None}
        self._came = present | {id: invite}

    async def revoke(self, room: str, role: str, until_ms: int) -> None:
        """Those that were made until then. Sessions that came by one are told and end, so do operators' streams."""
        self._revoked_ms[room, role] = max(until_ms, self._revoked_ms.get((room, role), 0))
        ids = [id for id, invite in self._came.items() if not self.counts(invite)]
        for id in ids:
            del self._came[id]
        if (found := self._host.rooms.find(room)) is not None:
            for look in tuple(found.watching):
                look()
        await self._host.oversight.dismiss(ids, REVOKED, "its link was revoked")
