"""Weights of ARKit's mouth and jaw blendshapes for a motion of the lower face, for characters that are to speak too.

Each blendshape is a displacement of the lower face that is written down here by hand, on the canonical face: which
points it moves, where to, and how far at weight 1. A motion's weights are the non-negative least squares solution over
these directions, a little drawn towards zero so that shapes that undo each other do not come up together.

Left and right are the person's own, as ARKit has them: left is the right side of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from realtime_dub.face.alignment import LOWER, TEMPLATE
from realtime_dub.face.landmarks import CHIN, CORNERS, LIPS_INNER, LIPS_OUTER
from realtime_dub.face.types import Points
from realtime_dub.media import BLENDSHAPES, Blendshapes

LIPS_WEIGHT = 3.0  # what the lips do counts more than what the cheeks do
SPARSITY = 0.02  # mouth widths, weighted, that a shape has to explain before it comes up: small ones explain little
EVENNESS = 0.02  # added to the squares: nearly equal directions share a motion
STEPS = 40  # of the accelerated projected gradient (Beck, Teboulle 2009)

_UPPER_INNER, _LOWER_INNER = LIPS_INNER[1:10], LIPS_INNER[11:]
_UPPER_OUTER, _LOWER_OUTER = LIPS_OUTER[1:10], LIPS_OUTER[11:]
_FACE = TEMPLATE[LOWER].astype(np.float64)
_MOUTH = (TEMPLATE[CORNERS[0]] + TEMPLATE[CORNERS[1]]).astype(np.float64) / 2
_X, _Y = _FACE[:, 0] - _MOUTH[0], _FACE[:, 1] - _MOUTH[1]  # from the middle of the mouth, mouth widths; y down
_RIGHT, _DOWN, _BACK = np.eye(3)
_LEFT_SIDE = np.clip(0.5 + _X / 0.3, 0, 1)  # the person's left is the picture's right; both share the middle


def _near(indices: npt.NDArray[np.intp], sigma: float) -> npt.NDArray[np.float64]:
    """Weight per point of the lower face: 1 at points ``indices``, falling off with the distance in the picture."""
    offset = _FACE[:, None, :2] - TEMPLATE[indices, :2].astype(np.float64)
    return np.asarray(np.exp(-0.5 * (np.linalg.norm(offset, axis=-1).min(1) / sigma) ** 2))


def _moved(amount: npt.NDArray[np.float64], direction: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return amount[:, None] * direction


def _jaw() -> npt.NDArray[np.float64]:
    """How far each point goes with the jaw: the chin and the lower lip wholly, the corners half, the upper lip not."""
    chin = float(TEMPLATE[CHIN, 1] - _MOUTH[1])
    share = np.clip(0.5 + _Y / (0.35 * chin), 0, 1)
    share[np.isin(LOWER, [*_UPPER_OUTER, *_UPPER_INNER])] = 0
    share[np.isin(LOWER, [*_LOWER_OUTER, *_LOWER_INNER])] = 1
    return np.asarray(share)


def _shapes() -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    """Every blendshape as a displacement (points, 3) in mouth widths at weight 1."""
    # A closed mouth's lips lie on each other: what moves the one must not move the other.
    not_upper = ~np.isin(LOWER, [*_UPPER_OUTER, *_UPPER_INNER])
    not_lower = ~np.isin(LOWER, [*_LOWER_OUTER, *_LOWER_INNER])
    upper_rim, lower_rim = _near(_UPPER_INNER, 0.07) * not_lower, _near(_LOWER_INNER, 0.07) * not_upper
    upper = _near(np.concatenate([_UPPER_OUTER, _UPPER_INNER]), 0.12) * not_lower
    lower = _near(np.concatenate([_LOWER_OUTER, _LOWER_INNER]), 0.12) * not_upper
    lips, jaw, corner = np.maximum(upper, lower), _jaw(), _near(np.array(CORNERS), 0.18)
    chin, middle = _near(np.array([CHIN]), 0.2), np.clip(1 - (2 * _X) ** 2, 0, 1)
    yield "jawForward", _moved(jaw, -0.15 * _BACK)
    yield "jawLeft", _moved(jaw, 0.2 * _RIGHT)
    yield "jawRight", _moved(jaw, -0.2 * _RIGHT)
    yield "jawOpen", _moved(jaw, 0.6 * _DOWN + 0.1 * _BACK)
    # Over an open jaw: the lips come back together, the chin stays down.
    yield "mouthClose", _moved(lower, -0.55 * _DOWN) + _moved(upper, 0.05 * _DOWN)
    narrow = -_moved(lips, _RIGHT) * _X[:, None]
    yield "mouthFunnel", 0.35 * narrow + _moved(lips, -0.12 * _BACK) + _moved(lower - upper, 0.12 * _DOWN)
    yield "mouthPucker", 0.6 * narrow + _moved(lips, -0.18 * _BACK)
    yield "mouthLeft", _moved(lips, 0.2 * _RIGHT)
    yield "mouthRight", _moved(lips, -0.2 * _RIGHT)
    yield "mouthRollLower", _moved(lower_rim, 0.1 * _BACK + 0.02 * _DOWN) + _moved(lower, -0.06 * _DOWN)
    yield "mouthRollUpper", _moved(upper_rim, 0.1 * _BACK - 0.02 * _DOWN) + _moved(upper, 0.06 * _DOWN)
    yield "mouthShrugLower", _moved(lower * middle, -0.1 * _DOWN - 0.05 * _BACK) + _moved(chin, -0.1 * _DOWN)
    yield "mouthShrugUpper", _moved(upper * middle, -0.08 * _DOWN - 0.05 * _BACK)
    for side, share, out in (("Left", _LEFT_SIDE, _RIGHT), ("Right", 1 - _LEFT_SIDE, -_RIGHT)):
        at = corner * (share > 0.5)
        yield f"mouthSmile{side}", _moved(at, 0.12 * out - 0.15 * _DOWN + 0.05 * _BACK)
        yield f"mouthFrown{side}", _moved(at, 0.02 * out + 0.15 * _DOWN)
        yield f"mouthDimple{side}", _moved(at, 0.08 * out + 0.08 * _BACK)
        yield f"mouthStretch{side}", _moved(at, 0.18 * out + 0.08 * _DOWN)
        yield f"mouthPress{side}", _moved((lower_rim - upper_rim) * share, -0.05 * _DOWN)
        yield f"mouthLowerDown{side}", _moved(lower * share, 0.15 * _DOWN)
        yield f"mouthUpperUp{side}", _moved(upper * share, -0.15 * _DOWN)


class BlendshapeSolver:
    """Weights for motions of the points LOWER. Holds nothing but what it was made with."""

    def __init__(self) -> None:
        shapes = dict(_shapes())
        self.shapes = np.stack([shapes[name] for name in BLENDSHAPES]).astype(np.float32)  # (27, points, 3)
        weight = np.ones((len(LOWER), 1))
        weight[np.isin(LOWER, [*LIPS_OUTER, *LIPS_INNER])] = LIPS_WEIGHT
        rows = (self.shapes * weight).reshape(len(shapes), -1).astype(np.float64)
        # Shapes are brought to one length, so that a small one is found as soon as a large one.
        self._lengths = np.linalg.norm(rows, axis=1)
        unit = rows / self._lengths[:, None]
        self._to_products = np.asarray(unit.T * np.repeat(weight[:, 0], 3)[:, None], np.float32)
        squares = unit @ unit.T + EVENNESS * np.eye(len(unit))
        self._step = 1 / float(np.linalg.eigvalsh(squares)[-1])
        self._keep = np.eye(len(unit)) - self._step * squares
        self._ahead = [index / (index + 3) for index in range(STEPS)]

    def weights(self, displacement: Points) -> npt.NDArray[np.float32]:
        """0..1 in the order of ``media.BLENDSHAPES`` for a displacement (len(LOWER), 3) in mouth widths."""
        towards = self._step * (displacement.reshape(-1) @ self._to_products - SPARSITY)
        found = np.zeros(len(self._lengths))
        ahead = found
        for share in self._ahead:
            before = found
            found = self._keep @ ahead
            found += towards
            np.maximum(found, 0, out=found)
            np.minimum(found, self._lengths, out=found)
            ahead = found + share * (found - before)
        return np.asarray(found / self._lengths, np.float32)

    def named(self, displacement: Points) -> Blendshapes:
        """The same by name, solved when they are first read: most outputs have no use for them."""
        return _Solved(self, displacement)


class _Solved(Mapping[str, float]):
    """The weights of ``displacement``, which nobody writes into."""

    def __init__(self, solver: BlendshapeSolver, displacement: Points) -> None:
        self._solver, self._displacement = solver, displacement

    @cached_property
    def _weights(self) -> dict[str, float]:
        return dict(zip(BLENDSHAPES, self._solver.weights(self._displacement).tolist(), strict=True))

    def __getitem__(self, name: str) -> float:
        return self._weights[name]

    def __iter__(self) -> Iterator[str]:
        return iter(BLENDSHAPES)

    def __len__(self) -> int:
        return len(BLENDSHAPES)
