"""From an avatar's pose to the picture of it: drawn, painted, laid over what is behind, and enhanced."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from realtime_dub.face.alignment import project
from realtime_dub.media import Image
from realtime_dub.mouth.avatar.canvas import Canvas, covering
from realtime_dub.mouth.avatar.edges import Square, drawn
from realtime_dub.mouth.avatar.enhancing import Enhancer, Seen
from realtime_dub.mouth.avatar.folder import Person, read_rest
from realtime_dub.mouth.avatar.painter import Painter, laid, scaled
from realtime_dub.mouth.avatar.pose import AvatarPose
from realtime_dub.mouth.avatar.restoring import Restorer
from realtime_dub.mouth.avatar.sharpening import Sharpener

__all__ = ["Showing", "enhancer_of"]


class Showing:
    """Of one avatar, at one size."""

    def __init__(self, painter: Painter, person: Person, square: Square, canvas: Canvas) -> None:
        self._painter, self._person, self._square, self.canvas = painter, person, square, canvas
        self.enhancer: Enhancer | None = None

    def picture(self, pose: AvatarPose) -> Image:
        """The whole picture of a pose. Raises ImplausibleMouth."""
        seen = self.square(pose)
        return self.canvas.with_square(seen.picture if self.enhancer is None else self.enhancer.enhanced(seen))

    def square(self, pose: AvatarPose) -> Seen:
        """The square as it is painted, at the size at which it is shown. Raises ImplausibleMouth."""
        size, side = self._painter.size, self.canvas.side
        face, body = project(pose.canonical, pose.pose), self._person.body.places(pose.pose)
        drawing = drawn(self._square.places(face, size), self._square.places(body, size), size)
        person, share = scaled(self._painter.painted(drawing), side)
        share = self.canvas.share(share)
        return Seen(laid(person, share, self.canvas.behind), share, self._square.places(face, side))


def enhancer_of(bundle: Path | None, showing: Showing, folder: Path, person: Person, pixels: int) -> Enhancer:
    """The network in ``bundle``, else our own filter, as the avatar in ``folder`` needs it. Raises UserError.

    ``pixels``: a side of what the avatar's own net paints.
    """
    if bundle is not None:
        return Restorer(bundle)
    side = showing.canvas.side
    seen = showing.square(resting(person))
    return Sharpener.like(seen, covering(read_rest(folder), (side, side)), side / pixels)


def resting(person: Person) -> AvatarPose:
    """The face at rest, the head where it usually is."""
    away = np.abs(person.shift - np.median(person.shift, axis=0)).sum(1)
    usual = int(away.argmin())
    return AvatarPose(person.neutral, person.between(usual, usual, 0.0))
