"""An avatar of a visitor, or what is to become one: a folder with its state, and how what is sent becomes one."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from realtime_dub.web.studio.checks import Checks
from realtime_dub.web.studio.uploads import Arrival, Uploads

State = Literal["kept", "waiting", "preparing", "checked", "training", "failed"]
UNDER_WAY: tuple[State, ...] = ("waiting", "preparing", "checked", "training")
AT_WORK: tuple[State, ...] = ("waiting", "preparing", "training")
STATE, AVATAR = "state.json", "avatar"


class Finding(BaseModel):
    """What was looked at in a recording. ``fault`` is empty where it is good, else a sentence."""

    model_config = ConfigDict(frozen=True)

    name: str
    value: str
    fault: str = ""


class Own(BaseModel):
    """A visitor's avatar, or what is to become one; ``state.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: State = "kept"
    label: str = Field(default="", max_length=1_000)
    film: str = ""  # its file's name, of one that is trained here
    seconds: float = 0.0  # of the film
    since_s: float = 0.0  # on the system's clock
    agreed: bool = False  # whoever sent the film has seen what is wrong with it, and wants the training
    findings: tuple[Finding, ...] = ()
    why: str = ""  # of failed
    visitor: str = ""  # whose it is, while it waits or is made

    @property
    def trained(self) -> bool:
        return bool(self.film)


def write(place: Path, own: Own) -> None:
    """Its state, whole or not at all."""
    part = place / f".{STATE}"
    part.write_text(own.model_dump_json(), "utf-8")
    part.replace(place / STATE)


class Taking(ABC):
    """Takes what :func:`~realtime_dub.web.http.receiving.receive` brings into ``into``. Blocking, but :meth:`begin`."""

    use: ClassVar[Literal["avatar", "film"]]  # what is sent

    def __init__(self, into: Path, uploads: Uploads, checks: Checks | None, lock: threading.RLock) -> None:
        self.pool: ThreadPoolExecutor = uploads.pool
        self.lock, self._into, self._uploads, self._checks = lock, into, uploads, checks or uploads.checks

    def begin(
        self, name: str, visitor: str = "", task: asyncio.Task[Any] | None = None, use: str | None = None
    ) -> Arrival:
        """As :meth:`Uploads.begin`. Raises Refusal."""
        return self._uploads.begin(name, visitor, task, self.use)

    def keep(self, arrival: Arrival, used: Collection[str] = ()) -> dict[str, Any]:
        """Look whether it can be used, and give it a name. Raises Refusal; nothing is left then."""
        arrival.whole = True
        place = self._into / f".new-{secrets.token_hex(8)}"
        place.mkdir(mode=0o700)
        try:
            found = self._checks.run(self.use, arrival.path, place / AVATAR)
            with self.lock:
                write(place, self._placed(arrival, place, found))
                name = place.rename(self._into / secrets.token_urlsafe(24)).name
            return self._taken(name)
        finally:
            shutil.rmtree(place, ignore_errors=True)
            self.drop(arrival)

    def drop(self, arrival: Arrival) -> None:
        """It is not on its way any more. Idempotent."""
        self._checks.stop(arrival.path)
        self._uploads.drop(arrival)

    @abstractmethod
    def _placed(self, arrival: Arrival, place: Path, found: dict[str, Any]) -> Own:
        """There is room for it, and it lies in ``place``; the lock is held. Raises Refusal."""

    @abstractmethod
    def _taken(self, name: str) -> dict[str, Any]:
        """What its sender is told."""
