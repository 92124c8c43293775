"""Compare bundles on voices and lines they were not made for: one table, clip by clip, through the code that runs live.

``python -m engines.mouthbank.voices --data PREPARED [--part test] --bundle A [B ...] [--hand-back] [--json F]``

Sound and picture are as far apart as they were filmed; training and the sweeps have them put in step.
r is that of the lip opening at lag 0 within a clip, averaged over clips. The distance of a clip's lips is told as
a share of what its own mean shape would score; 1 is a mouth that stands still. The prepared folder, or the table given
as ``--people``, tells the speakers' gender and language (``engines/common/people.py``). ``rows`` has the figures that
the rendered tables have, over people, with the ceiling and the floors beside the net (``rows.py``).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from engines.common.codecs import opus
from engines.common.dataset import PARTS, Dataset, Entry
from engines.common.grid import SILENCE, Clip, speech_at
from engines.common.metrics import LIPS_AT, lip_distance
from engines.common.people import People, groups, read_people
from engines.common.people_figures import show_rows, written
from engines.common.video_metrics import correlation
from engines.mouthbank import contact
from engines.mouthbank.evaluate import ALL, Result, entries_of, run_clip, step_ms, with_noise
from engines.mouthbank.rows import scores, spoken
from realtime_dub.inference.bundle import Bundle, load

AWAY_S = 0.2  # of silence this far from words nobody speaks


def faster(clip: Clip, factor: float) -> Clip:
    """The clip of a person whose voice, tract and rate are all ``factor`` times as high."""
    import soxr

    audio = np.asarray(soxr.resample(clip.audio, 16_000 * factor, 16_000), np.float32)
    words = [(round(start / factor), round(end / factor), word) for start, end, word in clip.words or []]
    return replace(clip, audio=audio, fps=clip.fps * factor, words=words or None, offset_s=clip.offset_s / factor)


def clip_figures(result: Result) -> dict[str, float]:
    """r over the clip and over its speech, and the lips' distance against that of the clip's mean shape."""
    real = result.clip.motion[: len(result.motion)]
    still = np.broadcast_to(real.mean(0), real.shape)
    said = spoken(result.clip, len(result.motion))
    distance = float(lip_distance(result.motion, real).mean())
    return {
        "r": correlation(*result.openings),
        "r_spoken": correlation(*(opened[said] for opened in result.openings)),
        "distance": distance,
        "distance_share": distance / float(lip_distance(still, real).mean()),
    }


def restless(results: Iterable[Result]) -> dict[str, float]:
    """Speed of the lips in silence as a share of that in speech."""
    silent, spoken = [], []
    for result in results:
        words = [word for word in result.clip.words or [] if word[2] != SILENCE]
        if not words:
            continue
        times_s = np.arange(len(result.motion) - 1) / result.clip.fps
        away = [(int(s - AWAY_S * 1000), int(e + AWAY_S * 1000), w) for s, e, w in words]
        speed = np.linalg.norm(np.diff(result.motion[:, LIPS_AT, :2], axis=0), axis=-1).mean(-1)
        silent.append(speed[speech_at(away, times_s) < 0.5])
        spoken.append(speed[speech_at(words, times_s) > 0.5])
    if not silent:
        return {}
    return {"silence_motion": round(float(np.concatenate(silent).mean() / np.concatenate(spoken).mean()), 4)}


def mean_of(figures: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over clips."""
    return {name: round(float(np.mean([one[name] for one in figures])), 4) for name in figures[0]} if figures else {}


def by_group(each: Mapping[str, dict[str, float]], entries: Iterable[Entry], people: People) -> dict[str, object]:
    """The mean of the tracks' figures by gender and by language, of those whom ``people`` knows."""
    speakers = {entry.name: entry.speaker for entry in entries}
    figures = list(each.values())
    found = groups([speakers[name] for name in each], people)
    return {
        name: {value: mean_of([figures[place] for place in places]) for value, places in values.items()}
        for name, values in found.items()
        if values
    }


def people_in(entries: Iterable[Entry]) -> People:
    """What the prepared folder itself tells of its speakers."""
    return {entry.speaker: {"gender": entry.gender, "language": entry.language} for entry in entries}


def compare(
    bundle: Bundle, dataset: Dataset, entries: list[Entry], people: People | None = None, hand_back: bool = False
) -> dict[str, object]:
    """All figures of one bundle; ``hand_back`` is for its rows."""
    rng = np.random.default_rng(0)
    conditions: dict[str, Callable[[Clip], Result]] = {
        "clean": lambda clip: run_clip(bundle, clip),
        "pink_noise_10_db": lambda clip: run_clip(bundle, clip, with_noise(clip, 10, rng)),
        "opus_16_kbit": lambda clip: run_clip(bundle, clip, opus(clip.audio)),
        "smaller_by_15_percent": lambda clip: run_clip(bundle, faster(clip, 1.15)),
    }
    clips = [dataset.clip_as_filmed(entry) for entry in entries]
    told: dict[str, object] = {"bundle": bundle.label, "clips": len(clips)}
    for name, run in conditions.items():
        results = [run(clip) for clip in clips]
        each = {result.clip.name: clip_figures(result) for result in results}
        told[name] = mean_of(list(each.values()))
        if name == "clean":
            told |= by_group(each, entries, people_in(entries) if people is None else people)
            told["closed"] = contact.figures(contact.of_results(results))
            told |= restless(results)
            rows = scores(results, [entry.speaker for entry in entries], hand_back)
            show_rows(f"{bundle.label}, {len(clips)} clips, mean over people", rows, error_stream=True)
            told |= {"hand_back": hand_back, "rows": written(rows)}
            told["each"] = {clip: round(figures["r"], 3) for clip, figures in each.items()} if len(clips) < 30 else {}
    return told | {"block_ms": step_ms(bundle)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare motion bundles on the same clips.")
    parser.add_argument("--data", type=Path, required=True, help="folder made by prepare-dataset")
    parser.add_argument("--part", choices=(*PARTS, ALL), default=ALL)
    parser.add_argument("--bundle", type=Path, nargs="+", required=True)
    parser.add_argument("--people", type=Path, help="table of speakers (what the folder tells of them without it)")
    parser.add_argument("--hand-back", action="store_true", help="in the rows silence shows the live mouth")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    people, dataset = read_people(arguments.people) if arguments.people else None, Dataset(arguments.data)
    entries = entries_of(dataset, arguments.part)
    found = [compare(load(folder), dataset, entries, people, arguments.hand_back) for folder in arguments.bundle]
    text = json.dumps(found, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
