"""Consent: who confirmed, when and for what, that a face may be dubbed; kept in what was learnt of it.

A record is a small JSON with a seal, an HMAC (RFC 2104, SHA-256) by a key that this machine made and keeps for the
user (``trust/keys``). It proves, on this machine alone, that the record was made here and has not been changed, and
that it is of this face and no other. It proves nothing to others, and not that whoever gave the name is that person.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.paths import WholeFile, read_plain, reason
from realtime_dub.trust import keys

Standing = Literal["given", "sealed elsewhere", "broken", "missing"]
Purpose = Literal["dub", "avatar", "room"]
FILE = "consent.json"  # in an avatar's folder
MOST_BYTES = 4_000
KEY_BYTES = 32


class Consent(BaseModel):
    """One record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    who: str = Field(min_length=1, max_length=200)  # as they gave their name
    at: datetime
    purpose: Purpose
    subject: str = Field(pattern="^[0-9a-f]{64}$")  # SHA-256 of what it is about: a face, a recording, a session
    key: str = Field(default="", pattern="^([0-9a-f]{16})?$")  # which key sealed it
    seal: str = Field(default="", pattern="^([0-9a-f]{64})?$")

    def to_bytes(self) -> bytes:
        return self.model_dump_json().encode()

    def sealed(self) -> bytes:
        """What the seal is of."""
        return self.model_dump_json(exclude={"seal", "key"}).encode()


@runtime_checkable
class CarriesConsent(Protocol):
    """What was learnt of a person."""

    consent: bytes
    """The record; empty where nobody was asked."""

    @property
    def subject(self) -> bytes:
        """What stays of it whatever is learnt later."""


def give(who: str, purpose: Purpose, subject: bytes) -> Consent:
    """A record of now, sealed by this machine's key. Raises ConfigError for no name, MediaError where no key can be
    kept.
    """
    name = " ".join(who.split())
    if not name or len(name) > 200:
        raise ConfigError("cannot record the consent of", repr(who[:40]), "give the name of whoever confirmed it")
    secret = _key(make=True)
    made = Consent(who=name, at=datetime.now(UTC).replace(microsecond=0), purpose=purpose, subject=digest(subject))
    return made.model_copy(update={"key": _mark(secret), "seal": _seal(secret, made)})


def read(record: bytes, subject: bytes) -> tuple[Consent | None, Standing]:
    """What ``record`` says, and whether that holds for ``subject``."""
    if not record:
        return None, "missing"
    try:
        found = Consent.model_validate_json(record)
    except ValidationError:
        return None, "broken"
    if not hmac.compare_digest(found.subject, digest(subject)):
        return found, "broken"
    secret = _key(make=False)
    if not secret or found.key != _mark(secret):
        return found, "sealed elsewhere"
    return found, "given" if hmac.compare_digest(found.seal, _seal(secret, found)) else "broken"


def warning(name: str, record: bytes, subject: bytes) -> str | None:
    """The one line about what lacks a record that holds; None where it has one."""
    standing = read(record, subject)[1]
    if standing in ("given", "sealed elsewhere"):
        return None
    why = "nobody's consent is recorded in it" if standing == "missing" else "its record of consent is broken"
    return f"{name}: {why}; ask the person, then: realtime-dub consent {name} --by NAME"


def digest(subject: bytes) -> str:
    return hashlib.sha256(subject).hexdigest()


def of_folder(folder: Path) -> tuple[bytes, bytes]:
    """Record and subject of an avatar's folder. Raises ConfigError where it is none."""
    try:
        about = json.loads(read_plain(folder / "avatar.json", 100_000))
        subject = bytes.fromhex(about["recording"]["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ConfigError("no avatar:", str(folder), "name the folder that realtime-dub avatar has made") from None
    try:
        return read_plain(folder / FILE, MOST_BYTES), subject
    except (OSError, ValueError):
        return b"", subject


def _key(make: bool) -> bytes:
    """This machine's, which nobody else may read; empty where there is none and none is made."""
    path = keys.consent_key()
    try:
        kept = read_plain(path, KEY_BYTES)
    except (OSError, ValueError):
        kept = b""
    if len(kept) == KEY_BYTES or not make:
        return kept if len(kept) == KEY_BYTES else b""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(made := secrets.token_bytes(KEY_BYTES))
    except OSError as error:
        raise MediaError("cannot keep a key in", f"{path}: {reason(error)}", "set XDG_DATA_HOME") from error
    return made


def _mark(secret: bytes) -> str:
    return hashlib.sha256(b"realtime-dub consent key" + secret).hexdigest()[:16]


def _seal(secret: bytes, consent: Consent) -> str:
    return hmac.new(secret, consent.sealed(), hashlib.sha256).hexdigest()


def write_beside(folder: Path, consent: Consent) -> None:
    """Into an avatar's folder. Raises MediaError."""
    WholeFile(folder / FILE).write(consent.to_bytes() + b"\n")
