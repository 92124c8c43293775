"""Pictures that lie in memory which two processes have, each in a place; what is told of them is small.

One side puts frames in, the other looks at them where they lie. A place is free again when the other side has no array
of it any more; where none is free there is one more, so that nobody waits for a picture that is kept. A picture may be
made in its place from the first (``room``), so that it need not be copied.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.media import Coded, Frame, Image, Plane

ALONE = -1  # no place: the picture is told with the frame
_NO_PICTURE = np.empty((0, 0, 3), np.uint8)
_NUMBER = struct.Struct("<I")
_NUMBERS = 4096  # bytes of numbers that are read at once
_NO_MASK: Any = None  # of which OpenCV's types do not know
_Memory = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """A frame as it is told to the other process."""

    frame: Frame  # without its pictures, but where it has no place
    place: int = ALONE
    place_bytes: int = 0
    size: tuple[int, int] = (0, 0)  # height, width
    coded: tuple[bool, bool] | None = None  # hd, full_range of the planes behind the picture


@dataclass(frozen=True, slots=True, eq=False)
class _Room:
    place: int


class Places:
    """Made before the processes part. One of them calls ``put``, the other one ``frame``, each on one thread; ``room``
    is for another one of the first.
    """

    def __init__(self) -> None:
        self._memory = os.memfd_create("film", os.MFD_CLOEXEC)
        self._freed, self._frees = os.pipe()
        os.set_blocking(self._freed, False)
        self._place_bytes = 0  # as the first picture has it
        self._maps: list[mmap.mmap] = []
        self._free: list[int] = []
        self._taking = threading.Lock()
        self._rooms: dict[int, _Room] = {}  # of pictures that were not put yet, by the address of these

    def room(self, height: int, width: int) -> Image:
        """Where a picture (height, width, 3) that is going to be put may be made."""
        image = height * width * 3
        if (place := self._of(image + image // 2)) is None:  # with its planes
            return np.empty((height, width, 3), np.uint8)
        memory = self._map(place, self._place_bytes)
        made, _ = _views(memory, (height, width), False)
        at, room = made.ctypes.data, _Room(place)
        self._rooms[at] = room
        weakref.finalize(memory, self._left, at, room).atexit = False
        return made

    def _left(self, at: int, room: _Room) -> None:
        """Nobody has what was made there; where it was not put, its place is free. On any thread, at any time."""
        if self._rooms.get(at) is room:
            del self._rooms[at]
            self._free.append(room.place)

    def put(self, frame: Frame) -> Laid:
        """Copy its pictures into a place, but what was made there; where there is none, as for a larger one than the
        first, they are told.
        """
        planes = () if frame.coded is None else frame.coded.planes
        size = frame.height, frame.width
        if self._rooms and (room := self._rooms.pop(frame.image.ctypes.data, None)) is not None:
            place, copied = room.place, planes
        else:
            found = self._of(frame.image.nbytes + sum(plane.size for plane in planes))
            if found is None:
                return Laid(frame)
            place, copied = found, (frame.image, *planes)
        image, coded = _views(self._map(place, self._place_bytes), size, bool(planes))
        views = image, *coded
        for there, here in zip(views[len(views) - len(copied) :], copied, strict=True):
            cv2.copyTo(here, _NO_MASK, there)  # NumPy's copy would stop all of Python
        told = None if frame.coded is None else (frame.coded.hd, frame.coded.full_range)
        bare = replace(frame, image=_NO_PICTURE, coded=None)
        return Laid(bare, place, self._place_bytes, size, told)

    def frame(self, laid: Laid) -> Frame:
        """The frame with its pictures, where they lie."""
        if laid.place == ALONE:
            return laid.frame
        memory = self._map(laid.place, laid.place_bytes)
        weakref.finalize(memory, self._give_back, laid.place).atexit = False
        image, planes = _views(memory, laid.size, laid.coded is not None)
        coded = None if laid.coded is None else Coded((planes[0], planes[1], planes[2]), *laid.coded)
        return replace(laid.frame, image=image, coded=coded)

    def _of(self, needed: int) -> int | None:
        """A place for so many bytes, as the first picture needs them; None where there is none."""
        with self._taking:
            self._place_bytes = self._place_bytes or -(-needed // mmap.PAGESIZE) * mmap.PAGESIZE
            if needed > self._place_bytes:
                return None
            try:
                place = self._taken()
                self._map(place, self._place_bytes)
            except OSError:  # no more memory may be shared
                return None
            return place

    def _taken(self) -> int:
        """A free place; one more where there is none."""
        with suppress(BlockingIOError):
            while numbers := os.read(self._freed, _NUMBERS * _NUMBER.size):
                self._free += [number for (number,) in _NUMBER.iter_unpack(numbers)]
        if self._free:
            return self._free.pop()
        os.ftruncate(self._memory, (len(self._maps) + 1) * self._place_bytes)
        return len(self._maps)

    def _give_back(self, place: int) -> None:
        with suppress(OSError):  # the other process has ended
            os.write(self._frees, _NUMBER.pack(place))

    def _map(self, place: int, place_bytes: int) -> _Memory:
        """A new array of all bytes of a place: views of it keep it, nothing else does."""
        while len(self._maps) <= place:
            self._maps.append(mmap.mmap(self._memory, place_bytes, offset=len(self._maps) * place_bytes))
        return np.frombuffer(self._maps[place], np.uint8)

    def close(self) -> None:
        """Arrays that somebody has stay as they are. Idempotent."""
        for descriptor in (self._memory, self._freed, self._frees):
            with suppress(OSError):
                os.close(descriptor)
        self._memory = self._freed = self._frees = -1


def _views(memory: _Memory, size: tuple[int, int], coded: bool) -> tuple[Image, list[Plane]]:
    """The picture of ``size`` (height, width) at the beginning of a place, and the planes behind it."""
    height, width = size
    at = height * width * 3
    image, planes = memory[:at].reshape(height, width, 3), []
    for step in (1, 2, 2) if coded else ():
        count = (height // step) * (width // step)
        planes.append(memory[at : at + count].reshape(height // step, width // step))
        at += count
    return image, planes
