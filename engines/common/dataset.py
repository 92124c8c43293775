"""Reads what ``prepare-dataset`` has written: tracks of people talking, filmed or only heard, and their phonemes.

``DIR/tracks.jsonl`` is the index, ``DIR/phones.jsonl`` tells of alignments. Of a track there are ``sound/NAME.wav``;
where it is filmed ``tracks/NAME.npz`` (face and pictures, 25 per second, sound in step) and ``speech/NAME.npy``; where
it is aligned ``mel/NAME.npy`` and ``phones/NAME.npy``; where it was listened to ``vectors/NAME.npy``, and ``mel`` and
``speech`` besides.
"""

from __future__ import annotations

import json
import wave
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from engines.common import Array
from engines.common.grid import Clip, Words
from realtime_dub.errors import ConfigError
from realtime_dub.face.alignment import LOWER, mouth_width, neutral_shape, project
from realtime_dub.face.types import Pose

PARTS = ("train", "validation", "test")
INDEX, ALIGNMENTS = "tracks.jsonl", "phones.jsonl"
LOW_SCORE = 0.04  # of the tracks of a language in a corpus, the share that fits its text worst, is left out


@dataclass(frozen=True)
class Entry:
    """A row of the index, and of its last alignment, which is empty where none was tried."""

    track: str
    speaker: str
    part: str
    frames: int = 0  # pictures; none of who is only heard
    text: str = ""
    words: Words = field(default_factory=list)  # ms from the first picture
    offset_ms: float = 0.0  # that was taken out
    corpus: str = ""
    language: str = ""
    gender: str = ""  # "male", "female" or "" where it is unknown
    seconds: float = 0.0  # of aligned sound; 0 where the alignment failed
    score: float = 0.0  # of the alignment, in its aligner's units
    sane: bool = False  # whether text and sound belong together
    aligner: str = ""
    root: Path = Path()  # the prepared folder
    alias: str = ""  # where another folder has a track of the same name

    @property
    def name(self) -> str:
        """By which the track differs from all others of its data set."""
        return self.alias or self.track

    @property
    def filmed(self) -> bool:
        return self.frames > 0

    @property
    def listened(self) -> bool:
        """There are vectors of it."""
        return self.file("vectors", ".npy").exists()

    def length_s(self) -> float:
        """Of its sound, aligned or not."""
        with wave.open(str(self.file("sound", ".wav"))) as file:
            return file.getnframes() / file.getframerate()

    def file(self, kind: str, suffix: str) -> Path:
        """Where a part of the track lies."""
        return self.root / kind / f"{self.track}{suffix}"


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
    """Prepared folders, one after another. Raises ConfigError where one is none."""

    def __init__(self, *roots: Path) -> None:
        self.roots = roots
        self.entries = _distinct([entry for root in roots for entry in read_entries(root) if entry.part])

    def __str__(self) -> str:
        return ", ".join(map(str, self.roots))

    def part(self, name: str) -> list[Entry]:
        """The filmed tracks of train, validation or test. Raises ConfigError where there is none."""
        found = [entry for entry in self.entries if entry.filmed and entry.part == name]
        if not found:
            raise ConfigError("no tracks for", f"{name} in {self}", "prepare more videos, of several speakers")
        return found

    def spoken(self, part: str | None = None) -> list[Entry]:
        """The tracks whose phonemes are to be trusted, filmed or not. Raises ConfigError where there is none."""
        found = [entry for entry in usable(self.entries) if part in (None, entry.part)]
        if not found:
            named = f"{part} in {self}" if part else str(self)
            raise ConfigError("no phonemes for", named, "add a folder of prepare-dataset SPEECH --layout speech")
        return found

    def listened(self, part: str | None = None) -> list[Entry]:
        """The tracks of which there are vectors, aligned or not. Raises ConfigError where there is none."""
        found = [entry for entry in self.entries if part in (None, entry.part) and entry.listened]
        if not found:
            named = f"{part} in {self}" if part else str(self)
            raise ConfigError("no vectors for", named, "prepare the folders again with --vectors")
        return found

    def load(self, entry: Entry) -> Track:
        """Everything of a filmed track but its pictures."""
        with np.load(entry.file("tracks", ".npz"), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in ("canonical", "rotation", "scale", "shift", "seen")}
        speech = np.load(entry.file("speech", ".npy"), allow_pickle=False)
        return Track(entry, **arrays, audio=self.audio(entry), speech=speech)

    def clip(self, entry: Entry) -> Clip:
        """A filmed track as motion nets learn it."""
        return as_clip(self.load(entry))

    def clip_as_filmed(self, entry: Entry) -> Clip:
        """As :meth:`clip`, the offset that was taken out put back: sound as far from its picture as it was filmed."""
        with np.load(entry.file("tracks", ".npz"), allow_pickle=False) as stored:
            raw = stored["sound"].astype(np.float32) / 32768
        clip = self.clip(entry)
        margin = (len(raw) - len(clip.audio)) // 2
        late = round(entry.offset_ms)
        words = [(start + late, end + late, word) for start, end, word in clip.words or []]
        return replace(clip, audio=raw[margin : margin + len(clip.audio)], words=words or None)

    def audio(self, entry: Entry) -> Array:
        """The sound (n,) at 16 kHz."""
        return read_wav(entry.file("sound", ".wav"))

    def phones(self, entry: Entry) -> tuple[Array, Array]:
        """Of an aligned track the log band powers (n, bands) float16 and the class (n,) spoken in each 10 ms."""
        log_power, labels = (np.load(entry.file(kind, ".npy"), allow_pickle=False) for kind in ("mel", "phones"))
        return log_power, labels

    def vectors(self, entry: Entry) -> Array:
        """What the Whisper encoder hears of a track (m, 512) float16, 50 times a second."""
        return np.asarray(np.load(entry.file("vectors", ".npy"), allow_pickle=False))

    def power(self, entry: Entry) -> Array:
        """The log band powers (n, bands) float16 of a track that is aligned or was listened to."""
        return np.asarray(np.load(entry.file("mel", ".npy"), allow_pickle=False))

    def activity(self, entry: Entry) -> Array:
        """Where somebody speaks (n,), every 10 ms, in a track that is filmed or was listened to."""
        return np.asarray(np.load(entry.file("speech", ".npy"), allow_pickle=False))

    def mouths(self, entry: Entry, size: int, chosen: Array | None = None) -> Array:
        """Pictures of the mouth (n, size, size, 3) BGR: all of a track, or those of the numbers ``chosen``."""
        import cv2

        with np.load(entry.file("tracks", ".npz"), allow_pickle=False) as stored:
            if f"crop{size}" not in stored:
                raise ConfigError("no mouth pictures of", f"{size} pixels in {entry.root}", "prepare with --crops")
            data, ends = stored[f"crop{size}"], stored[f"crop{size}_ends"]
        starts = np.concatenate([[0], ends[:-1]])
        numbers = np.arange(len(ends)) if chosen is None else chosen
        return np.stack([cv2.imdecode(data[starts[k] : ends[k]], cv2.IMREAD_COLOR) for k in numbers])


def as_clip(track: Track) -> Clip:
    """A track in the person's mouth widths, from its own neutral shape."""
    neutral = neutral_shape(track.canonical[track.seen])
    width = mouth_width(neutral)
    motion = ((track.canonical[:, LOWER] - neutral[LOWER]) / width).astype(np.float32)
    entry = track.entry
    return Clip(entry.name, track.audio, motion, track.fps, neutral / width, entry.words or None, speaker=entry.speaker)


def evenly(entries: list[Entry], most: int) -> list[Entry]:
    """Up to ``most`` of them, evenly chosen."""
    return [entries[i] for i in np.linspace(0, len(entries) - 1, min(most, len(entries))).astype(int)]


def of_each(entries: list[Entry], most: int) -> list[Entry]:
    """Up to ``most`` tracks of each person, evenly chosen."""
    people = dict.fromkeys(entry.speaker for entry in entries)
    return [each for name in people for each in evenly([entry for entry in entries if entry.speaker == name], most)]


def _distinct(entries: list[Entry]) -> list[Entry]:
    """Entries whose names differ: sentences of one corpus are called alike in the folders of its speakers."""
    counts = Counter(entry.track for entry in entries)
    return [
        replace(entry, alias=f"{entry.root.resolve()}/{entry.track}") if counts[entry.track] > 1 else entry
        for entry in entries
    ]


def usable(entries: Iterable[Entry]) -> list[Entry]:
    """The aligned tracks to learn from: sane, and not among the worst scores of their kind."""
    sane = [entry for entry in entries if entry.sane and entry.seconds > 0]
    scores: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for entry in sane:
        scores[_kind(entry)].append(entry.score)
    least = {kind: float(np.quantile(own, LOW_SCORE)) for kind, own in scores.items()}
    return [entry for entry in sane if entry.score >= least[_kind(entry)]]


def _kind(entry: Entry) -> tuple[str, str, str]:
    return entry.corpus, entry.language, entry.aligner


def read_entries(root: Path) -> list[Entry]:
    """Every track of a prepared folder, dropped ones too. Raises ConfigError where it is none."""
    if not (root / INDEX).exists():
        raise ConfigError("not a prepared data set:", str(root), "make one with prepare-dataset FOLDER -o DIR")
    aligned = {row["track"]: row for row in read_rows(root / ALIGNMENTS)}
    rows = {row["track"]: row for row in read_rows(root / INDEX)}
    return [_entry(row | aligned.get(track, {}), root) for track, row in rows.items()]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a list that may be missing, or end where its writer was killed."""
    text = path.read_text("utf-8") if path.exists() else ""
    whole, _, _ = text.rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def _entry(row: dict[str, Any], root: Path) -> Entry:
    words = [(int(start), int(end), str(word)) for start, end, word in row.get("words", [])]
    known = {name: row[name] for name in Entry.__dataclass_fields__ if name in row}
    return Entry(**known | {"words": words, "root": root})


def read_wav(path: Path) -> Array:
    """Mono 16-bit sound as float32 (n,)."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
