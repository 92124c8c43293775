"""The face that benchmarks measure with moves as a person's does, and what they make of its figures."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from benchmarks.moving_face import LOOP_S, SIZES, MovingFace, film, sizes
from benchmarks.stages import COMPUTE, ratios
from realtime_dub.face.landmarks import mean_lip_opening
from realtime_dub.media import Floats
from realtime_dub.sources.video_file import VideoFileSource
from tests.faces import read

pytestmark = pytest.mark.computes


def test_the_head_turns_the_jaw_moves_and_the_loop_has_no_seam() -> None:
    face = MovingFace(640, 480, 25)
    left, right, opened, shut = (
        read(face.image(t)).face for t in (0.25 * LOOP_S, 0.75 * LOOP_S, LOOP_S / 32, 3 * LOOP_S / 32)
    )
    assert left is not None
    assert right is not None
    assert abs(left.pose.yaw_deg - right.pose.yaw_deg) > 5
    assert opened is not None
    assert shut is not None
    assert mean_lip_opening(opened.canonical) > mean_lip_opening(shut.canonical) + 0.03
    assert np.array_equal(face.image(0.5), face.image(0.5 + LOOP_S))
    assert not np.array_equal(face.frame(3).image, face.frame(4).image)


def test_it_fills_the_same_share_of_every_size() -> None:
    heights = []
    for width, height in (SIZES["480p"], SIZES["720p"]):
        found = read(MovingFace(width, height, 25).image(0.3)).face
        assert found is not None
        heights.append(np.ptp(found.points[:468, 1]) / height)
    assert heights[0] == pytest.approx(heights[1], rel=0.03)


def test_its_film_has_the_voice_all_through(tmp_path: Path) -> None:
    sound: Floats = np.sin(np.arange(1600) / 5).astype(np.float32)
    path = film(tmp_path / "film.mp4", 320, 240, 25, 0.4, sound)
    source = VideoFileSource(path)
    info = source.open()
    source.close()
    assert (info.width, info.height, info.frames) == (320, 240, 10)


def test_sizes_are_named() -> None:
    assert sizes("480p,2160p") == ["480p", "2160p"]
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--size", type=sizes)
    with pytest.raises(argparse.ArgumentError):
        parser.parse_args(["--size", "500p"])


def test_ratios_are_of_processor_time_against_the_first_size() -> None:
    found = {"480p": {COMPUTE: {"cpu": 10.0}}, "1080p": {COMPUTE: {"cpu": 15.0}}}
    assert ratios(found)["1080p"][COMPUTE] == pytest.approx(1.5)
