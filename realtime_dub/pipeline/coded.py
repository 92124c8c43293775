"""What an encoder may take over of the picture that a tick was made of, in place of converting all of it."""

from __future__ import annotations

from realtime_dub.blend.composite import box_on
from realtime_dub.blend.patch import MouthPatch
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Box, Coded, Image
from realtime_dub.mouth.contract import Generated


def taken_over(tracked: TrackedFrame, image: Image, drawn: Generated | None) -> tuple[Coded | None, Box | None]:
    """The frame's coded picture, and the box in which ``image``, with ``drawn`` put into it, is another one."""
    frame = tracked.frame
    if image is frame.image:
        return frame.coded, None
    if frame.coded is None or not isinstance(drawn, MouthPatch):
        return None, None
    return frame.coded, box_on(tracked, drawn)
