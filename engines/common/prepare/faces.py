"""Faces as LipGAN's and Wav2Lip's tools have them: ``faces/NAME/K.jpg``, ``mels.npz`` and ``audio.wav`` of every track.

K is the number of the picture, 25 a second; one without a face is left out, and the numbers of the others stay. The
mel in ``mels.npz`` is ``spec`` (80, n), 80 frames a second.
"""

from __future__ import annotations

import functools
import io
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset, Entry, read_entries
from engines.common.filmed import pictures
from engines.common.prepare.clip import write_whole
from engines.common.prepare.workers import work
from realtime_dub.audio.frontends import open_front_end
from realtime_dub.audio.frontends.painter_mel import PainterMelSpec
from realtime_dub.errors import UserError
from realtime_dub.face.alignment import canonicalise
from realtime_dub.face.crop import crop_of

FOLDER, MELS, SOUND = "faces", "mels.npz", "audio.wav"
QUALITY = 95  # of JPEG


def add_faces(out: Path, size: int, workers: int, step: Callable[[], None]) -> int:
    """Write what is missing, in ``workers`` processes; returns how many tracks have faces. Sound is written last."""
    entries = [entry for entry in read_entries(out) if entry.part and entry.filmed]
    missing = [entry for entry in entries if not (folder_of(entry) / SOUND).exists()]
    for _ in work(missing, partial(_write, size=size), workers, lambda _: None):
        step()
    return sum((folder_of(entry) / SOUND).exists() for entry in entries)


def folder_of(entry: Entry) -> Path:
    """Where the faces of a track are."""
    return entry.file(FOLDER, "")


def kept(entry: Entry, size: int) -> Iterator[tuple[int, Array]]:
    """The faces of a track by their numbers, where they were written at this size."""
    if not (folder_of(entry) / SOUND).exists():
        return
    for path in sorted(folder_of(entry).glob("*.jpg"), key=lambda path: int(path.stem)):
        image = cv2.imread(str(path))
        if image is None or image.shape != (size, size, 3):
            return
        yield int(path.stem), image


def _write(entry: Entry, size: int) -> str:
    """Returns what was wrong, empty where nothing was."""
    folder = folder_of(entry)
    try:
        for k, image in _cut(entry, size):
            found = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
            write_whole(folder / f"{k}.jpg", found.tobytes())
    except UserError as error:
        return str(error)
    front_end = open_front_end(PainterMelSpec())
    mel = np.concatenate([front_end.process(_dataset(entry.root).audio(entry)), front_end.finish()])
    content = io.BytesIO()
    np.savez(content, spec=mel.T)
    write_whole(folder / MELS, content.getvalue())
    partial_sound = folder / f"{SOUND}.part"
    shutil.copyfile(entry.file("sound", ".wav"), partial_sound)
    partial_sound.replace(folder / SOUND)
    return ""


def _cut(entry: Entry, size: int) -> Iterator[tuple[int, Array]]:
    track = _dataset(entry.root).load(entry)
    landmarks = track.landmarks()
    for k, frame in pictures(entry):
        if track.seen[k]:
            yield k, crop_of(canonicalise(landmarks[k]), size).take(frame.image)


@functools.cache
def _dataset(root: Path) -> Dataset:
    return Dataset(root)
