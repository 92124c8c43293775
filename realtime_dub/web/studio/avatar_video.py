"""An avatar in the camera's place: how it is to look, and the picture that stands where no mouth was made in time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from realtime_dub.clock import Clock
from realtime_dub.errors import BundleError
from realtime_dub.face.unlooked import Unlooked
from realtime_dub.media import Frame, Image, VideoInfo
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import ImplausibleMouth, MouthGenerator, WholeFrame
from realtime_dub.pipeline.assembly import backdrop_of
from realtime_dub.sources.avatar import AvatarSource
from realtime_dub.sources.paced import PacedVideo
from realtime_dub.web.studio.avatars import KeptAvatars


@dataclass(frozen=True)
class AvatarChoice:
    """What a session's options ask of an avatar. ``behind``: a colour or a picture's name; None = as recorded.

    It is made on the server's loop, and looked for where files may be: on a run's thread.
    """

    avatars: KeptAvatars
    name: str
    behind: str | None
    head: str
    side: int | None = None  # of the picture; None = as recorded

    @property
    def folder(self) -> Path:
        """Blocking. Raises Refusal."""
        return self.avatars.find(self.name)

    def generator(self, strength: float) -> MouthGenerator:
        """Blocking. Raises UserError, Refusal."""
        backdrop = None if self.behind is None else backdrop_of(self.behind)
        size = self.side and (self.side, self.side)
        options = {"strength": strength, "head": self.head, "backdrop": backdrop, "size": size}
        return registry.create_with_known(registry.OF_AVATARS, bundle=self.folder, **options)


class AvatarVideo(PacedVideo):
    """The person at rest, as large as the choice says, at its own speed.

    What the engine makes is brought to the size of this picture where it takes its place.
    """

    def __init__(self, avatar: AvatarChoice, fps: float | Fraction, clock: Clock) -> None:
        """Blocking. Raises Refusal."""
        self._rest = _Rest(avatar.folder, fps, avatar.side)
        super().__init__(self._rest, clock)

    def show(self, generator: MouthGenerator) -> None:
        """From :meth:`open` on as ``generator`` paints them, before the same background: the recorded one may not be
        seen where another was asked for. Raises BundleError.
        """
        asked = Unlooked().track(Frame(np.zeros((2, 2, 3), np.uint8), 0, 0))
        try:
            made = generator.generate(asked, 0)
        except ImplausibleMouth:
            raise BundleError("cannot run the avatar:", "it paints no picture", "choose another one") from None
        if isinstance(made, WholeFrame):
            self._rest.painted = made.image


class _Rest(AvatarSource):
    painted: Image | None = None

    def __init__(self, folder: Path, fps: float | Fraction, side: int | None) -> None:
        super().__init__(folder, fps)
        self._side = side

    def open(self) -> VideoInfo:
        info = super().open()
        assert self._image is not None
        side = self._side or min(self._image.shape[:2])
        self._image = sized(self._image if self.painted is None else self.painted, side)
        return replace(info, width=self._image.shape[1], height=self._image.shape[0])


def sized(image: Image, side: int) -> Image:
    """A square picture at ``side`` pixels, an even number of them, as encoders want."""
    side = max(2, side & ~1)
    how = cv2.INTER_AREA if side < image.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (side, side), interpolation=how), np.uint8)
