"""What is known of an avatar's person beside the nets: the face at rest, where the head may be, how the eyes blink.

``idle.npz`` in the avatar's folder. The head's place is six numbers: a rotation vector from the usual pose, radians;
shift to the right and down, mouth widths; the natural logarithm of the size, as a share of the usual one. How far away
the recording put the head is not kept: it does not show.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.errors import BundleError
from realtime_dub.face.types import Points, Pose
from realtime_dub.media import Floats
from realtime_dub.paths import read_plain, reason

__all__ = ["IDLE", "PLACE", "Person"]

IDLE = "idle.npz"
PLACE = 6
MOST_BYTES = 2_000_000
MOST_BLINKS = 10_000
_SHAPES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("neutral", "lids"), (478, 3)),
    "rotation": (3, 3),
    "shift": (3,),
    **dict.fromkeys(("width", "scale"), ()),
    **dict.fromkeys(("low", "high", "spread", "step", "temperature"), (PLACE,)),
}
_POSITIVE = ("width", "scale", "spread", "step", "temperature")


@dataclass(frozen=True, eq=False)
class Person:
    """All is float32."""

    neutral: Points  # (478, 3) the face at rest, template units, eyes open
    width: np.float32  # of the mouth, template units
    rotation: Floats  # (3, 3) of the usual pose
    scale: np.float32  # of the usual pose, pixels per template unit
    shift: Floats  # (3,) of the usual pose, pixels
    low: Floats  # (6,) the recorded range of the head's place
    high: Floats  # (6,)
    spread: Floats  # (6,) standard deviation of the place
    step: Floats  # (6,) of its change from frame to frame
    temperature: Floats  # (6,) by which the spread of the head's net is multiplied, so that it is as fast as recorded
    lids: Points  # (478, 3) from open eyes to shut ones, template units
    gaps_s: Floats  # (n,) from one blink to the next
    lengths_s: Floats  # (n,) of blinks

    def pose(self, place: Floats) -> Pose:
        """The pose at a place (6,)."""
        turn, _ = cv2.Rodrigues(np.asarray(place[:3], np.float64))
        shift = self.shift.astype(np.float64)
        shift[:2] += place[3:5] * float(self.scale)
        scale = float(self.scale) * float(np.exp(place[5]))
        return Pose((turn @ self.rotation).astype(np.float32), scale, shift.astype(np.float32))

    def places(self, rotation: Floats, scale: Floats, shift: Floats) -> Floats:
        """Places (n, 6) of poses: rotations (n, 3, 3), scales (n,), shifts (n, 3)."""
        turns = [cv2.Rodrigues(np.asarray(each, np.float64) @ self.rotation.T)[0][:, 0] for each in rotation]
        moved = (shift[:, :2] - self.shift[:2]) / self.scale
        return np.column_stack([np.reshape(turns, (-1, 3)), moved, np.log(scale / self.scale)]).astype(np.float32)

    def write(self, folder: Path) -> Path:
        """Into the avatar's folder; the file appears whole or not at all."""
        path = folder / IDLE
        part = path.with_suffix(".part")
        with part.open("wb") as stream:
            np.savez(stream, **{each.name: getattr(self, each.name) for each in fields(self)})
        part.replace(path)
        return path

    @classmethod
    def read(cls, folder: Path) -> Person:
        """Of the avatar's folder. Raises BundleError where the file is missing or is not what it should be."""
        path = folder / IDLE
        try:
            stored = np.load(io.BytesIO(read_plain(path, MOST_BYTES)), allow_pickle=False)
            values: dict[str, Any] = {each.name: np.asarray(stored[each.name], np.float32) for each in fields(cls)}
        except (OSError, ValueError, KeyError, EOFError) as error:
            what = f"{path}: {reason(error)}"
            raise BundleError("cannot read avatar", what, "train its head again: train-engine avatar-head") from error
        if wrong := _wrong(values):
            raise BundleError("damaged avatar", f"{path}: {wrong}", "train its head again: train-engine avatar-head")
        return cls(**{name: value if value.ndim else value[()] for name, value in values.items()})


def _wrong(values: dict[str, npt.NDArray[np.float32]]) -> str:
    """Why these can be nobody's; "" where nothing is wrong."""
    for name, value in values.items():
        listed = name in ("gaps_s", "lengths_s")
        if listed and not (value.ndim == 1 and 0 < len(value) <= MOST_BLINKS and (value > 0.02).all()):
            return f"{name} are no lengths of time"
        if not listed and value.shape != _SHAPES[name]:
            return f"{name} has the shape {list(value.shape)}"
        if not np.isfinite(value).all():
            return f"{name} is not finite"
        if name in _POSITIVE and not (value > 0).all():
            return f"{name} is not above zero"
    return "low is above high" if (values["low"] > values["high"]).any() else ""
