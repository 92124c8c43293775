"""Avatars that visitors may choose: those of the server's operator, and their own, each under a name that is a secret.

``NAME/`` in the folder has ``state.json`` and, once there is one, ``avatar/``. A visitor's own avatar lies there for as
long as ``limits`` says, also while the server is not running; whoever knows its name may use and remove it.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from realtime_dub.errors import BundleError
from realtime_dub.mouth.avatar.folder import PICTURE, read_about
from realtime_dub.paths import read_plain
from realtime_dub.sources.avatars import REST, is_avatar
from realtime_dub.web import limits
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio import avatar_consent
from realtime_dub.web.studio.checks import Checks
from realtime_dub.web.studio.own_avatars import AT_WORK, AVATAR, STATE, Own, Taking
from realtime_dub.web.studio.uploads import Arrival, Uploads

MOST_STATE = 100_000
MOST_OFFERED = 100
NAME = re.compile(r"[\w-]{1,64}")
SPEC = "spec.json"


class KeptAvatars(Protocol):
    """Those that are there, as sessions know them."""

    def find(self, name: str) -> Path:
        """Its folder. Raises Refusal."""


class FoundAvatars:
    """Those that lie in ``folder``, and those that everybody may choose, in ``offered``. Blocking."""

    def __init__(self, folder: Path, offered: Path | None = None) -> None:
        self.folder, self._offered = folder, offered

    def find(self, name: str) -> Path:
        if NAME.fullmatch(name):
            own = self.folder / name
            if is_avatar(str(own / AVATAR)):
                with suppress(OSError):
                    os.utime(own)  # it is used: its time begins anew
                return own / AVATAR
            for known, path in self._there():
                if known == name:
                    return path
        raise NO_AVATAR

    def offered(self) -> list[dict[str, str]]:
        """For pages: ``name`` and ``label`` of those that everybody may choose."""
        return [{"name": name, "label": path.stem} for name, path in self._there()]

    def _there(self) -> list[tuple[str, Path]]:
        whole = [] if self._offered is None else whole_in(self._offered)
        named = {re.sub(r"[^\w-]+", "-", path.stem)[:64]: path for path in whole[:MOST_OFFERED]}
        return list(named.items())


class Avatars(FoundAvatars, Taking):
    """The visitors' own too, which are taken in, packed, and listed and removed here. Blocking, but :meth:`begin`."""

    use = "avatar"

    def __init__(self, config: ServeConfig, folder: Path, uploads: Uploads, checks: Checks | None = None) -> None:
        FoundAvatars.__init__(self, folder, config.avatars)
        Taking.__init__(self, folder, uploads, checks, threading.RLock())
        self.most_bytes = config.upload_mb * 1_000_000
        for begun in folder.glob(".*"):  # by a server that was killed
            shutil.rmtree(begun, ignore_errors=True)

    def _placed(self, arrival: Arrival, place: Path, found: dict[str, Any]) -> Own:
        self._make_room()
        return Own(label=str(found.get("label", ""))[:1_000], since_s=time.time())

    def _taken(self, name: str) -> dict[str, Any]:
        return self.tell(name)

    def find_own(self, name: str) -> Path:
        """A visitor's alone: the operator's are shown, and not given away. Raises Refusal."""
        self.own(name)
        return self.find(name)

    def own(self, name: str) -> Own:
        """Raises Refusal."""
        if NAME.fullmatch(name):
            with suppress(OSError, ValidationError, ValueError):
                return Own.model_validate_json(read_plain(self.folder / name / STATE, MOST_STATE))
        raise NO_AVATAR

    def all(self) -> dict[str, Own]:
        """By name, the oldest first."""
        found = {}
        with suppress(OSError):
            for path in self.folder.iterdir():
                with suppress(Refusal):
                    found[path.name] = self.own(path.name)
        return dict(sorted(found.items(), key=lambda each: each[1].since_s))

    def tell(self, name: str) -> dict[str, Any]:
        """For whoever knows its name. Raises Refusal."""
        own = self.own(name)
        told: dict[str, Any] = {"id": name, "state": own.state, "label": own.label, "since": round(own.since_s)}
        told["trained"] = own.trained
        if own.state == "kept":
            told["until"] = round(self._until_s(name, own))
            told["consent"] = avatar_consent.standing(self.folder / name / AVATAR)
        if own.findings:
            told["findings"] = [each.model_dump() for each in own.findings]
        return told | ({"why": own.why} if own.why else {})

    def agree(self, name: str) -> dict[str, Any]:
        """Whoever sent it confirms that its person agrees. Raises Refusal."""
        with self.lock:
            avatar_consent.record(self.find_own(name), name)
        return self.tell(name)

    def remove(self, name: str, stop: Callable[[str], None] = lambda name: None) -> str:
        """With all that lies beside it; ``stop`` ends what works at it.

        Gives the line that proves it, which the log has too. Raises Refusal.
        """
        with self.lock:
            self.own(name)
            line = avatar_consent.revoked(self.folder / name / AVATAR, name)
            (self.folder / name / STATE).unlink(missing_ok=True)  # whoever works at it sees so
        stop(name)
        return avatar_consent.deleted(self.folder / name, line)

    def sweep(self) -> None:
        """Remove what is too old and what is not whole."""
        now_s = time.time()
        for name, own in self.all().items():
            with suppress(OSError):
                if own.state not in AT_WORK and self._until_s(name, own) < now_s:
                    shutil.rmtree(self.folder / name, ignore_errors=True)

    def close(self) -> None:
        """Idempotent. The folder is not ours."""
        self._checks.close()

    def _until_s(self, name: str, own: Own) -> float:
        kept_s = limits.AVATAR_KEPT_S if own.trained else limits.AVATAR_SENT_KEPT_S
        kept_s = limits.AVATAR_UNANSWERED_S if own.state in ("failed", "checked") else kept_s
        return (self.folder / name).stat().st_mtime + kept_s

    def _make_room(self) -> None:
        """Of those that were sent the one that was used last the longest ago goes: whoever sent it has it."""
        sent = [name for name, own in self.all().items() if not own.trained]
        if len(sent) >= limits.AVATARS_SENT_IN_ALL:
            oldest = min(sent, key=lambda name: (self.folder / name).stat().st_mtime)
            shutil.rmtree(self.folder / oldest, ignore_errors=True)


NO_AVATAR = Refusal(404, "There is no avatar of that name.", "Choose another one, or send it again.")


def whole_in(folder: Path) -> list[Path]:
    """Those in ``folder`` that have been trained to their end. Blocking."""
    with suppress(OSError):
        return [path for path in sorted(folder.iterdir()) if _is_whole(path)]
    return []


def _is_whole(path: Path) -> bool:
    """It has been trained to its end."""
    try:
        read_about(path)
    except BundleError:
        return False
    return (path / REST).is_file() and (path / PICTURE / SPEC).is_file()
