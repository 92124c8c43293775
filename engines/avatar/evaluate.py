"""How good a picture net is on clips that it has not seen: ``python -m engines.avatar.evaluate AVATAR --clips FOLDER``.

Two ways to move it: by the clip's own landmarks (what the picture net alone does), and, with ``--voices``, by the voice
of each clip through the whole engine. Landmarks of what was painted are read again, as a viewer would see them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engines.avatar.cutting import taken
from engines.common import Array
from engines.common.grid import split
from engines.common.prepare.clip import FaceReader, read_sound
from engines.common.video_metrics import correlation
from realtime_dub.clock import VirtualClock
from realtime_dub.face.alignment import canonicalise
from realtime_dub.face.drawing68 import MOUTH_FROM
from realtime_dub.face.landmarks import mean_lip_opening
from realtime_dub.face.scheme68 import openness
from realtime_dub.face.types import Points, TrackedFrame
from realtime_dub.media import Frame, Image
from realtime_dub.mouth import registry
from realtime_dub.mouth.avatar.canvas import Canvas
from realtime_dub.mouth.avatar.edges import edges
from realtime_dub.mouth.avatar.folder import PICTURE, About, Person, read_about, read_person, read_plate
from realtime_dub.mouth.avatar.painter import Painter
from realtime_dub.mouth.avatar.pose import AvatarPose
from realtime_dub.mouth.avatar.sharpening import sharpness
from realtime_dub.mouth.avatar.showing import Showing, enhancer_of
from realtime_dub.mouth.contract import WholeFrame, landmarks_of
from realtime_dub.sources.base import read_all
from realtime_dub.sources.registry import open_video

PERIOD_NS = 40_000_000
SHOWN = 6  # pictures of a sheet
FINE = 192  # details are as fine as a pixel of a picture of so many a side


@dataclass(frozen=True, eq=False)
class Shown:
    """A clip, and what was made in its place; pictures as large as the recording is kept."""

    drawn: list[Image]
    painted: list[Image]
    true: list[Image]
    opening: Array  # (n,) of the clip's lips, template units
    face: Array  # (n, 478, 2) of the clip's faces, pixels of the pictures

    def figures(self, reader: FaceReader) -> dict[str, float]:
        """``levels`` off, ``mouth_r`` of the lips that are read again; ``flicker``, ``sharp``: shares of the clip's."""
        found, wanted = (np.stack(each).astype(np.float32) for each in (self.painted, self.true))
        read = openings(reader, self.painted)
        good = np.isfinite(read) & np.isfinite(self.opening)
        return {
            "levels": float(np.abs(found - wanted).mean()),
            "mouth_r": correlation(read[good], self.opening[good]),
            "flicker": _flicker(found) / max(_flicker(wanted), 1e-6),
            "sharp": self._sharp(self.painted) / max(self._sharp(self.true), 1e-6),
            "faces": float(good.mean()),
        }

    def _sharp(self, pictures: Sequence[Image]) -> float:
        """The spread of the finest details of a face, levels."""
        pixel = len(self.true[0]) / FINE
        return float(np.mean([sharpness(each, face, pixel) for each, face in zip(pictures, self.face, strict=True)]))


def _flicker(pictures: Array) -> float:
    """The mean second difference over time, levels: what goes to and fro, not what moves."""
    return float(np.abs(pictures[2:] - 2 * pictures[1:-1] + pictures[:-2]).mean())


def openings(reader: FaceReader, pictures: Sequence[Image]) -> Array:
    """Of the lips (n,), template units; NaN where no face is found."""
    reader.start()
    found = []
    for picture in pictures:
        large = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        points = reader.find(Frame(np.asarray(large, np.uint8), 0, 0))
        found.append(np.nan if points is None else float(mean_lip_opening(canonicalise(points).canonical)))
    return np.array(found)


class Evaluation:
    """Of one avatar."""

    def __init__(self, folder: Path, enhance: bool = False) -> None:
        self.about: About = read_about(folder)
        self.person: Person = read_person(folder)
        painter, canvas = Painter(folder / PICTURE), Canvas(read_plate(folder))
        self.showing, self._size = Showing(painter, self.person, self.about.shown, canvas), painter.size
        if enhance:
            self.showing.enhancer = enhancer_of(None, self.showing, folder, self.person, painter.size)
        self.reader, self._folder, self._enhance = FaceReader(), folder, enhance

    def by_landmarks(self, clip: Path) -> Shown:
        """Moved by the clip's own landmarks."""
        shown = Shown([], [], [], np.zeros(0), np.zeros(0))
        opening, faces = [], []
        for frame, points in self._tracked(clip):
            face = canonicalise(points)
            pose = AvatarPose(face.canonical, face.pose)
            shown.drawn.append(
                edges(pose, self.person.body.places(pose.pose), self.about.shown, self.showing.canvas.side)
            )
            shown.painted.append(self.showing.picture(pose))
            shown.true.append(self._true(frame))
            opening.append(float(mean_lip_opening(face.canonical)))
            faces.append(self._places(points))
        return Shown(shown.drawn, shown.painted, shown.true, np.array(opening), np.array(faces))

    def by_voice(self, clip: Path) -> Shown:
        """Moved by the clip's voice, through the engine."""
        generator = registry.create("avatar", bundle=self._folder, enhance=self._enhance or None)
        sound = np.concatenate([read_sound(clip), np.zeros(16_000, np.float32)])
        generator.hear(sound, 0)
        true, opening, faces = [], [], []
        for frame, points in self._tracked(clip):
            true.append(self._true(frame))
            faces.append(self._places(points))
            opening.append(float(mean_lip_opening(canonicalise(points).canonical)))
        live = TrackedFrame(Frame(true[0], 0, 0), None)
        painted = [generator.generate(live, k * PERIOD_NS) for k in range(len(true))]
        generator.close()
        return Shown(
            true, [each.image for each in painted if each is not None], true, np.array(opening), np.array(faces)
        )

    def of_stranger(self, clip: Path) -> float:
        """r of the lips that are read in what is painted and of those that the motion asked for, with any voice."""
        generator = registry.create("avatar", bundle=self._folder, enhance=self._enhance or None)
        sound = read_sound(clip)
        generator.hear(np.concatenate([sound, np.zeros(16_000, np.float32)]), 0)
        live = TrackedFrame(Frame(np.zeros((16, 16, 3), np.uint8), 0, 0), None)
        painted, asked = [], []
        for k in range(len(sound) * 25 // 16_000):
            made, points = generator.generate(live, k * PERIOD_NS), landmarks_of(generator)
            assert isinstance(made, WholeFrame)
            assert points is not None
            painted.append(made.image)
            asked.append(float(openness(points[MOUTH_FROM:])))
        generator.close()
        read = openings(self.reader, painted)
        return correlation(read, np.array(asked))

    def _tracked(self, clip: Path) -> list[tuple[Frame, Points]]:
        source = open_video(str(clip), clock=VirtualClock(), live=False)
        source.open()
        self.reader.start()
        try:
            found = [(frame, self.reader.find(frame)) for frame in read_all(source.read)]
        finally:
            source.close()
        return [(frame, points) for frame, points in found if points is not None]

    def _places(self, points: Points) -> Array:
        return self.about.shown.places(points, self.about.stored)

    def _true(self, frame: Frame) -> Image:
        return taken(frame.image, self.about)


def sheet(shown: Shown, count: int = SHOWN) -> Image:
    """Rows drawn, painted, true, and the last two from near."""
    at = np.linspace(0, len(shown.true) - 1, count).astype(int)
    rows = [np.concatenate([each[k] for k in at], 1) for each in (shown.drawn, shown.painted, shown.true)]
    size = shown.true[0].shape[0]
    part = slice(size // 4, size // 4 + size // 2)
    for each in (shown.painted, shown.true):
        near = [cv2.resize(each[k][size // 3 : size // 3 + size // 2, part], (size, size)) for k in at]
        rows.append(np.concatenate(near, 1))
    return np.asarray(np.concatenate(rows), np.uint8)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--clips", type=Path, required=True, help="a folder; every 20th by sorted name is measured")
    parser.add_argument("--most", type=int, default=10)
    parser.add_argument("--voices", action="store_true", help="move it by the clips' voices")
    parser.add_argument("--strangers", type=Path, nargs="*", default=[], help="films whose voices move it, too")
    parser.add_argument("--enhance", action="store_true", help="with our filter")
    parser.add_argument("--sheet", type=Path, help="a picture (.png) of the first clips")
    given = parser.parse_args(arguments)
    paths = {path.stem: path for path in sorted(given.clips.glob("*.mp4"))}
    names = split(list(paths))["test"][: given.most]
    evaluation = Evaluation(given.avatar, given.enhance)
    rows: list[dict[str, float]] = []
    sheets: list[Image] = []
    for name in names:
        shown = evaluation.by_voice(paths[name]) if given.voices else evaluation.by_landmarks(paths[name])
        rows.append(shown.figures(evaluation.reader))
        if len(sheets) < 2:
            sheets.append(sheet(shown))
        print(name, {key: round(value, 3) for key, value in rows[-1].items()}, flush=True)
    if given.sheet is not None:
        cv2.imwrite(str(given.sheet), np.concatenate(sheets))
    strangers = [evaluation.of_stranger(path) for path in given.strangers]
    means = {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}
    if strangers:
        means["strangers_r"] = round(float(np.mean(strangers)), 4)
    print(json.dumps({"clips": len(rows), **means}))


if __name__ == "__main__":
    main()
