"""What others may ask of a session. Nothing here is of this process: a session may live on another machine."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from realtime_dub.mouth.contract import Identity
from realtime_dub.web.config import SessionOptions

HandoverStep = Literal["propose", "confirm", "withdraw"]


class SessionHandle(Protocol):
    """One connection's session, in any server of pages."""

    @property
    def id(self) -> str: ...

    @property
    def options(self) -> SessionOptions: ...

    @property
    def ufrag(self) -> str | None:
        """Of the other side's ICE, as in its latest offer."""

    async def answer(self, sdp: str) -> str:
        """The answer to an offer; also to a later one of a new connection. Raises Refusal."""

    async def add_candidate(self, line: str | None, mid: str | None, index: int | None) -> None:
        """Of the other side's addresses one more, None = there are no more. Raises Refusal."""

    async def statistics(self) -> dict[str, Any]:
        """What its page shows."""

    async def close(self, why: str) -> None:
        """Idempotent."""


class StudioHandle(SessionHandle, Protocol):
    """A session of the studio. All raise Refusal where it has none of what is asked for."""

    async def change(self, changes: dict[str, Any]) -> None:
        """Checked options that differ from the present ones. What is refused changes nothing."""

    async def hand_over(self, action: HandoverStep, to: int | None = None) -> None:
        """A step of a handover between interpreters of one channel; ``to`` whom, by number in the room."""

    async def start_recording(self, visitor: str) -> dict[str, object]:
        """The recording, as its page is told of it: the present one where there is one."""

    async def stop_recording(self) -> dict[str, object] | None:
        """What there is to fetch, if anything."""

    async def enroll(self, seconds: float, consent: bool = False) -> None:
        """Forget the person and look for so long; then the resting face is held. ``consent``: they confirmed it."""

    async def forget(self) -> str:
        """Delete all that is known of the person's face here; the line that the log has of it."""

    async def known(self) -> Identity | None:
        """A copy of what its engine knows of the person."""

    async def use_bank(self, bank: Identity) -> None:
        """From now on, a moment later."""

    async def steer_voice(self, playing: bool | None, at_ns: int | None, loop: bool | None) -> dict[str, Any]:
        """Change what is not None of a voice from a file; where it is then."""
