"""Sound and pictures that a page sends, in a private folder that goes with the server; read by the code for files."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2

from realtime_dub.clock import VirtualClock
from realtime_dub.errors import EndOfStream, RealtimeDubError
from realtime_dub.media import NS, samples_to_ns
from realtime_dub.sources.registry import open_video
from realtime_dub.sources.voices import open_voice
from realtime_dub.web.refusals import Refusal

KEPT_S = 3_600
MOST = 20  # files at a time
SECONDS = 600  # of sound
MOST_PIXELS = 1_280  # of a picture's longer side
SUFFIXES: dict[str, Literal["sound", "picture"]] = {
    **dict.fromkeys((".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".webm"), "sound"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".jfif", ".webp", ".avif", ".heic", ".heif", ".bmp", ".gif"), "picture"),
    **dict.fromkeys((".tif", ".tiff"), "picture"),
}


@dataclass(frozen=True)
class Upload:
    id: str
    path: Path
    kind: Literal["sound", "picture", "recording"]
    size: int
    seconds: float | None
    until_s: float  # on the monotonic clock

    def told(self) -> dict[str, object]:
        known = {"id": self.id, "kind": self.kind, "size": self.size, "seconds": self.seconds}
        return {name: value for name, value in known.items() if value is not None}


class Uploads:
    """Blocking; the server calls it off its loop. Names of files are ours, never the browser's."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._folder = Path(tempfile.mkdtemp(prefix="realtime-dub-"))
        self._kept: dict[str, Upload] = {}

    def begin(self, name: str) -> Path:
        """Where to write a file that was called ``name``. Raises Refusal."""
        suffix = Path(name).suffix.lower()
        if suffix not in SUFFIXES:
            raise Refusal(
                415,
                f"Files of the kind {suffix or 'without a suffix'} are not taken.",
                f"Send one of {' '.join(sorted(SUFFIXES))}.",
            )
        if len(self._kept) >= MOST:
            raise Refusal(429, "Too many files are kept already.", "Close a session or wait an hour.")
        return self._folder / f"{secrets.token_urlsafe(12)}{suffix}"

    def keep(self, path: Path) -> Upload:
        """Look whether it can be used. Raises Refusal; the file is gone then."""
        kind = SUFFIXES[path.suffix]
        try:
            seconds = LOOKS[kind](path)
        except (RealtimeDubError, EndOfStream) as error:
            path.unlink(missing_ok=True)
            raise Refusal(422, "The file cannot be read.", f"Choose another {kind}.") from error
        upload = Upload(path.stem, path, kind, path.stat().st_size, seconds, time.monotonic() + KEPT_S)
        self._kept[upload.id] = upload
        return upload

    def new_recording(self) -> Path:
        """Where to write one."""
        return self._folder / f"{secrets.token_urlsafe(12)}.mp4"

    def keep_recording(self, path: Path) -> Upload:
        """It stays for an hour, also when the page has gone."""
        upload = Upload(path.stem, path, "recording", path.stat().st_size, None, time.monotonic() + KEPT_S)
        self._kept[upload.id] = upload
        return upload

    def find(self, id: str, kind: str) -> Path:
        """Raises Refusal."""
        upload = self._kept.get(id)
        if upload is None or upload.kind != kind:
            raise Refusal(404, f"There is no {kind} of that name.", "Send or make it again.")
        return upload.path

    def remove(self, id: str) -> None:
        upload = self._kept.pop(id, None)
        if upload is not None:
            upload.path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what is too old."""
        for upload in list(self._kept.values()):
            if upload.until_s < time.monotonic():
                self.remove(upload.id)

    def close(self) -> None:
        self._kept.clear()
        shutil.rmtree(self._folder, ignore_errors=True)


def _seconds_of(path: Path) -> float:
    source = open_voice(str(path), clock=VirtualClock(), video_path=None, live=False)
    try:
        rate, count = source.open().rate, 0
        while count < SECONDS * rate:
            try:
                count += len(source.read().samples)
            except EndOfStream:
                break
        if not count:
            raise EndOfStream
        return round(samples_to_ns(count, rate) / NS, 2)
    finally:
        source.close()


def _look_at(path: Path) -> float | None:
    """Brings the picture to a size that can be sent: even, and no larger than a camera's."""
    source = open_video(str(path), clock=VirtualClock(), live=False)
    try:
        source.open()
        image = source.read().image
    finally:
        source.close()
    scale = min(1.0, MOST_PIXELS / max(image.shape[:2]))
    size = [max(2, int(side * scale) & ~1) for side in (image.shape[1], image.shape[0])]
    # Whatever it was called, it is a PNG from now on: files are told by their content.
    path.write_bytes(cv2.imencode(".png", cv2.resize(image, size, interpolation=cv2.INTER_AREA))[1].tobytes())
    return None


LOOKS = {"sound": _seconds_of, "picture": _look_at}
