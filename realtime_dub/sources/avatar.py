"""The picture of an avatar before anybody speaks: what the engine's frames take the place of."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from realtime_dub.fitting import Size, fitted
from realtime_dub.media import BLACK, Colour, VideoInfo
from realtime_dub.sources.avatars import REST
from realtime_dub.sources.image import ImageSource


class AvatarSource(ImageSource):
    """A trained avatar's folder (``docs/avatar.md``) as a picture that does not move, without end.

    ``size``: of the picture, else that at which the recording was kept.
    """

    def __init__(
        self,
        folder: str | Path,
        fps: float | Fraction = 25,
        size: Size | None = None,
        background: Colour = BLACK,
    ) -> None:
        super().__init__(Path(folder) / REST, fps, background)
        self._size = size

    def open(self) -> VideoInfo:
        """Read the picture. Raises MediaError."""
        info = replace(super().open(), name=self.path.parent.name)
        if self._size is None or self._image is None:
            return info
        self._image = fitted(self._image, self._size, self._background)
        return replace(info, width=self._size[0], height=self._size[1])
