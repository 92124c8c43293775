"""What the nets of an avatar have in common: its folder, its person at rest, and what is heard of each track.

``me.avatar/data`` is a prepared data set of one person; ``me.avatar/runs/NAME`` the run of a net; ``me.avatar/NAME``
its bundle.
"""

from __future__ import annotations

import shutil
import zlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset, Entry, Track, evenly
from realtime_dub.face.alignment import LOWER, mouth_width, neutral_shape
from realtime_dub.inference import made_here
from realtime_dub.inference.bundle import load
from realtime_dub.media import NS
from realtime_dub.mouth.avatar.hearing import Hearing, rows_of

DATA, RUNS = "data", "runs"
FOR_NEUTRAL = 80  # tracks of a person, evenly chosen
BLUR = 1.2  # frames; landmarks tremble from frame to frame
APART_NS = 20 * NS  # between tracks that are heard one after another: more than is remembered


class Heard:
    """Rows of features (n, features) of tracks, made once and kept in ``folder``. Row i is at ``i * ROW_MS``."""

    def __init__(self, dataset: Dataset, folder: Path) -> None:
        self.hearing = Hearing()
        self._dataset, self._next_ns = dataset, 0
        self._folder = folder / self.hearing.label.replace(" ", "-")

    def __call__(self, entry: Entry) -> Array:
        place = self._folder / f"{zlib.crc32(str(entry.root.resolve()).encode()):08x}-{entry.track}.npy"
        if place.exists():
            return np.asarray(np.load(place, allow_pickle=False), np.float32)
        found = self.of(self._dataset.audio(entry))
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_suffix(".part")
        with part.open("wb") as stream:
            np.save(stream, found.astype(np.float16))
        part.replace(place)
        return found.astype(np.float16).astype(np.float32)

    def of(self, sound: Array) -> Array:
        """Of a sound (n,) at 16 kHz."""
        rows = rows_of(self.hearing, sound, self._next_ns)
        self._next_ns += APART_NS + len(sound) * NS // 16_000
        return rows


def neutral_of(dataset: Dataset, entries: Sequence[Entry]) -> Array:
    """The resting face (478, 3) of one person, template units, over all their tracks."""
    tracks = [dataset.load(entry) for entry in evenly(list(entries), FOR_NEUTRAL)]
    return neutral_shape(np.concatenate([track.canonical[track.seen] for track in tracks]))


def motion_of(track: Track, neutral: Array) -> Array:
    """The lower face (T, 168, 3) of a track, in mouth widths from ``neutral`` (478, 3)."""
    moved = (track.canonical[:, LOWER] - neutral[LOWER]) / np.float32(mouth_width(neutral))
    return np.asarray(moved, np.float32)


def blurred(values: Array, frames: float = BLUR) -> Array:
    """Values (T, n) blurred over time by a Gaussian of ``frames``; held at both ends."""
    reach = int(np.ceil(3 * frames))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / frames) ** 2)
    around = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    columns = [np.convolve(column, taps / taps.sum(), "valid") for column in around.T]
    return np.stack(columns, 1).astype(np.float32)


def by_speaker(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[entry.speaker].append(entry)
    return dict(found)


def run_of(folder: Path, name: str) -> Path:
    """Where the run is of which ``name`` is the stage and the bundle."""
    return folder / RUNS / name


def put_bundle(folder: Path, name: str) -> Path:
    """Copy the bundle that a run has made to where the avatar has it, and note that it was made here."""
    made, place = run_of(folder, name) / name / "bundle", folder / name
    part = place.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(made, part)
    shutil.rmtree(place, ignore_errors=True)
    part.rename(place)
    spec = load(place).spec
    made_here.write(spec.sha256[spec.model])
    return place


def train_part(
    engine: str, name: str, folder: Path, resume: bool = False, config: Path | None = None, gpu: bool = False
) -> Path:
    """Make ``name`` of the avatar in ``folder`` with stage ``name`` of ``engine``; returns the bundle's place.

    Raises UserError: where there is no data, or a run that is not to be gone on with.
    """
    from engines.common.runs import launch  # these two know all engines, which know this file
    from engines.common.train_engine import resolve

    out = run_of(folder, name)
    run, todo = resolve(engine, [folder / DATA], out, config, name, resume=resume)
    launch(run, out, todo, 1, gpu)
    return put_bundle(folder, name)
