"""Faces to put things before: squares around the mouths of filmed tracks, cut out of their videos once."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset, Entry
from engines.common.prepare.clip import record_path
from engines.common.rates import STEADY_FPS
from realtime_dub.clock import VirtualClock
from realtime_dub.errors import ConfigError
from realtime_dub.face.alignment import fit_pose
from realtime_dub.face.crop import crop_about
from realtime_dub.media import MS, NS
from realtime_dub.mouth.mouthbank.occlusion_view import CENTRE, SIDE, SIZE, taken
from realtime_dub.sources.base import read_all
from realtime_dub.sources.registry import open_video

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
    track, (path, start_ns) = dataset.load(entry), _video_of(entry)
    landmarks, half_ns = track.landmarks(), NS // STEADY_FPS // 2
    source = open_video(str(path), clock=VirtualClock(), live=False)
    source.open()
    try:
        for frame in read_all(source.read):
            k, off_ns = divmod(frame.pts_ns - start_ns + half_ns, 2 * half_ns)
            if not 0 <= k < len(landmarks) or k % every or not track.seen[k] or abs(off_ns - half_ns) > half_ns // 2:
                continue
            crop = crop_about(fit_pose(landmarks[k]), PIXELS, ROOM, CENTRE)
            points = landmarks[k, :, :2] @ crop.matrix[:, :2].T + crop.matrix[:, 2]
            yield taken(frame.image, crop), points.astype(np.float32)
    finally:
        source.close()


def _video_of(entry: Entry) -> tuple[Path, int]:
    """The video that a track was cut from, and where the track begins in it, ns. The second of a video has a number."""
    for name in (entry.track, entry.track.rpartition(".")[0]):
        path = record_path(entry.root, name)
        record = json.loads(path.read_text()) if path.is_file() else {"tracks": []}
        for track in record["tracks"]:
            if track["name"] == entry.track and Path(record["file"]).is_file():
                return Path(record["file"]), track["start_ms"] * MS
    raise ConfigError("no video of track", f"{entry.track} in {entry.root}", "put the videos back where they were")
