"""Finds, chooses and follows the face to dub: MediaPipe's face mesh behind the ``FaceTracker`` contract.

A face that is too small for the mesh to find in the whole picture is searched for, and followed in a close-up.
MediaPipe is known in ``models`` alone, so that it can be exchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.errors import ConfigError
from realtime_dub.face.alignment import canonicalise
from realtime_dub.face.areas import Area, area_of
from realtime_dub.face.landmarks import JAW, LIPS
from realtime_dub.face.models import Mesh
from realtime_dub.face.search import EVERY_NS, FACES_HIGH, FaceSearch, close_up
from realtime_dub.face.shots import Shots
from realtime_dub.face.smoothing import OneEuro
from realtime_dub.face.telling import Telling
from realtime_dub.face.types import Points, TrackedFrame
from realtime_dub.media import Frame, Image
from realtime_dub.paths import is_number

MAX_FACES = 4
MAX_YAW_DEG = 55.0  # beyond, half of the mouth is hidden and the mesh guesses; engines have let go of it before
RETURN_YAW_DEG = 52.0  # hysteresis: back in once it is clearly inside
KNOWN_YAW_DEG = 40.0  # beyond, a face looks too little like itself to say whose it is
MIN_MOUTH_PX = 8.0  # smaller mouths have no shape to speak of
REMEMBERED_FRAMES = 25  # a face that comes back where it was is the same one
STICKY_SHARE = 0.6  # a face is the same one if it moved by less than this share of its width
SMALL = 0.15  # of the picture's height, below which a close-up shows a face better
GROWN = 0.4  # of the picture's height, from which a face needs no close-up
TAKES_OVER = 2.5  # times as high as one in a close-up: somebody before the camera, not the picture on the wall behind
NEAR_FACES = 2  # in a close-up: the one, and a neighbour's that comes into it
CUT_STICKY_SHARE = 0.2  # the same across a cut: what looks like one may be a lamp that was switched on
CHOICES = ("largest", "left", "right")


class MediaPipeTracker:
    """Follows one face. ``choice`` is ``largest``, ``left``, ``right`` or the face's number from the left, from 1.

    The choice is made when a face is first seen and kept until that face is lost: people who walk through do not take
    the mouth over.
    """

    def __init__(self, choice: str = "largest", smooth: bool = True, at_once: bool = True) -> None:
        """``at_once``: take the time to search each picture wholly for small faces; not where pictures may not wait."""
        if choice not in CHOICES and not (is_number(choice) and 1 <= int(choice) <= MAX_FACES):
            raise ConfigError("cannot choose face", repr(choice), f"use {', '.join(CHOICES)} or 1 to {MAX_FACES}")
        self._choice = choice
        self.describes = True
        self._mesh = Mesh(MAX_FACES)
        self._search, self._at_once = FaceSearch(at_once), at_once
        self._near: Mesh | None = None  # for close-ups, made when the first is needed
        self._view: Area | None = None  # the close-up in which the face is followed
        self._faces: list[Area] = []  # small ones that were looked at
        self._checked_ns = -EVERY_NS  # when the whole picture was last looked at
        self._filter = OneEuro(min_cutoff_hz=8.0, beta=12.0) if smooth else None
        self._shots, self._telling = Shots(), Telling()
        self._sticky_share = STICKY_SHARE
        self._lost = 0  # frames since the chosen face was seen
        self._last: Points | None = None
        self._asked: tuple[Sequence[Points], Points | None, float] = ([], None, 0.0)
        self._answer: Points | None = None  # to that
        self._profile = False
        self._scene = 0

    def track(self, frame: Frame) -> TrackedFrame:
        """The chosen face in ``frame``, smoothed; without a face that can be dubbed, why."""
        if frame.scene != self._scene:  # where the face was in a picture of another size says nothing
            self._scene, self._lost = frame.scene, REMEMBERED_FRAMES
            self._lose()
        points = self._find(frame)
        if points is None:
            self._lose()
            return TrackedFrame(frame, None, "no face", self._shots.number)
        self._last, self._lost = points, 0
        if self._filter is not None:
            points = self._filter(points, frame.pts_ns, unit=_extent(points[:, 0]) / 3)
        face = canonicalise(points)
        why = self._why_not(face.pose.yaw_deg, face.pose.scale, points, frame)
        if why:
            return TrackedFrame(frame, None, why, self._shots.number)
        if not self.describes or abs(face.pose.yaw_deg) > KNOWN_YAW_DEG:
            return TrackedFrame(frame, face, "", self._shots.number)
        descriptor, crop = self._telling(frame, face, self._shots.number)
        face = replace(face, descriptor=descriptor)
        shot = self._shots.number if crop is None else self._shots.follow(frame, face, crop)
        return TrackedFrame(frame, face, "", shot)

    def _find(self, frame: Frame) -> Points | None:
        """The chosen face. Behind a cut it is looked for anew, unless one is where it was, or there is none at all."""
        cut = self._shots.cut(frame)
        if cut and self._filter is not None:
            self._filter.reset()
        self._sticky_share = CUT_STICKY_SHARE if cut else STICKY_SHARE
        points = self._choose(self._look(frame, cut))
        if points is None and cut and self._last is not None:
            remembered = self._last, self._lost
            self._lost = REMEMBERED_FRAMES
            self._lose()
            points = self._choose(self._look(frame, cut))
            if points is None:
                self._last, self._lost = remembered
        return points

    def close(self) -> None:
        """Release the models."""
        for model in (self._mesh, self._near, self._search):
            if model is not None:
                model.close()

    def _lose(self) -> None:
        """Without a face, or at another one, smoothing begins anew; where the face was is remembered for a while."""
        self._profile = False
        self._shots.broken()
        if self._filter is not None:
            self._filter.reset()
        self._lost += 1
        if self._lost > REMEMBERED_FRAMES:
            self._last = None

    def _look(self, frame: Frame, cut: bool) -> list[Points]:
        """The faces to choose from: those in the whole picture, or the one that is searched for or followed."""
        image = frame.image
        if self._view is not None and self._last is not None:
            return self._look_near(frame)
        self._view = None
        face_px = None if self._last is None else _extent(self._last[:468, 1])
        faces = self._find_in(self._mesh, image, None, face_px, follows=not cut)
        if self._last is not None:
            return self._followed(faces, frame)
        return faces if faces and self._choice == "largest" else self._searched(faces, frame)

    def _find_in(
        self, mesh: Mesh, image: Image, area: Area | None, face_px: float | None, follows: bool = True
    ) -> list[Points]:
        """The faces; where the one that is followed is where it was, others are not searched for."""
        if follows and self._last is not None and not self._lost:
            faces = mesh.find(image, area, face_px, searches=False)
            if self._same(faces) is not None:
                return faces
        return mesh.find(image, area, face_px)

    def _followed(self, faces: list[Points], frame: Frame) -> list[Points]:
        """``faces``, or the followed one in a close-up, where it has become too small or is no longer among them."""
        assert self._last is not None
        found, high = self._same(faces), _extent(self._last[:468, 1]) / frame.height
        if found is None:
            return faces if high > GROWN else self._closer(area_of(self._last), frame.image)
        if high > SMALL or 0 <= frame.pts_ns - self._checked_ns < EVERY_NS:
            return faces
        self._checked_ns = frame.pts_ns
        if near := self._closer(area_of(found), frame.image):
            return near
        self._view = None
        return faces

    def _look_near(self, frame: Frame) -> list[Points]:
        """The followed face, and the close-up for the next picture."""
        assert self._view is not None
        assert self._near is not None
        if larger := self._larger(frame):
            return larger
        near = self._find_in(self._near, frame.image, self._view, self._view.height / FACES_HIGH)
        found = self._same(near)
        if found is None:
            return []
        area = area_of(found)
        grown = area.height > GROWN * frame.height
        self._view = None if grown else close_up(area, frame.image, self._view)
        return [found]

    def _larger(self, frame: Frame) -> list[Points]:
        """Now and then: somebody who is so much nearer that the small face was only for want of a better one."""
        assert self._last is not None
        if self._choice != "largest" or 0 <= frame.pts_ns - self._checked_ns < EVERY_NS:
            return []
        self._checked_ns = frame.pts_ns
        least = TAKES_OVER * _extent(self._last[:468, 1])
        larger = [face for face in self._mesh.find(frame.image) if _extent(face[:468, 1]) > least]
        if larger:
            self._lose()
            self._last = self._view = None
        return larger

    def _searched(self, faces: list[Points], frame: Frame) -> list[Points]:
        """The chosen one of the faces that the mesh finds and of smaller ones; none while the search is under way."""
        small = self._small(faces, frame)
        if small is None:
            return []
        place = self._pick([*(area_of(face) for face in faces), *small])
        if place is None:
            return []
        self._checked_ns = frame.pts_ns
        if place < len(faces):
            return [faces[place]]
        chosen = small[place - len(faces)]
        if found := self._closer(chosen, frame.image):
            return found
        self._search.dismiss(chosen)  # no face after all
        return self._searched(faces, frame) if self._at_once else []

    def _small(self, faces: list[Points], frame: Frame) -> list[Area] | None:
        """The faces that the mesh does not find in the whole picture; None while the search for them is under way."""
        found = self._search.search(frame.image, frame.pts_ns)
        if found is None:
            return None
        known = [area_of(face) for face in faces]
        small = [each for each in found if not any(area.holds(*each.middle) for area in known)]
        return small if self._choice == "largest" else self._confirmed(small, frame.image)

    def _confirmed(self, small: list[Area], image: Image) -> list[Area] | None:
        """Those in which the mesh finds a face, so that they can be counted; None while one a picture is looked at."""
        self._faces = [each for each in self._faces if each in small]
        for each in small:
            if each in self._faces:
                continue
            if self._closer(each, image):
                self._faces.append(each)
            else:
                self._search.dismiss(each)
            self._view = None
            if not self._at_once:
                return None
        return self._faces

    def _closer(self, area: Area, image: Image) -> list[Points]:
        """The face at ``area``, in a close-up from now on; looked at twice, for the mesh looks first where one was."""
        self._near = self._near or Mesh(NEAR_FACES)
        self._view = close_up(area, image)
        for _ in range(2):
            for face in self._near.find(image, self._view, area.height):
                if area.holds(*area_of(face).middle):
                    return [face]
        return []

    def _choose(self, faces: Sequence[Points]) -> Points | None:
        if self._last is None and self._choice != "largest":
            return faces[0] if faces else None  # the search has chosen
        if self._last is not None:
            if (same := self._same(faces)) is not None:
                return same
            if len(faces) != 1:
                return None  # the chosen face is hidden for a moment: nobody else takes its place yet
            self._lose()
        place = self._pick([area_of(face) for face in faces])
        return None if place is None else faces[place]

    def _pick(self, areas: Sequence[Area]) -> int | None:
        """Which of these is the face that was asked for."""
        by_x = sorted(range(len(areas)), key=lambda place: areas[place].middle[0])
        if not by_x:
            return None
        if self._choice == "largest":
            return max(by_x, key=lambda place: areas[place].width * areas[place].height)
        if is_number(self._choice):
            number = int(self._choice)
            return by_x[number - 1] if number <= len(by_x) else None
        return by_x[0] if self._choice == "left" else by_x[-1]

    def _same(self, faces: Sequence[Points]) -> Points | None:
        """The one of ``faces`` that was followed up to now."""
        assert self._last is not None
        asked = self._asked
        if faces is asked[0] and self._last is asked[1] and self._sticky_share == asked[2]:
            return self._answer  # looking, following and choosing all want to know
        self._asked, self._answer = (faces, self._last, self._sticky_share), self._nearest(faces)
        return self._answer

    def _nearest(self, faces: Sequence[Points]) -> Points | None:
        assert self._last is not None
        x, y = _middle(self._last)
        far = [math.dist(_middle(face), (x, y)) for face in faces]
        if not far or min(far) >= self._sticky_share * _extent(self._last[:, 0]):
            return None
        return faces[far.index(min(far))]

    def _why_not(self, yaw_deg: float, scale: float, points: Points, frame: Frame) -> str:
        self._profile = abs(yaw_deg) > (RETURN_YAW_DEG if self._profile else MAX_YAW_DEG)
        if self._profile:
            return "profile"
        (left, top, _), (right, bottom, _) = _corners(points.take(LIPS, axis=0))
        outside = min(left, top) < 1 or right > frame.width - 2 or bottom > frame.height - 2
        jaw, room = points.take(JAW, axis=0).tolist(), scale / 4
        beside = sum(y > frame.height + room or x < -room for x, y, _ in jaw)
        return "outside" if outside or beside > 0.5 * len(jaw) or scale < MIN_MOUTH_PX else ""


def _extent(values: npt.NDArray[np.float32]) -> float:
    return float(np.maximum.reduce(values) - np.minimum.reduce(values))


def _corners(points: Points) -> tuple[list[float], list[float]]:
    """The least and the most of each coordinate."""
    return np.minimum.reduce(points).tolist(), np.maximum.reduce(points).tolist()


def _middle(points: Points) -> tuple[float, float]:
    """Of a face (478, 3). OpenCV's mean takes a tenth of the time of NumPy's, and this is asked for often."""
    x, y, *_ = cv2.mean(points[:, None])
    return x, y
