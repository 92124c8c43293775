"""Landmarks over time in files: .npz, .csv, or a folder with a text for each frame.

All hold the 68 points of ``scheme68`` in pixels of the frames, when each frame is, and what they were made of: video,
voice, engine and weights. A frame without a face has no numbers.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.face.scheme68 import openness
from realtime_dub.paths import WholeFile, read_plain, reason
from realtime_dub.stored import arrays_in

COUNT = 68
MOST_FILE, MOST_FRAMES = 512_000_000, 1_000_000
SOURCE, COMMENT = "source.json", "# "
TEXT = "landmarks_{:05d}.txt"
TIMES = "times.txt"
_FIX = "give a .npz, a .csv or a folder that --save-landmarks has written"


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Of one run."""

    times_s: npt.NDArray[np.float64]  # (n,) from the first frame
    points: npt.NDArray[np.float32]  # (n, 68, 2) pixels; NaN where there was no face
    source: Mapping[str, str]

    @property
    def openness(self) -> npt.NDArray[np.float32]:
        """How far the mouth stands open (n,), in widths of this mouth in the median."""
        mouth = self.points[:, 48:]
        widths = np.linalg.norm(mouth[:, 6] - mouth[:, 0], axis=-1)
        seen = np.isfinite(widths)
        width = float(np.median(widths[seen])) if seen.any() else 1.0
        return np.asarray(openness(mouth) / max(width, 1e-6), np.float32)


def check_name(path: Path) -> None:
    """Raises ConfigError for a name that says of none of the kinds, MediaError where nothing can be written."""
    if path.suffix.lower() in (".npz", ".csv"):
        WholeFile(path)
    elif path.suffix:
        raise ConfigError("cannot write landmarks into", repr(str(path)), "give a .npz, a .csv or a folder's name")
    elif path.exists() and not path.is_dir():
        raise ConfigError("no folder:", str(path), "give another name for --save-landmarks")


def write(path: Path, landmarks: Landmarks) -> None:
    """As ``path`` says. Raises MediaError."""
    if path.suffix.lower() == ".npz":
        WholeFile(path).write(_npz(landmarks))
    elif path.suffix.lower() == ".csv":
        WholeFile(path).write(_csv(landmarks).encode())
    else:
        _write_folder(path, landmarks)


def read(path: Path) -> Landmarks:
    """What :func:`write` wrote. Raises ConfigError for anything else."""
    try:
        if path.is_dir():
            return _checked(_read_folder(path))
        data = read_plain(path, MOST_FILE)
        return _checked(_read_npz(data) if path.suffix.lower() == ".npz" else _read_csv(data))
    except OSError as error:
        raise ConfigError("cannot read", f"{path}: {reason(error)}", _FIX) from error
    except (ValueError, IndexError, RecursionError, csv.Error) as error:
        raise ConfigError("no landmarks in", str(path), _FIX) from error


def _checked(found: Landmarks) -> Landmarks:
    """Raises ValueError where numbers do not belong together."""
    count = len(found.times_s)
    if not 0 < count <= MOST_FRAMES or found.points.shape != (count, COUNT, 2):
        raise ValueError("shapes")
    if not np.isfinite(found.times_s).all() or (np.diff(found.times_s) <= 0).any():
        raise ValueError("times do not rise")
    return found


def _npz(landmarks: Landmarks) -> bytes:
    content = io.BytesIO()
    source = np.frombuffer(json.dumps(dict(landmarks.source)).encode(), np.uint8)
    np.savez_compressed(
        content,
        times_s=landmarks.times_s,
        landmarks=landmarks.points,
        openness=landmarks.openness,
        source=source,
    )
    return content.getvalue()


def _read_npz(data: bytes) -> Landmarks:
    stored = arrays_in(data, ("times_s", "landmarks", "source"), MOST_FILE)
    points = np.asarray(stored["landmarks"], np.float32)
    source = _words(json.loads(stored["source"].tobytes()))
    return Landmarks(np.asarray(stored["times_s"], np.float64), points, source)


def _csv(landmarks: Landmarks) -> str:
    """A line with what it was made of, a head, a row for each frame."""
    text = io.StringIO()
    text.write(f"{COMMENT}{json.dumps(dict(landmarks.source))}\n")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["time_s", "openness", *(f"{axis}{k}" for k in range(COUNT) for axis in "xy")])
    for time_s, opened, points in zip(landmarks.times_s, landmarks.openness, landmarks.points, strict=True):
        numbers = [opened, *points.reshape(-1)]
        rows.writerow([f"{time_s:.6f}", *("" if np.isnan(each) else f"{each:.4f}" for each in numbers)])
    return text.getvalue()


def _read_csv(data: bytes) -> Landmarks:
    lines = io.TextIOWrapper(io.BytesIO(data), "utf-8")
    source = json.loads(lines.readline().removeprefix(COMMENT))
    lines.readline()
    numbers = np.array([_row(row) for row in csv.reader(lines)])
    return Landmarks(numbers[:, 0], numbers[:, 2:].reshape(-1, COUNT, 2).astype(np.float32), _words(source))


def _row(row: list[str]) -> npt.NDArray[np.float64]:
    """One frame's: a file of millions of lines that are none is left at the first. Raises ValueError."""
    if len(row) != 2 + 2 * COUNT:
        raise ValueError("a row has another number of values")
    return np.array([float(each or "nan") for each in row])


def _write_folder(folder: Path, landmarks: Landmarks) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError("cannot write", f"{folder}: {reason(error)}", "choose another folder") from error
    for old in folder.glob("landmarks_*.txt"):
        old.unlink()
    for k, points in enumerate(landmarks.points):
        lines = [] if np.isnan(points).any() else [f"{x:.3f},{y:.3f}" for x, y in points]
        WholeFile(folder / TEXT.format(k)).write("".join(f"{line}\n" for line in lines).encode())
    WholeFile(folder / TIMES).write("".join(f"{time_s:.6f}\n" for time_s in landmarks.times_s).encode())
    WholeFile(folder / SOURCE).write((json.dumps(dict(landmarks.source), indent=1) + "\n").encode())


def _read_folder(folder: Path) -> Landmarks:
    times = [float(line) for line in read_plain(folder / TIMES, MOST_FILE).split()]
    points = np.full((len(times), COUNT, 2), np.nan, np.float32)
    for k in range(min(len(times), MOST_FRAMES)):
        if text := (folder / TEXT.format(k)).read_text():
            points[k] = [[float(each) for each in line.split(",")] for line in text.splitlines()]
    return Landmarks(np.array(times), points, _words(json.loads(read_plain(folder / SOURCE, MOST_FILE))))


def _words(source: object) -> dict[str, str]:
    if not isinstance(source, dict):
        raise ValueError("no source")
    return {str(key): str(value) for key, value in source.items()}
