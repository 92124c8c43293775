"""Open mouths to learn from: squares of filmed frames, with their lips and where the teeth would be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset, Entry, Track, evenly
from engines.common.filmed import pictures
from realtime_dub.errors import ConfigError
from realtime_dub.face.alignment import mouth_width, neutral_shape
from realtime_dub.face.types import Face, Points, Pose, TrackedFrame
from realtime_dub.mouth.mouthbank.bank import lip_shape
from realtime_dub.mouth.mouthbank.cavity import max_lip_opening
from realtime_dub.mouth.mouthbank.inside import outlines, view_of
from realtime_dub.mouth.mouthbank.occlusion_view import taken

LEAST = 0.05  # mouth widths between lips that are worth a look inside
SHARP_PX = 50  # mouth widths from which a camera counts as another one of the same person
IMAGE, OUTER, INNER = slice(0, 3), 3, 4  # channels


@dataclass(frozen=True, eq=False)
class Filmed:
    """A track with its pictures: what was tracked, by number, and how far each mouth is open, mouth widths."""

    speaker: str
    frames: list[TrackedFrame]
    numbers: Array  # (n,) of the pictures
    shapes: Array  # (n, 40, 3) lips in mouth widths
    openings: Array  # (n,)
    neutral: Points  # (478, 3)


def filmed(dataset: Dataset, entry: Entry) -> Filmed:
    """A track with the pictures in which the face was seen."""
    track = dataset.load(entry)
    landmarks, neutral = track.landmarks(), neutral_shape(track.canonical[track.seen])
    found = [(k, TrackedFrame(frame, _face(track, landmarks, k))) for k, frame in pictures(entry) if track.seen[k]]
    shapes = np.stack([lip_shape(track.canonical[k], neutral) for k, _ in found])
    openings = np.array([max_lip_opening(shape) for shape in shapes])
    numbers = np.array([k for k, _ in found])
    return Filmed(entry.speaker, [frame for _, frame in found], numbers, shapes, openings, neutral)


def _face(track: Track, landmarks: Array, k: int) -> Face:
    pose = Pose(track.rotation[k], float(track.scale[k]), track.shift[k])
    return Face(landmarks[k].astype(np.float32), track.canonical[k], pose)


@dataclass(frozen=True, eq=False)
class Mouths:
    """Open mouths, and who showed them to which camera."""

    packed: Array  # (n, SIZE, SIZE, 5) uint8: BGR, what outer and inner lips enclose
    jaws: Array  # (n, 2, 4) as the net takes them
    cameras: Array  # (n,) names


def mouths_of(film: Filmed, most: int) -> Iterator[tuple[Array, Array, str]]:
    """At most ``most`` open mouths of a track, in order of how far they are open: packed, jaws and camera."""
    openings = film.openings
    found = np.flatnonzero(openings >= LEAST)
    found = found[np.argsort(openings[found])]
    for k in found[np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int))]:
        tracked = film.frames[k]
        assert tracked.face is not None
        face, pose = tracked.face, tracked.face.pose
        view = view_of(film.neutral, face.canonical, pose)
        masks = outlines(face.points, view.crop)
        sharp = pose.scale * mouth_width(film.neutral) >= SHARP_PX
        packed = np.concatenate([taken(tracked.frame.image, view.crop), masks.transpose(1, 2, 0)], -1)
        yield packed, view.jaws, film.speaker + (" near" if sharp else "")


def gathered(dataset: Dataset, entries: Sequence[Entry], each: int, most: int) -> Mouths:
    """Of at most ``most`` tracks of each speaker, ``each`` of a track. Raises ConfigError where no mouth is open."""
    by_speaker: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_speaker[entry.speaker].append(entry)
    rows: list[tuple[Array, Array, str]] = []
    for _, own in sorted(by_speaker.items()):
        for entry in evenly(own, most):
            rows += mouths_of(filmed(dataset, entry), each)
    if not rows:
        raise ConfigError("no open mouths in", str(dataset), "prepare videos of people who speak")
    packed, jaws, cameras = zip(*rows, strict=True)
    return Mouths(np.stack(packed), np.stack(jaws), np.array(cameras))
