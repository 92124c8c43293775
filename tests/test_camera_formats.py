"""A camera's pictures in YUV and JPEG: what comes so leaves so, and the colours are those that they mean."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from media_files import output_format

from realtime_dub.clock import VirtualClock
from realtime_dub.errors import DeviceError
from realtime_dub.fitting import Size
from realtime_dub.i420 import planes_of
from realtime_dub.media import Frame, Image, Tick
from realtime_dub.publishers.encoding import VideoEncoder, _rows
from realtime_dub.sources import webcam
from realtime_dub.sources.camera_formats import unpacker
from realtime_dub.sources.webcam import WebcamSource

SIZE = (160, 120)
EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP
RAW = ("YUYV", "UYVY", "NV12", "NV21", "YU12", "YV12")
JPEG = {"4:2:2": "yuvj422p", "4:2:0": "yuvj420p", "4:4:4": "yuvj444p"}


def fourcc(name: str) -> float:
    return float(cv2.VideoWriter.fourcc(*name))


def soft(size: Size, at: int = 0) -> Image:
    """Colours without edges, far from what YUV cannot hold."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]] / 40
    waves = [100 + 30 * np.sin(x + at), 110 + 30 * np.cos(y + 1), 120 + 30 * np.sin(x + y)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def converted(image: Image, pixels: str, full: bool = False) -> Any:
    """By FFmpeg, in BT.601."""
    return av.VideoFrame.from_ndarray(image, "bgr24").reformat(
        format=pixels,
        dst_colorspace=Colorspace.ITU601,
        dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        interpolation=EXACT,
    )


def raw(name: str, image: Image) -> np.ndarray:
    """A picture as the camera sends it, in the shape that OpenCV gives it."""
    if name in ("YUYV", "UYVY"):
        packed = converted(image, "yuyv422").to_ndarray()
        return np.ascontiguousarray(packed if name == "YUYV" else packed[..., ::-1])
    planes = converted(image, "yuv420p").to_ndarray()
    light, chroma = planes[: image.shape[0]], planes[image.shape[0] :].reshape(2, -1)
    if name in ("YV12", "NV21"):
        chroma = chroma[::-1]
    if name in ("NV12", "NV21"):
        chroma = chroma.T
    return np.concatenate([light, np.ascontiguousarray(chroma).reshape(-1, light.shape[1])])


def jpeg(image: Image, pixels: str = "yuvj422p", tables: bool = True) -> np.ndarray:
    """A picture as OpenCV hands it over, one line of bytes; ``tables``: Huffman's, which many cameras leave out."""
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = image.shape[1], image.shape[0], pixels
    encoder.time_base, encoder.color_range = Fraction(1, 25), ColorRange.JPEG
    encoder.options = {"qmin": "1", "qmax": "1", "huffman": "default"}
    coded = bytes((encoder.encode(converted(image, pixels, full=True)) + encoder.encode(None))[0])
    return np.frombuffer(coded if tables else without_tables(coded), np.uint8)[None]


def without_tables(coded: bytes) -> bytes:
    """Without the segments DHT."""
    out, at = coded[:2], 2
    while coded[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(coded[at + 2 : at + 4], "big")
        out += b"" if coded[at + 1] == 0xC4 else coded[at:end]
        at = end
    return out + coded[at:]


@pytest.fixture(autouse=True)
def on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webcam, "LINUX", True)
    monkeypatch.setattr(webcam, "node", lambda device: device)


class Camera:
    """A capture whose pictures were made in its format; those of OpenCV's own making where it is asked for them."""

    def __init__(self, name: str, pictures: list[np.ndarray], size: Size = SIZE) -> None:
        self.name, self.size, self._pictures, self._at = name, size, pictures, -1
        self.converts, self.asked = True, []  # type: ignore[var-annotated]

    def isOpened(self) -> bool:
        return True

    def set(self, propId: int, value: float) -> bool:
        self.asked.append((propId, value))
        if propId == cv2.CAP_PROP_CONVERT_RGB:
            self.converts = bool(value)
        elif self.converts is False:
            raise AssertionError("the driver begins anew, and converts")
        return True

    def get(self, propId: int) -> float:
        known = {cv2.CAP_PROP_FRAME_WIDTH: self.size[0], cv2.CAP_PROP_FRAME_HEIGHT: self.size[1]}
        return fourcc(self.name) if propId == cv2.CAP_PROP_FOURCC else float(known.get(propId, 25))

    def grab(self) -> bool:
        self._at += 1
        return self._at < len(self._pictures)

    def retrieve(self) -> tuple[bool, Any]:
        picture = self._pictures[self._at]
        return True, picture.copy() if not self.converts else bgr(self.name, picture)

    def release(self) -> None:
        pass


def bgr(name: str, picture: np.ndarray) -> Image:
    """As OpenCV's own capture converts it."""
    if name == "MJPG":
        return np.asarray(cv2.imdecode(picture, cv2.IMREAD_COLOR), np.uint8)
    codes = {"YUYV": cv2.COLOR_YUV2BGR_YUYV, "UYVY": cv2.COLOR_YUV2BGR_UYVY, "NV12": cv2.COLOR_YUV2BGR_NV12}
    codes |= {"NV21": cv2.COLOR_YUV2BGR_NV21, "YU12": cv2.COLOR_YUV2BGR_I420, "YV12": cv2.COLOR_YUV2BGR_YV12}
    return np.asarray(cv2.cvtColor(picture, codes[name]), np.uint8)


def first_frame(camera: Camera, **options: Any) -> Frame:
    source = WebcamSource("0", *SIZE, 25, VirtualClock(), opener=lambda _: camera, **options)
    info = source.open()
    try:
        frame = source.read()
    finally:
        source.close()
    assert (info.width, info.height) == camera.size
    assert info.hd == (None if frame.coded is None else False)
    return frame


def apart(a: Any, b: Any) -> int:
    return int(np.abs(np.asarray(a).astype(int) - b).max())


def exact(image: Image) -> list[np.ndarray]:
    return [_rows(plane) for plane in converted(image, "yuv420p").planes]


def tick(frame: Frame, **changes: Any) -> Tick:
    return replace(Tick(frame.image, 0, 40_000_000, 0, None, coded=frame.coded), **changes)


@pytest.mark.parametrize("name", RAW)
def test_a_raw_picture_keeps_its_planes(name: str) -> None:
    image = soft(SIZE)
    picture = raw(name, image)
    frame = first_frame(Camera(name, [picture]))
    assert frame.coded is not None
    assert (frame.coded.hd, frame.coded.full_range) == (False, False)
    if name in ("YUYV", "UYVY"):
        assert np.array_equal(frame.coded.planes[0], picture[..., "YU".index(name[0])])
        assert max(apart(*pair) for pair in zip(frame.coded.planes, exact(image), strict=True)) <= 1
    else:
        assert all(np.array_equal(*pair) for pair in zip(frame.coded.planes, exact(image), strict=True))
    assert apart(frame.image, bgr(name, picture)) <= 3  # the chroma of two lines is one
    assert apart(frame.image, image) <= apart(bgr(name, picture), image) + 2


@pytest.mark.parametrize("pixels", JPEG.values(), ids=JPEG.keys())
@pytest.mark.parametrize("tables", [True, False])
def test_a_jpeg_picture_becomes_planes_that_mean_the_same_colours(pixels: str, tables: bool) -> None:
    image = soft(SIZE)
    frame = first_frame(Camera("MJPG", [jpeg(image, pixels, tables)]))
    assert frame.coded is not None
    assert max(apart(*pair) for pair in zip(frame.coded.planes, exact(image), strict=True)) <= 2  # JPEG's own level
    assert apart(frame.image, bgr("MJPG", jpeg(image, pixels))) <= 4


@pytest.mark.parametrize("value", [0, 1, 127, 128, 254, 255])
def test_a_jpeg_level_is_narrowed_to_the_nearest(value: int) -> None:
    grey = np.full((16, 16, 3), value, np.uint8)
    unpacked = unpacker(fourcc("MJPG"))(jpeg(grey))  # type: ignore[misc]
    assert unpacked is not None
    assert unpacked[1] is not None
    assert abs(unpacked[1].planes[0][5, 5] - (16 + value * 219 / 255)) <= 1
    assert apart(unpacked[0], grey) <= 2


@pytest.mark.parametrize("size", [SIZE, (1280, 720)])
@pytest.mark.parametrize("name", ["YUYV", "NV12", "MJPG"])
def test_a_file_takes_a_cameras_planes_over_at_any_size(size: Size, name: str) -> None:
    image = soft(size)
    frame = first_frame(Camera(name, [jpeg(image) if name == "MJPG" else raw(name, image)], size))
    assert frame.coded is not None
    drawn, box = frame.image.copy(), (41, 31, 33, 27)
    drawn[31:58, 41:74] = np.random.default_rng(0).integers(0, 256, (27, 33, 3))
    fmt = replace(output_format(*size, rate=0), hd=False)
    with av.open(io.BytesIO(), "w", format="mp4") as container:
        encoder = VideoEncoder(container, fmt, {})
        container.start_encoding()
        kept, made = (
            [_rows(plane).astype(int) for plane in encoder._frame_of(each).planes]
            for each in (tick(frame, image=drawn, changed=(box,)), tick(frame, image=drawn, coded=None))
        )
        assert encoder._stream.codec_context.colorspace == 6  # SMPTE 170M, which is BT.601
    for there, source, whole, step in zip(kept, frame.coded.planes, made, (1, 2, 2), strict=True):
        inside = np.zeros(there.shape, bool)
        inside[30 // step : 58 // step, 40 // step : 74 // step] = True
        assert np.array_equal(there[~inside], source[~inside])
        assert apart(there[inside], whole[inside]) <= 1


@pytest.mark.parametrize("name", ["YUYV", "NV12", "MJPG"])
def test_what_takes_bt_601_takes_the_planes_as_they_are(name: str) -> None:
    image = soft(SIZE)
    frame = first_frame(Camera(name, [jpeg(image) if name == "MJPG" else raw(name, image)]))
    assert frame.coded is not None
    left = planes_of(tick(frame))
    assert np.array_equal(left[: SIZE[1]], frame.coded.planes[0])
    assert np.array_equal(left[SIZE[1] :].ravel(), np.concatenate([plane.ravel() for plane in frame.coded.planes[1:]]))


def test_the_format_is_asked_for_last_because_all_else_undoes_it() -> None:
    camera = Camera("YUYV", [raw("YUYV", soft(SIZE))])
    first_frame(camera)
    assert camera.asked[-1] == (cv2.CAP_PROP_CONVERT_RGB, 0)


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [("MJPG", SIZE, {"keep_coded": False}), ("YUYV", (160, 119), {})],
    ids=["nobody encodes", "odd"],
)
def test_opencv_converts_what_is_not_to_be_kept(name: str, size: Size, options: dict[str, bool]) -> None:
    image = soft(size)
    picture = jpeg(image) if name == "MJPG" else np.zeros((119, 160, 2), np.uint8)
    camera = Camera(name, [picture], size)
    frame = first_frame(camera, **options)
    assert camera.converts
    assert frame.coded is None
    assert np.array_equal(frame.image, bgr(name, picture))


def test_a_format_that_nobody_knows_is_opencvs() -> None:
    assert unpacker(fourcc("RGB3")) is None
    assert unpacker(-1.0) is None
    assert unpacker(0.0) is None


@pytest.mark.parametrize(
    "damage", [lambda coded: coded[:, :200], lambda coded: coded * 0, lambda coded: coded[:, 400:]]
)
def test_torn_pictures_are_left_out_until_there_are_too_many(damage: Any) -> None:
    good = jpeg(soft(SIZE))
    assert first_frame(Camera("MJPG", [damage(good), damage(good), good])).coded is not None
    with pytest.raises(DeviceError, match="no picture from camera"):
        first_frame(Camera("MJPG", [damage(good)] * 9))


def test_a_picture_of_another_size_is_fitted_and_has_no_planes() -> None:
    source = WebcamSource("0", *SIZE, 25, VirtualClock(), opener=lambda _: camera)
    camera = Camera("MJPG", [jpeg(soft(SIZE)), *[jpeg(soft((80, 60)))] * 3])
    source.open()
    frames = [source.read() for _ in range(3)]
    source.close()
    small = [frame for frame in frames if frame.scene]
    assert small
    assert all(frame.coded is None and frame.image.shape == (120, 160, 3) for frame in small)
