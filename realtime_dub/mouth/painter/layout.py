"""Which of a network's tensors is what, read from their sizes: names and orders differ from exporter to exporter.

It hears a window of audio features; it is shown a face whose lower part is hidden, and the same person at another
moment; it gives a face. The two faces come apart, or as six channels: the hidden one, then the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from realtime_dub.errors import BundleError
from realtime_dub.inference.spec import Shape
from realtime_dub.media import Floats

Role = Literal["voice", "face", "reference", "both"]
REFERENCE_NAMES = ("ref", "ident", "source")  # parts of what a second face is called, where there are two alike


class Sizes(NamedTuple):
    """What a network of this kind has its sizes from."""

    hops: int  # of the window
    features: int  # of each hop
    pixels: int  # a side


@dataclass(frozen=True)
class Port:
    """A tensor: what it is, and how it is laid out behind the axis of streams."""

    name: str
    role: Role
    rest: tuple[int, ...]
    turned: bool  # features before hops; channels behind rows and columns

    def filled(self, values: Floats) -> Floats:
        """``values``: windows (n, hops, features) or images (n, rows, columns, channels)."""
        if self.role == "voice":
            values = values.transpose(0, 2, 1) if self.turned else values
            return np.ascontiguousarray(values.reshape(len(values), *self.rest))
        return np.ascontiguousarray(values if self.turned else values.transpose(0, 3, 1, 2))


@dataclass(frozen=True)
class Layout:
    """The ports of a network. ``open``: it takes several streams at once."""

    inputs: tuple[Port, ...]
    output: Port
    open: bool

    @property
    def sees_reference(self) -> bool:
        return any(port.role in ("reference", "both") for port in self.inputs)

    def images(self, given: npt.NDArray[np.float32]) -> Floats:
        """What the network gave, as (n, rows, columns, 3)."""
        return given if self.output.turned else np.asarray(given.transpose(0, 2, 3, 1))


Named = Sequence[tuple[str, Shape]]


def layout_of(name: str, inputs: Named, outputs: Named, sizes: Sizes) -> Layout:
    """Raises BundleError, which says what was found, where the tensors are not those of a painter."""
    ports = [port for each in inputs if (port := _input(*each, sizes)) is not None]
    painted = [port for each in outputs if (port := _image(*each, sizes, 3)) is not None]
    voices = [port for port in ports if port.role == "voice"]
    faces = [port for port in ports if port.role != "voice"]
    fits = len(ports) == len(inputs) and len(voices) == 1 and _are_faces(faces) and painted
    if not fits:
        raise _unlike(name, inputs, outputs, sizes)
    shapes = [shape for _, shape in (*inputs, *outputs)]
    return Layout((*voices, *_told_apart(faces)), painted[0], all(shape[0] in ("batch", None) for shape in shapes))


def _input(name: str, shape: Shape, sizes: Sizes) -> Port | None:
    if len(shape) > 1 and (rest := _fixed(shape[1:])) is not None:
        long = tuple(size for size in rest if size != 1)
        if long in ((sizes.hops, sizes.features), (sizes.features, sizes.hops)):
            return Port(name, "voice", rest, long[0] != sizes.hops)
    return _image(name, shape, sizes, 6) or _image(name, shape, sizes, 3)


def _image(name: str, shape: Shape, sizes: Sizes, channels: int) -> Port | None:
    if len(shape) != 4 or (rest := _fixed(shape[1:])) is None:
        return None
    square, role = (sizes.pixels, sizes.pixels), "both" if channels == 6 else "face"
    if rest not in ((channels, *square), (*square, channels)):
        return None
    return Port(name, role, rest, rest[0] != channels)  # type: ignore[arg-type]


def _fixed(sizes: Shape) -> tuple[int, ...] | None:
    found = tuple(size for size in sizes if isinstance(size, int))
    return found if len(found) == len(sizes) else None


def _are_faces(faces: Sequence[Port]) -> bool:
    """One, two apart, or two as one."""
    return len(faces) in (1, 2) and (len(faces) == 1 or all(port.role == "face" for port in faces))


def _told_apart(faces: Sequence[Port]) -> list[Port]:
    """Of two, the reference is what is called so, else the second."""
    if len(faces) == 1:
        return list(faces)
    named = [port for port in faces if any(part in port.name.lower() for part in REFERENCE_NAMES)]
    other = named[0] if len(named) == 1 else faces[1]
    reference = Port(other.name, "reference", other.rest, other.turned)
    return [port for port in faces if port is not other] + [reference]


def _unlike(name: str, inputs: Named, outputs: Named, sizes: Sizes) -> BundleError:
    told = ", ".join(f"{tensor[:40]} {_shown(shape)}" for tensor, shape in (*inputs, *outputs))
    wanted = f"a window of {sizes.hops} by {sizes.features} and faces of {sizes.pixels} pixels"
    return BundleError("no network that paints faces:", f"{name}: it has {told}, not {wanted}", "choose another")


def _shown(shape: Shape) -> str:
    return "×".join("any" if size is None else str(size) for size in shape) or "one number"
