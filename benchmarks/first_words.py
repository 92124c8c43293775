"""How right a mouth stands that nobody has shown before: `python -m benchmarks.first_words --data data/grid/people`.

A live stream from nothing: some clips of one person, one behind the other, dubbed with their own voice as the live loop
does it. Every frame is drawn before it is learnt from, every third is. The lips are found again in the result and
compared with the filmed ones where something was drawn, by the seconds since the start: ``error`` is the mean distance
of the lip points, ``low`` how much too low the whole mouth stands, both in mouth widths. ``r`` is that of the opening,
``distance`` the whole stream's error in speech as a share of a frozen mouth's.

``--starts filmed`` leaves the pauses before and behind the sentences, as one who looks and then speaks; ``talking``
cuts them out, as one who speaks all the time.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.another_person import speakers
from benchmarks.media import frames, voice
from benchmarks.output import last_line, show
from benchmarks.rendered import QUIET, Look, spoken_frames
from engines.common import Array
from engines.common import video_metrics as metrics
from engines.common.rates import STEADY_FPS, steady_ns
from realtime_dub.blend.composite import Compositor
from realtime_dub.face.landmarks import LIPS
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.media import Floats, Frame, Image
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator

STARTS = ("filmed", "talking")
SECONDS = (0, 1, 2, 4, 8, 1000)
STEP = VOICE_RATE // STEADY_FPS  # samples of a frame
OBSERVE_EVERY = 3  # frames, as the live loop
EDGE = 2  # frames that a sentence keeps before its first sound and behind its last


@dataclass(frozen=True, eq=False)
class Stream:
    """Pictures at ``STEADY_FPS`` and the sound that belongs to them, 16 kHz."""

    images: list[Image]
    sound: Floats

    @property
    def loud(self) -> metrics.Bools:
        """Frames (T,) with somebody's voice."""
        loudness = np.sqrt((self.sound.reshape(-1, STEP) ** 2).mean(1))
        return np.asarray(loudness >= QUIET * loudness.max(), bool)


def stream_of(clips: Sequence[Path], starts: str) -> Stream:
    """The clips in a row, whole or from the first sound to the last."""
    parts = [whole(clip) if starts == "filmed" else said(whole(clip)) for clip in clips]
    return Stream([image for part in parts for image in part.images], np.concatenate([part.sound for part in parts]))


def whole(clip: Path) -> Stream:
    images = [frame.image for frame in frames(str(clip))]
    heard = np.asarray(voice(str(clip)), np.float32)[: len(images) * STEP]
    return Stream(images, np.pad(heard, (0, len(images) * STEP - len(heard))))


def said(stream: Stream) -> Stream:
    """What lies between the pauses before and behind it."""
    at = np.flatnonzero(spoken_frames(~stream.loud))
    low, high = max(0, int(at[0]) - EDGE), int(at[-1]) + 1 + EDGE
    return Stream(stream.images[low:high], stream.sound[low * STEP : high * STEP])


def live(stream: Stream, look_ahead_ms: int | None = None) -> Iterator[tuple[Image, bool]]:
    """Each frame as it is shown, and whether something was drawn in it; by an engine that knows nobody at first."""
    engine = MouthbankGenerator(look_ahead_ms=look_ahead_ms, learn=False, silence="live")
    tracker, compositor, heard = MediaPipeTracker(), Compositor(), 0
    sound = np.concatenate([stream.sound, np.zeros(VOICE_RATE, np.float32)])
    times_ns = steady_ns(len(sound) // STEP)
    try:
        for k, image in enumerate(stream.images):
            while engine.heard_until_ns() < times_ns[k] and heard < len(times_ns):
                engine.hear(sound[heard * STEP : (heard + 1) * STEP], times_ns[heard])
                heard += 1
            tracked = tracker.track(Frame(image, times_ns[k], k))
            patch = engine.generate(tracked, times_ns[k])
            yield (image, False) if patch is None else (compositor.compose(tracked, patch, 1.0), True)
            if k % OBSERVE_EVERY == 0 and tracked.face is not None:
                engine.observe(tracked)
    finally:
        tracker.close()
        engine.close()


def measured(stream: Stream, look_ahead_ms: int | None = None) -> dict[str, float]:
    """The figures of one stream; NaN where nothing was drawn."""
    shown = list(live(stream, look_ahead_ms))
    times_ns = steady_ns(len(shown))
    truth, result = (Look.at(images, times_ns) for images in (stream.images, [image for image, _ in shown]))
    width = truth.width()
    wanted, made = truth.shapes / width, result.shapes / width
    drawn = np.array([each for _, each in shown]) & np.isfinite(wanted + made).all((1, 2))
    apart = (made - wanted)[:, LIPS, :2]
    error, low = np.linalg.norm(apart, axis=-1).mean(1), apart[..., 1].mean(1)
    at = np.arange(len(shown)) / STEADY_FPS
    found: dict[str, float] = {}
    for first, last in pairwise(SECONDS):
        part = drawn & (at >= first) & (at < last)
        name = f"{first}-{last}" if last < SECONDS[-1] else f"{first}-"
        found |= {f"error {name}": _mean(error[part]), f"low {name}": _mean(low[part])}
    opened = [metrics.lip_opening(each[drawn]) for each in (wanted, made)]
    spoken = drawn & spoken_frames(~stream.loud)
    frozen = metrics.mean_shape_distance(wanted[spoken])
    return found | {"r": metrics.correlation(*opened), "distance": _mean(error[spoken]) / frozen}


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")


def streams(clips: Sequence[Path], each: int, count: int) -> list[Sequence[Path]]:
    """``count`` rows of ``each`` clips, evenly from the first to the last."""
    last = max(0, len(clips) - each)
    starts = sorted({round(place) for place in np.linspace(0, last, count)})
    return [clips[at : at + each] for at in starts]


def over_people(rows: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    """The mean over each one's streams, and over people."""
    found = {
        name: {key: float(np.nanmean([row[key] for row in each])) for key in each[0]} for name, each in rows.items()
    }
    keys = next(iter(found.values()))
    return found | {"mean": {key: float(np.nanmean([row[key] for row in found.values()])) for key in keys}}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of GRID, with people/ and s1/ in it")
    parser.add_argument("--speakers", type=lambda text: text.split(","), default=[], metavar="NAME,..")
    parser.add_argument("--clips", type=int, default=4, help="in a stream")
    parser.add_argument("--streams", type=int, default=2, help="of each person")
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=list(STARTS))
    parser.add_argument("--look-ahead", type=int, help="ms; the live one without it")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    result: dict[str, object] = {"benchmark": "first_words"}
    for starts in args.starts:
        rows: dict[str, list[dict[str, float]]] = defaultdict(list)
        for name, clips in speakers(args.data, args.speakers).items():
            for part in streams(clips, args.clips, args.streams):
                rows[name].append(measured(stream_of(part, starts), args.look_ahead))
        found = over_people(rows)
        report(starts, found)
        result[starts] = found
    last_line(result)


def report(starts: str, found: dict[str, dict[str, float]]) -> None:
    columns = list(next(iter(found.values())))
    for title, chosen in (("error", "error"), ("low", "low"), ("whole stream", "")):
        wanted = [key for key in columns if (key.startswith(chosen) if chosen else key in ("r", "distance"))]
        rows = [(name, *(row[key] for key in wanted)) for name, row in found.items()]
        show(f"{starts}: {title}", ("", *wanted), rows)


if __name__ == "__main__":
    main()
