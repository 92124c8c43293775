"""Films read back: times, colours, turns, damage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from films import number, numbered, steady, write_film
from hypothesis import given
from hypothesis import strategies as st

from realtime_dub.errors import EndOfStream, MediaError
from realtime_dub.media import MS, NS, Frame, Image, VideoInfo
from realtime_dub.sources import video_file
from realtime_dub.sources.avinput import RisingTimes
from realtime_dub.sources.video_file import VideoFileSource

pytestmark = pytest.mark.computes

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 120, 40), (30, 180, 220)]


def read_all(source: VideoFileSource, limit: int = 1000) -> list[Frame]:
    frames: list[Frame] = []
    try:
        while len(frames) < limit:
            frames.append(source.read())
    except EndOfStream:
        pass
    return frames


def whole(path: Path) -> tuple[VideoInfo, list[Frame], list[str]]:
    source = VideoFileSource(path)
    info = source.open()
    frames = read_all(source)
    source.close()
    return info, frames, source.notes


def test_constant_rate(tmp_path: Path) -> None:
    info, frames, notes = whole(write_film(tmp_path / "a.mp4", steady(30), numbered(160, 120)))
    assert (info.width, info.height, info.fps, info.live, info.frames) == (160, 120, 25, False, 30)
    assert info.duration_ns == 30 * 40 * MS
    assert [f.pts_ns for f in frames] == [k * 40 * MS for k in range(30)]
    assert [f.seq for f in frames] == list(range(30))
    assert {f.duration_ns for f in frames} == {40 * MS}
    assert [number(f.image) for f in frames] == list(range(30))
    assert notes == []


def test_decoded_pictures_are_let_go_at_once(tmp_path: Path) -> None:
    """Each has megabytes; Python looks for circles of objects late, and for those that lived long hardly ever."""
    source = VideoFileSource(write_film(tmp_path / "a.mp4", steady(40), numbered(160, 120)))
    source.open()
    gc.collect()
    gc.disable()
    try:
        for _ in range(30):
            source.read()
        left = sum(isinstance(each, av.VideoFrame) for each in gc.get_objects())
    finally:
        gc.enable()
    source.close()
    assert left < 8


def test_frames_that_are_skipped_are_the_same_frames_left_out(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", steady(9), numbered(64, 48))
    whole, some = VideoFileSource(path), VideoFileSource(path)
    for source in (whole, some):
        source.open()
    read = [whole.read() for _ in range(9)]
    for seq in range(9):
        if seq % 3:
            some.skip()
        else:
            got = some.read()
            assert (got.seq, got.pts_ns, got.duration_ns) == (seq, read[seq].pts_ns, read[seq].duration_ns)
            assert np.array_equal(got.image, read[seq].image)
    with pytest.raises(EndOfStream):
        some.skip()
    for source in (whole, some):
        source.close()


@pytest.mark.parametrize("most_bytes", [0, 40_000, 1 << 20])  # nothing is kept, too little, all
@pytest.mark.parametrize("first", [1, 12, 30])  # frames that are read before
def test_a_film_that_is_rewound_has_the_same_frames(tmp_path: Path, most_bytes: int, first: int) -> None:
    path = write_film(tmp_path / "film.mp4", steady(20), numbered(64, 48))
    _, expected, notes = whole(path)
    source = VideoFileSource(path)
    source.open()
    source.keep(most_bytes)
    with suppress(EndOfStream):
        for seq in range(first):
            source.skip() if seq % 2 else source.read()
    source.rewind()
    again = read_all(source)
    source.close()
    assert [(each.seq, each.pts_ns, each.duration_ns) for each in again] == [
        (each.seq, each.pts_ns, each.duration_ns) for each in expected
    ]
    assert all(np.array_equal(one.image, other.image) for one, other in zip(again, expected, strict=True))
    assert source.notes == notes


def test_what_was_kept_is_not_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[object] = []
    usual = video_file.decode

    def counted(*args: Any) -> Iterator[object]:
        for picture in usual(*args):
            decoded.append(picture.pts)
            yield picture

    monkeypatch.setattr(video_file, "decode", counted)
    source = VideoFileSource(write_film(tmp_path / "film.mp4", steady(20), numbered(64, 48)))
    source.open()
    source.keep(1 << 20)
    for _ in range(12):
        source.skip()
    source.rewind()
    assert len(read_all(source)) == 20
    source.close()
    assert len(decoded) == 20


@pytest.mark.parametrize("rotation", [0, 90])
def test_pictures_are_made_where_there_is_room(tmp_path: Path, rotation: int) -> None:
    """What has to be turned is made elsewhere."""
    path = write_film(tmp_path / "film.mp4", steady(4), numbered(64, 48), rotation=rotation)
    _, expected, _ = whole(path)
    rooms: list[Image] = []

    def room(height: int, width: int) -> Image:
        rooms.append(np.zeros((height, width, 3), np.uint8))
        return rooms[-1]

    source = VideoFileSource(path)
    source.open()
    source.room = room
    read = read_all(source)
    source.close()
    assert all(np.array_equal(one.image, other.image) for one, other in zip(read, expected, strict=True))
    made = [np.shares_memory(frame.image, each) for frame, each in zip(read, rooms, strict=False)]
    assert made == ([] if rotation else [True] * 4)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_variable_rate_keeps_every_frame_at_its_time(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(5)
    times = [0, *np.cumsum(rng.integers(8, 180, 39)).tolist()]
    _, frames, notes = whole(write_film(tmp_path / f"a{suffix}", times, numbered(64, 64)))
    assert [f.pts_ns for f in frames] == [t * MS for t in times]
    assert [f.duration_ns for f in frames[:-1]] == [(b - a) * MS for a, b in pairwise(times)]
    assert [number(f.image) for f in frames] == list(range(40))
    assert notes == []


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_picture_that_starts_after_the_sound_keeps_its_offset(tmp_path: Path, suffix: str) -> None:
    times = [t + 240 for t in steady(10)]
    _, frames, _ = whole(write_film(tmp_path / f"a{suffix}", times, numbered(64, 64), sound_ms=800))
    assert abs(frames[0].pts_ns - 240 * MS) <= 64 * MS  # the AAC encoder's priming may count as the file's start
    with av.open(str(tmp_path / f"a{suffix}")) as film:
        sound = film.streams.audio[0]
        picture = film.streams.video[0]
        offset = picture.start_time * picture.time_base - sound.start_time * sound.time_base
    assert frames[0].pts_ns == round(offset * NS)


def test_transport_stream_starts_at_zero(tmp_path: Path) -> None:
    _, frames, _ = whole(write_film(tmp_path / "a.ts", steady(10), numbered(64, 64)))
    assert [round(f.pts_ns / MS) for f in frames] == steady(10)


@pytest.mark.parametrize(("rotation", "turn"), [(90, 1), (180, 2), (-90, 3)])
def test_rotation_is_applied_and_told(tmp_path: Path, rotation: int, turn: int) -> None:
    coded = np.zeros((64, 128, 3), np.uint8)
    coded[:32, :32] = (0, 0, 255)  # red in the corner
    info, frames, _ = whole(write_film(tmp_path / "a.mp4", steady(3), lambda _: coded, rotation=rotation))
    upright = np.rot90(coded, turn)
    assert info.rotation == rotation % 360
    assert (info.height, info.width) == upright.shape[:2] == frames[0].image.shape[:2]
    assert np.abs(frames[0].image.astype(int) - upright).mean() < 6


@pytest.mark.parametrize(
    ("matrix", "tag", "colour_range"),
    [
        (Colorspace.ITU709, 1, ColorRange.MPEG),
        (Colorspace.ITU709, 1, ColorRange.JPEG),
        (Colorspace.ITU601, 6, ColorRange.MPEG),
        (Colorspace.ITU601, 6, ColorRange.JPEG),
        (Colorspace.BT2020, 9, ColorRange.MPEG),
        (Colorspace.ITU601, None, ColorRange.MPEG),
    ],
)
def test_colours_come_back(tmp_path: Path, matrix: Colorspace, tag: int | None, colour_range: ColorRange) -> None:
    bars = np.repeat(np.repeat(np.array([COLOURS], np.uint8), 64, 0), 16, 1)
    film = write_film(
        tmp_path / "a.mp4", steady(2), lambda _: bars, matrix=matrix, tag=tag, colour_range=colour_range, qp="2"
    )
    info, frames, _ = whole(film)
    seen = frames[0].image[32, 8::16].astype(int)
    assert np.abs(seen - COLOURS).max() <= 4
    assert info.full_range == (colour_range == ColorRange.JPEG)


def test_high_definition_without_a_tag_is_bt709(tmp_path: Path) -> None:
    green = np.full((720, 1280, 3), (40, 200, 60), np.uint8)
    _, frames, _ = whole(write_film(tmp_path / "a.mp4", steady(1), lambda _: green, matrix=Colorspace.ITU709))
    assert np.abs(frames[0].image[360, 640].astype(int) - green[0, 0]).max() <= 4


@pytest.mark.parametrize(("width", "height"), [(64, 64), (129, 97), (3840, 2160)])
def test_sizes(tmp_path: Path, width: int, height: int) -> None:
    codec, pix_fmt = ("libx264", "yuv420p") if width % 2 == 0 else ("ffv1", "yuv444p")
    film = write_film(tmp_path / "a.mkv", steady(3), numbered(width, height), codec=codec, pix_fmt=pix_fmt)
    info, frames, _ = whole(film)
    assert (info.width, info.height) == (width, height)
    assert [number(f.image) for f in frames] == [0, 1, 2]
    assert frames[0].image.flags.c_contiguous


def test_loop_goes_on_rising(tmp_path: Path) -> None:
    times = [100, 140, 230, 260]
    source = VideoFileSource(write_film(tmp_path / "a.mkv", times, numbered(64, 64), sound_ms=300), loop=True)
    info = source.open()
    frames = read_all(source, limit=10)
    source.close()
    assert info.frames is None
    assert info.duration_ns is None
    gaps = np.diff([f.pts_ns for f in frames]) // MS
    assert gaps.tolist() == [40, 90, 30, 40, 40, 90, 30, 40, 40]
    assert [f.duration_ns // MS for f in frames[:-1]] == gaps.tolist()
    assert [number(f.image) for f in frames] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".mp4", {"movflags": "faststart"}),
        (".mp4", {"movflags": "frag_keyframe+empty_moov"}),
        (".mkv", {}),
        (".ts", {}),
    ],
)
def test_truncated_file_gives_what_is_there(tmp_path: Path, suffix: str, options: dict[str, str]) -> None:
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 255, (100, 64, 64, 3), np.uint8)
    film = write_film(tmp_path / f"a{suffix}", steady(100), lambda k: noise[k], container=options, qp="30")
    data = film.read_bytes()
    film.write_bytes(data[: len(data) * 6 // 10])
    _, frames, notes = whole(film)
    assert 20 < len(frames) < 90
    assert [f.pts_ns for f in frames] == sorted({f.pts_ns for f in frames})
    if options.get("movflags") == "faststart" or suffix == ".mkv":  # the others do not say how long they should be
        assert len(notes) == 1
        assert "cut short" in notes[0]
        assert f"{len(frames)} frames" in notes[0]


def test_damage_in_the_middle_is_survived_and_said(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", steady(60), numbered(64, 64), codec="mpeg4")
    with av.open(str(film)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(film.read_bytes())
    for pos, size in packets[20:25]:
        data[pos : pos + size] = b"\xff" * size
    film.write_bytes(data)
    _, frames, notes = whole(film)
    assert len(frames) >= 50
    assert abs(number(frames[-1].image) - (59 - 50)) <= 1  # damage spreads a little in what is predicted from it
    assert len(notes) == 1
    assert "damaged" in notes[0]


@pytest.mark.parametrize(
    ("content", "says"), [(None, "no such file"), (b"", "empty"), (b"no film at all" * 100, "cannot read")]
)
def test_what_is_no_film_is_refused_in_one_line(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError, match=says) as caught:
        VideoFileSource(path).open()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_and_sound_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="folder"):
        VideoFileSource(tmp_path).open()
    with av.open(str(tmp_path / "a.m4a"), "w") as out:
        sound = out.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        out.mux(sound.encode(frame))
        out.mux(sound.encode())
    with pytest.raises(MediaError, match="no video in"):
        VideoFileSource(tmp_path / "a.m4a").open()


def test_close_ends_the_stream_and_may_be_repeated(tmp_path: Path) -> None:
    source = VideoFileSource(write_film(tmp_path / "a.mp4", steady(5), numbered(64, 64)))
    source.open()
    source.read()
    source.close()
    source.close()
    with pytest.raises(EndOfStream):
        source.read()


def test_two_readings_are_identical(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    noise = cv2.GaussianBlur(rng.integers(0, 255, (120, 160, 3), np.uint8), None, 2)
    film = write_film(tmp_path / "a.mp4", steady(20), lambda k: np.roll(noise, 3 * k, 1))
    first, second = whole(film)[1], whole(film)[1]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))


@given(st.lists(st.none() | st.integers(-3 * NS, 10 * NS), max_size=60), st.integers(0, 59))
def test_times_rise_whatever_the_file_says(own: list[int | None], loop_at: int) -> None:
    times, placed = RisingTimes(40 * MS), []
    for k, own_ns in enumerate(own):
        if k == loop_at and placed:
            times.resume_at(placed[-1] + 40 * MS)
        placed.append(times.place(own_ns))
    assert placed == sorted(set(placed))


def test_good_times_are_left_alone_around_bad_ones() -> None:
    times = RisingTimes(40)
    assert [times.place(t) for t in (0, 40, 40, 120, None, 200)] == [0, 40, 50, 120, 160, 200]
    jump = RisingTimes(40 * MS)
    assert [jump.place(t * MS) // MS for t in (5000, 5040, 0, 40)] == [5000, 5040, 5080, 5120]
