"""Faces to put things before: squares around the mouths of filmed tracks, cut out of their videos once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset, Entry
from engines.common.filmed import pictures
from realtime_dub.face.alignment import fit_pose
from realtime_dub.face.crop import crop_about
from realtime_dub.mouth.mouthbank.occlusion_view import CENTRE, SIDE, SIZE, taken

ROOM = 5.0  # template units a side: more than the net is shown, so that what it is shown can be moved about
PIXELS = round(SIZE / SIDE * ROOM)


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces of people without anything before them."""

    images: Array  # (n, PIXELS, PIXELS, 3) uint8 BGR
    points: Array  # (n, 478, 2) pixels of the images
    speakers: Array  # (n,) names

    def __len__(self) -> int:
        return len(self.images)

    def of(self, chosen: Array) -> Faces:
        return Faces(self.images[chosen], self.points[chosen], self.speakers[chosen])

    def save(self, path: Path) -> None:
        partial = path.with_suffix(".part.npz")
        np.savez(partial, images=self.images, points=self.points, speakers=self.speakers)
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Faces:
        with np.load(path, allow_pickle=False) as stored:
            return cls(stored["images"], stored["points"], stored["speakers"])


def gathered(dataset: Dataset, entries: Sequence[Entry], every: int, most: int) -> Faces:
    """Every ``every``-th picture of at most ``most`` tracks of each speaker, evenly chosen. Raises ConfigError."""
    by_speaker: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_speaker[entry.speaker].append(entry)
    rows = [
        (image, points, speaker)
        for speaker, own in sorted(by_speaker.items())
        for place in np.unique(np.linspace(0, len(own) - 1, min(most, len(own))).round().astype(int))
        for image, points in _of_track(dataset, own[place], every)
    ]
    images, points, speakers = zip(*rows, strict=True)
    return Faces(np.stack(images), np.stack(points), np.array(speakers))


def _of_track(dataset: Dataset, entry: Entry, every: int) -> Iterator[tuple[Array, Array]]:
    track = dataset.load(entry)
    landmarks = track.landmarks()
    for k, frame in pictures(entry):
        if k % every or not track.seen[k]:
            continue
        crop = crop_about(fit_pose(landmarks[k]), PIXELS, ROOM, CENTRE)
        points = landmarks[k, :, :2] @ crop.matrix[:, :2].T + crop.matrix[:, 2]
        yield taken(frame.image, crop), points.astype(np.float32)
