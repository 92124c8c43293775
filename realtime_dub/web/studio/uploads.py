"""Audio files and images that a page sends, in a private folder that goes with the server.

None of them locks another visitor out: what no session uses gives way to what is newer, the slowest of those on their
way to another one, and each is looked at by a process that can be killed (``check_file``).
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from realtime_dub.media import NS
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

Kind = Literal["sound", "picture"]
WRITTEN: dict[Kind, str] = {"sound": ".flac", "picture": ".png"}


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


class Uploads:
    """Names of files are ours, never the browser's. What touches the disk is blocking: all but :meth:`begin`."""

    def __init__(self, most_bytes: int, folder: Path, checks: Checks | None = None) -> None:
        self.most_bytes = most_bytes
        self.pool = ThreadPoolExecutor(CHECKS_AT_ONCE, "upload check")  # the others wait in line
        self._folder, self._checks = folder, checks or Checks()
        self._lock = threading.Lock()
        self._kept: dict[str, Upload] = {}
        self._arriving: set[Arrival] = set()

    def begin(
        self, name: str, visitor: str = "", task: asyncio.Task[Any] | None = None, use: str | None = None
    ) -> Arrival:
        """A place for a file that was called ``name``, to be used as "sound" or "picture". Raises Refusal."""
        suffix = taken_suffix(name, use)
        with self._lock:
            self._let_in(visitor)
            path = self._folder / f"{secrets.token_urlsafe(12)}{suffix}"
            arrival = Arrival(path, SUFFIXES[suffix], visitor, task)
            self._arriving.add(arrival)
            return arrival

    def keep(self, arrival: Arrival, used: Collection[str] = ()) -> Upload:
        """Look whether it can be used; ``used`` are those that sessions use. Raises Refusal; the file is gone then."""
        id, arrival.whole = secrets.token_urlsafe(12), True
        out = self._folder / f"{id}{WRITTEN[arrival.kind]}"
        try:
            fields = self._checks.run(arrival.kind, arrival.path, out)
            until_s = time.monotonic() + UPLOAD_KEPT_S
            upload = Upload(id, out, arrival.kind, out.stat().st_size, fields.get("seconds"), until_s, arrival.visitor)
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
        self._checks.stop(arrival.path)
        arrival.path.unlink(missing_ok=True)

    def find(self, id: str, kind: str) -> Path:
        """Raises Refusal."""
        upload = self._kept.get(id)
        if upload is None or upload.kind != kind:
            raise Refusal(404, f"There is no {kind} of that name.", "Send or make it again.")
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
        """Remove what is too old and not in use."""
        for upload in list(self._kept.values()):
            if upload.until_s < time.monotonic() and upload.id not in used:
                self.remove(upload.id)

    def close(self) -> None:
        """Idempotent. The folder is not ours."""
        self._checks.close()
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


def _age_s(arrival: Arrival) -> float:
    return time.monotonic() - arrival.since_s
