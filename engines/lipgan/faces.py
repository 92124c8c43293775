"""Faces and voices that painters learn from: cut out of the videos once, then read where they lie on disk.

``NAME.npy`` has the faces of all tracks of a part, one after another; ``NAME.npz`` says whose they are, which pictures
of their tracks, and what is heard beside them. Both appear whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from engines.common import Array
from engines.common.dataset import Dataset, Entry, Track, as_clip
from engines.common.filmed import has_video, pictures
from engines.common.metrics import openings
from engines.common.prepare.faces import kept
from engines.common.rates import STEADY_FPS
from realtime_dub.audio.frontends import open_front_end
from realtime_dub.audio.frontends.painter_mel import PainterMelSpec
from realtime_dub.audio.frontends.windows import centred_look_ahead_ms, last_frame, windows
from realtime_dub.errors import ConfigError
from realtime_dub.face.alignment import LOWER, canonicalise
from realtime_dub.face.crop import Crop, crop_of
from realtime_dub.inference.spec import CropSpec
from realtime_dub.media import MS, NS, Floats

APART = 6  # pictures, at least, between a face and the other one of the same person
LEAST = 2 * APART + 1  # faces of a track, so that each has another one far enough away


@dataclass(frozen=True, eq=False)
class Index:
    """Of ``n`` faces in ``t`` tracks."""

    track: Array  # (n,) number of the face's track
    number: Array  # (n,) of the picture in the track, 25 a second
    motion: Array  # (n, 168, 3) float16, mouth widths: how the lower face stands apart from the resting one
    opening: Array  # (n,) of the lips, mouth widths
    points: Array  # (n, 168, 2) float16: where the lower face lies in the picture; NaN where nobody knows
    speakers: Array  # (t,) names
    names: Array  # (t,) of the tracks
    ends: Array  # (t,) where the faces of a track end
    mel: Array  # (m, 80) of all tracks, one after another
    mel_ends: Array  # (t,)


class Faces:
    """The faces of a part. ``images`` (n, size, size, 3) uint8 BGR stay on disk until they are looked at."""

    def __init__(self, path: Path, spec: PainterMelSpec, length: int) -> None:
        self.images: Array = np.load(path.with_suffix(".npy"), mmap_mode="r")
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as stored:
            self.index = Index(**{each.name: stored[each.name] for each in fields(Index)})
        self._spec, self._length, self._silent = spec, length, silent_frame(spec)
        self._look_ahead_ns = centred_look_ahead_ms(spec, length) * MS

    def __len__(self) -> int:
        return len(self.index.track)

    def rows(self, track: int) -> range:
        """The faces of a track."""
        ends = self.index.ends
        return range(int(ends[track - 1]) if track else 0, int(ends[track]))

    def windows(self, rows: Sequence[int], more: int = 0) -> Floats:
        """What is heard around each face (n, length, 80), and ``more`` frames before and behind."""
        return np.concatenate([self._window(row, more) for row in rows])

    def _window(self, row: int, more: int) -> Floats:
        track = int(self.index.track[row])
        ends = self.index.mel_ends
        mel = self.index.mel[int(ends[track - 1]) if track else 0 : int(ends[track])]
        at_ns = int(self.index.number[row]) * NS // STEADY_FPS
        last = last_frame(self._spec, at_ns, self._look_ahead_ns)
        return windows(mel, [last + more], self._length + 2 * more, self._silent)

    def others(self, row: int) -> Array:
        """The faces of the same track that are far enough away to be shown beside one, the least open mouths first."""
        own = np.asarray(self.rows(int(self.index.track[row])))
        found = own[np.abs(self.index.number[own] - self.index.number[row]) >= APART]
        return found[np.argsort(self.index.opening[found], kind="stable")]


def silent_frame(spec: PainterMelSpec) -> Floats:
    """What the front end makes of nothing (80,)."""
    found: Floats = open_front_end(spec).process(np.zeros(2 * spec.window, np.float32))[0]
    return found


def gathered(
    dataset: Dataset, entries: Sequence[Entry], crop: CropSpec, spec: PainterMelSpec, path: Path, room: int = 0
) -> None:
    """Write the faces of ``entries``, ``room`` pixels wider on each side than the net is shown.

    Raises ConfigError where a video is gone, or no track is long enough.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    side, most = crop.size + 2 * room, sum(entry.frames for entry in entries)
    partial = path.with_suffix(".part.npy")
    images = open_memmap(partial, "w+", np.uint8, (most, side, side, 3))
    parts: list[_Part] = []
    count = 0
    for entry in entries:
        part = _of_track(dataset, entry, crop, spec, room)
        if len(part.images) >= LEAST:
            images[count : count + len(part.images)] = part.images
            count += len(part.images)
            parts.append(part)
    if not parts:
        raise ConfigError("no faces in", str(dataset), f"prepare tracks of {LEAST} pictures and more")
    images.flush()
    del images
    _write_index(path, parts)
    os.replace(partial, path.with_suffix(".npy"))  # last: faces that are there are whole


@dataclass(frozen=True, eq=False)
class _Part:
    entry: Entry
    images: list[Array]
    numbers: list[int]
    motion: Array  # (T, 168, 3)
    opening: Array  # (T,)
    points: list[Array]
    mel: Array


def _of_track(dataset: Dataset, entry: Entry, crop: CropSpec, spec: PainterMelSpec, room: int) -> _Part:
    track = dataset.load(entry)
    clip, found = as_clip(track), list(_cut(track, crop, room))
    front_end = open_front_end(spec)
    mel = np.concatenate([front_end.process(track.audio), front_end.finish()])
    numbers, images, points = (list(column) for column in zip(*found, strict=True)) if found else ([], [], [])
    return _Part(entry, images, numbers, clip.motion, openings(clip.motion, clip.neutral), points, mel)


def _cut(track: Track, crop: CropSpec, room: int) -> Iterator[tuple[int, Array, Array]]:
    """The track's faces by number, out of its video, and where the lower face's points lie (168, 2); where the video is
    gone, as ``prepare-dataset --faces`` kept them.
    """
    if not room and crop == CropSpec(size=crop.size, hidden_from=crop.hidden_from) and not has_video(track.entry):
        nowhere = np.full((len(LOWER), 2), np.nan)
        yield from ((k, image, nowhere) for k, image in kept(track.entry, crop.size))
        return
    landmarks = track.landmarks()
    for k, frame in pictures(track.entry):
        if track.seen[k]:
            there = around(landmarks[k], crop, room)
            yield k, there.take(frame.image), landmarks[k][LOWER, :2] @ there.matrix[:, :2].T + there.matrix[:, 2]


def around(points: Array, crop: CropSpec, room: int = 0) -> Crop:
    """Where a bundle's ``crop`` has the face that has its landmarks (478, 3) at ``points``, and some more around it."""
    found = crop_of(canonicalise(points), crop.size, crop.alignment, crop.margins)
    matrix = found.matrix.copy()
    matrix[:, 2] += room
    return Crop(matrix, crop.size + 2 * room)


def _write_index(path: Path, parts: Sequence[_Part]) -> None:
    counts = [len(part.images) for part in parts]
    index = Index(
        track=np.repeat(np.arange(len(parts)), counts),
        number=np.concatenate([part.numbers for part in parts]),
        motion=np.concatenate([part.motion[part.numbers] for part in parts]).astype(np.float16),
        opening=np.concatenate([part.opening[part.numbers] for part in parts]).astype(np.float32),
        points=np.concatenate([np.stack(part.points) for part in parts]).astype(np.float16),
        speakers=np.array([part.entry.speaker for part in parts]),
        names=np.array([part.entry.name for part in parts]),
        ends=np.cumsum(counts),
        mel=np.concatenate([part.mel for part in parts]),
        mel_ends=np.cumsum([len(part.mel) for part in parts]),
    )
    partial = path.with_suffix(".part.npz")
    np.savez(partial, **{each.name: getattr(index, each.name) for each in fields(Index)})
    os.replace(partial, path.with_suffix(".npz"))
