"""Ticks to publish and files to look into, for the tests of what is written."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from realtime_dub.media import NS, AudioBlock, Image, OutputFormat, Samples, Tick, ns_to_samples, rescale, samples_to_ns


def output_format(width=160, height=120, fps=Fraction(25), rate=48_000, channels=1, live=False, full_range=False):
    return OutputFormat(width, height, Fraction(fps), rate, channels, live, full_range)


def grid(count: int, fps: Fraction) -> list[int]:
    """Frame times of a constant rate, ns."""
    return [rescale(k, NS * fps.denominator, fps.numerator) for k in range(count)]


def picture(fmt: OutputFormat, k: int) -> Image:
    """A soft gradient that moves with ``k``."""
    y, x = np.mgrid[0 : fmt.height, 0 : fmt.width]
    planes = [(x * 2 + 3 * k) % 200 + 20, (y * 2) % 200 + 20, (x + y + 5 * k) % 200 + 20]
    return np.stack(planes, axis=-1).astype(np.uint8)


def ticks(fmt: OutputFormat, times: list[int], sound: Samples | None = None, pictures=picture) -> Iterator[Tick]:
    """One tick per time; each carries the sound up to the next."""
    last = times[-1] - times[-2] if len(times) > 1 else NS // 25
    for k, (start, end) in enumerate(zip(times, [*times[1:], times[-1] + last], strict=True)):
        audio = None
        if sound is not None:
            first = ns_to_samples(start, fmt.rate)
            block = sound[first : ns_to_samples(end, fmt.rate)]
            audio = AudioBlock(block, fmt.rate, samples_to_ns(first, fmt.rate))
        yield Tick(pictures(fmt, k), start, end - start, k, audio)


def publish(publisher, fmt: OutputFormat, stream: Iterator[Tick]) -> None:
    publisher.open(fmt)
    for tick in stream:
        publisher.publish(tick)
    publisher.close()


def video_times(path: Path | str) -> list[Fraction]:
    """Presentation times, seconds."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def video_images(path: Path | str) -> list[Image]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def sound_of(path: Path | str) -> tuple[Samples, int, float]:
    """Samples (n, channels), their rate, and the time of the first in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    samples = np.concatenate([frame.to_ndarray().T for frame in frames])
    return samples, frames[0].sample_rate, float(frames[0].pts * frames[0].time_base)


def clicks(seconds: float, rate: int, channels: int, at: list[float]) -> Samples:
    """Silence with short bursts that start at ``at``."""
    sound = np.zeros((round(seconds * rate), channels), np.float32)
    burst = np.sin(np.arange(rate // 100) * 2 * np.pi * 1000 / rate) * np.hanning(rate // 100)
    for start in at:
        first = round(start * rate)
        sound[first : first + len(burst)] += burst[:, None].astype(np.float32) * 0.8
    return sound
