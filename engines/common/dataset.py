"""Reads what ``prepare-dataset`` has written: tracks of talking faces, 25 pictures per second, sound in step.

``DIR/tracks.jsonl`` is the index, ``DIR/{train,validation,test}.txt`` are the lists. Of a track there are
``tracks/NAME.npz`` (face and pictures), ``sound/NAME.wav`` and ``speech/NAME.npy``.
"""

from __future__ import annotations

import json
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.grid import Words
from realtime_dub.errors import ConfigError
from realtime_dub.face.alignment import project
from realtime_dub.face.types import Pose

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Entry:
    """A track as the index tells of it."""

    track: str
    speaker: str
    frames: int
    part: str
    text: str
    words: Words  # ms from the first picture
    offset_ms: float  # that was taken out


@dataclass(frozen=True, eq=False)
class Track:
    """One face talking. ``canonical`` is in template units; ``scale * canonical @ rotation.T + shift`` is in pixels."""

    entry: Entry
    canonical: Array  # (T, 478, 3)
    rotation: Array  # (T, 3, 3)
    scale: Array  # (T,)
    shift: Array  # (T, 3)
    seen: Array  # (T,) False where the face is interpolated
    audio: Array  # (T * 640,) float32, 16 kHz; sample i belongs to the instant i / 16000, picture k to k / 25
    speech: Array  # (T * 4,) bool, every 10 ms
    fps: float = 25.0

    def landmarks(self) -> Array:
        """The face's points (T, 478, 3) in pixels of the video."""
        poses = zip(self.rotation, self.scale, self.shift, strict=True)
        return np.stack([project(c, Pose(r, s, t)) for c, (r, s, t) in zip(self.canonical, poses, strict=True)])


class Dataset:
    """A prepared folder. Raises ConfigError where it is none."""

    def __init__(self, root: Path) -> None:
        self.root = root
        index = root / "tracks.jsonl"
        if not index.exists():
            raise ConfigError("not a prepared data set:", str(root), "make one with prepare-dataset FOLDER -o DIR")
        rows = [json.loads(line) for line in index.read_text().splitlines()]
        self.entries = [_entry(row) for row in rows if row["part"]]

    def part(self, name: str) -> list[Entry]:
        """The entries of train, validation or test. Raises ConfigError where there is none."""
        found = [entry for entry in self.entries if entry.part == name]
        if not found:
            raise ConfigError("no tracks for", f"{name} in {self.root}", "prepare more videos, of several speakers")
        return found

    def load(self, entry: Entry) -> Track:
        """Everything of a track but its pictures."""
        with np.load(self.root / "tracks" / f"{entry.track}.npz", allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in ("canonical", "rotation", "scale", "shift", "seen")}
        audio = read_wav(self.root / "sound" / f"{entry.track}.wav")
        speech = np.load(self.root / "speech" / f"{entry.track}.npy", allow_pickle=False)
        return Track(entry, **arrays, audio=audio, speech=speech)

    def mouths(self, entry: Entry, size: int, chosen: Array | None = None) -> Array:
        """Pictures of the mouth (n, size, size, 3) BGR: all of a track, or those of the numbers ``chosen``."""
        import cv2

        with np.load(self.root / "tracks" / f"{entry.track}.npz", allow_pickle=False) as stored:
            if f"crop{size}" not in stored:
                raise ConfigError("no mouth pictures of", f"{size} pixels in {self.root}", "prepare with --crops")
            data, ends = stored[f"crop{size}"], stored[f"crop{size}_ends"]
        starts = np.concatenate([[0], ends[:-1]])
        numbers = np.arange(len(ends)) if chosen is None else chosen
        return np.stack([cv2.imdecode(data[starts[k] : ends[k]], cv2.IMREAD_COLOR) for k in numbers])


def _entry(row: dict) -> Entry:
    words = [(int(start), int(end), str(word)) for start, end, word in row["words"]]
    return Entry(row["track"], row["speaker"], row["frames"], row["part"], row["text"], words, row["offset_ms"])


def read_wav(path: Path) -> Array:
    """Mono 16-bit sound as float32 (n,)."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
