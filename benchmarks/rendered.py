"""One clip dubbed by the file pipeline, its lips found again in the result and compared with what they should be."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.capture import captured
from benchmarks.hard_faces import painted, write_lossless
from benchmarks.media import frames, voice
from benchmarks.spoilt import Spoilt
from benchmarks.true_motion import ENGINES as DRIVEN
from benchmarks.true_motion import driven_by
from engines.common import video_metrics as metrics
from engines.common.mouth_figures import Score, scored
from engines.common.rates import STEADY_FPS, at_times, nearest, steady_ns
from realtime_dub.blend.masks import dilated, lower_face, polygon
from realtime_dub.config import FileConfig, build
from realtime_dub.face.alignment import mouth_width, neutral_shape
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import NS, Frame, Image
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.pipeline.file.run import run_file

QUIET = 0.05  # of the clip's loudest frame: no speech below
# The pipeline's tracker is smoothed and this one is not: the outlines differ by a few hundredths of a mouth width.
SLACK = 0.08
UNSPOILT = Spoilt()
Curve = metrics.Array


@dataclass(frozen=True, eq=False)
class Look:
    """A video as a fresh tracker sees it: canonical shapes (T, 478, 3), NaN without a face, and what it was seen in."""

    images: list[Image]
    times_ns: list[int]
    tracked: list[TrackedFrame]
    shapes: Curve

    @classmethod
    def at(cls, images: Sequence[Image], times_ns: Sequence[int], repeats: int = 1) -> Look:
        """``repeats`` times each: the mesh looks where the last picture's face was, and finds hard lips by it."""
        tracker = MediaPipeTracker(smooth=False)
        try:
            stamped = [Frame(image, at_ns, k) for k, (image, at_ns) in enumerate(zip(images, times_ns, strict=True))]
            tracked = [[tracker.track(frame) for _ in range(repeats)][-1] for frame in stamped]
        finally:
            tracker.close()
        lost = np.full((478, 3), np.nan, np.float32)
        shapes = np.stack([lost if seen.face is None else seen.face.canonical for seen in tracked])
        return cls(list(images), list(times_ns), tracked, shapes)

    def shapes_at(self, grid_ns: metrics.Array) -> Curve:
        """The shapes at other times, straight lines between."""
        return at_times(self.shapes, np.array(self.times_ns), grid_ns)

    def width(self) -> float:
        """This person's resting mouth in units of the canonical face."""
        known = self.shapes[np.isfinite(self.shapes).all((1, 2))]
        return mouth_width(neutral_shape(known)) if len(known) else 1.0


@dataclass(frozen=True)
class Setup:
    """What dubs, and what is done to the voice and to the face first."""

    engine: str = "mouthbank"
    bundle: Path | None = None
    spoilt: Spoilt = UNSPOILT
    look_ahead: int | None = None
    face: str | None = None
    repeats: int = 1
    learn: bool = False  # else a clip dubbed with its own voice would have its own mouth for a teacher

    def dub(self, clip: Path, sound: Path, seen: Look) -> list[Image]:
        """The pictures ``seen`` of ``clip`` speaking the voice of ``sound``."""
        values = {"engine": self.engine, "bundle": self.bundle, "look_ahead": self.look_ahead, "quiet": True}
        if not self.learn and "learn" in registry.engine(self.engine).options:
            values["learn"] = "off"
        if "silence" in registry.engine(self.engine).options:
            values["silence"] = "live"  # as where the voice is the person's own, which is what is measured
        values["marks"] = "off"  # the mouth is measured, not the mark over it
        with tempfile.TemporaryDirectory() as folder, captured() as images:
            video = (
                clip if self.face is None else write_lossless(seen.images, Path(folder) / "painted.mkv", seen.times_ns)
            )
            mic = "video" if sound == video else str(sound)
            if self.spoilt != UNSPOILT:
                mic = str(self.spoilt.write(voice(str(sound)), Path(folder) / "voice.wav"))
            run_file(build(FileConfig, input=str(video), mic=mic, output=Path("captured.mp4"), badge="off", **values))
            return list(images)


def common_grid_ns(source: Look, truth: Look) -> metrics.Array:
    """Even times, ``STEADY_FPS`` a second, in both: what is told per picture means the same for clips of any rate."""
    start_ns = max(source.times_ns[0], truth.times_ns[0])
    end_ns = min(source.times_ns[-1], truth.times_ns[-1])
    return np.array(steady_ns(max(0, (end_ns - start_ns) * STEADY_FPS // NS) + 1, start_ns))


def quiet_frames(sound: Path, grid_ns: metrics.Array) -> metrics.Bools:
    """Pictures at ``grid_ns`` (n,) in which the voice is silent."""
    samples = voice(str(sound))
    edges = np.rint(np.append(grid_ns, grid_ns[-1] + NS // STEADY_FPS) * (VOICE_RATE / NS)).astype(int)
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


def changed(source: Look, result: Look, grid_ns: metrics.Array) -> metrics.Bools:
    """Whether something was dubbed in the picture nearest to each of ``grid_ns``."""
    pairs = zip(source.images, result.images, strict=False)
    dubbed = np.array([bool((before != after).any()) for before, after in pairs])
    return np.asarray(dubbed[nearest(np.array(result.times_ns), grid_ns)], bool)


def spoken_frames(quiet: metrics.Bools) -> metrics.Bools:
    """Frames between the first loud one and the last."""
    loud, at = np.flatnonzero(~quiet), np.arange(len(quiet))
    return np.asarray((at >= loud[0]) & (at <= loud[-1]) if len(loud) else at < 0, bool)


@lru_cache(2)
def looked(clip: Path, face: str | None, repeats: int) -> Look:
    """A clip as it is, or with the face made a hard one; kept while several setups dub it."""
    seen = [(frame.image, frame.pts_ns) for frame in frames(str(clip))]
    images, times_ns = [image for image, _ in seen], [at_ns for _, at_ns in seen]
    return Look.at(images if face is None else painted(images, face, times_ns), times_ns, repeats)


def dubbed(clip: Path, sound: Path, setup: Setup, heard: Path | None = None) -> list[Image]:
    """The pictures of ``clip`` as ``setup`` dubs them; engines that are told the truth are told the mouth of ``sound``.

    What is heard is ``heard``, else ``sound``.
    """
    source, truth = (looked(video, setup.face, setup.repeats) for video in (clip, sound))
    told = driven_by(truth.shapes, np.array(truth.times_ns), setup.engine) if setup.engine in DRIVEN else nullcontext()
    with told:
        return setup.dub(clip, heard or sound, source)


def score(clip: Path, sound: Path, setup: Setup, speaker: str = "", heard: Path | None = None) -> Score:
    """Dub ``clip``, track it, compare it with the mouth of ``sound``. What is heard is ``heard``, else ``sound``."""
    images = dubbed(clip, sound, setup, heard)
    source = looked(clip, setup.face, setup.repeats)
    return compared(clip, sound, setup, speaker, Look.at(images, source.times_ns[: len(images)], setup.repeats))


def compared(clip: Path, sound: Path, setup: Setup, speaker: str, result: Look) -> Score:
    """The mouth of ``result``, which ``clip`` was dubbed into, against that of ``sound``."""
    source, truth = (looked(video, setup.face, setup.repeats) for video in (clip, sound))
    grid_ns = common_grid_ns(result, truth)
    wanted, made = truth.shapes_at(grid_ns) / truth.width(), result.shapes_at(grid_ns) / source.width()
    quiet, drawn = quiet_frames(sound, grid_ns), changed(source, result, grid_ns)
    said = spoken_frames(quiet)
    found = scored(clip.stem, speaker, wanted, made, said, quiet)
    found.figures.update(
        distance_3d=metrics.landmark_distance(wanted, made, axes=3),
        dubbed_share=float(drawn.mean()),
        r_dubbed=metrics.correlation(found.truth[drawn], found.test[drawn]),
        distance_dubbed=metrics.landmark_distance(wanted[drawn], made[drawn]),
        jitter_source=metrics.jitter(source.shapes_at(grid_ns) / source.width(), quiet),
        jitter_spoken=metrics.jitter(made, said),
        outside_pixels=float(outside(source, result.images)),
        **restlessness(made, wanted, said),
    )
    return found


def restlessness(made: Curve, wanted: Curve, said: metrics.Bools) -> dict[str, float]:
    """Speed of the lips in silence as a share of that in speech, of the result and of the truth."""
    both = {"silence_motion": made, "silence_motion_source": wanted}
    return {name: metrics.speed(shapes, ~said) / metrics.speed(shapes, said) for name, shapes in both.items()}
