"""What is measured of a row of the table of engines: a clip dubbed, what a frame costs, and a live run."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks import lip_leak, mouth_pixels
from benchmarks.engine_rows import EngineRow
from benchmarks.media import voice
from benchmarks.overload import ticks_watched
from benchmarks.rendered import Look, compared, dubbed, looked, quiet_frames, spoken_frames
from engines.common.mouth_figures import Score, others
from engines.common.video_metrics import Bools
from realtime_dub.config import LiveConfig, build
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import NS, Floats, Image, samples_to_ns
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import VOICE_RATE, MouthGenerator
from realtime_dub.pipeline.live.run import run_live
from realtime_dub.pipeline.process import one_thread_each

CHUNK = VOICE_RATE // 50  # samples that are heard at once
OBSERVE_EVERY = 3  # frames, as the live loop does
WARM_UP = 10  # frames that are not counted
SETTLED_NS = NS  # of a live run, that is not counted
FPS = 25
ROOM = 0.45  # mouth widths around the lips, in pictures


def measure(
    row: EngineRow, clips: Sequence[Path], place: int, speaker: str, silence: Path
) -> tuple[Score, list[Image]]:
    """The clip at ``place``, and its frames as the row has them. ``silence``: a sound file of nothing."""
    clip = clips[place]
    images = dubbed(clip, clip, row.setup, clip if row.own_voice else clips[others(place, len(clips))[0]])
    source, talks = looked(clip, None, 1), spoken(clip)
    result = Look.at(images, source.times_ns[: len(images)])
    score = compared(clip, clip, row.setup, speaker, result)
    score.figures.update(mouth_pixels.figures(source.tracked, images, talks))
    if row.own_voice:
        score.figures["lip_leak"] = _leak(row, clip, result, silence, talks)
    return score, images


def spoken(clip: Path) -> Bools:
    """Frames of a clip from the first loud one to the last."""
    return spoken_frames(quiet_frames(clip, np.array(looked(clip, None, 1).times_ns)))


def _leak(row: EngineRow, clip: Path, result: Look, silence: Path, talks: Bools) -> float:
    """Share of the frames in which the face talks whose mouth is open under a silent voice."""
    if not row.drawn:
        images = lip_leak.dubbed(clip, silence, "auto", row.setup.engine, row.setup.bundle)
        result = Look.at(images, looked(clip, None, 1).times_ns[: len(images)])
    return lip_leak.leak(result, talks[: len(result.times_ns)]).leak


def frame_ms(row: EngineRow, clip: Path) -> float:
    """What an engine takes for a frame, the median, ms: hearing, looking and making a mouth, nothing else at work."""
    # A mouth is made in every frame, in silence too.
    generator = registry.create_with_known(row.setup.engine, bundle=row.setup.bundle, silence="rest")
    alone = _Alone(generator, voice(str(clip)))
    try:
        with one_thread_each():
            took = [alone.step_ms(tracked) for tracked in looked(clip, None, 1).tracked]
    finally:
        generator.close()
    return float(np.median(took[WARM_UP:] or took))


class _Alone:
    """An engine and a sound without end."""

    def __init__(self, generator: MouthGenerator, sound: Floats) -> None:
        self._generator, self._sound, self._heard = generator, sound, 0

    def step_ms(self, tracked: TrackedFrame) -> float:
        """One frame."""
        began, at_ns = time.perf_counter(), tracked.frame.pts_ns
        while self._generator.heard_until_ns() < at_ns:
            self._hear()
        if tracked.frame.seq % OBSERVE_EVERY == 0 and tracked.face is not None:
            self._generator.observe(tracked)
        self._generator.generate(tracked, at_ns)
        return 1000 * (time.perf_counter() - began)

    def _hear(self) -> None:
        at = np.arange(self._heard, self._heard + CHUNK) % len(self._sound)
        self._generator.hear(self._sound[at], samples_to_ns(self._heard, VOICE_RATE))
        self._heard += CHUNK


def live(row: EngineRow, film: str, seconds: float) -> dict[str, float]:
    """A live run of a film and the built-in voice: mouths of their own a second, and the age of what is published.

    ``load``: processes that wanted a processor just before; where they are more than a few the figures are theirs.
    """
    options = registry.engine(row.setup.engine).options
    values = {"silence": "rest"} if "silence" in options else {}
    config = build(
        LiveConfig,
        webcam=film,
        mic="demo",
        to=("null",),
        loop=True,
        engine=row.setup.engine,
        bundle=row.setup.bundle,
        fps=FPS,
        seconds=seconds,
        quiet=True,
        **values,
    )
    load = os.getloadavg()[0]
    with ticks_watched() as ticks:
        report = run_live(config)
    counted = [tick for tick in ticks if tick.at_ns - ticks[0].at_ns >= SETTLED_NS]
    fresh = sum(tick.kind == "fresh" for tick in counted)
    return {
        "fps_live": FPS * fresh / max(1, len(counted)),
        "age_max_ms": report.latency_ms["max"],
        "budget_ms": report.budget_ms,
        "load": load,
    }


def strip(clip: Path, images: Sequence[Image], moments: Sequence[int], side: int) -> Image:
    """The mouths of a clip at some frames, beside each other."""
    tracked = looked(clip, None, 1).tracked
    return np.concatenate([_mouth(tracked[k], images[k], side) for k in moments if k < len(images)], 1)


def moments(clip: Path, most: int) -> list[int]:
    """Frames of speech in which a face was found, evenly chosen."""
    seen = [each.face is not None for each in looked(clip, None, 1).tracked]
    at = np.flatnonzero(spoken(clip) & np.array(seen))
    return at[np.linspace(0, len(at) - 1, min(most, len(at))).round().astype(int)].tolist() if len(at) else []


def _mouth(seen: TrackedFrame, image: Image, side: int) -> Image:
    """A square of the lower face."""
    x, y, width, height = mouth_pixels.lips_box(seen, ROOM)
    half = max(width, height) / 2
    low = np.maximum(np.rint([x + width / 2 - half, y + height / 2 - half]).astype(int), 0)
    part = image[low[1] : low[1] + round(2 * half), low[0] : low[0] + round(2 * half)]
    return np.asarray(cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
