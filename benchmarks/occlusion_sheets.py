"""Contact sheets: things before mouths, and a head that turns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.media import frames
from benchmarks.occluded import Occluded
from benchmarks.turned import turned
from realtime_dub.blend.composite import Compositor
from realtime_dub.face.alignment import LOWER, TEMPLATE
from realtime_dub.face.landmarks import CHIN, LIPS_INNER
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import Points, TrackedFrame
from realtime_dub.media import MS, Frame, Image
from realtime_dub.mouth.fade import TurnFade
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.occlusion import Cover, Occlusion
from realtime_dub.mouth.mouthbank.render import Renderer

SIDE, ROOM = 160, 2.2  # pixels of a picture, mouth widths to each side of the mouth
PLACES = (0.3, 0.42, 0.55, 0.68, 0.85)  # of a clip
ANGLES = (0, 15, 30, 40, 45, 50, 55, 60)
OPENED = 0.16  # mouth widths


def tracked(images: Sequence[Image], times_ns: Sequence[int]) -> list[TrackedFrame]:
    """As the pipeline's tracker sees them."""
    tracker = MediaPipeTracker()
    try:
        stamped = zip(images, times_ns, strict=True)
        return [tracker.track(Frame(image, at_ns, k)) for k, (image, at_ns) in enumerate(stamped)]
    finally:
        tracker.close()


def rows(seen: Sequence[TrackedFrame], made: Occluded, result: Sequence[Image], times_ns: Sequence[int]) -> Image:
    """Source, mask and result of a few frames, one above another; ``seen`` is the clip without the thing."""
    occlusion, columns = Occlusion(), []
    places = {round(at * (len(seen) - 1)) for at in PLACES}
    for k, (each, out) in enumerate(zip(tracked(made.images, times_ns), result, strict=False)):
        cover = occlusion.look(each)
        if k in places:
            pictures = (made.images[k], _red(made.images[k], cover), out)
            columns.append(np.concatenate([_cut(seen[k], picture) for picture in pictures]))
    return np.concatenate(columns, 1)


def turning() -> Image:
    """The built-in portrait as a mesh that turns (see ``turned``), and below with the mouth that would be shown."""
    image = next(frames("demo")).image
    (front,) = tracked([image], [0])
    assert front.face is not None
    bank, fade, columns = Bank(), TurnFade(), []
    bank.observe(front)
    images = [turned(image, front.face, -angle) for angle in ANGLES]
    for each in tracked(images, [(k + 1) * 500 * MS for k in range(len(images))]):
        weight = fade(each)
        patch = Renderer(bank).render(each, _opened(), weight, 0) if weight > 0 else None
        out = each.frame.image if patch is None else Compositor().compose(each, patch, 1.0)
        place = front if each.face is None else each
        columns.append(np.concatenate([_cut(place, each.frame.image), _cut(place, out)]))
    return np.concatenate(columns, 1)


def write(path: Path, picture: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)


def _opened() -> Points:
    """The lower lip and the chin go down."""
    moved = np.zeros((len(LOWER), 3), np.float32)
    across = np.clip(1 - (2 * TEMPLATE[LOWER, 0]) ** 2, 0, 1)
    below = TEMPLATE[LOWER, 1] > TEMPLATE[LIPS_INNER, 1].mean()
    moved[below, 1] = OPENED * across[below]
    moved[LOWER == CHIN, 1] = OPENED
    return moved


def _red(image: Image, cover: Cover) -> Image:
    if cover.share is None or cover.crop is None:
        return image
    size, how = (image.shape[1], image.shape[0]), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    share = cv2.warpAffine(cover.share, cover.crop.matrix, size, flags=how)[..., None]
    return np.asarray(image + 0.6 * share * (np.array([40, 40, 255]) - image), np.uint8)


def _cut(seen: TrackedFrame, image: Image) -> Image:
    assert seen.face is not None
    x, y = seen.face.points[[61, 291], :2].mean(0)
    half = ROOM * seen.face.pose.scale
    box = np.rint([x - half, y - half * 1.2, x + half, y + half * 0.8]).astype(int)
    low, high = np.maximum(box[:2], 0), box[2:]
    part = image[low[1] : high[1], low[0] : high[0]]
    return np.asarray(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
