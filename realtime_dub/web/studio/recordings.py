"""The recordings of a server: being made, kept for a time, found again after the server was started anew.

Whoever knows the name of one, which cannot be guessed, is who made it.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import av

from realtime_dub.errors import RealtimeDubError
from realtime_dub.imports import resolve
from realtime_dub.trust.options import SigningOptions
from realtime_dub.web.limits import (
    RECORDING_KEPT_S,
    RECORDING_LEAST_ROOM,
    RECORDINGS_IN_ALL,
    RECORDINGS_PER_VISITOR,
)
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.said import said
from realtime_dub.web.studio.caption_track import beside
from realtime_dub.web.studio.folder import plain_files
from realtime_dub.web.studio.names import ALL, Names

FILM = ".mp4"
FULL = "{most} recordings are kept already."
LEFT_BY_SERVER = ""  # the visitor of a recording that was found


@dataclass(frozen=True)
class Kept:
    """``until_s`` is on the system's clock, which a page knows too; None while it is being made."""

    id: str
    path: Path
    visitor: str
    until_s: float | None = None
    seconds: float | None = None
    size: int = 0
    note: str | None = None  # why it ended before its time
    fetched: bool = False
    room: str | None = None  # in which it was made; None where it was found
    captioned: bool = False  # there are captions beside it

    @property
    def state(self) -> Literal["recording", "kept"]:
        return "recording" if self.until_s is None else "kept"

    def to_dict(self) -> dict[str, object]:
        """For the page."""
        fields = {"id": self.id, "state": self.state, "url": f"/api/recordings/{self.id}", "note": self.note}
        captions = f"/api/recordings/{self.id}/captions" if self.captioned else None
        return fields | {"seconds": self.seconds, "size": self.size, "until": self.until_s, "captions": captions}


class Recordings:
    """Thread-safe. What touches the disk is blocking: all but :meth:`find`, :meth:`to_dicts` and :meth:`of_room`."""

    def __init__(self, folder: Path, names: Names = ALL, signing: SigningOptions | None = None) -> None:
        """``signing``: who signs those that are found, which a server that was killed could not; None = nobody."""
        self._signing = signing
        self._folder, self._names = folder, names
        self._in_all = max(1, RECORDINGS_IN_ALL // names.of)
        self._lock = threading.Lock()
        self._kept: dict[str, Kept] = {}
        self._found: list[str] = []
        for film in plain_files(folder):
            if names.has(film.stem) and film.suffix == FILM:
                self._find(film)

    def begin(self, visitor: str = LEFT_BY_SERVER, room: str | None = None) -> Kept:
        """A new one, to be written to its path. Raises Refusal."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)  # somebody may have cleaned up
            if shutil.disk_usage(self._folder).free < RECORDING_LEAST_ROOM:
                raise Refusal(507, "The server's disk is nearly full.", "Tell who runs the server, or record later.")
        id = self._names.new()
        with self._lock:
            self._make_room(visitor)
            self._kept[id] = Kept(id, self._folder / f"{id}{FILM}", visitor, room=room)
            return self._kept[id]

    def end(self, id: str, seconds: float, note: str | None) -> Kept | None:
        """It is written; None where there is nothing to keep."""
        with self._lock:
            begun = self._kept.pop(id, None)
            if begun is None:
                return None
            try:
                size = begun.path.stat().st_size
            except OSError:
                size = 0
            if not size:
                begun.path.unlink(missing_ok=True)
                return None
            until_s = time.time() + RECORDING_KEPT_S
            captioned = beside(begun.path).exists()
            self._kept[id] = replace(begun, until_s=until_s, seconds=seconds, size=size, note=note, captioned=captioned)
            return self._kept[id]

    def find(self, id: str) -> Path:
        """Raises Refusal."""
        kept = self._kept.get(id)
        if kept is None:
            raise Refusal(404, "There is no recording of that name.", "It may have expired.")
        if kept.until_s is None:
            raise Refusal(409, "It is still being recorded.", "Stop it first, or wait a moment.", {"Retry-After": "1"})
        with self._lock:
            if id in self._kept:
                self._kept[id] = replace(kept, fetched=True)
        return kept.path

    def find_captions(self, id: str) -> Path:
        """Raises Refusal."""
        kept = self._kept.get(id)
        if kept is None or not kept.captioned:
            raise Refusal(404, "There are no captions of a recording of that name.", "They may have expired.")
        return beside(kept.path)

    def to_dicts(self, ids: list[str]) -> list[dict[str, object]]:
        """Of those that there are."""
        return [kept.to_dict() for id in ids if (kept := self._kept.get(id)) is not None]

    def of_room(self, name: str) -> list[dict[str, object]]:
        """For an operator: those that were made there since the server was started."""
        return [kept.to_dict() for kept in list(self._kept.values()) if kept.room == name]

    def remove(self, id: str) -> None:
        """One that is being made is not."""
        with self._lock:
            self._remove(id)

    def sweep(self) -> None:
        """Remove what was kept for its time, and sign what was found."""
        now_s = time.time()
        with self._lock:
            for id in [id for id, kept in self._kept.items() if kept.until_s is not None and kept.until_s < now_s]:
                self._remove(id)
            found = [kept for id in self._found if (kept := self._kept.get(id)) is not None]
            self._found.clear()
        for kept in found:
            self._sign(kept)

    def _sign(self, kept: Kept) -> None:
        """One that an earlier server left. Whatever is wrong with it, it is there to be fetched."""
        if self._signing is None:
            return
        with contextlib.suppress(RealtimeDubError, OSError):
            for path, _ in resolve("realtime_dub.pipeline.sign_later:sign_later")([kept.path], self._signing):
                size = path.stat().st_size
                with self._lock:
                    if kept.id in self._kept:
                        self._kept[kept.id] = replace(self._kept[kept.id], size=size)

    def _remove(self, id: str) -> None:
        kept = self._kept.get(id)
        if kept is None or kept.until_s is None:
            return
        del self._kept[id]
        for path in (kept.path, beside(kept.path)):
            path.unlink(missing_ok=True)

    def _make_room(self, visitor: str) -> None:
        """Raises Refusal. Whatever nobody has fetched yet stays."""
        mine = [kept for kept in self._kept.values() if kept.visitor == visitor]
        for there, most in ((mine, RECORDINGS_PER_VISITOR), (list(self._kept.values()), self._in_all)):
            if len(there) < most:
                continue
            fetched = [kept for kept in there if kept.fetched and kept.until_s is not None]
            if not fetched:
                raise Refusal(429, said(FULL, most=most), "Fetch or remove one of them first.")
            self._remove(min(fetched, key=lambda kept: kept.until_s or 0).id)

    def _find(self, film: Path) -> None:
        """One that an earlier server left, whole or not."""
        size = film.stat().st_size
        if not size:
            film.unlink(missing_ok=True)
            return
        until_s = time.time() + RECORDING_KEPT_S
        self._found.append(film.stem)
        kept = Kept(film.stem, film, LEFT_BY_SERVER, until_s, _seconds_of(film), size)
        self._kept[film.stem] = replace(kept, captioned=beside(film).exists())


def _seconds_of(film: Path) -> float | None:
    """Of our own making, so counted without decoding: a film of a server that was killed does not know its length."""
    try:
        with av.open(str(film)) as container:
            audio = container.streams.audio[0]
            ends = [(packet.pts or 0) + (packet.duration or 0) for packet in container.demux(audio)]
            return round(float(max(ends) * (audio.time_base or 0)), 2)
    except (av.FFmpegError, OSError, ValueError, LookupError):
        return None
