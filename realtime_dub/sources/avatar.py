"""The picture of an avatar before anybody speaks: what the engine's frames take the place of."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from realtime_dub.media import BLACK, Colour, VideoInfo
from realtime_dub.sources.avatars import REST
from realtime_dub.sources.image import ImageSource


class AvatarSource(ImageSource):
    """A trained avatar's folder (``docs/avatar.md``) as a picture that does not move, without end."""

    def __init__(self, folder: str | Path, fps: float | Fraction = 25, background: Colour = BLACK) -> None:
        super().__init__(Path(folder) / REST, fps, background)

    def open(self) -> VideoInfo:
        """Read the picture. Raises MediaError."""
        return replace(super().open(), name=self.path.parent.name)
