"""Tiny talking videos for the training kit: the portrait with a mouth that opens when a noise is loud."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from faces import portrait, tracked_portrait

from realtime_dub.face.landmarks import LIPS_INNER

RATE = 16_000


def mouth_frame(opened: float, height: int = 240) -> np.ndarray:
    """The portrait with a dark mouth ``opened`` 0..1 painted between its lips."""
    image = portrait(height).copy()
    face = tracked_portrait(height).face
    assert face is not None
    inner = face.points[LIPS_INNER, :2]
    centre, width = inner.mean(0), float(np.ptp(inner[:, 0]))
    if opened > 0.02:
        axes = (width * 0.4, width * 0.45 * opened)
        at = (centre[0], centre[1] + axes[1] * 0.6)
        cv2.ellipse(image, (at, (2 * axes[0], 2 * axes[1]), 0), (30, 20, 60), -1, cv2.LINE_AA)
    return image


def loudness(frames: int, seed: int, fps: int = 25) -> np.ndarray:
    """0..1 per frame: syllables of irregular length after a short silence."""
    rng = np.random.default_rng(seed)
    at = np.arange(frames) / fps
    loud = np.clip(np.sin(2 * np.pi * np.cumsum(rng.uniform(1.5, 3.5, frames)) / fps), 0, 1)
    return np.where(at < 0.3, 0, loud)


def write_talker(
    path: Path,
    seconds: float = 1.6,
    fps: int = 25,
    seed: int = 0,
    face: bool = True,
    sound: bool = True,
    voice: np.ndarray | None = None,
) -> None:
    """A video (.mp4 with AAC, .mkv with PCM) whose mouth follows its sound: a noise, or ``voice`` (n,) at RATE."""
    loud = loudness(round(seconds * fps), seed, fps) if voice is None else level(voice, fps)
    blank = mouth_frame(0)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "qp": "18"})
        video.height, video.width = (side // 2 * 2 for side in blank.shape[:2])
        video.pix_fmt = "yuv420p"
        codec, kind = ("pcm_s16le", "s16") if path.suffix == ".mkv" else ("aac", "fltp")
        stream = container.add_stream(codec, rate=RATE, layout="mono") if sound else None
        for value in loud:
            picture = mouth_frame(float(value)) if face else np.full_like(blank, 90)
            cut = np.ascontiguousarray(picture[: video.height, : video.width])
            container.mux(video.encode(av.VideoFrame.from_ndarray(cut, format="bgr24")))
        container.mux(video.encode(None))
        if stream is not None:
            heard = (_noise(loud, fps, seed) if voice is None else voice.astype(np.float32))[None]
            samples = heard if kind == "fltp" else np.round(heard * 32767).astype(np.int16)
            block = av.AudioFrame.from_ndarray(samples, format=kind, layout="mono")
            block.rate, block.time_base, block.pts = RATE, Fraction(1, RATE), 0
            container.mux([*stream.encode(block), *stream.encode(None)])


def level(voice: np.ndarray, fps: int) -> np.ndarray:
    """How loud a voice (n,) is in each frame, 0..1."""
    size = RATE // fps
    power = np.sqrt((voice[: len(voice) // size * size].reshape(-1, size) ** 2).mean(1))
    return np.clip(power / np.quantile(power, 0.95), 0, 1)


def _noise(loud: np.ndarray, fps: int, seed: int) -> np.ndarray:
    count = len(loud) * RATE // fps
    envelope = np.interp(np.arange(count) / RATE * fps, np.arange(len(loud)), loud)
    return (0.2 * envelope * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)
