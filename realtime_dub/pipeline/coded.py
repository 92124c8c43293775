"""What an encoder may take over of the picture that a tick was made of, in place of converting all of it."""

from __future__ import annotations

from realtime_dub.blend.composite import box_on
from realtime_dub.blend.patch import MouthPatch
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Box, Coded, Image
from realtime_dub.mouth.contract import Generated


def taken_over(
    tracked: TrackedFrame, image: Image, drawn: Generated | None, coded: Coded | None
) -> tuple[Coded | None, Box | None]:
    """The ``coded`` picture that ``image`` was made of, and the box where ``drawn`` made it another."""
    if image is tracked.frame.image:
        return coded, None
    if coded is None or not isinstance(drawn, MouthPatch):
        return None, None
    return coded, box_on(tracked, drawn)
