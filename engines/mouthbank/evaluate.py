"""Measure a bundle on clips it has never seen, through the code that runs live.

``python -m engines.mouthbank.evaluate --data PREPARED --part test [--bundle FOLDER] [--json F]``
``--part all`` takes every clip of a folder: other speakers.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.dataset import PARTS, Dataset, Entry
from engines.common.grid import SILENCE, Clip, speech_at
from engines.common.metrics import lagged_correlation, lip_distance, openings
from engines.common.video_metrics import correlation
from engines.mouthbank.align import best_offset
from realtime_dub.inference.bundle import Bundle, load, load_default
from realtime_dub.media import MS, NS, Floats, ns_to_samples
from realtime_dub.mouth.mouthbank.motion import Motion, MotionStream

ALL = "all"
BLOCK = 640  # samples heard at a time, 40 ms
FINE_NS = 10 * MS
FLUSH_NS = 120 * MS  # of silence beyond the look-ahead, for windows and blocks
BILABIALS = {"bin", "blue", "place", "please", "by", "b", "p"}  # words that begin with closed lips


@dataclass(frozen=True, eq=False)
class Result:
    """What the net made of one clip, at the video's frames."""

    clip: Clip
    motion: Array  # (T, 168, 3)
    speech: Array  # (T,)
    fine: Array  # (n, 168, 3) every 10 ms
    features: Array | None = None  # (T, k) that the motion is made of, where the net tells them

    @property
    def openings(self) -> tuple[Array, Array]:
        """Lip opening, predicted and real (T,)."""
        real = self.clip.motion[: len(self.motion)]
        return openings(self.motion, self.clip.neutral), openings(real, self.clip.neutral)


def entries_of(dataset: Dataset, part: str) -> list[Entry]:
    """The filmed tracks of a part, or of all."""
    return [entry for entry in dataset.entries if entry.filmed] if part == ALL else dataset.part(part)


def run_clip(bundle: Bundle, clip: Clip, audio: Array | None = None) -> Result:
    """Hear a clip block by block and ask for the motion at its frames as soon as it is known."""
    sound = clip.audio if audio is None else audio
    stream = MotionStream(bundle)
    motions: list[Motion] = []
    fine: list[Floats] = []
    sound = with_end(sound, stream, bundle.motion.audio.rate)
    for at in range(0, len(sound), BLOCK):
        stream.hear(sound[at : at + BLOCK], at * NS // bundle.motion.audio.rate)
        while len(motions) < len(clip.motion) and _instant(len(motions), clip) <= stream.heard_until_ns():
            motions.append(stream.at(_instant(len(motions), clip)))
        while len(fine) * FINE_NS <= stream.heard_until_ns():
            fine.append(stream.at(len(fine) * FINE_NS).displacement)
    displacement, speech = np.stack([m.displacement for m in motions]), np.array([m.speech for m in motions])
    told = [m.features for m in motions if m.features is not None]
    return Result(clip, displacement, speech, np.stack(fine), np.stack(told) if len(told) == len(motions) else None)


def with_end(sound: Array, stream: MotionStream, rate: int) -> Array:
    """Sound (n,) and silence behind it: the last mouths wait for their look-ahead."""
    return np.concatenate([sound, np.zeros(ns_to_samples(stream.look_ahead_ns + FLUSH_NS, rate), np.float32)])


def motions_at(stream: MotionStream, sound: Array, rate: int, times_ns: Sequence[int]) -> list[Motion]:
    """What a fresh stream makes of a sound (n,) at ascending instants, each asked for as soon as it is known."""
    sound, motions = with_end(sound, stream, rate), list[Motion]()
    for at in range(0, len(sound), BLOCK):
        stream.hear(sound[at : at + BLOCK], at * NS // rate)
        while len(motions) < len(times_ns) and times_ns[len(motions)] <= stream.heard_until_ns():
            motions.append(stream.at(times_ns[len(motions)]))
    return motions + [stream.at(at_ns) for at_ns in times_ns[len(motions) :]]


def _instant(frame: int, clip: Clip) -> int:
    return round(frame * NS / clip.fps)


def measure(results: list[Result]) -> dict[str, object]:
    """The figures of the model card."""
    pairs = [result.openings for result in results]
    reals = [result.clip.motion[: len(result.motion)] for result in results]
    found, real = np.concatenate([p for p, _ in pairs]), np.concatenate([r for _, r in pairs])
    distance = np.concatenate([lip_distance(r.motion, real) for r, real in zip(results, reals, strict=True)])
    rest = np.concatenate([lip_distance(np.zeros_like(real), real) for real in reals])
    lags = {lag: round(lagged_correlation(pairs, lag), 4) for lag in range(-3, 4)}
    figures: dict[str, object] = {
        "clips": len(results),
        "r": lags[0],
        "r_per_clip_mean": round(float(np.mean([correlation(p, r) for p, r in pairs])), 4),
        "r_by_lag_frames": lags,
        "lip_distance": round(float(distance.mean()), 5),
        "lip_distance_at_rest": round(float(rest.mean()), 5),
        "opening_amplitude": round(float(found.std() / real.std()), 3),
    }
    return figures | _offset_figures(results) | _speech_figures(results) | _contact_figures(results)


def _offset_figures(results: list[Result]) -> dict[str, object]:
    """How far the clips' own pictures are off their sound, and r per clip with that taken out."""
    best = []
    for result in results:
        step = NS / FINE_NS / result.clip.fps
        found, (_, real) = openings(result.fine, result.clip.neutral), result.openings
        best.append(best_offset(found, real, step))
    shifts, scores = np.array(best).T
    return {
        "offset_ms_mean": round(float(shifts.mean() * FINE_NS / MS), 1),
        "offset_ms_spread": round(float(shifts.std() * FINE_NS / MS), 1),
        "r_per_clip_mean_at_own_offset": round(float(scores.mean()), 4),
    }


def _speech_figures(results: list[Result]) -> dict[str, object]:
    known = [result for result in results if result.clip.words]
    if not known:
        return {}
    truth = [speech_at(r.clip.words or [], np.arange(len(r.speech)) / r.clip.fps) for r in known]
    speech, silence = np.concatenate([r.speech for r in known]), np.concatenate(truth) < 0.5
    shut = [openings(np.zeros_like(r.motion), r.clip.neutral) for r in known]
    opened = np.concatenate([openings(r.motion, r.clip.neutral) - s for r, s in zip(known, shut, strict=True)])
    return {
        "speech_accuracy": round(float(((speech > 0.5) == ~silence).mean()), 4),
        "silence_opening_change": round(float(np.abs(opened[silence]).mean()), 4),
    }


def _contact_figures(results: list[Result]) -> dict[str, object]:
    """Least opening within the first half of words that begin with p or b, real and predicted (mouth widths)."""
    least = []
    for result in results:
        found, real = result.openings
        times_ms = np.arange(len(found)) * 1000 / result.clip.fps
        for start, end, word in result.clip.words or []:
            inside = (times_ms >= start - 60) & (times_ms < (start + end) / 2)
            if word != SILENCE and word in BILABIALS and inside.any():
                least.append((found[inside].min(), real[inside].min()))
    if not least:
        return {}
    mean = np.mean(least, axis=0)
    return {
        "bilabials": len(least),
        "bilabial_least_opening": round(float(mean[0]), 4),
        "bilabial_least_opening_real": round(float(mean[1]), 4),
    }


def with_noise(clip: Clip, decibel: float, rng: np.random.Generator) -> Array:
    """The clip's sound with pink noise at ``decibel`` signal to noise."""
    spectrum = np.fft.rfft(rng.standard_normal(len(clip.audio)))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 60)), len(clip.audio))
    gain = clip.audio.std() / noise.std() / 10 ** (decibel / 20)
    return (clip.audio + gain * noise).astype(np.float32)


def step_ms(bundle: Bundle, calls: int = 300) -> dict[str, float]:
    """Time of one 40 ms block through front end and net, ms."""
    stream, block, taken = MotionStream(bundle), np.zeros(BLOCK, np.float32), []
    for call in range(calls):
        started = time.perf_counter_ns()
        stream.hear(block, call * 40_000_000)
        taken.append((time.perf_counter_ns() - started) / 1e6)
    return {"p50": round(float(np.median(taken)), 3), "p95": round(float(np.quantile(taken, 0.95)), 3)}


def evaluate(bundle: Bundle, clips: list[Clip]) -> dict[str, object]:
    """All figures of a bundle on ``clips``: clean, in pink noise, at a tenth of the level."""
    rng = np.random.default_rng(0)
    figures = measure([run_clip(bundle, clip) for clip in clips])
    for name, change in {
        "noise_20_db": lambda clip: with_noise(clip, 20, rng),
        "noise_10_db": lambda clip: with_noise(clip, 10, rng),
        "quieter_by_20_db": lambda clip: clip.audio * 0.1,
    }.items():
        worse = measure([run_clip(bundle, clip, change(clip)) for clip in clips])
        figures[name] = {key: worse[key] for key in ("r", "lip_distance", "speech_accuracy") if key in worse}
    return figures | {"block_ms": step_ms(bundle)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure mouthbank's motion net.")
    parser.add_argument("--data", type=Path, required=True, help="folder made by prepare-dataset")
    parser.add_argument("--part", choices=(*PARTS, ALL), default="validation")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    dataset = Dataset(arguments.data)
    bundle = load(arguments.bundle) if arguments.bundle else load_default("mouthbank")
    figures = evaluate(bundle, [dataset.clip_as_filmed(entry) for entry in entries_of(dataset, arguments.part)])
    text = json.dumps({"bundle": bundle.label, "part": arguments.part} | figures, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
