"""A film of one person as drawings and pictures of the square about the lips, cut out once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.dataset import INDEX
from realtime_dub.clock import VirtualClock
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import TrackedFrame
from realtime_dub.mouth.mouthbank.translator import drawing_of, square
from realtime_dub.paths import reason
from realtime_dub.sources.base import read_all
from realtime_dub.sources.registry import open_video

FACES = "faces.npz"
SIZE = 128  # pixels a side
MOST, LEAST = 2_000, 25  # pictures of a film
HELD = 0.1  # of them, the last ones, which are not learnt from


@dataclass(frozen=True, eq=False)
class Faces:
    """Of a film, in its order."""

    drawings: Array  # (n, SIZE, SIZE, 3) BGR
    pictures: Array  # (n, SIZE, SIZE, 3) BGR

    def parts(self) -> tuple[Faces, Faces]:
        """To learn from, and to be judged by."""
        held = max(1, round(HELD * len(self.pictures)))
        return (
            Faces(self.drawings[:-held], self.pictures[:-held]),
            Faces(self.drawings[-held:], self.pictures[-held:]),
        )


def of_film(video: Path, folder: Path) -> Path:
    """Cut ``video`` up into ``folder``, a data set of this stage; what is there is not made again.

    Raises UserError, also where the folder is another film's.
    """
    film = _name_of(video)
    if (folder / FACES).exists():
        with np.load(folder / FACES, allow_pickle=False) as stored:
            if str(stored["film"]) != film:
                raise ConfigError("cannot go on with", f"{video}: {folder} is of another film", "give another --out")
        return folder
    faces = cut(video)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX).touch()  # it has no tracks
    part = folder / f".part-{FACES}"  # a run that is killed here leaves nothing that looks whole
    np.savez(part, drawings=faces.drawings, pictures=faces.pictures, film=film)
    part.replace(folder / FACES)
    return folder


def _name_of(video: Path) -> str:
    """A hash of its content. Raises MediaError."""
    try:
        with video.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MediaError("cannot read", f"{video}: {reason(error)}", "name a film of one person") from None


def read(folder: Path) -> Faces:
    """Raises ConfigError where :func:`of_film` has not written it."""
    if not (folder / FACES).exists():
        raise ConfigError("no film of a face in", str(folder), "give --video FILM")
    with np.load(folder / FACES, allow_pickle=False) as stored:
        return Faces(stored["drawings"], stored["pictures"])


def cut(video: Path) -> Faces:
    """The faces of a film. Raises ConfigError where there are too few, MediaError for what is no film."""
    source = open_video(str(video), clock=VirtualClock(), live=False)
    source.open()
    tracker, rows = MediaPipeTracker(), []
    try:
        for frame in read_all(source.read):
            rows += _row(tracker.track(frame))
            if len(rows) == MOST:
                break
    finally:
        source.close()
        tracker.close()
    if len(rows) < LEAST:
        what = f"{video}: a face is seen in {len(rows)} of its pictures"
        raise ConfigError("cannot learn a person from", what, f"give a film with {LEAST} and more; a minute is better")
    drawings, pictures = (np.stack(each) for each in zip(*rows, strict=True))
    return Faces(drawings, pictures)


def _row(tracked: TrackedFrame) -> list[tuple[Array, Array]]:
    if tracked.face is None:
        return []
    crop = square(tracked.face.pose, SIZE)
    return [(drawing_of(tracked.face.points, crop), crop.take(tracked.frame.image))]
