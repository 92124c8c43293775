"""Films seen as they are meant: which way up, in what shape, without combs, holes or the light of another screen."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition
from av.video.reformatter import ColorRange, Colorspace
from changing_films import PART, write_changing
from films import steady, write_film
from test_video_file import read_all, whole
from test_video_kinds import corners
from test_video_url import Station, on_air

from realtime_dub.clock import MonotonicClock
from realtime_dub.errors import MediaError
from realtime_dub.media import MS, Colour, Frame, Image
from realtime_dub.sources import geometry, tone
from realtime_dub.sources.geometry import filter_graph
from realtime_dub.sources.stills import read_still
from realtime_dub.sources.to_bgr import INTERPOLATION, ToBgr
from realtime_dub.sources.url import UrlSource
from realtime_dub.sources.video_file import VideoFileSource

pytestmark = pytest.mark.computes

TEAL: Colour = (128, 128, 0)
CORNERS = corners(96, 128)


def write(
    path: Path,
    pictures: Callable[[int], Image],
    count: int = 3,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    prepare: Callable[[av.VideoStream], None] = lambda stream: None,
    options: dict[str, str] | None = None,
    to: Callable[[Image], av.VideoFrame] | None = None,
) -> Path:
    """25 a second; ``prepare`` sets what else the stream shall say, ``to`` makes the frame to encode."""
    with av.open(str(path), "w") as out:
        quality = {"qp": "8", "x264-params": "log=-1"} if codec == "libx264" else {}
        stream = out.add_stream(codec, rate=25, options=quality | (options or {}))
        stream.height, stream.width = pictures(0).shape[:2]
        stream.pix_fmt = pix_fmt
        prepare(stream)
        for k in range(count):
            frame = plain(pictures(k), pix_fmt) if to is None else to(pictures(k))
            frame.pts, frame.time_base = k, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def plain(image: Image, pix_fmt: str) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(image, format="bgra" if image.shape[2] == 4 else "bgr24")
    return frame.reformat(format=pix_fmt, dst_colorspace=Colorspace.ITU601, interpolation=INTERPOLATION)


def seen(path: Path, background: Colour = (0, 0, 0)) -> list[Frame]:
    source = VideoFileSource(path, background=background)
    info = source.open()
    frames = read_all(source)
    source.close()
    assert {f.image.shape for f in frames} == {(info.height, info.width, 3)}
    return frames


def off(image: Image, expected: Image) -> float:
    assert image.shape == expected.shape
    return float(np.abs(image.astype(int) - expected).mean())


# Which way up.


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_all_eight_ways_to_hold_a_camera(tmp_path: Path, degrees: int, mirrored: bool, suffix: str) -> None:
    film = write(
        tmp_path / f"a{suffix}",
        lambda _: CORNERS,
        prepare=lambda stream: stream.set_display_rotation(degrees, hflip=mirrored),
    )
    expected = np.rot90(CORNERS, degrees // 90)
    for frame in seen(film):
        assert off(frame.image, expected[:, ::-1] if mirrored else expected) < 6


def test_upside_down_alone(tmp_path: Path) -> None:
    """FFmpeg's angle of this one is 0."""
    film = write(
        tmp_path / "a.mp4", lambda _: CORNERS, prepare=lambda stream: stream.set_display_rotation(0, vflip=True)
    )
    assert off(seen(film)[0].image, CORNERS[::-1]) < 6


# In what shape.


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(4, 3), (170, 96)), (Fraction(16, 11), (186, 96)), (Fraction(8, 9), (128, 108))]
)
def test_pixels_are_made_square(tmp_path: Path, suffix: str, aspect: Fraction, size: tuple[int, int]) -> None:
    film = write(
        tmp_path / f"a{suffix}",
        lambda _: CORNERS,
        20,
        codec="mpeg4" if suffix == ".avi" else "libx264",
        options={"qscale": "2"},
        prepare=lambda stream: setattr(stream.codec_context, "sample_aspect_ratio", aspect),
    )
    expected = cv2.resize(CORNERS, size, interpolation=cv2.INTER_NEAREST)
    assert off(seen(film)[0].image, expected) < 9


def test_turned_after_it_was_made_square(tmp_path: Path) -> None:
    def prepare(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2)
        stream.set_display_rotation(90)

    film = write(tmp_path / "a.mp4", lambda _: CORNERS, prepare=prepare)
    expected = np.rot90(cv2.resize(CORNERS, (256, 96), interpolation=cv2.INTER_NEAREST))
    assert off(seen(film)[0].image, expected) < 6


# Without combs.


def bar(field: int) -> Image:
    """A bar that moves by three pixels a field, on a ground that does not."""
    image = np.full((96, 192, 3), 60, np.uint8)
    image[:, ::32] = 90
    image[:, 10 + 3 * field : 50 + 3 * field] = 200
    return image


def woven(first_lines: int) -> Callable[[int], Image]:
    """Frame k holds fields 2k and 2k + 1; ``first_lines``: 0 = the upper one is the earlier."""

    def frame(k: int) -> Image:
        image = bar(2 * k)
        image[1 - first_lines :: 2] = bar(2 * k + 1)[1 - first_lines :: 2]
        return image

    return frame


def comb(image: Image) -> float:
    """How much lines differ from both their neighbours."""
    rows = image[..., 0].astype(int)
    return float(np.abs(2 * rows[1:-1] - rows[:-2] - rows[2:]).mean())


def with_fields(image: Image, first_lines: int) -> av.VideoFrame:
    """PyAV cannot say of a frame which of its fields is the first; a filter can."""
    frame = plain(image, "yuv420p")
    graph, _ = filter_graph(frame, "setfield", {"mode": "bff" if first_lines else "tff"})
    frame.pts, frame.time_base = 0, Fraction(1)
    graph.push(frame)
    return graph.pull()


@pytest.mark.parametrize("first_lines", [0, 1])
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".mp4"])
def test_interlaced_films_lose_their_comb(tmp_path: Path, codec: str, first_lines: int, suffix: str) -> None:
    options = {"flags": "+ildct+ilme"} | ({"qscale": "2"} if codec == "mpeg2video" else {})
    pictures = woven(first_lines)
    film = write(
        tmp_path / f"a{suffix}",
        pictures,
        20,
        codec=codec,
        options=options,
        to=lambda image: with_fields(image, first_lines),
    )
    frames = seen(film)
    assert [f.pts_ns // MS for f in frames] == [40 * k for k in range(20)]
    assert {f.duration_ns // MS for f in frames} == {40}
    assert comb(pictures(5)) > 5
    for k, frame in enumerate(frames[1:-1], 1):
        assert comb(frame.image) < 1.5
        assert off(frame.image, bar(2 * k)) < 4  # of the earlier field's instant: the other order would be seen


def test_what_changes_between_interlaced_and_not(tmp_path: Path) -> None:
    parts = [(bar(3), {}), (bar(3), {"x264-params": "bff=1:log=-1"}), (bar(3)[:64], {})]
    _, frames, _ = whole(write_changing(tmp_path / "a.ts", *parts))
    assert len(frames) == 3 * PART
    assert {b.pts_ns - a.pts_ns for a, b in pairwise(frames)} == {40 * MS}
    assert [f.scene for f in frames] == [0] * 2 * PART + [1] * PART
    assert max(off(f.image, bar(3)) for f in frames[: 2 * PART]) < 3


def test_after_a_while_the_filter_is_left(tmp_path: Path) -> None:
    parts = [(bar(3), {"x264-params": "bff=1:log=-1"}), (bar(5), {}), (bar(5), {}), (bar(7), {})]
    _, frames, _ = whole(write_changing(tmp_path / "a.ts", *parts))
    assert len(frames) == 4 * PART
    assert {b.pts_ns - a.pts_ns for a, b in pairwise(frames)} == {40 * MS}
    for k, frame in enumerate(frames):
        assert off(frame.image, bar((3, 5, 5, 7)[k // PART])) < 3


def test_a_broken_end_loses_no_interlaced_frame(tmp_path: Path) -> None:
    film = write(tmp_path / "a.ts", woven(1), 20, options={"flags": "+ildct+ilme"})
    film.write_bytes(film.read_bytes() + b"G" + bytes(100))
    assert len(seen(film)) == 20


# Without holes.


def half_there(_: int) -> Image:
    picture = np.dstack([CORNERS, np.full((96, 128), 255, np.uint8)])
    picture[:, :64, 3] = 64
    return picture


@pytest.mark.parametrize(
    ("suffix", "codec", "pix_fmt", "options"),
    [
        (".webm", "libvpx-vp9", "yuva420p", {"crf": "4", "b": "0"}),
        (".webm", "libvpx", "yuva420p", {"auto-alt-ref": "0", "b": "4000000"}),
        (".mov", "prores_ks", "yuva444p10le", {"profile": "4", "alpha_bits": "16"}),
        (".mov", "qtrle", "argb", {}),
        (".mkv", "ffv1", "yuva420p", {}),
        (".apng", "apng", "rgba", {}),
    ],
)
@pytest.mark.parametrize("background", [(0, 0, 0), TEAL])
def test_what_is_transparent_shows_the_background(
    tmp_path: Path, suffix: str, codec: str, pix_fmt: str, options: dict[str, str], background: Colour
) -> None:
    film = write(tmp_path / f"a{suffix}", half_there, codec=codec, pix_fmt=pix_fmt, options=options)
    expected = CORNERS.astype(float)
    expected[:, :64] = expected[:, :64] * 64 / 255 + np.array(background) * 191 / 255
    frames = seen(film, background)
    assert len(frames) == 3
    for frame in frames:
        assert off(frame.image, expected) < 6


def test_a_fourth_byte_that_means_nothing(tmp_path: Path) -> None:
    film = write(
        tmp_path / "a.avi",
        lambda _: np.dstack([CORNERS, np.zeros((96, 128), np.uint8)]),
        codec="rawvideo",
        pix_fmt="bgra",
    )
    assert off(seen(film, TEAL)[0].image, CORNERS) == 0


# For an ordinary screen.


BARS = np.array([[1, 1, 1], [1, 1, 0], [0, 1, 1], [0, 1, 0], [1, 0, 1], [1, 0, 0], [0, 0, 1], [0.8, 0.6, 0.5]])
CHART = np.repeat(np.repeat(0.75 * BARS[None], 64, 0), 16, 1)  # (64, 128, 3) RGB, 0..1, sRGB's curve
TO_2020, TO_P3 = (np.linalg.inv(np.array(each)) for each in (tone.BT2020_TO_BT709, tone.P3_TO_BT709))


def to_hlg(light: np.ndarray) -> np.ndarray:
    """The inverse of ``tone.from_hlg``."""
    shown = np.maximum(light * tone.WHITE_NITS / tone.PEAK_NITS, 1e-9)
    scene = shown * (shown @ np.array(tone.BT2020_WEIGHTS))[..., None] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def graded(
    path: Path,
    codes: np.ndarray,
    *,
    primaries: int,
    curve: int,
    matrix: Colorspace = Colorspace.BT2020,
    matrix_tag: int = 9,
    codec: str = "ffv1",
    options: dict[str, str] | None = None,
    count: int = 2,
) -> Path:
    """A film of 10 bits with these RGB values (0..1) and tags."""

    def to(_: Image) -> av.VideoFrame:
        rgb = av.VideoFrame.from_ndarray(np.round(codes.clip(0, 1) * 65_535).astype(np.uint16), format="rgb48le")
        frame = rgb.reformat(
            format="yuv420p10le",
            dst_colorspace=matrix,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=INTERPOLATION,
        )
        frame.color_primaries, frame.color_trc, frame.colorspace = primaries, curve, matrix_tag
        return frame

    def prepare(stream: av.VideoStream) -> None:
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = primaries, curve, matrix_tag
        context.color_range = ColorRange.MPEG

    shape = np.zeros((*codes.shape[:2], 3), np.uint8)
    return write(
        path, lambda _: shape, count, codec=codec, pix_fmt="yuv420p10le", prepare=prepare, options=options, to=to
    )


def patches(image: Image) -> np.ndarray:
    """(8, 3) RGB in the middle of each bar."""
    return image[32, 8::16, ::-1].astype(int)


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [(".mkv", "ffv1", {}), (".mp4", "libx265", {"x265-params": "log-level=none:bframes=0:crf=4"})],
)
@pytest.mark.parametrize(("curve", "encode"), [(16, tone.to_pq), (18, to_hlg)])
def test_high_dynamic_range_looks_as_it_was_graded(
    tmp_path: Path,
    curve: int,
    encode: Callable[[np.ndarray], np.ndarray],
    suffix: str,
    codec: str,
    options: dict[str, str],
) -> None:
    light = tone.from_srgb(CHART) @ TO_2020.T
    film = graded(tmp_path / f"a{suffix}", encode(light), primaries=9, curve=curve, codec=codec, options=options)
    for frame in seen(film):
        assert np.abs(patches(frame.image) - CHART[0, 8::16] * 255).max() < 30
        assert np.abs(patches(frame.image) - CHART[0, 8::16] * 255).mean() < 6


@pytest.mark.parametrize(("curve", "encode"), [(16, tone.to_pq), (18, to_hlg)])
def test_bright_light_rolls_off_and_stays_apart(
    tmp_path: Path, curve: int, encode: Callable[[np.ndarray], np.ndarray]
) -> None:
    nits = np.array([0, 5, 20, 50, 100, 203, 500, 1000])
    light = np.repeat(np.repeat(nits[None] / tone.WHITE_NITS, 64, 0), 16, 1)[..., None].repeat(3, 2)
    film = graded(tmp_path / "a.mkv", encode(light), primaries=9, curve=curve)
    grey = patches(seen(film)[0].image)
    assert np.ptp(grey, axis=1).max() <= 2
    steps = np.diff(grey[:, 1])
    assert steps[:-1].min() >= 20
    assert steps[-1] > 0
    assert grey[0, 1] <= 2
    assert grey[-1, 1] >= 250
    assert 215 <= grey[5, 1] <= 240  # paper


def test_a_still_of_high_dynamic_range(tmp_path: Path) -> None:
    codes = tone.to_pq(tone.from_srgb(CHART) @ TO_2020.T)
    options = {"svtav1-params": "avif=1", "crf": "5"}
    film = graded(tmp_path / "a.avif", codes, primaries=9, curve=16, codec="libsvtav1", options=options, count=1)
    image, note = read_still(film.read_bytes(), "a.avif")
    assert np.abs(patches(image) - CHART[0, 8::16] * 255).max() < 30
    assert note == ""


@pytest.mark.parametrize(
    ("primaries", "matrix", "matrix_tag", "to_wide"),
    [(9, Colorspace.BT2020, 9, TO_2020), (12, Colorspace.ITU709, 1, TO_P3)],
)
def test_wide_colours_keep_their_hue(
    tmp_path: Path, primaries: int, matrix: Colorspace, matrix_tag: int, to_wide: np.ndarray
) -> None:
    codes = tone.to_srgb((tone.from_srgb(CHART) @ to_wide.T).clip(0, 1))
    film = graded(tmp_path / "a.mkv", codes, primaries=primaries, curve=1, matrix=matrix, matrix_tag=matrix_tag)
    assert np.abs(patches(seen(film)[0].image) - CHART[0, 8::16] * 255).max() < 14


def test_colours_that_nobody_can_tell_are_refused(tmp_path: Path) -> None:
    film = graded(tmp_path / "a.mkv", CHART, primaries=9, curve=16, matrix_tag=14)
    source = VideoFileSource(film)
    source.open()
    with pytest.raises(MediaError, match="unknown colours in this video"):
        source.read()
    source.close()


def test_a_stream_of_such_colours_is_refused_too(tmp_path: Path) -> None:
    film = graded(tmp_path / "a.mkv", CHART, primaries=9, curve=16, matrix_tag=14)
    with on_air(Station(film)) as station, pytest.raises(MediaError, match="unknown colours in this video"):
        UrlSource(station.url, MonotonicClock(), timeout_s=5).open()


# What costs nothing.


def test_a_plain_film_is_decoded_as_ever(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.integers(0, 255, (120, 160, 3), np.uint8), None, 1)
    film = write_film(tmp_path / "a.mp4", steady(10), lambda k: np.roll(noise, 3 * k, 1))
    with av.open(str(film)) as container:
        expected = [
            frame.reformat(format="bgr24", src_colorspace=Colorspace.ITU601, interpolation=INTERPOLATION).to_ndarray()
            for frame in container.decode(video=0)
        ]
    frames = seen(film)
    assert all(np.array_equal(frame.image, image) for frame, image in zip(frames, expected, strict=True))


def test_the_streams_own_default_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("ffv1", rate=25) for _ in range(2)]
        for stream in streams:
            stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        streams[0].disposition, streams[1].disposition = 0, Disposition.default
        for level, stream in zip((40, 200), streams, strict=True):
            frame = plain(np.full((48, 64, 3), level, np.uint8), "yuv420p")
            frame.pts, frame.time_base = 0, Fraction(1, 25)
            out.mux(stream.encode(frame))
            out.mux(stream.encode())
    assert abs(seen(path)[0].image.mean() - 200) < 3


def test_side_data_of_an_unknown_kind_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    class Strange:
        width, height, rotation = 64, 48, 90

    def nameless(frame: object) -> None:
        """PyAV has no name for some of FFmpeg's."""
        raise ValueError("33 is not a valid Type")

    monkeypatch.setattr(geometry, "SIDE_DATA", nameless)

    class Square:
        name, sample_aspect_ratio = "strange", Fraction(1)

    to_bgr = ToBgr(Square(), Square())
    to_bgr._aspects._coded = Fraction(1)
    assert to_bgr.geometry(Strange()).size == (48, 64)
