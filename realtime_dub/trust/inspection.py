"""What a file says of itself, and whether that is so.

    valid        its credentials are whole, and so is the file; who signed is trusted
    untrusted    the same, but nobody who is trusted says who signed (as with a certificate that was made here)
    broken       the file or its credentials were changed since
    interrupted  no credentials, but its header names this program: the run was killed, or they were taken away
    missing      no credentials

Where there are none, marks that were found make it ``marked``.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.paths import read_plain, reason
from realtime_dub.trust import content_credentials
from realtime_dub.trust.findings import Finding, marks_in
from realtime_dub.trust.kinds import OPAQUE, kind_of_file, sidecar_of
from realtime_dub.trust.statement import Read
from realtime_dub.trust.statement import read as read_statement
from realtime_dub.trust.tag import Tag, read_tag

State = Literal["valid", "untrusted", "broken", "missing", "interrupted", "marked"]
EXIT_CODES: dict[State, int] = {
    "valid": 0, "untrusted": 10, "broken": 11, "missing": 12, "interrupted": 13, "marked": 14,
}  # fmt: skip
_STATES: dict[str, State] = {"Trusted": "valid", "Valid": "untrusted", "Invalid": "broken"}
MOST_SIDECAR, MOST_ANCHORS = 64_000_000, 10_000_000  # bytes
MOST_WHY = 5
_FINE = ("signingCredential.untrusted",)  # told by the state


@dataclass(frozen=True, slots=True)
class Inspection:
    """``says``: the newest manifest's words; ``sources``: those of the films that it was made of."""

    state: State
    beside: bool = False  # the credentials lie in a file of their own
    signer: str = ""
    signed_at: str = ""  # by a time stamp authority
    says: Read | None = None
    sources: tuple[Read, ...] = ()
    tag: Tag | None = None
    why: tuple[str, ...] = ()  # what is broken, in C2PA's codes
    marks: tuple[Finding, ...] = field(default=())

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.state]

    @property
    def dubbed(self) -> bool:
        """Whether anything in it says so. No is no proof: whoever takes the credentials away leaves nothing."""
        if self.says is not None and (self.says.synthetic or self.says.dubbed):
            return True
        unsigned = self.says is None and self.tag is not None and bool(self.tag.bundle)
        return unsigned or bool(self.marks)

    def as_dict(self) -> dict[str, object]:
        return asdict(self) | {"dubbed": self.dubbed, "exit_code": self.exit_code}


def inspect(path: Path, trust: Path | None = None, marks: bool = True) -> Inspection:
    """Look at a file. ``trust``: certificates of authorities, in PEM. Raises MediaError, ConfigError."""
    anchors = _anchors(trust)
    try:
        kind, beside, tag = kind_of_file(path), _beside(path), read_tag(path)
        found, why = _read(path, kind, beside, anchors)
    except OSError as error:
        raise MediaError("cannot read", f"{path}: {reason(error)}", "choose a file") from error
    marked = tuple(marks_in(path)) if marks else ()
    if found is None:
        state: State = "broken" if why else "interrupted" if tag else "marked" if marked else "missing"
        return Inspection(state, beside is not None, tag=tag, why=why, marks=marked)
    return _told(found, beside is not None and kind == OPAQUE, tag, marked)


def _read(path: Path, kind: str, beside: bytes | None, anchors: str) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """What the library finds, and why that is nothing where credentials are there."""
    if kind == OPAQUE and beside is None:
        return None, ()
    with path.open("rb") as file:
        try:
            found = content_credentials.read(kind, file, beside if kind == OPAQUE else None, anchors)
        except MediaError as error:
            return None, (str(error),)
    return found, ()


def _beside(path: Path) -> bytes | None:
    with contextlib.suppress(FileNotFoundError):
        return read_plain(sidecar_of(path), MOST_SIDECAR)
    return None


def _anchors(trust: Path | None) -> str:
    if trust is None:
        return ""
    try:
        text = read_plain(trust, MOST_ANCHORS).decode("ascii")
    except (OSError, ValueError) as error:
        raise ConfigError("cannot use --trust", f"{trust}: {reason(error)}", "name certificates in PEM") from error
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise ConfigError("cannot use --trust", f"{trust}: no certificate is in it", "name certificates in PEM")
    return text


def _told(found: dict[str, Any], beside: bool, tag: Tag | None, marks: tuple[Finding, ...]) -> Inspection:
    manifests: dict[str, Any] = found.get("manifests") or {}
    active = manifests.get(found.get("active_manifest") or "", {})
    signature = active.get("signature_info") or {}
    says = read_statement(active)
    others = [each.get("active_manifest") for each in active.get("ingredients") or ()]
    return Inspection(
        _STATES.get(str(found.get("validation_state")), "broken"),
        beside,
        str(signature.get("issuer") or ""),
        str(signature.get("time") or ""),
        says,
        tuple(read_statement(manifests[name]) for name in others if name in manifests),
        tag,
        _why(found),
        marks,
    )


def _why(found: dict[str, Any]) -> tuple[str, ...]:
    codes = (str(each.get("code")) for each in found.get("validation_status") or ())
    return tuple(dict.fromkeys(code for code in codes if code not in _FINE))[:MOST_WHY]
