"""Links for a role in a room: what they allow is signed, expires, and can be revoked.

A token is a short list in JSON, so that a QR code of it is small, and its HMAC (SHA-256, RFC 2104) with a key that is
made of the server's own token: it opens after a restart, too, as long as that one is the same, and another one ends all
links at once.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import json
import os
import tempfile
import threading
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from realtime_dub.web.config import LANGUAGE, RoomName

InvitedRole = Literal["studio", "interpreter", "viewer", "operator"]
PURPOSE = b"realtime-dub invites"  # the key is for nothing else
MAC_BYTES = 16
MOST_CHARACTERS = 700  # 64 letters of a name take 6 each at most


class Invite(BaseModel):
    """What a link allows, and until when. Times are on the system's clock, in ms."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: InvitedRole
    room: RoomName
    channel: str = Field("", pattern=rf"^({LANGUAGE})?$")  # of an interpreter
    made_ms: int
    until_ms: int


class Revoked:
    """Which links do not count any more: those of a room and role that were made until then."""

    def __init__(self, lasts_ms: int) -> None:
        self._lasts_ms = lasts_ms
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._until: dict[str, int] = {}  # by room and role, ms

    def keep(self, path: Path) -> None:
        """There from now on; what an earlier server kept there counts. Blocking."""
        with self._lock:
            self._path, self._until = path, _read(path) | self._until

    def before_ms(self, room: str, role: str) -> int:
        return self._until.get(f"{room}/{role}", 0)

    def add(self, room: str, role: str, now_ms: int) -> None:
        """Blocking. Raises OSError where it cannot be kept; it counts all the same."""
        with self._lock:
            lasting = {name: at for name, at in self._until.items() if at > now_ms - self._lasts_ms}
            self._until = lasting | {f"{room}/{role}": now_ms}
            if self._path is not None:
                _write(self._path, self._until)


class Invites:
    """Of one server. ``token`` is its own; without one, everybody may do everything, and links need no token."""

    def __init__(self, token: str | None, hours: float) -> None:
        self._key = hmac.digest(token.encode("utf-8", "surrogatepass"), PURPOSE, "sha256") if token else None
        self._lasts_ms = round(hours * 3_600_000)
        self.revoked = Revoked(self._lasts_ms)

    @property
    def needed(self) -> bool:
        return self._key is not None

    def make(self, role: InvitedRole, room: str, channel: str, now_ms: int) -> tuple[str, int] | None:
        """A token, and until when it opens; None where none is needed."""
        if self._key is None:
            return None
        made_ms = max(now_ms, self.revoked.before_ms(room, role) + 1)
        until_ms = made_ms + self._lasts_ms
        invite = Invite(role=role, room=room, channel=channel, made_ms=made_ms, until_ms=until_ms)
        body = _text(json.dumps(list(invite.model_dump().values()), separators=(",", ":")).encode())
        return f"{body}.{_mac(body, self._key)}", until_ms

    def read(self, token: str, now_ms: int) -> Invite | None:
        """What a token allows now; None where it is none of ours, has expired, or was revoked."""
        invite = self.made(token)
        return invite if invite is not None and now_ms < invite.until_ms and not self.is_revoked(invite) else None

    def is_revoked(self, invite: Invite) -> bool:
        return self.revoked.before_ms(invite.room, invite.role) >= invite.made_ms

    def made(self, token: str) -> Invite | None:
        """What a token once allowed; None where it is none of ours."""
        body, dot, mac = token.partition(".")
        if self._key is None or not dot or len(token) > MOST_CHARACTERS or not token.isascii():
            return None
        if not hmac.compare_digest(mac, _mac(body, self._key)):
            return None
        try:
            return Invite(**dict(zip(Invite.model_fields, json.loads(_bytes(body)), strict=True)))
        except (ValidationError, binascii.Error, TypeError, ValueError):
            return None


def _mac(body: str, key: bytes) -> str:
    return _text(hmac.digest(key, body.encode(), "sha256")[:MAC_BYTES])


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _read(path: Path) -> dict[str, int]:
    """Nothing where there is nothing that can be read."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text())
        if isinstance(found, dict):
            return {str(name): at for name, at in found.items() if isinstance(at, int)}
    return {}


def _write(path: Path, what: dict[str, int]) -> None:
    """Whole, or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".revoked-")
    try:
        with os.fdopen(handle, "w") as out:
            json.dump(what, out)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
