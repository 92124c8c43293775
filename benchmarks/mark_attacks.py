"""What films and sounds go through on their way: coding, scaling, cutting, other light, recording off a screen."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import av
import cv2
import numpy as np
import soxr

from realtime_dub.media import Floats, Plane

FPS = 25
Film = list[Plane]  # luma alone: there the mark is
FilmAttack = Callable[[Film], Film]
SoundAttack = Callable[[Floats], tuple[Floats, int]]
RATE = 48_000


def coded(film: Film, codec: str, fps: int = FPS, bits: int | None = None, **options: Any) -> Film:
    """Through a real encoder and decoder."""
    film = [plane[: plane.shape[0] & ~1, : plane.shape[1] & ~1] for plane in film]
    height, width = film[0].shape
    file = io.BytesIO()
    with av.open(file, "w", format="webm" if codec == "libvpx" else "mp4") as container:
        named = {name.replace("_", "-"): str(value) for name, value in options.items()}
        stream: Any = container.add_stream(codec, fps, named, width=width, height=height, pix_fmt="yuv420p")
        stream.codec_context.thread_count = 1
        if bits is not None:
            stream.codec_context.bit_rate = bits
        grey = np.full((height // 2, width), 128, np.uint8)
        for plane in film:
            frame = av.VideoFrame.from_ndarray(np.concatenate([plane, grey]), "yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as back:
        return [np.asarray(frame.to_ndarray()[:height], np.uint8) for frame in back.decode(video=0)]


def h264(film: Film, crf: int, preset: str = "veryfast", fps: int = FPS) -> Film:
    return coded(film, "libx264", fps, crf=crf, preset=preset)


def vp8(film: Film, kbps: int) -> Film:
    """As browsers code it: at a constant rate, in real time, with no key frame but the first."""
    bits = kbps * 1000
    limits = {"maxrate": bits, "minrate": bits, "bufsize": bits}
    return coded(film, "libvpx", bits=bits, deadline="realtime", cpu_used=5, lag_in_frames=0, g=3000, **limits)


def scaled(film: Film, factor: float) -> Film:
    height, width = (round(side * factor / 2) * 2 for side in film[0].shape)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return h264([np.asarray(cv2.resize(plane, (width, height), interpolation=how), np.uint8) for plane in film], 23)


def cut(film: Film, share: float) -> Film:
    """Without ``share`` of the width and of the height, more of it on one side than on the other."""
    height, width = film[0].shape
    top, left = int(height * share * 0.7), int(width * share * 0.3)
    high, wide = int(height * (1 - share)), int(width * (1 - share))
    return h264([plane[top : top + high, left : left + wide] for plane in film], 23)


def other_light(film: Film, levels: float = 0, contrast: float = 1, gamma: float = 1) -> Film:
    table = 255 * (np.clip(np.arange(256) / 255, 0, 1) ** gamma)
    table = np.clip(np.rint((table - 128) * contrast + 128 + levels), 0, 255).astype(np.uint8)
    return h264([table[plane] for plane in film], 23)


def recaptured(film: Film, share: float) -> Film:
    """A recording of a screen on which the film plays in a window of ``share`` of its height: coded once as it came,
    scaled, among other windows, at 30 frames a second, in slightly other light, coded again.
    """
    came = h264(film, 23)
    height, width = came[0].shape
    tall = round(height / share / 2) * 2
    size = (round(width * 1.04 / 2) * 2, round(height * 1.04 / 2) * 2)
    random = np.random.default_rng(7)
    screen = np.full((max(tall, size[1] + 20), round(tall * 16 / 9 / 2) * 2 + 80), 235, np.uint8)
    for left, top, level in random.integers((0, 0, 20), (screen.shape[1], screen.shape[0], 230), (60, 3)):
        screen[top : top + 9, left : left + 70] = level
    top, left = screen.shape[0] - size[1] - 7, 33
    shown = []
    for n in range(len(came) * 30 // FPS):
        seen = cv2.resize(came[n * FPS // 30], size, interpolation=cv2.INTER_LINEAR)
        whole = screen.copy()
        whole[top : top + size[1], left : left + size[0]] = np.clip(seen * 0.94 + 6, 0, 255)
        shown.append(whole)
    return h264(shown, 26, "ultrafast", 30)


FILM_ATTACKS: dict[str, tuple[tuple[str, FilmAttack], ...]] = {
    "H.264, crf": tuple((str(crf), partial(h264, crf=crf, preset="medium")) for crf in (20, 24, 28)),
    "VP8, kbit/s": tuple((str(kbps), partial(vp8, kbps=kbps)) for kbps in (1_200, 900, 600)),
    "scaled": tuple((str(factor), partial(scaled, factor=factor)) for factor in (0.5, 0.75, 1.5)),
    "cut": tuple((f"{share:.0%}", partial(cut, share=share)) for share in (0.07, 0.14, 0.2)),
    "brightness, levels": tuple((f"{by:+}", partial(other_light, levels=by)) for by in (-30, 20, 40)),
    "gamma": tuple((str(gamma), partial(other_light, gamma=gamma)) for gamma in (0.6, 1.4, 1.8)),
    "recorded off a screen": tuple((f"{share:.0%}", partial(recaptured, share=share)) for share in (0.9, 0.75, 0.6)),
}
BEYOND: dict[str, tuple[tuple[str, FilmAttack], ...]] = {
    "beyond what is promised": (
        ("H.264 crf 32", partial(h264, crf=32, preset="medium")),
        ("VP8 300 kbit/s", partial(vp8, kbps=300)),
        ("mirrored, cut by 20 %", lambda film: cut([plane[:, ::-1] for plane in film], 0.2)),
    )
}


def sound_coded(sound: Floats, codec: str, kbps: int, container: str, **options: Any) -> tuple[Floats, int]:
    """Through a real encoder and decoder, at 48 kHz."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream: Any = out.add_stream(codec, RATE, {name: str(value) for name, value in options.items()}, layout="mono")
        stream.bit_rate = kbps * 1000
        context = stream.codec_context
        frame = av.AudioFrame.from_ndarray(sound[None], "fltp", "mono")
        frame.sample_rate = RATE
        cutter = av.AudioResampler(context.format.name, "mono", RATE, frame_size=context.frame_size or 1024)
        for part in (*cutter.resample(frame), *cutter.resample(None)):
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    file.seek(0)
    resampler = av.AudioResampler("flt", "mono", RATE)
    with av.open(file, "r") as back:
        parts = [part.to_ndarray()[0] for frame in back.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate(parts), RATE


def resampled(sound: Floats, rate: int) -> tuple[Floats, int]:
    return np.asarray(soxr.resample(sound, RATE, rate), np.float32), rate


def late_clock(sound: Floats, ppm: int) -> tuple[Floats, int]:
    """As a sound card hears it whose clock is slow."""
    return np.asarray(soxr.resample(sound, 1e6, 1e6 + ppm), np.float32), RATE


SOUND_ATTACKS: dict[str, tuple[tuple[str, SoundAttack], ...]] = {
    "Opus, kbit/s": tuple(
        (str(kbps), partial(sound_coded, codec="libopus", kbps=kbps, container="ogg", application="voip"))
        for kbps in (48, 32, 24)
    ),
    "AAC, kbit/s": tuple(
        (str(kbps), partial(sound_coded, codec="aac", kbps=kbps, container="mp4")) for kbps in (128, 96, 64)
    ),
    "at a rate of, Hz": tuple((str(rate), partial(resampled, rate=rate)) for rate in (44_100, 24_000, 16_000)),
    "a clock slow by, ppm": tuple((str(ppm), partial(late_clock, ppm=ppm)) for ppm in (20, 50, 100)),
}
