"""Looks for the mark in a film, wherever its picture has been moved, cut, scaled or mirrored to.

Frames are freed of what is large and of strong edges, and added up over quarters of a second. In each window of five
seconds these are added with the mark's turning sign, folded to a tile, and correlated by phases with the key's waves:
all places at once, sizes one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from realtime_dub.media import NS, Plane, rescale
from realtime_dub.trust.marks import tile
from realtime_dub.trust.marks.odds import HOP_S, WINDOW_S, false_per_minute, surety, threshold
from realtime_dub.trust.marks.payload import Payload
from realtime_dub.trust.marks.tile import LINES, TILE, Floats
from realtime_dub.trust.marks.waves import KEY, Complexes

PART_NS = NS // 4
PARTS, HOP = round(WINDOW_S * NS / PART_NS), round(HOP_S * NS / PART_NS)
_TURN = round(tile.TURN_NS / PART_NS)  # parts that a sign lasts
_GRID = 128  # places tried along each side of the tile
# How many of the tile's lines a line of the picture is: below 1 where the film was cut, above where it is a part of it.
SMALLEST, LARGEST, STEP = 0.7, 2.1, 1.0125
SCALES = tuple(SMALLEST * STEP**n for n in range(math.ceil(math.log(LARGEST / SMALLEST, STEP)) + 1))
USUAL = (1.0,)  # is tried first
TESTS = (
    (len(SCALES) + len(USUAL) + 9) * 2 * 2 * _TURN * _GRID * _GRID
)  # sizes, mirrored or not, signs and turns, places
MOST_WIDTH = 4 * LINES
_SMOOTH, _WIDE, _AROUND = 1.2, 8.0, 25  # of the residual, lines
_FLOOR, _CLIP = 2.0, 2.0
POWER = 0.5  # of the waves' loudness, when they are added up
_QUIETEST = 1e-12  # a wave that a plain picture lacks stays 0


@dataclass(frozen=True, slots=True)
class Look:
    """The best that was found in a window: how sure, and how the picture lies to the tile."""

    z: float
    scale: float
    mirrored: bool
    waves: Complexes  # as if nothing had been moved


def residual(luma: Plane) -> Floats:
    """A frame (LINES, width) freed of what is large, all its places alike strong, nothing stronger than ``_CLIP``."""
    height, width = luma.shape
    wide = min(MOST_WIDTH, max(2, rescale(width, LINES, height)))
    how = cv2.INTER_AREA if height > LINES else cv2.INTER_CUBIC
    lines = cv2.resize(luma, (wide, LINES), interpolation=how).astype(np.float32)
    fine = cv2.GaussianBlur(lines, (0, 0), _SMOOTH) - cv2.GaussianBlur(lines, (0, 0), _WIDE)
    around = np.sqrt(cv2.boxFilter(fine * fine, -1, (_AROUND, _AROUND)))
    return np.asarray(np.clip(fine / (around + _FLOOR), -_CLIP, _CLIP), np.float32)


class Watching:
    """Takes frames in order, gives windows of them: (PARTS, LINES, width)."""

    def __init__(self) -> None:
        self._sum: Floats | None = None
        self._count, self._part = 0, 0
        self._parts: list[Floats] = []
        self._first, self._given = 0, False  # where the parts begin; they were in a window

    def add(self, luma: Plane, at_ns: int) -> Iterator[tuple[int, Floats]]:
        """Whatever is complete now: when it began, ns, and the window."""
        part = at_ns // PART_NS
        seen = residual(luma)
        if self._sum is not None and (part != self._part or seen.shape != self._sum.shape):
            self._close()
            yield from self._windows()
        if self._sum is None or seen.shape != self._sum.shape:
            self._sum, self._part = np.zeros_like(seen), part
        self._sum += seen
        self._count += 1

    def flush(self) -> Iterator[tuple[int, Floats]]:
        """What is left at the end: all of a short film, else what is a second longer than the last window."""
        if self._sum is not None:
            self._close()
        yield from self._windows()
        if len(self._parts) >= (HOP + NS // PART_NS if self._given else 1):
            yield self._first * PART_NS, np.array(self._parts)

    def _close(self) -> None:
        assert self._sum is not None
        mean = self._sum / max(1, self._count)
        if self._parts and (mean.shape != self._parts[-1].shape or self._part - self._first > len(self._parts) + HOP):
            self._parts.clear()  # another size, or a hole
        if not self._parts:
            self._first, self._given = self._part, False
        while len(self._parts) < self._part - self._first:  # a frame rate below that of the parts
            self._parts.append(self._parts[-1])
        self._parts.append(mean)
        self._sum, self._count = None, 0

    def _windows(self) -> Iterator[tuple[int, Floats]]:
        while len(self._parts) >= PARTS:
            yield self._first * PART_NS, np.array(self._parts[:PARTS])
            del self._parts[:HOP]
            self._first, self._given = self._first + HOP, True


class Seer:
    """Finds marks in windows; one film's, because it looks first where it found one before."""

    def __init__(self, key: str = KEY) -> None:
        self._waves, self._last = tile.waves(key), USUAL
        self._rows, self._columns = (np.where(each < TILE // 2, each, each - TILE) for each in tile.places())

    def look(self, window: Floats) -> Look:
        """Over all sizes, unless one of the usual is sure."""
        turned = _turned(window)
        look = self._best(turned, dict.fromkeys((*self._last, *USUAL)))
        if look.z < threshold(TESTS) + 1:
            look = max(look, self._best(turned, SCALES), key=lambda each: each.z)
            near = (look.scale * (1 + n / 320) for n in (-3, -2, -1, 1, 2, 3))
            look = max(look, self._best(turned, near), key=lambda each: each.z)
        if look.z >= threshold(TESTS):
            self._last = (look.scale,)
        return look

    def read(self, waves: Complexes) -> Payload | None:
        return self._waves.read(waves)

    def _best(self, turned: Floats, scales: Iterable[float]) -> Look:
        looks = (look for scale in scales for look in self._at(turned, scale))
        return max(looks, key=lambda each: each.z)

    def _at(self, turned: Floats, scale: float) -> Iterator[Look]:
        spectra = [_spectrum(each, scale) for each in turned]
        for mirrored in (False, True):
            columns = -self._columns if mirrored else self._columns
            for first, second in ((1, 0), (1, 1), (0, 1), (1, -1)):
                mixed = first * spectra[0] + second * spectra[1]
                yield self._correlated(mixed[self._rows, columns], scale, mirrored)

    def _correlated(self, values: Complexes, scale: float, mirrored: bool) -> Look:
        values = values * np.maximum(np.abs(values), _QUIETEST) ** (POWER - 1)
        grid = np.zeros((_GRID, _GRID), np.complex64)
        grid[self._rows, self._columns] = values * np.conj(self._waves.finding)
        sums = cv2.idft(grid.view(np.float32).reshape(_GRID, _GRID, 2))[..., 0]
        place = int(np.argmax(np.abs(sums)))
        row, column = divmod(place, _GRID)
        z = surety(float(sums[row, column]), np.abs(values[self._waves.bit < 0]))
        back = np.exp(2j * np.pi * (self._rows * row + self._columns * column) / _GRID)
        return Look(abs(z), scale, mirrored, values * back * (1 if z > 0 else -1))


def found(look: Look) -> bool:
    return look.z >= threshold(TESTS)


def odds(look: Look) -> float:
    """At most so often a minute unmarked film looks like that."""
    return false_per_minute(look.z, TESTS)


def _turned(window: Floats) -> Floats:
    """(2, LINES, width): the window under a sign that turns as the mark's does, and half a turn later."""
    at = np.arange(len(window))
    signs = [np.where((at + late) // _TURN % 2, -1.0, 1.0) for late in (0, _TURN // 2)]
    still = window.mean(0)
    return np.asarray([np.tensordot(sign, window - still, 1) for sign in signs], np.float32)


def _spectrum(image: Floats, scale: float) -> Complexes:
    """(TILE, TILE) of the ``image`` at ``scale``, folded to a tile."""
    height, width = image.shape
    size = (round(width * scale), round(height * scale))
    exact = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]], np.float32)
    scaled = image if scale == 1 else cv2.warpAffine(image, exact, size, flags=cv2.INTER_LINEAR)
    rows, columns = -(-size[1] // TILE), -(-size[0] // TILE)
    whole = np.zeros((rows * TILE, columns * TILE), np.float32)
    whole[: size[1], : size[0]] = scaled
    folded = whole.reshape(rows, TILE, columns, TILE).sum((0, 2))
    return np.asarray(np.fft.fft2(folded), np.complex128)
