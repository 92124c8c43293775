"""For which sizes of its tensors a network is built, as its spec leaves them open."""

from __future__ import annotations

from typing import NamedTuple

from realtime_dub.inference.spec import BundleSpec, Shape
from realtime_dub.inference.tensors import declared_by

STEPS = (1, 4, 64)  # least, usual and most of the axis "time": four hops are a frame of 25 per second, 64 a file's
STREAMS = (1, 1, 16)  # of the axis "batch"


class Range(NamedTuple):
    """Least, usual and most of one tensor's sizes."""

    least: tuple[int, ...]
    usual: tuple[int, ...]
    most: tuple[int, ...]


def ranges(spec: BundleSpec) -> dict[str, Range]:
    """Of every input, states among them."""
    inputs = declared_by(spec).inputs
    return {name: Range(*(_sizes(shape, place) for place in range(len(STEPS)))) for name, shape in inputs.items()}


def written(spec: BundleSpec) -> str:
    """The open sizes as one line: what differs between two engines of one network."""
    found = [(name, each) for name, each in sorted(ranges(spec).items()) if each.least != each.most]
    return " ".join(f"{name}:{_times(each.least)}..{_times(each.most)}" for name, each in found)


def options(spec: BundleSpec, prefix: str) -> dict[str, str]:
    """As ONNX Runtime's TensorRT providers want them: ``trt_profile_min_shapes`` and so on, by ``prefix``."""
    found = ranges(spec)
    names = {"min": 0, "opt": 1, "max": 2}
    return {
        f"{prefix}_profile_{name}_shapes": ",".join(f"{tensor}:{_times(each[at])}" for tensor, each in found.items())
        for name, at in names.items()
    }


def _times(sizes: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in sizes)


def _sizes(shape: Shape, place: int) -> tuple[int, ...]:
    return tuple(
        size if isinstance(size, int) else STREAMS[place] if size == "batch" else STEPS[place] for size in shape
    )
