"""The engine: a whole picture of one person for each instant of any voice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

from realtime_dub.errors import ConfigError
from realtime_dub.face.alignment import LOWER, project
from realtime_dub.face.scheme68 import scheme68
from realtime_dub.face.types import Points, TrackedFrame
from realtime_dub.fitting import Size
from realtime_dub.inference import AUTO
from realtime_dub.media import MS, Image, Samples
from realtime_dub.mouth.avatar.canvas import Canvas
from realtime_dub.mouth.avatar.folder import PICTURE, read_about, read_person, read_plate
from realtime_dub.mouth.avatar.motions import Head, open_motion
from realtime_dub.mouth.avatar.painter import Painter
from realtime_dub.mouth.avatar.pose import AvatarPose
from realtime_dub.mouth.avatar.showing import Showing, enhancer_of
from realtime_dub.mouth.contract import Latency, WholeFrame

COMPUTE_NS = 25 * MS  # p95 of nets and drawing at 192 pixels a side on two cores of a laptop, until measured


class AvatarGenerator:
    """Paints the person of ``bundle``, an avatar's folder, as they would say what is heard.

    ``strength``: 0..2, how far the mouth moves, may be changed at any time; ``head``: ``auto``, or ``recorded`` for the
    head motion of the recording; ``backdrop`` (h, w, 3): what is behind the person, else as recorded; ``size``: width
    and height of its pictures, else as large as the recording was kept; ``enhance``: crisper faces, by our own filter,
    or by the network in the folder ``enhancer``; ``backend``: what runs the networks. Raises UserError.
    """

    name = "avatar"

    def __init__(
        self,
        bundle: Path | None = None,
        strength: float = 1.0,
        head: Head = "auto",
        backdrop: Image | None = None,
        size: Size | None = None,
        enhance: bool = False,
        enhancer: Path | None = None,
        backend: str = AUTO,
    ) -> None:
        if bundle is None:
            do = "give --webcam or --bundle FOLDER, made by train-engine avatar --video FILM"
            raise ConfigError("no avatar for", "engine avatar", do)
        if not 0 <= strength <= 2:
            raise ConfigError("cannot use strength", str(strength), "give a number from 0 to 2")
        if head not in get_args(Head):
            raise ConfigError("cannot use --head", repr(head), f"give {' or '.join(get_args(Head))}")
        about, person = read_about(bundle), read_person(bundle)
        painter, canvas = Painter(bundle / PICTURE, backend), Canvas(read_plate(bundle), backdrop, size)
        self._showing = Showing(painter, person, about.shown, canvas)
        if enhance or enhancer is not None:
            self._showing.enhancer = enhancer_of(enhancer, self._showing, bundle, person, painter.size)
        self.terms = "" if self._showing.enhancer is None else self._showing.enhancer.terms
        self._square, self._person, self.strength = about.shown, person, strength
        self._motion = open_motion(bundle, person, about.fps, head, AUTO)
        self.bundle = f"{painter.label} of {about.recording.name}"
        self.bundle_sha256 = painter.sha256
        self.backend = painter.backend
        self._points: Points | None = None

    def latency(self) -> Latency:
        motion, enhancer = self._motion.latency(), self._showing.enhancer
        more_ns = 0 if enhancer is None else enhancer.compute_ns
        return replace(motion, compute_ns=motion.compute_ns + COMPUTE_NS + more_ns)

    def hear(self, samples: Samples, pts_ns: int) -> None:
        self._motion.hear(samples, pts_ns)

    def heard_until_ns(self) -> int:
        return self._motion.heard_until_ns()

    def observe(self, tracked: TrackedFrame) -> None:
        """Nothing is learnt: the person is known."""

    def generate(self, tracked: TrackedFrame, at_ns: int) -> WholeFrame:
        """A picture for each instant, whatever the live one shows. Raises ImplausibleMouth."""
        now, canvas = self._moved(at_ns), self._showing.canvas
        points = scheme68(project(now.canonical, now.pose))
        self._points = canvas.places(self._square.places(points, canvas.side))
        return WholeFrame(self._showing.picture(now), at_ns, tracked.shot)

    def _moved(self, at_ns: int) -> AvatarPose:
        """What the voice makes of the person, as strongly as was asked for."""
        now, rest = self._motion.at(at_ns), self._person.neutral
        canonical = now.canonical.copy()
        canonical[LOWER] += np.float32(self.strength - 1) * (canonical[LOWER] - rest[LOWER])
        return replace(now, canonical=canonical)

    def landmarks(self) -> Points | None:
        return self._points

    def close(self) -> None:
        """Nothing is held beyond memory."""
