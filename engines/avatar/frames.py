"""An avatar's data as the picture net learns it: drawings, pictures, mattes, and what counts more of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engines.avatar.cutting import PICTURES
from engines.avatar.mattes import ALPHA
from engines.avatar.person import pose_of
from engines.avatar.stored import Stored
from engines.common import Array
from engines.common.dataset import Dataset, Entry
from realtime_dub.errors import ConfigError
from realtime_dub.face.landmarks import LIPS
from realtime_dub.mouth.avatar.edges import EYE_LEFT, EYE_RIGHT, drawn
from realtime_dub.mouth.avatar.folder import ABOUT, read_about, read_person, read_plate

HELD = 0.1  # of one track alone, its last pictures, which are not learnt from
LEAST = 25  # pictures


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures of a net's size. Values 0..1, but for ``weight``."""

    drawings: Array  # (n, 3, size, size)
    pictures: Array  # (n, 3, size, size)
    mattes: Array  # (n, 1, size, size)
    weight: Array  # (n, 1, size, size) how much a pixel counts


@dataclass(frozen=True, eq=False)
class _Part:
    """One track, or a part of it."""

    pictures: Stored
    mattes: Stored
    face: Array  # (n, 478, 2) in pixels of the net's picture, by row
    body: Array  # (n, 4, 2)
    rows: Array  # (m,) those that belong to it


class Frames:
    """Tracks one after another, read as they are needed. ``mouth`` and ``eyes``: what these count beside 1."""

    def __init__(self, parts: list[_Part], size: int, mouth: float, eyes: float) -> None:
        self._parts, self._size, self._mouth, self._eyes = parts, size, mouth, eyes
        self._index = [(number, int(row)) for number, part in enumerate(parts) for row in part.rows]

    def __len__(self) -> int:
        return len(self._index)

    def rows(self) -> list[list[int]]:
        """Places that follow one another in the recording, by track."""
        found: list[list[int]] = [[] for _ in self._parts]
        for place, (number, _) in enumerate(self._index):
            found[number].append(place)
        return found

    def triples(self) -> Array:
        """Places (k,) behind which two more follow without a hole."""
        good = []
        for places in self.rows():
            for first in places[:-2]:
                number, row = self._index[first]
                numbers = self._parts[number].pictures.numbers
                if row + 2 < len(numbers) and numbers[row + 2] - numbers[row] == 2:
                    good.append(first)
        return np.array(good, int)

    def batch(self, places: Sequence[int] | Array) -> Batch:
        """Those at ``places``."""
        made = [self._one(*self._index[int(place)]) for place in places]
        stacked = (np.stack(each) for each in zip(*made, strict=True))
        return Batch(*stacked)

    def drawing(self, place: int) -> Array:
        """(size, size, 3) BGR, 0..255."""
        number, row = self._index[place]
        part = self._parts[number]
        return drawn(part.face[row], part.body[row], self._size)

    def picture(self, place: int) -> Array:
        """The true one (size, size, 3) BGR, 0..255."""
        number, row = self._index[place]
        return self._sized(self._parts[number].pictures.read(row))

    def _one(self, number: int, row: int) -> tuple[Array, Array, Array, Array]:
        part = self._parts[number]
        drawing = drawn(part.face[row], part.body[row], self._size)
        picture, matte = self._sized(part.pictures.read(row)), self._sized(part.mattes.read(row))
        shown, wanted = (each.transpose(2, 0, 1).astype(np.float32) / 255 for each in (drawing, picture))
        return shown, wanted, matte[None].astype(np.float32) / 255, self._weights(part.face[row])[None]

    def _weights(self, face: Array) -> Array:
        weight = np.ones((self._size, self._size), np.float32)
        for points, much in ((EYE_LEFT, self._eyes), (EYE_RIGHT, self._eyes), (LIPS, self._mouth)):
            low, high = face[points].min(0), face[points].max(0)
            room = 0.25 * (high - low).max()
            (x0, y0), (x1, y1) = (
                np.clip(np.rint(each), 0, self._size).astype(int) for each in (low - room, high + room)
            )
            weight[y0:y1, x0:x1] = 1 + much
        return weight

    def _sized(self, image: Array) -> Array:
        if image.shape[0] == self._size:
            return image
        how = cv2.INTER_AREA if image.shape[0] > self._size else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image, (self._size, self._size), interpolation=how), np.uint8)


def folder_of(dataset: Dataset) -> Path:
    """The avatar whose ``data/`` a data set is. Raises ConfigError for another one."""
    folder = dataset.roots[0].parent
    if not (folder / ABOUT).exists() or not read_about(folder).prepared:
        raise ConfigError("no avatar's data:", str(dataset), "give --video FILM")
    return folder


def read(dataset: Dataset, size: int, mouth: float, eyes: float) -> tuple[Frames, Frames]:
    """To learn from, and to be judged by. Raises ConfigError where there is too little."""
    train = [entry for entry in dataset.entries if entry.part == "train"]
    held = [entry for entry in dataset.entries if entry.part != "train"]
    read_one = _Reader(dataset, size)
    if held:
        parts = [read_one(entry) for entry in train], [read_one(entry) for entry in held]
    else:
        parts = [read_one(entry, 0, 1 - HELD) for entry in train], [read_one(entry, 1 - HELD, 1) for entry in train]
    own, judged = (Frames(each, size, mouth, eyes) for each in parts)
    if len(own) < LEAST or not len(judged):
        raise ConfigError("cannot learn a person from", f"{len(own)} pictures in {dataset}", "give a longer film")
    return own, judged


class _Reader:
    def __init__(self, dataset: Dataset, size: int) -> None:
        self._dataset, self._size = dataset, size
        folder = folder_of(dataset)
        self._about, self._person = read_about(folder), read_person(folder)

    def __call__(self, entry: Entry, first: float = 0, last: float = 1) -> _Part:
        """A track, from one share of it to another."""
        data = self._dataset.roots[0]
        pictures, mattes = (Stored(data, kind, entry.track) for kind in (PICTURES, ALPHA))
        track, square = self._dataset.load(entry), self._about.shown
        points, numbers = track.landmarks(), pictures.numbers
        face = np.stack([square.places(points[number], self._size) for number in numbers])
        poses = [pose_of(track, int(number)) for number in numbers]
        body = np.stack([square.places(self._person.body.places(pose), self._size) for pose in poses])
        rows = np.arange(round(first * len(numbers)), round(last * len(numbers)))
        return _Part(pictures, mattes, face, body, rows[track.seen[numbers[rows]]])


def plate_of(dataset: Dataset, size: int) -> Array:
    """What is behind the person (3, size, size), 0..1."""
    return read_plate(folder_of(dataset), size).transpose(2, 0, 1).astype(np.float32) / 255
