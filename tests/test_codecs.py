"""Films in other codecs than H.264: whole, in the container asked for, and refused where none holds them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import get_args

import av
import pytest
from media_files import grid, output_format, publish, ticks

from realtime_dub import config
from realtime_dub.errors import ConfigError
from realtime_dub.publishers import codecs
from realtime_dub.publishers.muxer import MuxPublisher

pytestmark = pytest.mark.computes

SIZE = (160, 120)
FFMPEG = {"h264": "h264", "vp9": "vp9", "av1": "av1", "mjpeg": "mjpeg"}


def test_the_command_line_offers_those_that_there_are() -> None:
    assert get_args(config.Codec) == codecs.NAMES


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize(
    ("codec", "suffix"),
    [(codec, codecs.SUFFIXES[each]) for codec, holds in codecs.HOLDS.items() for each in holds] + [("h264", ".mp4")],
)
def test_a_film_is_whole_and_in_its_codec(tmp_path: Path, codec: str, suffix: str, live: bool) -> None:
    fmt, path = output_format(*SIZE, rate=0, live=live), tmp_path / f"film{suffix}"
    given = list(ticks(fmt, grid(30, Fraction(25))))
    publish(MuxPublisher(path, codec=codec), fmt, given)
    with av.open(str(path)) as film:
        assert film.streams.video[0].codec_context.name.startswith((FFMPEG[codec], "libdav1d"))
        pictures = list(film.decode(video=0))
    assert len(pictures) == len(given)
    shown = pictures[20].to_ndarray(format="bgr24").astype(int)
    assert abs(shown - given[20].image).mean() < 8


@pytest.mark.parametrize(
    ("target", "how", "told"),
    [
        (
            "film.mov",
            {"codec": "vp9"},
            "cannot write --codec vp9 into film.mov; use h264, or a file that ends in .mp4, .mkv",
        ),
        ("rtmp://host/a/b", {"codec": "av1"}, "cannot write --codec av1 into"),
        ("film.mp4", {"codec": "vp9", "encoder": "nvenc"}, "--encoder is for H.264, not for --codec vp9"),
        ("film.mp4", {"codec": "av1", "preset": "slow"}, "--preset is for H.264"),
        ("film.mp4", {"codec": "xvid"}, "cannot use --codec 'xvid'; choose one of h264, vp9, av1, mjpeg"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_opened(target: str, how: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        MuxPublisher(target, **how)  # type: ignore[arg-type]
    assert told in str(error.value)
