"""Stills of every kind: told by content, upright, opaque, of the right colours, and never of too many pixels."""

from __future__ import annotations

import io
import os
import struct
import zlib
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from films import number, numbered, steady, write_film
from heif_files import heic
from PIL import Image as Pil
from PIL import ImageCms, ImageOps

from realtime_dub.clock import VirtualClock
from realtime_dub.errors import EndOfStream, MediaError
from realtime_dub.media import MS, Colour, Frame, Image
from realtime_dub.sources.image import ImageSource
from realtime_dub.sources.registry import kind_of, open_video
from realtime_dub.sources.to_bgr import INTERPOLATION, merged

pytestmark = pytest.mark.computes

TEAL: Colour = (128, 128, 0)


def corners(height: int = 48, width: int = 64) -> Image:
    """Four colours: every way to turn and mirror it looks different."""
    picture = np.empty((height, width, 3), np.uint8)
    half_h, half_w = height // 2, width // 2
    picture[:half_h, :half_w], picture[:half_h, half_w:] = (0, 0, 230), (230, 0, 0)
    picture[half_h:, :half_w], picture[half_h:, half_w:] = (0, 200, 0), (240, 240, 240)
    return picture


def coded(picture: Image, format: str, **options: object) -> bytes:
    """By Pillow; (height, width, 3 or 4) BGR, or grey."""
    order = {2: slice(None), 3: (..., [2, 1, 0]), 4: (..., [2, 1, 0, 3])}[
        picture.ndim if picture.ndim == 2 else picture.shape[2]
    ]
    file = io.BytesIO()
    Pil.fromarray(picture[order]).save(file, format, **options)
    return file.getvalue()


def read(tmp_path: Path, data: bytes, name: str = "a", background: Colour = (0, 0, 0)) -> Image:
    path = tmp_path / name
    path.write_bytes(data)
    source = open_video(str(path), clock=VirtualClock(), background=background, live=False)
    source.open()
    image = source.read().image
    assert kind_of(str(path)) == "image"
    source.close()
    assert image.flags.c_contiguous
    return image


def exif(orientation: int) -> bytes:
    data = Pil.Exif()
    data[0x0112] = orientation
    return data.tobytes()


@pytest.mark.parametrize("name", ["me.jfif", "me", "me.mp4", "me.txt", "12:30.png"])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "JPEG2000", "BMP", "TIFF", "GIF", "PPM"])
def test_a_still_is_one_whatever_its_name(tmp_path: Path, format: str, name: str) -> None:
    options = {} if format not in ("JPEG", "AVIF", "WEBP") else {"quality": 95}
    image = read(tmp_path, coded(corners(), format, **options), name)
    assert np.abs(image.astype(int) - corners()).mean() < 6


@pytest.mark.parametrize(
    ("format", "name"), [("SGI", "a"), ("SGI", "a.sgi"), ("PCX", "a"), ("PCX", "a.mp4"), ("DDS", "a"), ("TGA", "a.tga")]
)
def test_a_painters_still_is_held_like_any(tmp_path: Path, format: str, name: str) -> None:
    assert (read(tmp_path, coded(corners(), format), name) == corners()).all()


def test_a_still_under_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.jpg")
    Path(name).write_bytes(coded(corners(), "PNG"))
    source = ImageSource(name)
    source.open()
    np.testing.assert_array_equal(source.read().image, corners())


def moving(count: int = 4, alpha: int = 255) -> list[Pil.Image]:
    grey = [numbered(64, 48)(8 * k) for k in range(count)]
    return [Pil.fromarray(np.dstack([each, np.full(each.shape[:2], alpha, np.uint8)])) for each in grey]


def animated(format: str, durations: list[int], **options: object) -> bytes:
    first, *others = moving(len(durations))
    file = io.BytesIO()
    first.save(file, format, save_all=True, append_images=others, duration=durations, **options)
    return file.getvalue()


def pictures(path: Path, most: int = 100, **options: object) -> list[Frame]:
    source = open_video(str(path), clock=VirtualClock(), live=False, **options)
    info = source.open()
    frames: list[Frame] = []
    try:
        while len(frames) < most:
            frames.append(source.read())
    except EndOfStream:
        pass
    source.close()
    assert {f.image.shape for f in frames} == {(info.height, info.width, 3)}
    return frames


@pytest.mark.parametrize(
    ("format", "options"),
    [("WEBP", {"lossless": True}), ("PNG", {}), ("GIF", {}), ("AVIF", {"quality": 90})],
)
@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.gif", "a"])
def test_several_pictures_are_a_film(tmp_path: Path, format: str, options: dict[str, object], name: str) -> None:
    path = tmp_path / name
    durations = [40, 80, 200, 60]
    path.write_bytes(animated(format, durations, **options))
    assert kind_of(str(path)) == "file"
    frames = pictures(path)
    assert [round(number(f.image) / 8) for f in frames] == [0, 1, 2, 3]
    assert [f.pts_ns // MS for f in frames] == [0, 40, 120, 320]
    assert frames[-1].duration_ns // MS in (40, 60)  # FFmpeg forgets the last one's
    assert [f.seq for f in frames] == [0, 1, 2, 3]


@pytest.mark.parametrize("format", ["WEBP", "PNG", "GIF"])
def test_a_film_of_pictures_starts_again(tmp_path: Path, format: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(animated(format, [40, 80, 40], **({"lossless": True} if format == "WEBP" else {})))
    frames = pictures(path, most=7, loop=True)
    assert [round(number(f.image) / 8) for f in frames] == [0, 1, 2, 0, 1, 2, 0]
    assert [f.pts_ns // MS for f in frames][:3] == [0, 40, 120]
    assert all(a.pts_ns < b.pts_ns for a, b in pairwise(frames))


def test_opaque_pictures_that_do_not_cover_the_whole_leave_the_background(tmp_path: Path) -> None:
    film = []
    for k in range(3):
        picture = np.zeros((48, 64, 4), np.uint8)
        picture[12 + 8 * k : 20 + 8 * k, 8:56] = (0, 255, 0, 255)
        film.append(Pil.fromarray(picture))
    path = tmp_path / "a.webp"
    film[0].save(path, save_all=True, append_images=film[1:], duration=40, lossless=True)
    source = open_video(str(path), clock=VirtualClock(), background=TEAL, live=False)
    source.open()
    images = [source.read().image for _ in film]
    source.close()
    for k, image in enumerate(images):
        assert tuple(image[14 + 8 * k, 30]) == (0, 255, 0)
        assert tuple(image[2, 2]) == TEAL


def test_a_cut_animation_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    data = animated("WEBP", [40] * 8, lossless=True)
    path.write_bytes(data[: len(data) * 5 // 8])
    with pytest.raises(MediaError, match="damaged"):
        pictures(path)


def test_photographs_strung_together_are_a_film_and_a_telephones_are_not(tmp_path: Path) -> None:
    jpegs = [cv2.imencode(".jpg", numbered(64, 48)(8 * k))[1].tobytes() for k in range(4)]
    (tmp_path / "a").write_bytes(b"".join(jpegs))
    assert kind_of(str(tmp_path / "a")) == "file"
    assert [round(number(f.image) / 8) for f in pictures(tmp_path / "a")] == [0, 1, 2, 3]
    thumbnail = cv2.imencode(".jpg", numbered(16, 12)(0))[1].tobytes()
    (tmp_path / "b.jpg").write_bytes(jpegs[1] + thumbnail)
    assert kind_of(str(tmp_path / "b.jpg")) == "image"
    mpf = jpegs[1][:2] + b"\xff\xe2\x00\x08MPF\0xx" + jpegs[1][2:]
    (tmp_path / "c.jpg").write_bytes(mpf + jpegs[2])
    assert kind_of(str(tmp_path / "c.jpg")) == "image"


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi", ".mov", ".flv"])
def test_a_film_is_one_whatever_its_name(tmp_path: Path, suffix: str, name: str) -> None:
    film = write_film(
        tmp_path / f"film{suffix}", steady(30), numbered(64, 64), codec="mpeg4" if suffix != ".flv" else "libx264"
    )
    film.rename(tmp_path / name)
    assert kind_of(str(tmp_path / name)) == "file"
    assert len(pictures(tmp_path / name)) == 30


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation(tmp_path: Path, format: str, orientation: int) -> None:
    picture = Pil.fromarray(corners()[..., ::-1])
    file = io.BytesIO()
    picture.save(
        file, format, exif=exif(orientation), **({"quality": 95} if format in ("JPEG", "AVIF", "WEBP") else {})
    )
    picture.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(picture))[..., ::-1]
    image = read(tmp_path, file.getvalue())
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).mean() < 6


def half_there() -> Image:
    picture = np.dstack([corners(), np.full((48, 64), 255, np.uint8)])
    picture[:, :32, 3] = 64
    return picture


@pytest.mark.parametrize(
    ("format", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("AVIF", {"quality": 95})]
)
@pytest.mark.parametrize("background", [(0, 0, 0), TEAL])
def test_what_is_transparent_shows_the_background(
    tmp_path: Path, format: str, options: dict[str, object], background: Colour
) -> None:
    image = read(tmp_path, coded(half_there(), format, **options), background=background)
    expected = corners().astype(float)
    expected[:, :32] = expected[:, :32] * 64 / 255 + np.array(background) * 191 / 255
    assert np.abs(image - expected).mean() < (4 if format == "AVIF" else 0.6)


def test_transparent_palette_and_grey(tmp_path: Path) -> None:
    palette = Pil.new("P", (8, 8), 1)
    palette.putpalette([9, 9, 9, 200, 100, 50])
    file = io.BytesIO()
    palette.save(file, "PNG", transparency=1)
    assert (read(tmp_path, file.getvalue(), background=TEAL) == TEAL).all()
    file = io.BytesIO()
    Pil.merge("LA", (Pil.new("L", (8, 8), 200), Pil.new("L", (8, 8), 0))).save(file, "PNG")
    assert (read(tmp_path, file.getvalue(), background=TEAL) == TEAL).all()


def test_sixteen_bits_grey_palette_and_print_colours(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 65_536, 1024, dtype=np.uint16), (8, 1))
    for suffix in (".png", ".tiff", ".pgm"):
        image = read(tmp_path, cv2.imencode(suffix, ramp)[1].tobytes())
        assert np.abs(image - (ramp / 257)[..., None]).max() <= 1
        if suffix != ".pgm":
            image = read(tmp_path, cv2.imencode(suffix, np.dstack([ramp, ramp[:, ::-1], ramp]))[1].tobytes())
            assert np.abs(image[..., 0] - ramp / 257).max() <= 1
    cmyk = Pil.fromarray(corners()[..., ::-1]).convert("CMYK")
    file = io.BytesIO()
    cmyk.save(file, "JPEG", quality=95, subsampling=0)
    assert np.abs(read(tmp_path, file.getvalue()).astype(int) - corners()).mean() < 4
    file = io.BytesIO()
    Pil.fromarray(corners()[..., ::-1]).convert("P").save(file, "GIF")
    assert np.abs(read(tmp_path, file.getvalue()).astype(int) - corners()).mean() < 20
    file = io.BytesIO()
    Pil.fromarray(np.ones((8, 8), np.float32)).save(file, "TIFF")
    with pytest.raises(MediaError, match="fractions"):
        read(tmp_path, file.getvalue())


def exchanged_profile() -> bytes:
    """sRGB with red and green exchanged: one that nobody can overlook."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    utf16 = ("sRGB".encode("utf-16-be"), "TEST".encode("utf-16-be"))
    for old, new in ((b"rXYZ", b"tmpZ"), (b"gXYZ", b"rXYZ"), (b"tmpZ", b"gXYZ"), utf16, (b"sRGB", b"TEST")):
        profile = profile.replace(old, new)
    return profile


def test_colours_of_another_profile(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = corners()[..., [0, 2, 1]]
    np.testing.assert_array_equal(read(tmp_path, coded(corners(), "PNG", icc_profile=srgb)), corners())
    np.testing.assert_array_equal(read(tmp_path, coded(corners(), "PNG", icc_profile=b"nonsense")), corners())
    image = read(tmp_path, coded(corners(), "PNG", icc_profile=exchanged_profile()))
    assert np.abs(image.astype(int) - exchanged).mean() < 3
    image = read(tmp_path, heic([corners(96, 128)], profile=exchanged_profile()))
    assert np.abs(image.astype(int) - corners(96, 128)[..., [0, 2, 1]]).mean() < 6


@pytest.mark.parametrize(
    ("turns", "seen"),
    [
        ((), lambda image: image),
        (((b"irot", 1),), lambda image: np.rot90(image)),
        (((b"irot", 3),), lambda image: np.rot90(image, 3)),
        (((b"imir", 1),), lambda image: image[:, ::-1]),
        (((b"irot", 1), (b"imir", 0)), lambda image: np.rot90(image)[::-1]),
    ],
)
@pytest.mark.parametrize("tiled", [False, True])
def test_a_telephones_heic(tmp_path: Path, turns: tuple[tuple[bytes, int], ...], seen: object, tiled: bool) -> None:
    whole = corners(120, 180)
    if tiled:
        padded = np.pad(whole, ((0, 8), (0, 12), (0, 0)), mode="edge")
        tiles = [padded[y : y + 64, x : x + 64] for y in (0, 64) for x in (0, 64, 128)]
        data = heic(tiles, grid=(2, 3), size=(180, 120), turns=turns)
    else:
        data = heic([whole], turns=turns)
    image = read(tmp_path, data, "IMG_0001.HEIC")
    upright = seen(whole)  # type: ignore[operator]
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).mean() < 6


def test_a_cut_png_is_kept_and_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = coded(rng.integers(0, 255, (64, 64, 3), np.uint8), "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(data[: len(data) // 2])
    source = ImageSource(path)
    source.open()
    assert source.read().image[:20].any()
    assert "cut short" in source.notes[0]


def huge_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(8193, 8192), (12_000, 8_000), (60_000, 60_000), (1 << 30, 1 << 30)])
def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(huge_png(width, height))
    with pytest.raises(MediaError, match="more than 67 million") as caught:
        ImageSource(path).open()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("head", [b"II*\0" + bytes(8), coded(corners(), "PNG"), animated("WEBP", [40, 40])])
def test_a_file_too_large_for_any_picture_is_not_read(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(head)
    os.truncate(path, 20 << 30)  # of nothing: it takes no room
    with pytest.raises(MediaError, match="too large for a picture"):
        open_video(str(path), clock=VirtualClock(), live=False).open()


def test_a_film_of_too_many_pixels_is_refused(tmp_path: Path) -> None:
    data = bytearray(write_film(tmp_path / "a.avi", steady(2), numbered(64, 64), codec="rawvideo").read_bytes())
    at = data.index(b"strf") + 12
    data[at : at + 8] = struct.pack("<II", 16_000, 10_000)
    (tmp_path / "a.avi").write_bytes(data)
    with pytest.raises(MediaError, match="more than 67 million"):
        open_video(str(tmp_path / "a.avi"), clock=VirtualClock(), live=False).open()


@pytest.mark.parametrize(
    "data", [b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), b"<svg xmlns=''></svg>", b"\xff\xd8\xff", b"II*\0"]
)
def test_a_picture_that_cannot_be_decoded_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(MediaError, match="not a picture, or it is damaged; choose a JPEG") as caught:
        read(tmp_path, data)
    assert "\n" not in str(caught.value)


def test_a_heic_cut_anywhere_is_refused_in_one_line(tmp_path: Path) -> None:
    tiles = [corners(64, 96)] * 4
    data = heic(tiles, grid=(2, 2), size=(180, 120), turns=((b"irot", 1),))
    for length in range(30, len(data) - 200, 37):
        path = tmp_path / "a.heic"
        path.write_bytes(data[:length])
        with pytest.raises(MediaError):
            ImageSource(path).open()


@pytest.mark.parametrize("kind", ["yuv420p", "yuvj420p", "yuv422p", "nv12", "yuyv422", "yuv420p10le", "gray"])
def test_colours_that_are_taken_by_planes_are_those_of_the_plain_way_to_one_level(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, "rgb24").reformat(format=kind)
    plain, planes = (
        VideoReformatter().reformat(frame, format=layout, interpolation=INTERPOLATION) for layout in ("bgr24", "gbrp")
    )
    assert np.abs(plain.to_ndarray().astype(int) - merged(planes)).max() <= 1
