"""Teeth: a median of many frames has blurred ones, so their detail comes from one frame for each row of teeth.

Such a proxy is found by itself: of all frames the one whose upper (lower) half between the lips is bright, sharp and
full of edges. Its high frequencies alone are laid over the inside of the mouth; colours and light stay the median's.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend.masks import feather, polygon
from realtime_dub.media import Floats, Image
from realtime_dub.mouth.own_texture.textures import HEIGHT, PIXELS, WIDTH, Texture, place_of

LEAST_GAP, WIDE_GAP = 0.06, 0.14  # mouth widths between the inner lips: nearer ones show no teeth, from here on all
DETAIL = 0.06  # sigma that tells detail from light, mouth widths
INSET = 0.015  # of the inner lips, so that no lip is taken for a tooth, mouth widths
BRIGHT, EDGES, SHARP = 1.0, 0.6, 0.4  # weights of what a row of teeth is told by
STRENGTH = 0.9  # of the detail that is laid over
AGREES = (0.15, 0.5)  # r of a proxy's detail with the texture's own: below no teeth are laid over, from here on wholly
REACH = 3  # pixels up and down in which they are looked for
FARTHER = 0.02  # that a pixel farther off has to agree better: teeth do not jump for less
PALE = (0.55, 0.85)  # a texture's light against that of the proxy's teeth: darker is no tooth, from here on one
LEAST_SHOWN = 0.3  # of the proxy's teeth, that have to be seen as light as they are
NEEDED = 0.5  # the share of the proxy's detail that a texture lacks, from which on it is laid over wholly
_BOX = (0, 0, WIDTH, HEIGHT)
Layer = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Chosen:
    """What a user says of the teeth; None is found."""

    upper: int | None = None  # numbers of frames
    lower: int | None = None
    upper_line: int | None = None  # rows of the frame's picture where the lip ends and teeth begin, pixels
    lower_line: int | None = None


FOUND = Chosen()


@dataclass(frozen=True, slots=True, eq=False)
class Proxy:
    """A row of teeth."""

    detail: Layer  # (HEIGHT, WIDTH, 3) high frequencies, zero where no teeth are
    light: Layer  # (HEIGHT, WIDTH) the rest of it, grey
    clear: Layer  # (HEIGHT, WIDTH) 0..1, where it is known
    teeth: Layer  # (HEIGHT, WIDTH) 0..1, where of that it is as light as teeth are
    line: float  # row where the lip that belongs to it ends, pixels of the texture
    number: int  # of the frame
    score: float


def inner(shape: Floats) -> npt.NDArray[np.float64]:
    """The inner lips (20, 2) of a shape (40, 2 or 3), pixels of the texture."""
    return place_of(shape[20:]).astype(np.float64)


def inside(shape: Floats, soft: bool = False) -> npt.NDArray[np.uint8]:
    """The mask (HEIGHT, WIDTH) between the inner lips, a little smaller than they are."""
    mask = polygon(inner(shape), _BOX)
    size = max(1, round(INSET * PIXELS))
    mask = np.asarray(cv2.erode(mask, np.ones((3, 3), np.uint8), iterations=size), np.uint8)
    return feather(mask, size / 2) if soft else mask


def lines(shape: Floats) -> tuple[float, float]:
    """Rows of the texture where the upper lip ends and where the lower one begins, in the middle of the mouth."""
    lips = inner(shape)
    return float(lips[4:7, 1].mean()), float(lips[14:17, 1].mean())


def halves(shape: Floats) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Between the lips, above and below the middle."""
    top, bottom = lines(shape)
    between = inside(shape) > 127
    above = np.arange(HEIGHT)[:, None] < (top + bottom) / 2
    return between & above, between & ~above


def score(image: Image, part: npt.NDArray[np.bool_]) -> float:
    """How much what is in ``part`` looks like a row of teeth; 0 where it is too small to tell."""
    if part.sum() < 0.02 * PIXELS**2:
        return 0.0
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    bright = float(np.quantile(grey[part], 0.7)) / 255
    edges = float(np.abs(cv2.Sobel(grey, cv2.CV_32F, 1, 0))[part].mean()) / 255
    sharp = float(np.abs(cv2.Laplacian(grey, cv2.CV_32F))[part].mean()) / 255
    pale = 1 - float(np.median(cv2.cvtColor(image, cv2.COLOR_BGR2HSV)[..., 1][part])) / 255  # a tongue is red
    return bright * pale * (BRIGHT + EDGES * min(1.0, 4 * edges) + SHARP * min(1.0, 4 * sharp))


def high_pass(image: Image) -> npt.NDArray[np.float32]:
    """``image`` less its light."""
    values = image.astype(np.float32)
    return np.asarray(values - cv2.GaussianBlur(values, (0, 0), DETAIL * PIXELS), np.float32)


def proxy_of(texture: Texture, upper: bool, line: float | None = None) -> Proxy:
    """The teeth of one frame. ``line``: the row of the texture where they begin, in place of the lip that is seen."""
    part = halves(texture.shape)[0 if upper else 1]
    at = lines(texture.shape)[0 if upper else 1] if line is None else line
    rows = np.arange(HEIGHT)[:, None]
    clear = part & (rows >= at if upper else rows <= at)
    soft = feather(clear.astype(np.uint8) * np.uint8(255), 1.0).astype(np.float32) / 255
    detail = high_pass(texture.image)
    light = (texture.image - detail).mean(2)
    lightest = float(np.quantile(light[clear], 0.9)) if clear.any() else 1.0
    teeth = soft * np.clip((light / max(1.0, lightest) - PALE[0]) / (PALE[1] - PALE[0]), 0, 1)
    found = score(texture.image, part)
    return Proxy(detail * soft[..., None], light, soft, teeth, at, texture.number, found)


class Teeth:
    """The two proxies of one person: the best of the frames that were seen."""

    def __init__(self, chosen: Chosen = FOUND) -> None:
        self._chosen = chosen
        self.upper: Proxy | None = None
        self.lower: Proxy | None = None

    def see(self, texture: Texture) -> None:
        """One more frame; it is looked at once."""
        self.upper = self._better(texture, self.upper, True)
        self.lower = self._better(texture, self.lower, False)

    def _better(self, texture: Texture, best: Proxy | None, upper: bool) -> Proxy | None:
        chosen = self._chosen
        number, line = (chosen.upper, chosen.upper_line) if upper else (chosen.lower, chosen.lower_line)
        if number is not None:  # the nearest of those that were looked at
            better = best is None or abs(texture.number - number) < abs(best.number - number)
        else:
            found = _gap(texture.shape) >= LEAST_GAP and score(texture.image, halves(texture.shape)[not upper])
            better = bool(found) and (best is None or found > best.score)
        return proxy_of(texture, upper, None if line is None else texture.row(line)) if better else best

    def lay_over(self, image: Image, shape: Floats) -> Image:
        """``image``, a texture whose lips are ``shape`` (40, 2 or 3), with the teeth's detail between them."""
        share = STRENGTH * min(1.0, (_gap(shape) - LEAST_GAP) / (WIDE_GAP - LEAST_GAP))
        if share <= 0 or (self.upper is None and self.lower is None):
            return image
        between = inside(shape, soft=True).astype(np.float32) / 255
        box, (top, bottom) = _around(between), lines(shape)
        seen = Seen.of(image, box)
        above = np.clip((top + bottom) / 2 - np.arange(HEIGHT, dtype=np.float32)[box[0], None] + 0.5, 0, 1)
        change = np.zeros_like(seen.detail)
        if self.upper is not None:  # the upper teeth go with the head, and so does the texture
            change += _change(self.upper, 0.0, seen, between[box] * above)
        if self.lower is not None:  # the lower ones go with the jaw
            change += _change(self.lower, bottom - self.lower.line, seen, between[box] * (1 - above))
        laid = image.copy()
        laid[box] = np.clip(image[box] + np.float32(share) * change + 0.5, 0, 255)
        return laid


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a texture shows between the lips, in ``box``."""

    detail: Layer  # (h, w, 3)
    light: Layer  # (h, w) the rest of it, grey
    box: tuple[slice, slice]

    @classmethod
    def of(cls, image: Image, box: tuple[slice, slice]) -> Seen:
        detail = high_pass(image)[box]
        return cls(detail, (image[box] - detail).mean(2), box)


def _around(mask: Layer) -> tuple[slice, slice]:
    """Rows and columns that ``mask`` has anything in."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0, 1), slice(0, 1)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _change(proxy: Proxy, down: float, seen: Seen, part: Layer) -> Layer:
    """What makes of a texture's own detail (h, w, 3) the proxy's, in ``part`` (h, w).

    A proxy is laid as far as the texture shows the same teeth: others would cross them, as a net does. It is moved up
    or down a little, to where it agrees best. A median of few frames is as sharp as they are, and is left as it is.
    """
    best, found, share = AGREES[0], None, 0.0
    for more in range(-REACH, REACH + 1):
        detail, light, clear, teeth = _moved(proxy, down + more, seen.box)
        shown = part * np.clip((seen.light / np.maximum(light, 1) - PALE[0]) / (PALE[1] - PALE[0]), 0, 1)
        if (shown * teeth).sum() < max(1.0, LEAST_SHOWN * float((part * teeth).sum())):
            continue
        r, needed = _agreement(detail, seen.detail, shown * clear)
        r -= FARTHER * abs(more)
        if r > best:
            best, found = r, (detail - clear[..., None] * seen.detail) * shown[..., None]
            share = needed * min(1.0, (r - AGREES[0]) / (AGREES[1] - AGREES[0]))
    return np.zeros_like(seen.detail) if found is None else found * np.float32(share)


def _moved(proxy: Proxy, down: float, box: tuple[slice, slice]) -> list[Layer]:
    """The proxy's detail, light, mask and teeth in ``box``, as they are so much farther down."""
    rows, columns = box
    shift = np.array([[1, 0, -columns.start], [0, 1, down - rows.start]], np.float64)
    size = columns.stop - columns.start, rows.stop - rows.start
    layers = proxy.detail, proxy.light, proxy.clear, proxy.teeth
    return [np.asarray(cv2.warpAffine(each, shift, size), np.float32) for each in layers]


def _agreement(detail: Layer, own: Layer, weight: Layer) -> tuple[float, float]:
    """Correlation of two details under ``weight``, and how far the first is needed: where the other one is weaker."""
    both = np.stack([own.mean(2), detail.mean(2)]).reshape(2, -1)
    weights = weight.reshape(-1) / weight.sum()
    both -= (both @ weights)[:, None]
    (ours, product), (_, proxys) = (both * weights) @ both.T
    if min(ours, proxys) <= 0:
        return 0.0, 0.0
    return float(product / (ours * proxys) ** 0.5), float(np.clip((1 - (ours / proxys) ** 0.5) / NEEDED, 0, 1))


def _gap(shape: Floats) -> float:
    """Between the inner lips in the middle, mouth widths."""
    return float((shape[34:37, 1] - shape[24:27, 1]).mean())
