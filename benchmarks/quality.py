"""How well dubbed mouths follow the voice: `python -m benchmarks.quality --data data/grid`.

Clips that the motion net has not seen are dubbed with their own voice by the file pipeline, taken before encoding, and
tracked afresh. What the mouth should have done is known: it is in the clip. With `--cross` each clip gets the voice of
the same speaker's next one, whose mouth is then the truth; `--true-motion` draws that mouth itself instead of asking
the net, which shows what drawing and tracking lose. `--data` is any folder of talking videos, or the folder of GRID's
`s1`, of which the clips kept out of training are taken. Speakers are told apart by what stands before `_` in a name,
or by folder. `--noise-db` and `--opus-kbit` spoil the voice first, `--face` makes the face a hard one (hard_faces.py).

In silence the live mouth is handed back, which agrees with the truth for free; so `..._dubbed` counts the frames alone
whose pixels were changed, and `..._spoken` those between the first loud sound of a clip and the last.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.capture import captured
from benchmarks.hard_faces import FACES, painted, write_lossless
from benchmarks.media import frames, voice
from benchmarks.output import last_line, plain, show
from benchmarks.spoilt import Spoilt
from benchmarks.true_motion import NAME as TRUE_MOTION
from benchmarks.true_motion import driven_by
from engines.common import video_metrics as metrics
from engines.common.grid import split
from engines.common.landmarks import VIDEO_SUFFIXES
from realtime_dub.blend.masks import dilated, lower_face, polygon
from realtime_dub.config import FileConfig, build
from realtime_dub.face.alignment import mouth_width, neutral_shape
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import NS, Frame, Image
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.pipeline.offline import run_file

SHOWN = ("r_at_0", "best_lag", "r_spoken", "distance", "mean_shape", "distance_share", "amplitude_spoken", "jitter")
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
    def at(cls, images: Sequence[Image], fps: float = 25, settle: int = 1) -> Look:
        """``settle`` times each: the mesh looks where the last picture's face was, and finds hard lips by it."""
        tracker = MediaPipeTracker(smooth=False)
        try:
            stamped = [Frame(image, round(k * NS / fps), k) for k, image in enumerate(images)]
            tracked = [[tracker.track(frame) for _ in range(settle)][-1] for frame in stamped]
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
    speaker: str
    truth: Curve
    test: Curve
    figures: dict[str, float]


@dataclass(frozen=True)
class Setup:
    """What dubs, and what is done to the voice and to the face first."""

    engine: str = "mouthbank"
    bundle: Path | None = None
    spoilt: Spoilt | None = None
    face: str | None = None
    settle: int = 1

    def look(self, images: Sequence[Image]) -> Look:
        """What the tracker sees in them."""
        return Look.at(images, settle=self.settle)

    def pictures(self, clip: Path) -> list[Image]:
        """Those of ``clip``, with the face made a hard one."""
        images = [frame.image for frame in frames(str(clip))]
        return images if self.face is None else painted(images, self.face)

    def dub(self, clip: Path, sound: Path, seen: Sequence[Image]) -> list[Image]:
        """The pictures ``seen`` of ``clip`` speaking the voice of ``sound``."""
        values = {"engine": self.engine, "bundle": self.bundle, "quiet": True, "output": Path("captured.mp4")}
        with tempfile.TemporaryDirectory() as folder, captured() as images:
            video = clip if self.face is None else write_lossless(seen, Path(folder) / "painted.mkv")
            mic = "video" if sound == video else str(sound)
            if self.spoilt is not None:
                mic = str(self.spoilt.write(voice(str(sound)), Path(folder) / "voice.wav"))
            run_file(build(FileConfig, input=str(video), mic=mic, **values))
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


def spoken_frames(quiet: metrics.Bools) -> metrics.Bools:
    """Frames between the first loud one and the last."""
    loud, at = np.flatnonzero(~quiet), np.arange(len(quiet))
    return np.asarray((at >= loud[0]) & (at <= loud[-1]) if len(loud) else at < 0, bool)


def speaker_of(clip: Path, data: Path) -> str:
    """What stands before ``_`` in a clip's name, else its folder."""
    before, found, _ = clip.stem.partition("_")
    return before if found else (clip.parent.name if clip.parent != data else data.name)


def score(clip: Path, sound: Path, setup: Setup, speaker: str = "") -> Score:
    """Dub, track, compare."""
    source = setup.look(setup.pictures(clip))
    truth = source if sound == clip else setup.look(setup.pictures(sound))
    with driven_by(truth.shapes) if setup.engine == TRUE_MOTION else nullcontext():
        result = setup.look(setup.dub(clip, sound, source.images))
    count = min(len(source.shapes), len(truth.shapes), len(result.shapes))
    wanted, made = truth.shapes[:count] / truth.width(), result.shapes[:count] / source.width()
    openings = metrics.lip_opening(wanted), metrics.lip_opening(made)
    agreement = metrics.correlation_and_lag(*openings, MAX_LAG)
    quiet, dubbed = quiet_frames(sound, count), changed(source, result, count)
    said = spoken_frames(quiet)
    distance, mean_shape = metrics.landmark_distance(wanted, made), metrics.mean_shape_distance(wanted)
    figures = {
        "r_at_0": agreement.r_at_0,
        "best_lag": float(agreement.best_lag),
        "distance": distance,
        "distance_3d": metrics.landmark_distance(wanted, made, axes=3),
        "mean_shape": mean_shape,
        "distance_share": distance / mean_shape,
        "dubbed_share": float(dubbed.mean()),
        "r_dubbed": metrics.correlation(openings[0][dubbed], openings[1][dubbed]),
        "distance_dubbed": metrics.landmark_distance(wanted[dubbed], made[dubbed]),
        "r_spoken": metrics.correlation(openings[0][said], openings[1][said]),
        "distance_share_spoken": metrics.landmark_distance(wanted[said], made[said])
        / metrics.mean_shape_distance(wanted[said]),
        "amplitude_spoken": float(np.nanstd(openings[1][said]) / np.nanstd(openings[0][said])),
        **restlessness(made, wanted, said),
        "jitter": metrics.jitter(made, quiet),
        "jitter_source": metrics.jitter(source.shapes[:count] / source.width(), quiet),
        "outside_pixels": float(outside(source, result.images)),
    }
    return Score(clip.stem, speaker, *openings, figures)


def restlessness(made: Curve, wanted: Curve, said: metrics.Bools) -> dict[str, float]:
    """Speed of the lips in silence as a share of that in speech, of the result and of the truth."""
    both = {"silence_motion": made, "silence_motion_source": wanted}
    return {name: metrics.speed(shapes, ~said) / metrics.speed(shapes, said) for name, shapes in both.items()}


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


def chosen(data: Path, part: str, clips: int | None) -> list[Path]:
    """The first ``clips`` of s1's held-out ones where ``data`` has ``s1``, else of every video under it."""
    if (data / "s1").is_dir():
        names = split([path.stem for path in (data / "s1").glob("*.mp4")])[part]
        return [data / "s1" / f"{name}.mp4" for name in names][: clips or 10]
    found = sorted(path for path in data.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    if not found:
        raise SystemExit(f"no videos in {data}: give a folder of talking videos, or the one that holds GRID's s1")
    return found[:clips]


def next_of_speaker(clips: Sequence[Path], data: Path) -> list[Path]:
    """For each clip the next of the same speaker, for the last the first."""
    speakers = [speaker_of(clip, data) for clip in clips]
    own = {name: [clip for clip, of in zip(clips, speakers, strict=True) if of == name] for name in speakers}
    return [own[of][(own[of].index(clip) + 1) % len(own[of])] for clip, of in zip(clips, speakers, strict=True)]


def by_speaker(scores: Sequence[Score]) -> dict[str, dict[str, float]]:
    """The summary of each speaker's clips."""
    people = sorted({each.speaker for each in scores})
    return {name: summary([each for each in scores if each.speaker == name]) for name in people}


def table(title: str, scores: Sequence[Score]) -> None:
    """Clips, then speakers, then all."""
    means = summary(scores)
    columns = [key for key in SHOWN if key in means]
    rows = [(each.name, *(each.figures[key] for key in columns)) for each in scores]
    rows += [(f"speaker {name}", *(found[key] for key in columns)) for name, found in by_speaker(scores).items()]
    show(title, ("clip", *columns), [*rows, ("all", *(means[key] for key in columns))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/grid"))
    parser.add_argument("--part", choices=("test", "validation"), default="test", help="which of s1's clips")
    parser.add_argument("--clips", type=int, help="at most so many (of s1: 10)")
    parser.add_argument("--engine", default="mouthbank")
    parser.add_argument("--bundle", type=Path, help="the built-in one without it")
    parser.add_argument("--cross", action="store_true", help="give each clip the voice of its speaker's next")
    parser.add_argument("--true-motion", action="store_true", help="draw the true mouth instead of the net's")
    parser.add_argument("--noise-db", type=float, help="pink noise this far below the voice")
    parser.add_argument("--opus-kbit", type=float, help="the voice after Opus at this bit rate")
    parser.add_argument("--face", choices=FACES, help="paint the clips first: a face that is hard to track and to draw")
    parser.add_argument("--settle", type=int, default=1, help="look at each picture so many times: a steadier measure")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    args = parser.parse_args()
    clips = chosen(args.data, args.part, args.clips)
    sounds = next_of_speaker(clips, args.data) if args.cross else clips
    spoilt = Spoilt(args.noise_db, args.opus_kbit) if args.noise_db is not None or args.opus_kbit else None
    setup = Setup(TRUE_MOTION if args.true_motion else args.engine, args.bundle, spoilt, args.face, args.settle)
    scores = [score(clip, sound, setup, speaker_of(clip, args.data)) for clip, sound in zip(clips, sounds, strict=True)]
    table(f"{setup.engine}, {len(clips)} clips, {'the next one' if args.cross else 'their own'} voice", scores)
    told = {
        "benchmark": "quality",
        "engine": setup.engine,
        "clips": len(clips),
        "cross": args.cross,
        "face": args.face,
        "settle": args.settle,
        **summary(scores),
    }
    if args.json:
        each = {one.name: one.figures for one in scores}
        args.json.write_text(json.dumps(plain({**told, "speakers": by_speaker(scores), "each": each}), indent=1) + "\n")
    last_line(told)


if __name__ == "__main__":
    main()
