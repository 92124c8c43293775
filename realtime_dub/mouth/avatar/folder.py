"""What an avatar's folder holds for those who show it; ``docs/avatar.md`` has all of it, with what training keeps.

``avatar.json`` says whose recording it is of and what part of it is shown, ``person.npz`` how the person holds head and
face, ``plate.png`` what is behind them; ``picture/`` is a bundle. Nothing in it is ever unpickled.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from realtime_dub.errors import BundleError
from realtime_dub.face.types import Points, Pose
from realtime_dub.media import Floats, Image
from realtime_dub.mouth.avatar.body import FEATURES, POINTS, Body
from realtime_dub.mouth.avatar.edges import Square
from realtime_dub.paths import read_plain, reason

ABOUT, PERSON, PLATE, REST, PICTURE = "avatar.json", "person.npz", "plate.png", "rest.png", "picture"
VERSION = 1
MOST_ABOUT, MOST_PERSON, MOST_PLATE = 100_000, 64_000_000, 16_000_000  # bytes
MOST_FRAMES = 3_000  # of head motion
AGAIN = "make it again with train-engine avatar --video FILM"


class Recording(BaseModel):
    """The film that an avatar was made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(max_length=1_000)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    width: int = Field(ge=16, le=65_536)
    height: int = Field(ge=16, le=65_536)


class About(BaseModel):
    """``avatar.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = VERSION
    recording: Recording
    fps: int = 25  # of the motion
    square: tuple[int, int, int] = (0, 0, 0)  # what is shown of the recording: left, top, side, pixels
    stored: int = 0  # pixels a side of the pictures that training learns from
    prepared: bool = False  # the recording was cut up to its end

    @property
    def shown(self) -> Square:
        return Square(*map(float, self.square))


class Person:
    """How the person holds head and face. Raises BundleError for what is no such file."""

    def __init__(self, arrays: dict[str, Floats]) -> None:
        self.neutral: Points = arrays["neutral"]  # (478, 3) template units
        self.body = Body(arrays["body_mean"], arrays["body_weights"], arrays["body_middle"])
        self.rotation, self.scale, self.shift = arrays["rotation"], arrays["scale"], arrays["shift"]
        self.upper = arrays["upper"]  # (n, 478, 3) of the whole face from neutral; zero below the nose

    def __len__(self) -> int:
        return len(self.scale)

    def between(self, number: int, other: int, part: float) -> Pose:
        """Of the head, ``part`` 0..1 of the way from one frame of the recorded motion to its neighbour."""
        turn = (1 - part) * self.rotation[number] + part * self.rotation[other]
        u, _, vt = np.linalg.svd(turn)  # the nearest rotation
        scale = (1 - part) * self.scale[number] + part * self.scale[other]
        shift = (1 - part) * self.shift[number] + part * self.shift[other]
        return Pose((u @ vt).astype(np.float32), float(scale), shift.astype(np.float32))


_SHAPES: dict[str, tuple[int | None, ...]] = {
    "neutral": (478, 3),
    "body_mean": (FEATURES,),
    "body_weights": (FEATURES, 2 * POINTS),
    "body_middle": (2 * POINTS,),
    "rotation": (None, 3, 3),
    "scale": (None,),
    "shift": (None, 3),
    "upper": (None, 478, 3),
}


def read_about(folder: Path) -> About:
    """Raises BundleError where ``folder`` is no avatar's."""
    path = folder / ABOUT
    try:
        about = About.model_validate(json.loads(read_plain(path, MOST_ABOUT)))
    except OSError as error:
        raise BundleError("no avatar in", f"{folder}: {ABOUT}: {reason(error)}", AGAIN) from None
    except (ValueError, RecursionError, ValidationError) as error:
        raise BundleError("damaged avatar:", f"{path}: {str(error).splitlines()[0]}", AGAIN) from None
    if about.version != VERSION:
        raise BundleError("unknown avatar version", f"{about.version} in {path}", f"this program reads {VERSION}")
    return about


def read_person(folder: Path) -> Person:
    """Raises BundleError."""
    return Person(arrays_of(folder))


def arrays_of(folder: Path) -> dict[str, Floats]:
    """What ``person.npz`` holds, by name, checked. Raises BundleError."""
    path = folder / PERSON
    try:
        with np.load(io.BytesIO(read_plain(path, MOST_PERSON)), allow_pickle=False) as stored:
            arrays = {name: np.asarray(stored[name], np.float32) for name in _SHAPES}
    except OSError as error:
        raise BundleError("incomplete avatar:", f"{path}: {reason(error)}", AGAIN) from None
    except Exception as error:  # anything can be wrong with a damaged file
        raise BundleError("damaged avatar:", f"{path}: {type(error).__name__}", AGAIN) from None
    _check(arrays, path)
    return arrays


def _check(arrays: dict[str, Any], path: Path) -> None:
    count = len(arrays["scale"])
    whole = 0 < count <= MOST_FRAMES
    for name, shape in _SHAPES.items():
        wanted = tuple(count if side is None else side for side in shape)
        whole = whole and arrays[name].shape == wanted and bool(np.isfinite(arrays[name]).all())
    if not whole:
        raise BundleError("damaged avatar:", f"{path}: its numbers do not fit", AGAIN)


def read_plate(folder: Path, size: int | None = None) -> Image:
    """What is behind the person (size, size, 3), else as large as it is kept. Raises BundleError."""
    found = _picture(folder / PLATE)
    return (
        found if size is None else np.asarray(cv2.resize(found, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    )


def read_rest(folder: Path) -> Image:
    """The recording's picture nearest to rest (n, n, 3), as large as it is kept. Raises BundleError."""
    return _picture(folder / REST)


def _picture(path: Path) -> Image:
    try:
        found = cv2.imdecode(np.frombuffer(read_plain(path, MOST_PLATE), np.uint8), cv2.IMREAD_COLOR)
    except OSError as error:
        raise BundleError("incomplete avatar:", f"{path}: {reason(error)}", AGAIN) from None
    except cv2.error:  # an empty file
        found = None
    if found is None or found.shape[0] != found.shape[1]:
        raise BundleError("damaged avatar:", f"{path}: it is no square picture", AGAIN)
    return np.asarray(found, np.uint8)
