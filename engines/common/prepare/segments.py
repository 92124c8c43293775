"""From frames with landmarks to tracks: one face without a break, at 25 pictures per second."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from engines.common import Array
from realtime_dub.face.alignment import TEMPLATE, canonicalise, fit_pose, project
from realtime_dub.face.landmarks import LIPS
from realtime_dub.face.types import Points
from realtime_dub.media import MS, NS, Frame

FPS = 25
PERIOD_NS = NS // FPS
LEAST, MOST = 25, 500  # pictures in a track; a longer one is cut, so that memory stays bounded
HOLE_NS = 200 * MS  # without a face for longer than this, the track ends
JUMP = 0.4  # of the face's width from frame to frame: another face, or a cut
SCALE_JUMP = 1.35
CROP_SIDE = 2.4  # mouth widths: from the nose to the chin
THUMB = 96  # pixels
QUALITY = 92  # of JPEG
_CENTRE = TEMPLATE[LIPS].mean(0, keepdims=True)


@dataclass(frozen=True, eq=False)
class Look:
    """One frame of the video: its face, None where there was none, and the pictures cut out around the mouth."""

    at_ns: int
    points: Points | None  # (478, 3) pixels
    matrix: Array  # (2, 3) pixels to the crop's unit square
    crops: dict[int, bytes]  # JPEG by side length


@dataclass(frozen=True, eq=False)
class Track:
    """Arrays at 25 pictures per second, ``T`` of them. ``start_ns`` is the first picture's time in the file."""

    start_ns: int
    canonical: Array  # (T, 478, 3) template units
    rotation: Array  # (T, 3, 3), with scale and shift the head's pose: points = scale * canonical @ rotation.T + shift
    scale: Array  # (T,) pixels
    shift: Array  # (T, 3)
    seen: Array  # (T,) False where the face is interpolated
    matrix: Array  # (T, 2, 3)
    crops: dict[int, list[bytes]]

    def __len__(self) -> int:
        return len(self.scale)


def look(frame: Frame, points: Points | None, before: Look | None, sizes: Sequence[int]) -> Look:
    """Cut the mouth out of a frame; without a face, where it was before."""
    if points is None and before is None:
        return Look(frame.pts_ns, None, np.zeros((2, 3), np.float32), {})
    matrix = crop_matrix(points) if points is not None else before.matrix  # type: ignore[union-attr]
    return Look(frame.pts_ns, points, matrix, {size: _crop(frame, matrix, size) for size in sizes})


def crop_matrix(points: Points) -> Array:
    """The affine map (2, 3) that takes the square around the mouth, upright in the face's plane, to the unit square."""
    pose = fit_pose(points)
    centre = project(_CENTRE, pose)[0, :2]
    along = pose.rotation[:2, 0] / np.linalg.norm(pose.rotation[:2, 0])
    turn = np.array([along, [-along[1], along[0]]]) / (CROP_SIDE * pose.scale)
    return np.concatenate([turn, (0.5 - turn @ centre)[:, None]], 1).astype(np.float32)


def _crop(frame: Frame, matrix: Array, size: int) -> bytes:
    # A large face is sampled finely first, or its texture would alias.
    finer = max(1, round(1 / (np.hypot(*matrix[0, :2]) * size)))
    side = size * finer
    # Pixel centres: x in the picture is (x + 0.5) of a crop's side, less half a pixel of the crop.
    scaled = matrix * side
    scaled[:, 2] += 0.5 * scaled[:, :2].sum(1) - 0.5
    cut = cv2.warpAffine(frame.image, scaled, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if finer > 1:
        cut = cv2.resize(cut, (size, size), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", cut, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def cut_tracks(looks: Iterable[Look]) -> Iterator[Track]:
    """The tracks of a video, as its frames come in."""
    run: list[Look] = []
    last: Look | None = None  # with a face
    for now in looks:
        if now.points is None:
            if last is not None:
                run.append(now)
            continue
        if last is not None and (_broken(last, now) or now.at_ns - run[0].at_ns >= MOST * PERIOD_NS):
            yield from _finish(run)
            run = []
        run.append(now)
        last = now
    yield from _finish(run)


def _broken(last: Look, now: Look) -> bool:
    assert last.points is not None
    assert now.points is not None
    if now.at_ns - last.at_ns > HOLE_NS:
        return True
    widths = [float(np.ptp(look.points[:, 0])) for look in (last, now) if look.points is not None]
    moved = float(np.linalg.norm(now.points[:, :2].mean(0) - last.points[:, :2].mean(0)))
    ratio = max(widths) / max(min(widths), 1e-6)
    return moved > JUMP * max(widths) or ratio > SCALE_JUMP


def _finish(run: list[Look]) -> Iterator[Track]:
    """A track of a run of looks, if it is long enough; what has no face at its end is left out."""
    while run and run[-1].points is None:
        run = run[:-1]
    if not run:
        return
    count = round((run[-1].at_ns - run[0].at_ns) / PERIOD_NS) + 1
    if count < LEAST:
        return
    instants = run[0].at_ns + PERIOD_NS * np.arange(count)
    times = np.array([look.at_ns for look in run])
    nearest = np.abs(times[None] - instants[:, None]).argmin(1)
    chosen = [run[index] for index in nearest]
    faces = [canonicalise(points) for points in _at(run, instants)]
    yield Track(
        start_ns=run[0].at_ns,
        canonical=np.stack([face.canonical for face in faces]),
        rotation=np.stack([face.pose.rotation for face in faces]),
        scale=np.array([face.pose.scale for face in faces], np.float32),
        shift=np.stack([face.pose.shift for face in faces]),
        seen=np.array([look.points is not None for look in chosen]),
        matrix=np.stack([look.matrix for look in chosen]),
        crops={size: [look.crops[size] for look in chosen] for size in run[0].crops},
    )


def _at(run: list[Look], instants: Array) -> Array:
    """The face's points (n, 478, 3) at ``instants``, on straight lines between the frames that show it."""
    seen = [look for look in run if look.points is not None]
    times = np.array([look.at_ns for look in seen])
    points = np.stack([look.points for look in seen if look.points is not None])
    after = np.clip(np.searchsorted(times, instants), 1, max(1, len(times) - 1))
    if len(times) == 1:
        return np.repeat(points, len(instants), 0)
    part = np.clip((instants - times[after - 1]) / (times[after] - times[after - 1]), 0, 1)
    part = part.astype(np.float32)[:, None, None]
    return np.asarray(points[after - 1] * (1 - part) + points[after] * part)
