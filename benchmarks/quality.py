"""How well dubbed mouths follow the voice: `python -m benchmarks.quality --data data/grid`.

Clips that the motion net has not seen are dubbed with their own voice by the file pipeline, taken before encoding, and
tracked afresh. What the mouth should have done is known: it is in the clip. With `--cross` each clip gets the voice of
the next one, whose mouth is then the truth.

In silence the live mouth is handed back, which agrees with the truth for free; so `..._dubbed` counts the frames alone
whose pixels were changed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.capture import captured
from benchmarks.media import frames, voice
from benchmarks.output import last_line, show
from engines.common import video_metrics as metrics
from realtime_dub.blend.masks import dilated, lower_face, polygon
from realtime_dub.config import FileConfig, build
from realtime_dub.face.alignment import mouth_width, neutral_shape
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import NS, Frame, Image
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.pipeline.offline import run_file

HELD_OUT = 20  # every 20th clip by sorted name is kept out of training
MAX_LAG = 10  # frames
QUIET = 0.05  # of the clip's loudest frame: no speech below
# The pipeline's tracker is smoothed and this one is not: the outlines differ by a few hundredths of a mouth width.
SLACK = 0.08
Curve = metrics.Array


@dataclass(frozen=True, eq=False)
class Look:
    """A video as a fresh tracker sees it: canonical shapes (T, 478, 3), NaN without a face, and what it was seen in."""

    images: list[Image]
    tracked: list[TrackedFrame]
    shapes: Curve

    @classmethod
    def at(cls, images: Sequence[Image], fps: float = 25) -> Look:
        tracker = MediaPipeTracker(smooth=False)
        try:
            stamped = [Frame(image, round(k * NS / fps), k) for k, image in enumerate(images)]
            tracked = [tracker.track(frame) for frame in stamped]
        finally:
            tracker.close()
        lost = np.full((478, 3), np.nan, np.float32)
        shapes = np.stack([lost if seen.face is None else seen.face.canonical for seen in tracked])
        return cls(list(images), tracked, shapes)

    def width(self) -> float:
        """This person's resting mouth in units of the canonical face."""
        known = self.shapes[np.isfinite(self.shapes).all((1, 2))]
        return mouth_width(neutral_shape(known)) if len(known) else 1.0


@dataclass(frozen=True, eq=False)
class Score:
    """One clip: lip openings for the pooled correlation, and figures."""

    name: str
    truth: Curve
    test: Curve
    figures: dict[str, float]


def dub(clip: Path, sound: Path, engine: str) -> list[Image]:
    """The pictures of ``clip`` speaking the voice of ``sound``."""
    mic = "video" if sound == clip else str(sound)
    values = {"input": str(clip), "mic": mic, "output": Path("captured.mp4"), "engine": engine, "quiet": True}
    with captured() as images:
        run_file(build(FileConfig, **values))
        return list(images)


def quiet_frames(sound: Path, count: int, fps: float = 25) -> metrics.Bools:
    """Frames (count,) in which the voice is silent."""
    samples = voice(str(sound))
    edges = np.rint(np.arange(count + 1) * VOICE_RATE / fps).astype(int)
    pieces = [samples[low:high] for low, high in pairwise(edges)]
    loudness = np.array([np.sqrt((piece**2).mean()) if len(piece) else 0.0 for piece in pieces])
    return np.asarray(loudness < QUIET * loudness.max(), bool)


def outside(source: Look, result: Sequence[Image]) -> int:
    """Pixels beyond the lower face that differ."""
    beyond = 0
    for seen, image in zip(source.tracked, result, strict=False):
        height, width = image.shape[:2]
        mask = np.zeros((height, width), bool)
        if seen.face is not None:
            unit = seen.face.pose.scale
            outline = dilated(lower_face(seen.face.points, unit), SLACK * unit)
            mask = polygon(outline, (0, 0, width, height)) > 0
        beyond += metrics.outside_difference(seen.frame.image, image, mask)
    return beyond


def changed(source: Look, result: Look, count: int) -> metrics.Bools:
    """Frames (count,) in which something was dubbed."""
    pairs = zip(source.images[:count], result.images[:count], strict=True)
    return np.array([bool((before != after).any()) for before, after in pairs])


def score(clip: Path, sound: Path, engine: str) -> Score:
    """Dub, track, compare."""
    source = Look.at([frame.image for frame in frames(str(clip))])
    truth = source if sound == clip else Look.at([frame.image for frame in frames(str(sound))])
    result = Look.at(dub(clip, sound, engine))
    count = min(len(source.shapes), len(truth.shapes), len(result.shapes))
    wanted, made = truth.shapes[:count] / truth.width(), result.shapes[:count] / source.width()
    openings = metrics.lip_opening(wanted), metrics.lip_opening(made)
    agreement = metrics.correlation_and_lag(*openings, MAX_LAG)
    quiet, dubbed = quiet_frames(sound, count), changed(source, result, count)
    figures = {
        "r_at_0": agreement.r_at_0,
        "best_lag": float(agreement.best_lag),
        "distance": metrics.landmark_distance(wanted, made),
        "distance_3d": metrics.landmark_distance(wanted, made, axes=3),
        "mean_shape": metrics.mean_shape_distance(wanted),
        "dubbed_share": float(dubbed.mean()),
        "r_dubbed": metrics.correlation(openings[0][dubbed], openings[1][dubbed]),
        "distance_dubbed": metrics.landmark_distance(wanted[dubbed], made[dubbed]),
        "jitter": metrics.jitter(made, quiet),
        "jitter_source": metrics.jitter(source.shapes[:count] / source.width(), quiet),
        "outside_pixels": float(outside(source, result.images)),
    }
    return Score(clip.stem, *openings, figures)


def pooled(scores: Sequence[Score]) -> metrics.Agreement:
    """Agreement over all clips at once; a stretch of NaN keeps a shift from mixing two of them."""
    gap = np.full(MAX_LAG, np.nan, np.float32)
    truth, test = (
        np.concatenate([piece for score in scores for piece in (getattr(score, which), gap)])
        for which in ("truth", "test")
    )
    return metrics.correlation_and_lag(truth, test, MAX_LAG)


def summary(scores: Sequence[Score]) -> dict[str, float]:
    """Means over clips; pixels are counted; the correlation is pooled, and beside that the mean of the clips'."""
    means = {key: float(np.nanmean([score.figures[key] for score in scores])) for key in scores[0].figures}
    means["outside_pixels"] = float(sum(score.figures["outside_pixels"] for score in scores))
    agreement = pooled(scores)
    means |= {"r_of_clips": means["r_at_0"], "r_at_0": agreement.r_at_0, "r_best": agreement.r_best}
    means["best_lag"] = float(agreement.best_lag)
    return means


def held_out(data: Path, clips: int) -> list[Path]:
    """The first ``clips`` of the held-out clips of speaker s1."""
    found = sorted((data / "s1").glob("*.mp4"))[::HELD_OUT]
    if not found:
        raise SystemExit(f"no clips in {data / 's1'}: give the folder that holds GRID's s1/*.mp4 as --data")
    return found[:clips]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/grid"))
    parser.add_argument("--clips", type=int, default=10, help="how many of the held-out clips")
    parser.add_argument("--engine", default="mouthbank")
    parser.add_argument("--cross", action="store_true", help="give each clip the voice of the next")
    args = parser.parse_args()
    clips = held_out(args.data, args.clips)
    sounds = clips[1:] + clips[:1] if args.cross else clips
    scores = [score(clip, sound, args.engine) for clip, sound in zip(clips, sounds, strict=True)]
    means = summary(scores)
    columns = [key for key in means if key in scores[0].figures]
    rows = [(each.name, *(each.figures[key] for key in columns)) for each in scores]
    rows.append(("all", *(means[key] for key in columns)))
    title = f"{args.engine}, {len(clips)} held-out clips, {'the next one' if args.cross else 'their own'} voice"
    show(title, ("clip", *columns), rows)
    last_line({"benchmark": "quality", "engine": args.engine, "clips": len(clips), "cross": args.cross, **means})


if __name__ == "__main__":
    main()
