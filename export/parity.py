"""How far a network on one backend agrees with the same network, in float32 on the processor or as it was trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from export.inputs import Case, Feeds, hops
from realtime_dub.face.landmarks import OPENING
from realtime_dub.inference.contract import Precision, Session
from realtime_dub.inference.spec import BundleSpec, MotionSpec
from realtime_dub.inference.state import CheckedStream

Arrays = dict[str, npt.NDArray[Any]]
Caller = Callable[[Feeds], Arrays]  # a network and where its stream has come to
# The most that an output may differ by, as a share of the largest value it has, and of 1 at least.
LIMITS: dict[Precision, float] = {"fp32": 1e-4, "fp16": 2e-2, "int8": 0.25}
# The least that curves and pictures agree where numbers are allowed to differ.
AGREES: dict[Precision, float] = {"fp32": 0.9999, "fp16": 0.999, "int8": 0.97}
LAST = 0.1  # share of a stream's calls by which its drift is told


@dataclass(frozen=True)
class Difference:
    """Of one output, over all calls."""

    output: str
    worst: float
    mean: float
    scale: float  # the largest value of the reference
    drift: float  # the worst of the last calls
    finite: bool
    agreement: float | None = None  # r of the lips' opening, SSIM of a picture

    def within(self, precision: Precision) -> bool:
        far = self.worst > LIMITS[precision] * max(self.scale, 1.0)
        unlike = self.agreement is not None and self.agreement < AGREES[precision]
        return self.finite and not far and not unlike


@dataclass(frozen=True)
class Parity:
    """Of one case."""

    case: str
    calls: int
    precision: Precision
    differences: Sequence[Difference] = field(default=())

    @property
    def passed(self) -> bool:
        return all(each.within(self.precision) for each in self.differences)

    @property
    def worst(self) -> float:
        return max((each.worst for each in self.differences), default=0.0)

    @property
    def drift(self) -> float:
        return max((each.drift for each in self.differences), default=0.0)


class _Sums:
    """What is told of one output, call by call: nothing of a call is kept but its figures."""

    def __init__(self) -> None:
        self.worsts: list[float] = []
        self.total, self.count, self.scale, self.finite = 0.0, 0, 0.0, True

    def add(self, wanted: npt.NDArray[Any], found: npt.NDArray[Any]) -> None:
        self.finite = self.finite and bool(np.isfinite(found).all())
        apart = np.abs(np.asarray(wanted, np.float64) - np.nan_to_num(found))
        self.worsts.append(float(apart.max(initial=0.0)))
        self.total, self.count = self.total + float(apart.sum()), self.count + apart.size
        self.scale = max(self.scale, float(np.abs(wanted).max(initial=0.0)))

    def told(self, name: str, agreement: float | None) -> Difference:
        last = self.worsts[-max(1, int(len(self.worsts) * LAST)) :]
        mean = self.total / max(self.count, 1)
        return Difference(name, max(self.worsts), mean, self.scale, max(last), self.finite, agreement)


def caller(session: Session, spec: BundleSpec, batch: int = 1) -> Caller:
    """Calls of the cases' length, through a stream of its own that goes on from one to the next."""
    stream, length = CheckedStream(session, spec, batch), hops(spec)

    def call(feeds: Feeds) -> Arrays:
        results = stream.run(feeds, length)
        stream.keep()
        return results

    return call


def compare(reference: Caller, candidate: Caller, spec: BundleSpec, case: Case, precision: Precision) -> Parity:
    """Each stream goes on from its own state, so that what differs may grow."""
    names = [tensor.name for tensor in spec.outputs]
    sums = {name: _Sums() for name in names}
    curves: dict[str, tuple[list[Any], list[Any]]] = {name: ([], []) for name in names}
    for feeds in case.calls:
        wanted, found = reference(feeds), candidate(feeds)
        for name in names:
            sums[name].add(wanted[name], found[name])
            for kept, values in zip(curves[name], (wanted[name], found[name]), strict=True):
                kept.append(_of_interest(spec, name, values))
    told = [sums[name].told(name, _agreement(spec, *curves[name], case)) for name in names]
    return Parity(case.name, len(case.calls), precision, told)


def _of_interest(spec: BundleSpec, name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """The lips' opening (n,) of a motion, a picture as it is; None of what no agreement is told of."""
    if isinstance(spec, MotionSpec):
        if values.ndim != 4 or (pairs := _pairs(spec)) is None:
            return None
        upper, lower = pairs
        return np.asarray((values[0, :, lower, 1] - values[0, :, upper, 1]).mean(0))
    return values if values.ndim in (3, 4) and min(values.shape[-2:]) >= 16 else None


def _pairs(spec: MotionSpec) -> tuple[list[int], list[int]] | None:
    """Places among the network's points of those whose distance is the opening."""
    places = {point: place for place, point in enumerate(spec.points)}
    if any(int(point) not in places for point in OPENING.ravel()):
        return None
    return [places[int(point)] for point in OPENING[:, 0]], [places[int(point)] for point in OPENING[:, 1]]


def _agreement(spec: BundleSpec, wanted: list[Any], found: list[Any], case: Case) -> float | None:
    if not wanted or wanted[0] is None or case.name != "recorded":
        return None
    if isinstance(spec, MotionSpec):
        return correlation(np.concatenate(wanted), np.concatenate(found))
    pairs = [
        (one, other)
        for a, b in zip(wanted, found, strict=True)
        for one, other in zip(_planes(a), _planes(b), strict=True)
    ]
    return float(np.mean([ssim(one, other) for one, other in pairs]))


def _planes(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.reshape(-1, *values.shape[-2:])


def correlation(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """r of two curves (n,); 1 where neither moves."""
    one, other = one - one.mean(), other - other.mean()
    spread = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum() / spread) if spread > 1e-12 else float(np.allclose(one, other))


def ssim(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """Structural similarity of two planes (H, W) in 0..1, as Wang et al. have it: a Gaussian window of 11 pixels."""

    def blurred(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray(cv2.GaussianBlur(np.asarray(values, np.float64), (11, 11), 1.5))

    a, b = blurred(one), blurred(other)
    spread_a, spread_b = blurred(one * one) - a * a, blurred(other * other) - b * b
    both = blurred(one * other) - a * b
    c1, c2 = 0.01**2, 0.03**2
    return float((((2 * a * b + c1) * (2 * both + c2)) / ((a * a + b * b + c1) * (spread_a + spread_b + c2))).mean())


def checked(
    reference: Session, candidate: Session, spec: BundleSpec, cases: Sequence[Case], precision: Precision
) -> list[Parity]:
    """All cases, each from the beginning."""
    return [compare(caller(reference, spec), caller(candidate, spec), spec, case, precision) for case in cases]
