"""Audio files and images that a page sends, in a private folder that goes with the server.

None of them locks another visitor out: what no session uses gives way to what is newer, the slowest of those on their
way to another one, and each is looked at by a process that can be killed (``check_file``).
"""

from __future__ import annotations

import asyncio
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from realtime_dub.media import MS, NS
from realtime_dub.web.limits import (
    CHECKS_AT_ONCE,
    RECEIVED_IN_ALL,
    RECEIVED_LEAST_S,
    RECEIVED_PER_VISITOR,
    UPLOAD_KEPT_S,
    UPLOADS_IN_ALL,
    UPLOADS_PER_VISITOR,
)
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.checks import Checks
from realtime_dub.web.studio.file_kinds import SUFFIXES, taken_suffix

Kind = Literal["sound", "picture", "avatar", "film"]
WRITTEN: dict[Kind, str] = {"sound": ".flac", "picture": ".png"}
ELSEWHERE: dict[str | None, Kind] = {"avatar": "avatar", "film": "film"}  # what is kept in another place
NAME = re.compile(r"[\w-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Upload:
    id: str
    path: Path
    kind: Kind
    size: int
    seconds: float | None
    until_s: float  # on the monotonic clock, while nobody uses it
    visitor: str = ""

    def to_dict(self) -> dict[str, object]:
        known = {"id": self.id, "kind": self.kind, "size": self.size, "seconds": self.seconds}
        return {name: value for name, value in known.items() if value is not None}


@dataclass(eq=False)
class Arrival:
    """A file on its way; ``task`` receives it."""

    path: Path
    kind: Kind
    visitor: str
    task: asyncio.Task[Any] | None
    since_s: float = field(default_factory=time.monotonic)
    size: int = 0  # bytes by now
    whole: bool = False  # it is here, and is looked at
    given_up: bool = False  # for another one

    @property
    def per_s(self) -> float:
        return self.size / max(0.001, time.monotonic() - self.since_s)


class KeptUploads(Protocol):
    """Those that are there, as sessions know them."""

    def find(self, id: str, kind: Kind) -> Path:
        """Raises Refusal."""

    def length_ns(self, id: str) -> int:
        """Of a sound that is there."""

    def remove(self, id: str) -> None:
        """Idempotent. Blocking."""


class FoundUploads:
    """Those that another process keeps in ``folder``. A sound's length stands in its name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, id: str, kind: Kind) -> Path:
        path = self._folder / f"{id}{WRITTEN[kind]}"
        if NAME.fullmatch(id) is None or not path.is_file():
            raise missing(kind)
        return path

    def length_ns(self, id: str) -> int:
        length_ms = id.rpartition("-")[2]
        return int(length_ms) * MS if length_ms.isdecimal() else 0

    def remove(self, id: str) -> None:
        if NAME.fullmatch(id):
            for suffix in WRITTEN.values():
                (self._folder / f"{id}{suffix}").unlink(missing_ok=True)


class Uploads:
    """Names of files are ours, never the browser's. What touches the disk is blocking: all but :meth:`begin`."""

    def __init__(self, most_bytes: int, folder: Path, checks: Checks | None = None) -> None:
        self.most_bytes = most_bytes
        self.pool = ThreadPoolExecutor(CHECKS_AT_ONCE, "upload check")  # the others wait in line
        self._folder, self.checks = folder, checks or Checks(spare=True)
        self._lock = threading.Lock()
        self._kept: dict[str, Upload] = {}
        self._arriving: set[Arrival] = set()

    def begin(
        self, name: str, visitor: str = "", task: asyncio.Task[Any] | None = None, use: str | None = None
    ) -> Arrival:
        """A place for a file that was called ``name``, to be used as one of ``FILES``. Raises Refusal."""
        suffix = taken_suffix(name, use)
        kind: Kind = SUFFIXES[suffix] if use not in ELSEWHERE else ELSEWHERE[use]
        with self._lock:
            self._let_in(visitor)
            path = self._folder / f"{secrets.token_urlsafe(12)}{suffix}"
            arrival = Arrival(path, kind, visitor, task)
            self._arriving.add(arrival)
            return arrival

    def keep(self, arrival: Arrival, used: Collection[str] = ()) -> Upload:
        """Look whether it can be used; ``used`` are those that sessions use. Raises Refusal; the file is gone then."""
        arrival.whole = True
        out = written = self._folder / f"{secrets.token_urlsafe(12)}{WRITTEN[arrival.kind]}"
        try:
            seconds = self.checks.run(arrival.kind, arrival.path, written).get("seconds")
            if seconds is not None:
                out = written.rename(written.with_stem(f"{written.stem}-{round(seconds * 1000)}"))
            id, until_s = out.stem, time.monotonic() + UPLOAD_KEPT_S
            upload = Upload(id, out, arrival.kind, out.stat().st_size, seconds, until_s, arrival.visitor)
            with self._lock:
                if arrival not in self._arriving:  # nobody waits for it any more
                    raise Refusal(409, "The upload was given up.", "Send it again.")
                self._make_room(arrival.visitor, used)
                self._kept[id] = upload
            return upload
        except BaseException:
            out.unlink(missing_ok=True)
            raise
        finally:
            self.drop(arrival)

    def drop(self, arrival: Arrival) -> None:
        """It is not on its way any more. Idempotent."""
        with self._lock:
            self._arriving.discard(arrival)
        self.checks.stop(arrival.path)
        arrival.path.unlink(missing_ok=True)

    def find(self, id: str, kind: Kind) -> Path:
        """Raises Refusal."""
        upload = self._kept.get(id)
        if upload is None or upload.kind != kind:
            raise missing(kind)
        return upload.path

    def length_ns(self, id: str) -> int:
        """Of a sound that is there."""
        upload = self._kept.get(id)
        return 0 if upload is None else round((upload.seconds or 0) * NS)

    def remove(self, id: str) -> None:
        with self._lock:
            upload = self._kept.pop(id, None)
        if upload is not None:
            upload.path.unlink(missing_ok=True)

    def sweep(self, used: Collection[str] = ()) -> None:
        """Remove what is too old and not in use, and forget what others have removed."""
        for upload in list(self._kept.values()):
            old = upload.until_s < time.monotonic() and upload.id not in used
            if old or not upload.path.exists():  # a session's own goes with it, in whatever process that was
                self.remove(upload.id)

    def close(self) -> None:
        """Idempotent. The folder is not ours."""
        self.checks.close()
        self.pool.shutdown(cancel_futures=True)
        self._kept.clear()

    def _let_in(self, visitor: str) -> None:
        """Room for one more on its way: the slowest gives way. Raises Refusal where all of them are quick."""
        mine = [each for each in self._arriving if each.visitor == visitor]
        for there, most in ((mine, RECEIVED_PER_VISITOR), (list(self._arriving), RECEIVED_IN_ALL)):
            if len(there) >= most:
                slow = [each for each in there if not each.whole and _age_s(each) > RECEIVED_LEAST_S]
                if not slow:
                    raise Refusal(429, "Too many files are on their way.", "Wait a moment.", {"Retry-After": "5"})
                given_up = min(slow, key=lambda each: each.per_s)
                self._arriving.discard(given_up)
                given_up.given_up = True
                if given_up.task is not None:
                    given_up.task.cancel()

    def _make_room(self, visitor: str, used: Collection[str]) -> None:
        """Of what nobody uses the oldest goes: this visitor's own, then that of who has most."""
        unused = [each for each in self._kept.values() if each.id not in used]
        mine = [each for each in unused if each.visitor == visitor]
        if len(mine) >= UPLOADS_PER_VISITOR:
            self._evict(mine)
        elif len(unused) >= UPLOADS_IN_ALL:
            most = Counter(each.visitor for each in unused).most_common(1)[0][0]
            self._evict(each for each in unused if each.visitor == most)

    def _evict(self, uploads: Iterable[Upload]) -> None:
        oldest = min(uploads, key=lambda each: each.until_s)
        del self._kept[oldest.id]
        oldest.path.unlink(missing_ok=True)


def named(choices: Iterable[str]) -> set[str]:
    """The uploads among a session's choices of voice and picture."""
    return {name for kind, _, name in (choice.partition(":") for choice in choices) if kind == "upload"}


def missing(kind: Kind) -> Refusal:
    what = "There is no sound of that name." if kind == "sound" else "There is no picture of that name."
    return Refusal(404, what, "Send or make it again.")


def _age_s(arrival: Arrival) -> float:
    return time.monotonic() - arrival.since_s
