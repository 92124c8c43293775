"""Records of consent in banks and avatars that are there: shown, written, revoked together with what they are about."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.mouth import registry
from realtime_dub.paths import reason
from realtime_dub.trust import consent

STANDINGS = {
    "given": "sealed by this machine, unchanged",
    "sealed elsewhere": "sealed by another machine: whether it was changed cannot be told here",
    "broken": "it does not hold: it was changed, or is of another face",
}


def show(kept: Path) -> str:
    """Who confirmed it, when, and whether that holds. Raises ConfigError, BundleError for what is no bank or avatar."""
    found, standing = consent.read(*_read(kept))
    if found is None:
        return f"{kept}: " + ("nobody's consent is recorded" if standing == "missing" else STANDINGS[standing])
    return f"{kept}: {_said(found)}; {STANDINGS[standing]}"


def record(kept: Path, by: str) -> str:
    """Write a record of now in place of any other. Raises as :func:`show`, MediaError where it cannot be written."""
    if kept.is_dir():
        made = consent.give(by, "avatar", consent.of_folder(kept)[1])
        consent.write_beside(kept, made)
    else:
        bank = _bank(kept)
        made = consent.give(by, "dub", bank.subject)
        bank.consent = made.to_bytes()
        bank.save(kept)  # type: ignore[attr-defined]
    return f"{kept}: {_said(made)}"


def revoke(kept: Path) -> str:
    """Delete the bank or the avatar; a line that says what was deleted, for a log. Raises as :func:`record`."""
    found, _ = consent.read(*(given := _read(kept)))
    try:
        shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
    except OSError as error:
        raise MediaError("cannot delete", f"{kept}: {reason(error)}", "delete it by hand") from error
    who = "" if found is None else f", {_said(found)}"
    now = datetime.now(UTC)
    return f"{now:%Y-%m-%dT%H:%M:%SZ} revoked and deleted: {kept}, face {consent.digest(given[1])[:16]}{who}"


def _read(kept: Path) -> tuple[bytes, bytes]:
    """The record, and what it is about."""
    if kept.is_dir():
        return consent.of_folder(kept)
    bank = _bank(kept)
    return bank.consent, bank.subject


def _bank(path: Path) -> consent.CarriesConsent:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError("no bank or avatar:", f"{path}: {reason(error)}", "name one that enroll has made") from None
    bank = registry.identity_kind(registry.DEFAULT).read(data, str(path))
    assert isinstance(bank, consent.CarriesConsent)
    return bank


def _said(found: consent.Consent) -> str:
    return f"{found.who} confirmed it on {found.at:%Y-%m-%d at %H:%M} UTC"
