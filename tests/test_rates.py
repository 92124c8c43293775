"""Figures that mean the same for clips of any rate: what benchmarks and training make of the times of pictures."""

from __future__ import annotations

import itertools
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.rendered import Setup, quiet_frames, score
from benchmarks.true_motion import NAME as TRUE_MOTION
from engines.common.rates import at_times, nearest, places, steady_ns
from realtime_dub.blend.composite import Compositor
from realtime_dub.media import MS, NS, Image
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.render import Renderer
from tests.faces import jaw_drop, tracked_portrait
from tests.talkers import RATE

pytestmark = pytest.mark.computes

VARIABLE_MS = [0, *itertools.islice(itertools.cycle((33, 67, 20, 50)), 25)]
RATES = {
    "24": [k * NS // 24 for k in range(26)],
    "29.97": [k * NS * 1001 // 30_000 for k in range(32)],
    "50": [k * NS // 50 for k in range(50)],
    "variable": [int(at) * MS for at in np.cumsum(VARIABLE_MS)],
}


def opened_at(seconds: float) -> float:
    """How far the mouth of the clips is open, mouth widths."""
    return round(float(0.12 - 0.12 * np.cos(2 * np.pi * 1.7 * seconds)), 2)


@cache
def mouth(opened: float) -> Image:
    """The portrait with its mouth so far open."""
    tracked, bank = tracked_portrait(320), Bank()
    bank.observe(tracked)
    patch = Renderer(bank).render(tracked, jaw_drop(opened), 1.0, 0)
    assert patch is not None
    return Compositor().compose(tracked, patch, 1.0)


def write_clip(path: Path, times_ns: list[int]) -> Path:
    """Somebody whose mouth opens and shuts, in pictures at these times, and a voice that is loud from 0.4 s on."""
    noise = 0.2 * np.random.default_rng(0).standard_normal(RATE * 6 // 5)
    noise[: RATE * 2 // 5] = 0
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        first = mouth(0.0)
        video.height, video.width, video.pix_fmt = *first.shape[:2], "bgr0"
        video.time_base = video.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for at_ns in times_ns:
            frame = av.VideoFrame.from_ndarray(mouth(opened_at(at_ns / NS)), format="bgr24")
            frame.pts, frame.time_base = round(at_ns / 1e6), Fraction(1, 1000)
            container.mux(video.encode(frame))
        block = av.AudioFrame.from_ndarray((noise[None] * 32767).astype(np.int16), format="s16", layout="mono")
        block.rate, block.time_base, block.pts = RATE, Fraction(1, RATE), 0
        container.mux([*sound.encode(block), *sound.encode(None), *video.encode(None)])
    return path


@pytest.mark.parametrize("rate", ["24", "29.97", "variable"])
def test_the_true_motion_reads_back_at_any_rate(rate: str, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", RATES[rate])
    found = score(path, path, Setup(TRUE_MOTION))
    assert found.figures["r_at_0"] > 0.9
    assert found.figures["best_lag"] == 0
    assert found.figures["distance_share"] < 0.6
    assert 25 <= len(found.truth) <= 31  # at 25 a second, whatever the clip's own rate


def test_the_voice_of_a_clip_may_come_with_another_rate_than_its_picture(tmp_path: Path) -> None:
    picture, voice = (write_clip(tmp_path / f"{name}.mkv", RATES[name]) for name in ("24", "50"))
    found = score(picture, voice, Setup(TRUE_MOTION))
    assert found.figures["r_at_0"] > 0.9
    quiet = quiet_frames(voice, np.array(steady_ns(25)))
    assert np.flatnonzero(~quiet)[0] == pytest.approx(10, abs=1)


@pytest.mark.parametrize("fps", [24, 25, 29.97, 30, 50, 60])
def test_pictures_keep_their_places_in_a_curve_of_a_hundred_values_a_second(fps: float) -> None:
    at = places(1000, fps, 100)
    assert np.abs(at / 100 - np.arange(1000) / fps).max() <= 0.005 + 1e-9
    assert np.array_equal(places(50, 25, 100), np.arange(50) * 4)


def test_values_between_known_times_lie_on_a_line_and_what_is_unknown_stays_so() -> None:
    known, values = np.array([0, 40, 100]), np.array([[0.0], [4.0], [np.nan]], np.float32)
    assert at_times(values, known, np.array([-5, 0, 10, 40])).ravel().tolist() == [0, 0, 1, 4]
    assert np.isnan(at_times(values, known, np.array([50, 100, 500]))).all()
    assert nearest(known, np.array([-1, 19, 21, 71, 900])).tolist() == [0, 0, 1, 2, 2]
