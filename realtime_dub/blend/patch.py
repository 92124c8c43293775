"""What a generator hands to the composite: a mouth for the frame, or a frame in its place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from realtime_dub.face.types import Pose
from realtime_dub.media import Image


@dataclass(frozen=True, slots=True, eq=False)
class MouthPatch:
    """A mouth ready to be put into a frame.

    ``image`` is pixel-aligned with the frame it was made for: its top left corner lies at ``box[:2]`` there.
    To show it on a later frame it is carried over by the change of ``pose``.
    """

    image: Image  # (h, w, 3) BGR
    alpha: npt.NDArray[np.uint8]  # (h, w) 0 = frame, 255 = patch; zero on the border
    box: tuple[int, int, int, int]  # x, y, width, height in the frame
    pose: Pose  # of the face it was made for
    at_ns: int  # the instant of the voice that this mouth speaks
    shot: int = 0  # of the frame it was made for: it is carried over to no frame of another one
    resting: bool = False  # it speaks nothing: the mouth is shut while the voice is silent
    carried: bool = False  # made of earlier mouths, none was made for this frame


@dataclass(frozen=True, slots=True, eq=False)
class WholeFrame:
    """A frame to be shown in place of the live one."""

    image: Image  # (h, w, 3) BGR; of another size than the live frame it is scaled, its aspect kept
    at_ns: int  # the instant of the voice that its mouth speaks
    shot: int = 0  # of the frame it was made for


def is_carried(drawn: MouthPatch | WholeFrame | None) -> bool:
    """It is no mouth of its own."""
    return isinstance(drawn, MouthPatch) and drawn.carried


def rests(drawn: MouthPatch | WholeFrame | None) -> bool:
    """A mouth is drawn, and speaks nothing."""
    return isinstance(drawn, MouthPatch) and drawn.resting
