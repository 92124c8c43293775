"""Whether an avatar's person agreed to it: said on the page that sent it, kept in the avatar, proved at its end."""

from __future__ import annotations

import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path

from realtime_dub.errors import ConfigError, UserError
from realtime_dub.trust import consent
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.agreement import WHO

log = logging.getLogger("realtime_dub.web")


def standing(avatar: Path) -> consent.Standing:
    """What its record is worth. Blocking, as all here."""
    try:
        return consent.read(*consent.of_folder(avatar))[1]
    except ConfigError:
        return "missing"


def record(avatar: Path, name: str) -> None:
    """Whoever is at the page confirms it, now; a record that holds stays. Raises Refusal."""
    if standing(avatar) in ("given", "sealed elsewhere"):
        return
    try:
        made = consent.give(WHO, "avatar", consent.of_folder(avatar)[1])
        consent.write_beside(avatar, made)
    except UserError as error:
        log.warning("a consent cannot be kept", extra={"avatar": name[:6], "why": str(error)})
        raise Refusal(507, "The server cannot keep the record.", "Tell the person who runs the server.") from error
    log.info("a person's consent was confirmed", extra={"avatar": name[:6], "seal": made.seal})


def revoked(avatar: Path, name: str) -> str:
    """The line that proves that it is gone, for the log and its answer; before it is deleted."""
    try:
        given = consent.of_folder(avatar)
        found, subject = consent.read(*given)[0], consent.digest(given[1])[:16]
    except ConfigError:  # it was not made yet
        found, subject = None, "none yet"
    before = "nobody's consent was recorded" if found is None else f"agreed to at {found.at:%Y-%m-%dT%H:%M:%SZ}"
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} avatar {name[:6]} of recording {subject}: deleted ({before})"


def deleted(folder: Path, line: str) -> str:
    """Delete all of an avatar, what it was trained of too; then ``line`` goes into the log. Raises Refusal."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:  # by another request, at this moment
        pass
    except OSError as error:
        log.error("an avatar cannot be deleted", extra={"why": str(error)})
        raise Refusal(507, "The server cannot delete all of it.", "Tell the person who runs the server.") from error
    log.info("an avatar is deleted", extra={"what": line})
    return line
