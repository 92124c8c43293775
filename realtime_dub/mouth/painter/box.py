"""Where a face's crop lies, frame by frame: with the head at once, with what the mouth does to the box slowly.

A box around a face's points grows with every word, as the chin goes down. A network that is shown a trembling box
paints a trembling mouth. So the box is kept in the head's own measure, and smoothed there from past frames alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from realtime_dub.face.crop import OVAL, Crop, Margins, crop_of
from realtime_dub.face.smoothing import OneEuro
from realtime_dub.face.types import Face, TrackedFrame
from realtime_dub.inference.spec import CropSpec

CUTOFF_HZ, BETA = 0.5, 0.1  # 0.3 s for what trembles; a head that turns is followed a little quicker


class FaceBox:
    """One person's. Not thread-safe."""

    def __init__(self, spec: CropSpec, margins: Margins | None = None) -> None:
        """``margins``: in place of the bundle's own."""
        self._spec, self._margins = spec, margins or spec.margins
        self._smooth, self._shot = OneEuro(CUTOFF_HZ, BETA), 0
        self._last: tuple[Face, int, Crop] | None = None

    def __call__(self, tracked: TrackedFrame, face: Face) -> Crop:
        """For frames in order; the same one may come again."""
        at_ns = tracked.frame.pts_ns
        if self._last is None or self._last[0] is not face or self._last[1] != at_ns:
            self._last = face, at_ns, self._found(tracked, face)
        return self._last[2]

    def _found(self, tracked: TrackedFrame, face: Face) -> Crop:
        if self._spec.alignment != "box":
            return crop_of(face, self._spec.size, self._spec.alignment, self._margins)
        if tracked.shot != self._shot:
            self._smooth.reset()
            self._shot = tracked.shot
        points, pose = face.points[:OVAL, :2], face.pose
        corners = (np.stack([points.min(0), points.max(0)]) - pose.shift[:2]) / np.float32(pose.scale)
        steady = self._smooth(corners.astype(np.float32), tracked.frame.pts_ns)
        steadied = np.concatenate([steady * pose.scale + pose.shift[:2], np.zeros((2, 1))], 1).astype(np.float32)
        return crop_of(replace(face, points=steadied), self._spec.size, "box", self._margins)
