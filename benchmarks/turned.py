"""A head that turns, made of one picture of it: the face's mesh, with the picture on it, turned before the picture.

The mesh ends at the hairline: what is behind the face does not turn along, and what the camera did not see is smeared.
Good enough to ask what a turned mouth looks like; no film of a turned head.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.face.alignment import TEMPLATE, project
from realtime_dub.face.types import Face
from realtime_dub.media import Image

NECK = np.array([0, 0.6, 1.2], np.float32)  # what the head turns about, canonical
_OVAL = 468
_BEHIND = 0.06  # of the mesh's height: blur of what was behind the face


@cache
def triangles() -> npt.NDArray[np.int_]:
    """The mesh (n, 3): Delaunay's, of the template seen from the front."""
    points = TEMPLATE[:_OVAL, :2] * 100 + 500
    plane = cv2.Subdiv2D((0, 0, 1000, 1000))
    index = {plane.insert((float(x), float(y))): k for k, (x, y) in enumerate(points)}
    found = []
    for corners in np.asarray(plane.getTriangleList(), np.float32).reshape(-1, 3, 2):
        nearest = [int(np.linalg.norm(points - corner, axis=1).argmin()) for corner in corners]
        if len(set(nearest)) == 3 and max(np.linalg.norm(points[nearest] - corners, axis=1)) < 1:
            found.append(nearest)
    assert index
    return np.array(found)


def turned(image: Image, face: Face, yaw_deg: float, pitch_deg: float = 0.0) -> Image:
    """``image`` with the face turned by so much from where it is."""
    yaw, pitch = (cv2.Rodrigues(np.radians(axis))[0] for axis in ([0.0, yaw_deg, 0.0], [pitch_deg, 0.0, 0.0]))
    rotation = (pitch @ yaw).astype(np.float32)
    moved = project((face.canonical - NECK) @ rotation.T + NECK, face.pose)
    out = _without_face(image, face)
    mesh = triangles()
    for corners in mesh[np.argsort(-moved[mesh, 2].mean(1))]:  # what is farthest first
        _draw(out, image, face.points[corners, :2], moved[corners, :2])
    return out


def _without_face(image: Image, face: Face) -> Image:
    """Where the face was, the colours of its edge."""
    hull = cv2.convexHull(face.points[:_OVAL, :2].astype(np.float32)).astype(np.int32)
    hole = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(hole, hull, (255,))
    small = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(hole, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_NEAREST)
    filled = cv2.resize(cv2.inpaint(small, mask, 3, cv2.INPAINT_TELEA), (image.shape[1], image.shape[0]))
    soft = cv2.GaussianBlur(hole, (0, 0), _BEHIND * float(np.ptp(hull[:, 0, 1])) / 4)[..., None] / np.float32(255)
    return np.asarray(image + soft * (filled.astype(np.float32) - image) + 0.5, np.uint8)


def _draw(out: Image, image: Image, before: npt.NDArray[np.float32], after: npt.NDArray[np.float32]) -> None:
    """One triangle, unless it is seen from behind."""
    edges = after[1:] - after[0]
    was = before[1:] - before[0]
    area, area_before = (float(each[0, 0] * each[1, 1] - each[0, 1] * each[1, 0]) for each in (edges, was))
    if area * area_before <= 0 or abs(area) < 1e-3:
        return
    low, high = np.floor(after.min(0)).astype(int), np.ceil(after.max(0)).astype(int) + 1
    low, high = np.maximum(low, 0), np.minimum(high, [out.shape[1], out.shape[0]])
    if (high <= low).any():
        return
    size = tuple((high - low).tolist())
    matrix = cv2.getAffineTransform(before, (after - low).astype(np.float32))
    drawn = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillConvexPoly(mask, np.rint((after - low) * 16).astype(np.int32), (255,), cv2.LINE_8, 4)
    region = out[low[1] : high[1], low[0] : high[0]]
    region[mask > 0] = drawn[mask > 0]
