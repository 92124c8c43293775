"""What benchmarks.flicker tells of lips that flicker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.flicker import figures
from benchmarks.rendered import Look
from realtime_dub.media import MS, Image
from tests.faces import tracked_portrait, with_lips

pytestmark = pytest.mark.computes

FRAMES = 8


def look(images: list[Image]) -> Look:
    """The portrait's face, in each frame."""
    tracked = tracked_portrait()
    assert tracked.face is not None
    times_ns = [k * 40 * MS for k in range(len(images))]
    seen = [
        replace(tracked, frame=replace(tracked.frame, image=image, pts_ns=at_ns))
        for image, at_ns in zip(images, times_ns, strict=True)
    ]
    return Look(images, times_ns, seen, np.stack([tracked.face.canonical] * len(images)))


def test_lips_that_flicker_change_and_lips_of_another_colour_are_off() -> None:
    filmed = look([tracked_portrait().frame.image] * FRAMES)
    steady, flickering = (
        figures(filmed, look([with_lips(0, by[k % 2], 0) for k in range(FRAMES)])) for by in ((15, 15), (15, -15))
    )
    assert steady["lips"] == steady["filmed lips"] == flickering["filmed lips"] == 0
    assert steady["off"] > 4
    assert flickering["lips"] > 8
    assert flickering["lips95"] == pytest.approx(flickering["lips"], abs=1)


def test_frames_that_were_not_dubbed_do_not_count() -> None:
    image = tracked_portrait().frame.image
    filmed = look([image] * FRAMES)
    told = figures(filmed, look([with_lips(0, 15, 0)] * 4 + [image] * 4))
    assert told["lips"] == 0  # the one step between the two
    assert told["off"] == figures(filmed, look([with_lips(0, 15, 0)] * FRAMES))["off"]
