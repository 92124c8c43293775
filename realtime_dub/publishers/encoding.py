"""Pictures to H.264 and sound to AAC, with the times of the ticks kept.

Time bases: a picture's pts is its tick's ``pts_ns`` as the nearest multiple of :func:`video_time_base`, which is exact
for frames on the nominal rate's own grid and within 6 microseconds for any other; sound counts its own samples.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import av
import cv2
import numpy as np
import soxr
from av.packet import Packet
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter

from realtime_dub.audio.mono import MonoMixer
from realtime_dub.errors import DependencyError, MediaError
from realtime_dub.media import (
    AudioBlock,
    Box,
    Coded,
    Image,
    OutputFormat,
    Plane,
    Samples,
    Tick,
    ns_to_samples,
    ns_to_ticks,
)
from realtime_dub.publishers.h264 import H264, X264, even

Packets: TypeAlias = "list[Packet[Any]]"

AAC_FRAME = 1024  # samples in one AAC packet
AAC_RATES = (44_100, 48_000, 64_000, 88_200, 96_000)
AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1"}
TAIL_MS = 4  # a last packet that would hold less sound than this is left out: it lasts 23 ms whatever it holds
MOST_SIDE, MOST_AREA = 16_384, 2**28  # of a picture; the area with a rim of 64 pixels, as FFmpeg counts it
SPARE_BYTES = 256  # behind a picture
MOST_SIZES = 32  # of changed parts, for which something is kept
ROOM = 8  # pixels, even: more than the filter that makes fewer colours sees
BT709, SMPTE170M = 1, 6  # ITU-T H.273 matrix coefficients
INTERPOLATION = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP
_NO_MASK: Any = None  # of which OpenCV's types do not know


def video_time_base(fps: Fraction) -> Fraction:
    """The coarsest time base of at least 90 kHz on which every frame of a constant ``fps`` falls exactly."""
    return Fraction(1, fps.numerator * max(1, math.ceil(90_000 / fps.numerator)))


def aac_rate(rate: int) -> int:
    """The rate that sound of ``rate`` is coded at: its own from 44.1 to 96 kHz where AAC has it, else 44.1 kHz for
    its family and 48 kHz for all others, 96 kHz above that.

    Lower rates are raised because an AAC packet of 1024 samples is then too long for the sound's end to be exact.
    """
    if rate in AAC_RATES:
        return rate
    if rate > AAC_RATES[-1]:
        return AAC_RATES[-1]
    return 44_100 if 44_100 % rate == 0 else 48_000


def is_hd(width: int, height: int) -> bool:
    """Above standard definition, where players expect BT.709 instead of BT.601."""
    return width >= 1280 or height > 576


def check_size(fmt: OutputFormat) -> None:
    """Raises MediaError for pictures that no H.264 encoder takes."""
    width, height = even(fmt.width), even(fmt.height)
    if max(width, height) > MOST_SIDE or (width + 128) * (height + 128) >= MOST_AREA:
        raise MediaError(
            "cannot write frames of",
            f"{fmt.width}x{fmt.height}",
            f"H.264 takes up to {MOST_SIDE} a side: make it smaller",
        )


def require_encoder(name: str) -> None:
    """Raises DependencyError where this build of FFmpeg cannot encode ``name``."""
    try:
        av.Codec(name, "w")
    except (av.error.FFmpegError, ValueError) as error:
        raise DependencyError("no encoder", f"{name!r} in this PyAV", "run pip install av") from error


class VideoEncoder:
    """One H.264 stream of ``container``.

    A picture of odd width or height is made even by repeating its last column or row. The matrix is that of ``fmt``,
    else BT.709 above standard definition and BT.601 below. It is written into the stream, together with the range of
    ``fmt``, or of the encoder where that takes one alone.
    """

    def __init__(
        self,
        container: av.container.OutputContainer,
        fmt: OutputFormat,
        options: dict[str, str],
        encoder: H264 = X264,
    ) -> None:
        self._pix_fmt = encoder.pix_fmt
        self._width, self._height = even(fmt.width), even(fmt.height)
        self._time_base = video_time_base(fmt.fps)
        self._hd = is_hd(fmt.width, fmt.height) if fmt.hd is None else fmt.hd
        full_range = fmt.full_range or encoder.full_range
        self._range = ColorRange.JPEG if full_range else ColorRange.MPEG
        self._coding = self._hd, full_range
        self._reformatter, self._reorder = VideoReformatter(), VideoReformatter()
        self._of_parts: dict[tuple[int, ...], VideoReformatter] = {}  # each is made ready for a size
        self._last_pts = -1
        self._durations: dict[int, int] = {}
        self._stream: Any = container.add_stream(
            encoder.codec, fmt.fps, options, width=self._width, height=self._height, time_base=self._time_base
        )
        self._tag(self._stream.codec_context)

    def encode(self, tick: Tick) -> Packets:
        """Packets that are ready once ``tick`` is in."""
        frame = self._frame_of(tick)
        if self._pix_fmt != "yuv420p":  # the same samples in another order
            frame = self._reorder.reformat(frame, format=self._pix_fmt, threads=1)
        frame.time_base = self._time_base
        # Two ticks nearer than one unit still need times of their own.
        frame.pts = max(ns_to_ticks(tick.pts_ns, self._time_base), self._last_pts + 1)
        self._last_pts = frame.pts
        self._durations[frame.pts] = ns_to_ticks(tick.duration_ns, self._time_base)
        return self._timed(self._stream.encode(frame))

    def reads_beside(self, coded: Coded) -> int | None:
        """As ``publishers.base.ReadsParts`` has it."""
        same = coded.planes[0].shape == (self._height, self._width) and (coded.hd, coded.full_range) == self._coding
        return ROOM + 2 if same else None  # what has changed is made even first

    def flush(self) -> Packets:
        """The packets still held back."""
        return self._timed(self._stream.encode(None))

    def _timed(self, packets: Packets) -> Packets:
        # The encoder forgets durations, and the last one decides how long the file lasts.
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts or 0, 0)
        return packets

    def _frame_of(self, tick: Tick) -> av.VideoFrame:
        """The tick's picture; of one that came coded alike, only what has changed is converted."""
        coded = tick.coded
        if coded is None or self.reads_beside(coded) is None:
            return self._convert(tick.image)
        frame = av.VideoFrame(self._width, self._height, "yuv420p")
        planes = [_rows(plane) for plane in frame.planes]
        for plane, source in zip(planes, coded.planes, strict=True):
            cv2.copyTo(source, _NO_MASK, plane)  # NumPy's copy would stop all of Python
        for box in tick.changed:
            if box[2] and box[3]:
                self._change(planes, tick.image, box)
        return frame

    def _change(self, planes: Sequence[Plane], image: Image, box: Box) -> None:
        """Convert ``box`` of ``image`` into ``planes``, with some pixels around it for the filter of the colours."""
        x, y = box[0] - box[0] % 2, box[1] - box[1] % 2
        right, bottom = even(box[0] + box[2]), even(box[1] + box[3])
        left, top = max(0, x - ROOM), max(0, y - ROOM)
        around = image[top : bottom + ROOM, left : right + ROOM]
        converted = self._converted(around, self._of_part(around.shape))
        for plane, changed, step in zip(planes, converted.planes, (1, 2, 2), strict=True):
            part = _rows(changed)[
                (y - top) // step : (bottom - top) // step, (x - left) // step : (right - left) // step
            ]
            plane[y // step : bottom // step, x // step : right // step] = part

    def _of_part(self, size: tuple[int, ...]) -> VideoReformatter:
        """One for parts of that size: those of a frame differ, the same come again."""
        if (kept := self._of_parts.get(size)) is not None:
            return kept
        if len(self._of_parts) >= MOST_SIZES:
            del self._of_parts[next(iter(self._of_parts))]
        made = self._of_parts[size] = VideoReformatter()
        return made

    def _convert(self, image: Image) -> av.VideoFrame:
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return self._converted(image, self._reformatter)

    def _converted(self, image: Image, reformatter: VideoReformatter) -> av.VideoFrame:
        # The numpy buffer is only read during this call.
        frame = av.VideoFrame.from_numpy_buffer(_roomy(image), "bgr24")
        return reformatter.reformat(
            frame,
            width=frame.width,
            height=frame.height,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709 if self._hd else Colorspace.SMPTE170M,
            src_color_range=ColorRange.JPEG,
            dst_color_range=self._range,
            interpolation=INTERPOLATION,
            threads=1,
        )

    def _tag(self, context: Any) -> None:
        context.pix_fmt = self._pix_fmt
        context.color_range = self._range
        context.colorspace = BT709 if self._hd else SMPTE170M
        context.color_primaries = ColorPrimaries.BT709 if self._hd else ColorPrimaries.SMPTE170M
        context.color_trc = ColorTrc.BT709 if self._hd else ColorTrc.SMPTE170M


def _roomy(image: Image) -> Image:
    """In one piece, with spare bytes behind it before the page ends: swscale reads beyond what it is given, no further
    than these. A copy where it is not so.
    """
    if image.flags.c_contiguous and -(image.ctypes.data + image.nbytes) % mmap.PAGESIZE >= SPARE_BYTES:
        return image
    memory = np.empty(image.size + SPARE_BYTES, np.uint8)
    copy = memory[: image.size].reshape(image.shape)
    cv2.copyTo(image, _NO_MASK, copy)
    return copy


def _rows(plane: Any) -> Plane:
    """A view of a frame's plane (height, width), to be written into."""
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]


class AudioEncoder:
    """One AAC stream of ``container``, without holes: where a tick brings no sound, there is silence.

    One to six channels stay as they are; more are mixed down to one.
    """

    def __init__(self, container: av.container.OutputContainer, fmt: OutputFormat) -> None:
        self._rate_in, self._rate = fmt.rate, aac_rate(fmt.rate)
        self._channels = fmt.channels if fmt.channels in AAC_LAYOUTS else 1
        self._mono = MonoMixer(fmt.rate)
        self._resampler = None
        if self._rate != fmt.rate:
            self._resampler = soxr.ResampleStream(fmt.rate, self._rate, self._channels, dtype="float32", quality="VHQ")
        self._heard = 0  # samples taken in, at the rate they come in
        self._held = np.zeros((0, self._channels), np.float32)  # resampled, less than a packet
        self._pts = 0
        # Its usual search takes twice the time, and leaves the sound farther from what it was, at all of these rates.
        self._stream = container.add_stream("aac", self._rate, {"aac_coder": "fast"}, time_base=Fraction(1, self._rate))
        self._stream.codec_context.layout = AAC_LAYOUTS[self._channels]
        # 96 kbit/s a channel; AAC has no use for more than 6 bits a sample.
        self._stream.codec_context.bit_rate = min(96_000, 4 * self._rate) * self._channels

    def encode(self, block: AudioBlock) -> Packets:
        """Packets that are ready once ``block`` is in. A hole before it is filled, what overlaps is dropped."""
        start = ns_to_samples(block.pts_ns, self._rate_in)
        packets: Packets = []
        samples = block.samples
        # Blocks may meet half a sample early or late: their times are rounded, their samples are not.
        if start > self._heard + 1:
            packets += self._silence(start - self._heard)
        elif start < self._heard - 1:
            samples = samples[self._heard - start :]
        return packets + self._take(samples, last=False)

    def flush(self) -> Packets:
        """The packets still held back, the last one filled up with silence."""
        packets = self._take(np.zeros((0, self._channels), np.float32), last=True)
        if len(self._held) * 1000 >= TAIL_MS * self._rate:
            packets += self._send(self._held)
        return packets + self._stream.encode(None)

    def _silence(self, count: int) -> Packets:
        packets: Packets = []
        while count > 0:  # a second at a time: the hole may be long
            size = min(count, self._rate_in)
            packets += self._take(np.zeros((size, self._channels), np.float32), last=False)
            count -= size
        return packets

    def _take(self, samples: Samples, *, last: bool) -> Packets:
        self._heard += len(samples)
        if samples.shape[1] != self._channels:
            samples = self._mono(samples)[:, None]
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(np.ascontiguousarray(samples), last=last)
        self._held = np.concatenate([self._held, samples.reshape(-1, self._channels)])
        whole = len(self._held) - len(self._held) % AAC_FRAME
        ready, self._held = self._held[:whole], self._held[whole:]
        return self._send(ready) if whole else []

    def _send(self, samples: Samples) -> Packets:
        planes = np.ascontiguousarray(samples.T, np.float32)
        frame = av.AudioFrame.from_ndarray(planes, "fltp", AAC_LAYOUTS[self._channels])
        frame.sample_rate, frame.time_base, frame.pts = self._rate, Fraction(1, self._rate), self._pts
        self._pts += len(samples)
        packets: Packets = self._stream.encode(frame)
        return packets
