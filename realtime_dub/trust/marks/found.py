"""Which parts of a film or of a sound are marked, how surely, and what the marks say.

``python -m realtime_dub.trust.marks.found FILE`` prints it as JSON.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import numpy.typing as npt

from realtime_dub.errors import MediaError, UserError
from realtime_dub.media import NS, Plane
from realtime_dub.sources.opening import open_media
from realtime_dub.trust.marks import hearing, noise, seeing, tile
from realtime_dub.trust.marks.odds import WINDOW_S, false_per_minute
from realtime_dub.trust.marks.payload import Payload
from realtime_dub.trust.marks.waves import KEY

DO = "give a film or a sound that plays"
Kind = Literal["picture", "sound"]


@dataclass(frozen=True, slots=True)
class Window:
    """What one window of a film showed."""

    begins_s: float
    ends_s: float
    z: float
    marked: bool


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part that is marked; ``says``: what the mark carries, where that could be read.

    ``false_per_minute``: at most so often a minute unmarked content would be taken for it. ``confidence``: what that
    leaves of 1.
    """

    where: Kind
    start_s: float
    end_s: float
    false_per_minute: float
    confidence: float
    says: str = ""


@dataclass(frozen=True, slots=True)
class Track:
    """All windows of the picture, or of the sound; ``payload`` where it could be read."""

    kind: Kind
    windows: tuple[Window, ...]
    tests: int
    payload: Payload | None = None

    def stretches(self) -> list[Stretch]:
        """Windows that are marked, those that touch as one."""
        joined: list[list[Window]] = []
        for window in (each for each in self.windows if each.marked):
            if joined and window.begins_s <= joined[-1][-1].ends_s:
                joined[-1].append(window)
            else:
                joined.append([window])
        return [self._stretch(each) for each in joined]

    def _stretch(self, windows: list[Window]) -> Stretch:
        least = false_per_minute(max(each.z for each in windows), self.tests)
        says = "" if self.payload is None else str(self.payload)
        return Stretch(self.kind, windows[0].begins_s, windows[-1].ends_s, least, 1 - min(1.0, least), says)


@dataclass(frozen=True, slots=True)
class Marks:
    """What was found in a file. ``damaged``: how far it could be read, where not to its end."""

    picture: Track | None
    sound: Track | None
    damaged: str | None = None

    @property
    def marked(self) -> bool:
        return bool(self.stretches())

    def stretches(self) -> list[Stretch]:
        """Of the picture, then of the sound."""
        return [each for track in (self.picture, self.sound) if track is not None for each in track.stretches()]

    def as_json(self) -> dict[str, Any]:
        """Of plain numbers, texts, lists and dicts."""
        tracks = [track for track in (self.picture, self.sound) if track is not None]
        return {
            "marked": self.marked,
            "stretches": [asdict(each) for each in self.stretches()],
            "payloads": {track.kind: asdict(track.payload) for track in tracks if track.payload is not None},
            "windows": {track.kind: [asdict(each) for each in track.windows] for track in tracks},
            "damaged": self.damaged,
        }


def found(path: str | Path, key: str = KEY) -> Marks:
    """The marks in a file. Raises MediaError where it is none that plays."""
    container = open_media(path, DO)
    try:
        return _found(container, str(path), key)
    finally:
        container.close()


def stretches_in(path: Path) -> list[Stretch]:
    """What is marked in a file, as ``findings.Detector`` wants it; nothing in one that does not play."""
    with contextlib.suppress(MediaError):
        return found(path).stretches()
    return []


def _found(container: Any, name: str, key: str) -> Marks:
    picture = PictureTrack(key) if container.streams.video else None
    sound: SoundTrack | None = None
    chosen = [streams[0] for streams in (container.streams.video, container.streams.audio) if streams]
    if not chosen:
        raise MediaError("there is nothing to see or to hear in", name, DO)
    damaged = None
    try:
        for frame in container.decode(*chosen):
            if isinstance(frame, av.VideoFrame):
                if picture is not None:
                    picture.add(np.asarray(frame.to_ndarray(format="gray"), np.uint8), _instant(frame, picture))
            else:
                sound = sound or SoundTrack(frame.sample_rate, key)
                sound.add(frame)
    except (av.FFmpegError, ValueError) as error:
        damaged = str(error)
    return Marks(None if picture is None else picture.end(), None if sound is None else sound.end(), damaged)


def _instant(frame: av.VideoFrame, track: PictureTrack) -> int:
    return track.next_ns if frame.time is None else round(frame.time * NS)


class PictureTrack:
    """Takes frames of a film in order."""

    def __init__(self, key: str = KEY) -> None:
        self._watching, self._seer = seeing.Watching(), seeing.Seer(key)
        self._windows: list[Window] = []
        self._waves = np.zeros(len(tile.places()[0]), np.complex128)
        self.next_ns = 0  # where a frame belongs that does not say when it is

    def add(self, luma: Plane, at_ns: int) -> None:
        """A frame's luma (height, width)."""
        self.next_ns = at_ns + NS // 25
        self._look(self._watching.add(luma, at_ns))

    def end(self) -> Track:
        self._look(self._watching.flush())
        return Track("picture", tuple(self._windows), seeing.TESTS, self._seer.read(self._waves))

    def _look(self, windows: Iterator[tuple[int, tile.Floats]]) -> None:
        for at_ns, window in windows:
            look = self._seer.look(window)
            begins_s, lasts_s = at_ns / NS, len(window) * seeing.PART_NS / NS
            marked = seeing.found(look)
            self._windows.append(Window(begins_s, begins_s + lasts_s, look.z, marked))
            if marked:
                self._waves += look.waves


class SoundTrack:
    """Takes a sound of ``rate`` in order."""

    def __init__(self, rate: int, key: str = KEY) -> None:
        self._rate = rate
        self._mono = av.AudioResampler("flt", "mono", rate)
        self._listening, self._listener = hearing.Listening(rate), hearing.Listener(rate, key)
        self._windows: list[Window] = []
        self._waves = np.zeros(len(noise.numbers()), np.complex128)

    def add(self, frame: av.AudioFrame) -> None:
        for part in self._mono.resample(frame):
            self.hear(np.asarray(part.to_ndarray()[0], np.float32))

    def hear(self, mono: npt.NDArray[np.float32]) -> None:
        """(n,) samples, -1..1."""
        self._listen(self._listening.add(mono))

    def end(self) -> Track:
        self._listen(self._listening.flush())
        return Track("sound", tuple(self._windows), hearing.TESTS, self._listener.read(self._waves))

    def _listen(self, windows: Iterable[tuple[int, npt.NDArray[np.float32]]]) -> None:
        for at_ns, window in windows:
            heard = self._listener.listen(window)
            begins_s, marked = at_ns / NS, hearing.found(heard)
            lasts_s = min(len(window) / self._rate, WINDOW_S)
            self._windows.append(Window(begins_s, begins_s + lasts_s, heard.z, marked))
            if marked:
                self._waves += heard.waves


def main() -> None:
    try:
        print(json.dumps(found(sys.argv[1]).as_json(), indent=1))
    except UserError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
