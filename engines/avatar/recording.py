"""A recording of one person becomes an avatar's ``data/``: tracks as every data set has them, pictures, mattes, joints.

Everything is written whole or not at all, track by track, so that what was stopped goes on.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from engines.avatar.check import check, report
from engines.avatar.cutting import cut_pictures
from engines.avatar.mattes import write_exact
from engines.avatar.person import write_person
from engines.common import Array
from engines.common.dataset import INDEX, Dataset, Track
from engines.common.prepare.clip import process, record_path, track_path, write_whole
from engines.common.prepare.finish import finish
from engines.common.prepare.layouts import Clip
from realtime_dub.clock import VirtualClock
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.mouth.avatar.edges import OVAL
from realtime_dub.mouth.avatar.folder import ABOUT, About, Recording, read_about
from realtime_dub.paths import reason
from realtime_dub.sources.registry import open_video

TAKE = "take"  # the one clip of the data set
LEAST_S = 5.0  # with a face: less is no person
MOST_SIDE = 512  # pixels of the pictures that are kept
FACES_HIGH = 3.2  # the square's side, of the face's height
FACE_AT = 0.45  # of the square's height: where the face's middle lies


def of_film(video: Path, data: Path) -> Path:
    """Make ``data``, in an avatar's folder, of ``video``; what is there is not made again.

    Raises UserError, also where the folder is another recording's.
    """
    folder = data.parent
    about = _begun(video, folder)
    if about.prepared:
        return data
    dataset = _tracks(video, data)
    if not about.square[2]:
        about = _write(folder, about.model_copy(update=_shown(dataset, about)))
    cut_pictures(video, data, _starts(data), about)
    write_person(folder, dataset, about)
    write_exact(folder, [entry.track for entry in dataset.entries])
    _judge(video, folder, dataset)
    _write(folder, about.model_copy(update={"prepared": True}))
    return data


def _judge(video: Path, folder: Path, dataset: Dataset) -> None:
    """Say what is wrong with the recording, and write it down: nobody waits an hour to find out."""
    found = check(video, folder)
    path = report(folder, found, dataset)
    for each in found:
        if each.fault:
            print(f"note: {each}", flush=True)
    print(f"recording: see {path}", flush=True)


def _begun(video: Path, folder: Path) -> About:
    """What ``avatar.json`` says; it is written where there is none."""
    digest = digest_of(video)
    if (folder / ABOUT).exists():
        about = read_about(folder)
        if about.recording.sha256 != digest:
            what = f"{folder}: it is of another recording, {about.recording.name}, or {video} was changed since"
            raise ConfigError("cannot go on with", what, "give another --out, or the recording that it was made of")
        return about
    source = open_video(str(video), clock=VirtualClock(), live=False)
    info = source.open()
    source.close()
    recording = Recording(name=video.name, sha256=digest, width=info.width, height=info.height)
    return _write(folder, About(recording=recording))


def digest_of(video: Path) -> str:
    """A hash of its content. Raises MediaError."""
    try:
        with video.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MediaError("cannot read", f"{video}: {reason(error)}", "name a film of one person") from None


def _write(folder: Path, about: About) -> About:
    write_whole(folder / ABOUT, (about.model_dump_json(indent=1) + "\n").encode())
    return about


def _tracks(video: Path, data: Path) -> Dataset:
    """Faces, poses and sound. Raises ConfigError where there is too little of a face, MediaError without a sound."""
    if not (data / INDEX).exists():
        if not _whole(data):
            why = process(Clip(video, TAKE, "me"), data, ())
            if why and not _read_record(data)["tracks"]:
                raise MediaError("cannot make an avatar of", f"{video}: {why}", "give a film of one person who talks")
        finish(data, [_read_record(data)], 0.0)
    dataset = Dataset(data)
    seen = sum(entry.frames for entry in dataset.entries) / 25
    if seen < LEAST_S:
        what = f"{video}: a face is seen for {seen:.1f} s of it"
        raise ConfigError(
            "cannot make an avatar of", what, f"give a film with {LEAST_S:g} s and more; 3 minutes is better"
        )
    return dataset


def _whole(data: Path) -> bool:
    """The film was read to its end before."""
    if not record_path(data, TAKE).exists():
        return False
    tracks = _read_record(data)["tracks"]
    return bool(tracks) and all(track_path(data, each["name"]).exists() for each in tracks)


def _read_record(data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record_path(data, TAKE).read_text())
    return found


def _starts(data: Path) -> dict[str, int]:
    """Where each track begins in the film, ms."""
    return {each["name"]: each["start_ms"] for each in _read_record(data)["tracks"]}


def _shown(dataset: Dataset, about: About) -> dict[str, Any]:
    """The square about head and shoulders, and how large its pictures are kept."""
    points = np.concatenate([_few(dataset.load(entry)) for entry in dataset.entries])[:, OVAL, :2]
    high = float(np.median(np.ptp(points[..., 1], axis=1)))
    middle = np.median((points.min(1) + points.max(1)) / 2, axis=0)
    width, height = about.recording.width, about.recording.height
    side = int(min(width, height, round(FACES_HIGH * high)))
    x = int(np.clip(round(middle[0] - side / 2), 0, width - side))
    y = int(np.clip(round(middle[1] - FACE_AT * side), 0, height - side))
    return {"square": (x, y, side), "stored": min(side, MOST_SIDE)}


def _few(track: Track, most: int = 20) -> Array:
    chosen = np.linspace(0, len(track.scale) - 1, most).astype(int)
    return track.landmarks()[chosen]
