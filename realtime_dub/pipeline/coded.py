"""What leaves of a tick: its picture with the badge, and what an encoder may take over of the frame it was made of."""

from __future__ import annotations

from realtime_dub.blend.composite import box_on
from realtime_dub.blend.patch import MouthPatch, WholeFrame
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Box, Coded, Image
from realtime_dub.mouth.contract import Generated
from realtime_dub.trust.badge import Badge

Changed = tuple[Box, ...]


def leaving(
    tracked: TrackedFrame, image: Image, drawn: Generated | None, coded: Coded | None, badge: Badge, at_ns: int
) -> tuple[Image, Coded | None, Changed]:
    """``image``, with ``drawn`` put into it, and the ``badge``; the ``coded`` picture; where they differ."""
    coded, changed = taken_over(tracked, image, drawn, coded)
    dubbed = image is not tracked.frame.image
    own = dubbed and not isinstance(drawn, WholeFrame)  # that may be the engine's, and shown once more
    image, box = badge.over(image, at_ns, dubbed, own)
    return image, coded, changed if box is None or coded is None else (*changed, box)


def taken_over(
    tracked: TrackedFrame, image: Image, drawn: Generated | None, coded: Coded | None
) -> tuple[Coded | None, Changed]:
    """The ``coded`` picture that ``image`` was made of, and the boxes where ``drawn`` made it another."""
    if image is tracked.frame.image:
        return coded, ()
    if coded is None or not isinstance(drawn, MouthPatch):
        return None, ()
    return coded, (box_on(tracked, drawn),)
