"""One video file to its tracks: runs in a worker process, and leaves whole files or none."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.grid import to_16k
from engines.common.prepare.layouts import Clip
from engines.common.prepare.offset import HOP_MS, MARGIN
from engines.common.prepare.segments import FPS, LEAST, THUMB, Look, Track, cut_tracks, look
from realtime_dub.errors import MediaError, UserError
from realtime_dub.face.types import Points
from realtime_dub.media import MS, Frame, ns_to_samples
from realtime_dub.sources.base import read_all

RATE = 16_000
MARGIN_SAMPLES = MARGIN * HOP_MS * RATE // 1000


class FaceReader:
    """Landmarks of the one face of a video's frames; made once per process, since loading takes long."""

    def __init__(self) -> None:
        import cv2

        from realtime_dub.face.models import Mesh

        cv2.setNumThreads(1)  # the workers share the cores
        self._mesh = Mesh(1)

    def start(self) -> None:
        """Forget the last video's face: without one in the picture, the next is searched for anew."""
        self._mesh.forget()

    def find(self, frame: Frame) -> Points | None:
        """(478, 3) pixels."""
        found = self._mesh.find(frame.image)
        return found[0] if found else None


@cache
def _reader() -> FaceReader:
    return FaceReader()


def record_path(out: Path, name: str) -> Path:
    """Where the record of a clip is kept; it is written last, so that a clip that has one is done."""
    return out / "clips" / f"{name}.json"


def track_path(out: Path, name: str) -> Path:
    return out / "tracks" / f"{name}.npz"


def stamp(path: Path) -> list[int]:
    """Changes with the file."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def process(clip: Clip, out: Path, sizes: Sequence[int]) -> str:
    """Write the tracks and the record of a clip; returns what was wrong with it, empty where it has tracks."""
    try:
        found, why = _write_tracks(clip, out, sizes), ""
    except UserError as error:
        found, why = [], str(error)
    except Exception as error:  # whatever a broken file brings up is no reason to stop at it
        found, why = [], f"{type(error).__name__}: {error}"
    if not found and not why:
        why = f"no face was seen for {LEAST / FPS:g} s at a stretch"
    record(clip, out, found, why)
    return why


def record(clip: Clip, out: Path, tracks: list[dict[str, object]], why: str) -> None:
    """Write what became of a clip."""
    row = {
        "name": clip.name,
        "file": str(clip.path),
        "stamp": stamp(clip.path),
        "speaker": clip.speaker,
        "words": clip.words,
        "text": clip.text,
        "tracks": tracks,
        "error": why,
    }
    write_whole(record_path(out, clip.name), json.dumps(row).encode())


def write_whole(path: Path, content: bytes) -> None:
    """The file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.write_bytes(content)
    os.replace(partial, path)


def _write_tracks(clip: Clip, out: Path, sizes: Sequence[int]) -> list[dict[str, object]]:
    sound = read_sound(clip.path)
    rows: list[dict[str, object]] = []
    for number, track in enumerate(cut_tracks(_looks(clip.path, sizes))):
        name = f"{clip.name}.{number:03}" if number else clip.name
        _save(track_path(out, name), track, _around(sound, track), sizes)
        rows.append({"name": name, "frames": len(track), "start_ms": round(track.start_ns / MS)})
    return rows


def _looks(path: Path, sizes: Sequence[int]) -> Iterator[Look]:
    from realtime_dub.sources.video_file import VideoFileSource

    reader, video = _reader(), VideoFileSource(path)
    wanted = sorted({*sizes, THUMB})
    reader.start()
    video.open()
    before: Look | None = None
    try:
        for frame in read_all(video.read):
            now = look(frame, reader.find(frame), before, wanted)
            if now.crops:
                before = now
            yield now
    finally:
        video.close()


def read_sound(path: Path) -> Array:
    """The sound of a video (n,) at 16 kHz, mono, on the time line of its pictures. Raises MediaError without any."""
    from realtime_dub.audio.mono import MonoMixer
    from realtime_dub.sources.audio_file import AudioFileSource

    source = AudioFileSource(path)
    rate = source.open().rate
    mono = MonoMixer(rate)  # as a live voice is heard
    try:
        blocks = [mono(block.samples) for block in read_all(source.read)]
    finally:
        source.close()
    sound = to_16k(np.concatenate(blocks), rate)
    if not np.any(np.abs(sound) > 1e-4):
        raise MediaError("only silence in", str(path))
    return sound


def pcm16(sound: Array) -> Array:
    """Sound as 16 bits hold it: what was 16 bits before comes out as it was."""
    return np.clip(np.round(sound * 32768), -32768, 32767).astype("<i2")


def _around(sound: Array, track: Track) -> Array:
    """The sound of a track and of half a second on either side (n,), silence where there is none."""
    start = ns_to_samples(track.start_ns, RATE) - MARGIN_SAMPLES
    count = len(track) * RATE // FPS + 2 * MARGIN_SAMPLES
    part = np.zeros(count, np.float32)
    low, high = max(0, start), min(len(sound), start + count)
    if high > low:
        part[low - start : high - start] = sound[low:high]
    return part


def _save(path: Path, track: Track, sound: Array, sizes: Sequence[int]) -> None:
    arrays: dict[str, Array] = {
        "canonical": track.canonical,
        "rotation": track.rotation,
        "scale": track.scale,
        "shift": track.shift,
        "seen": track.seen,
        "matrix": track.matrix,
        "sound": pcm16(sound),
        "thumb": np.frombuffer(track.crops[THUMB][len(track) // 2], np.uint8),
    }
    for size in sizes:
        pictures = track.crops[size]
        arrays[f"crop{size}"] = np.frombuffer(b"".join(pictures), np.uint8)
        arrays[f"crop{size}_ends"] = np.cumsum([len(picture) for picture in pictures])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}.{os.getpid()}.part.npz")
    np.savez(partial, **arrays)
    os.replace(partial, path)
