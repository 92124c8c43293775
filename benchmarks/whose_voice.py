"""Whether a voice is taken for the person's own: `python -m benchmarks.whose_voice --data data/grid/people`.

Clips of a person, drawn by lot, make streams of ``--seconds``. The opening of their mouth is beside the opening that
the motion net makes of their voice, or of another person's (``voice_owner.py``). Of somebody who talks freely the net
foretells less: ``unforeseen`` mixes another mouth's opening into the one that is seen, so many times as large.
``own``: share of the frames in which the voice counts as the person's own. ``never``: streams in which it always
counted so. ``after``: when it first did not, median of those in which it ever did.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.adapted import filmed
from benchmarks.output import last_line, show
from benchmarks.quality import chosen
from engines.common import Array
from engines.common.people import speaker_of
from realtime_dub.face.alignment import mouth_width, neutral_shape
from realtime_dub.face.landmarks import mean_lip_opening
from realtime_dub.inference.bundle import load_default
from realtime_dub.media import MS
from realtime_dub.mouth.mouthbank.motion import opening
from realtime_dub.mouth.mouthbank.voice_owner import VoiceOwner

STEP_NS = 40 * MS
ROWS = (  # whose voice, unforeseen, frames that the picture is late
    *(("own", unforeseen, 0) for unforeseen in (0.0, 0.8, 1.2, 1.8, 2.5)),
    *(("own", 0.0, 4), ("own", 1.2, -3), ("another's", 0.0, 0)),
)


class Openings(NamedTuple):
    """Of clips or of a stream of them, one number a frame (n,)."""

    seen: Array
    heard: Array
    speech: Array


def openings(clip: Path) -> Openings:
    film = filmed(clip, load_default("mouthbank"))
    shapes = np.stack([each.face.canonical for each in film.seen if each.face is not None])
    seen = mean_lip_opening(shapes) / mouth_width(neutral_shape(shapes, 0.4))
    heard = [opening(each.displacement) for each in film.motions]
    return Openings(np.asarray(seen), np.array(heard), np.array([each.speech for each in film.motions]))


def stream(clips: Sequence[Openings], frames: int, rng: np.random.Generator) -> Openings:
    """Clips by lot, from anywhere in the first one on."""
    lots = [clips[k] for k in rng.integers(len(clips), size=2 + frames // min(len(each.seen) for each in clips))]
    begins = int(rng.integers(len(lots[0].seen)))
    seen, heard, speech = (np.concatenate(part)[begins : begins + frames] for part in zip(*lots, strict=True))
    return Openings(seen, heard, speech)


def judged(seen: Array, heard: Array, speech: Array) -> Array:
    """Whether the voice counts as the person's own, frame by frame (n,)."""
    owner, minds = VoiceOwner(), []
    for k, each in enumerate(zip(seen, heard, speech, strict=True)):
        owner.see(k * STEP_NS, *map(float, each))
        minds.append(owner.own)
    return np.array(minds)


def measured(
    people: dict[str, list[Openings]], whose: str, unforeseen: float, late: int, streams: int, frames: int
) -> dict[str, object]:
    names, minds, rs = sorted(people), [], []
    for number in range(streams):
        rng, person = np.random.default_rng([1, number]), number % len(names)
        own, more, another = (stream(people[names[(person + k) % len(names)]], frames, rng) for k in (0, 3, 1))
        spread = own.seen.std() / more.seen.std()
        seen = np.roll(own.seen + unforeseen * spread * (more.seen - more.seen.mean()), late)
        voice = own if whose == "own" else another
        minds.append(judged(seen, voice.heard, voice.speech))
        rs.append(np.corrcoef(seen, np.roll(voice.heard, late))[0, 1])
    changed = [np.argmin(mind) * STEP_NS / 1e9 for mind in minds if not mind.all()]
    return {
        "voice": whose,
        "unforeseen": unforeseen,
        "late_ms": late * STEP_NS // MS,
        "r": float(np.mean(rs)),
        "own": float(np.mean(minds)),
        "never": float(np.mean([mind.all() for mind in minds])),
        "after_s": float(np.median(changed)) if changed else None,
        "own_at_end": float(np.mean([mind[-1] for mind in minds])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of talking videos, of several people")
    parser.add_argument("--clips", type=int, default=12, help="of each person, at most")
    parser.add_argument("--streams", type=int, default=35)
    parser.add_argument("--seconds", type=int, default=60)
    args = parser.parse_args()
    people: dict[str, list[Openings]] = {}
    for clip in chosen(args.data, "test", None):
        own = people.setdefault(speaker_of(clip, args.data), [])
        if len(own) < args.clips:
            own.append(openings(clip))
    rows = [measured(people, *row, args.streams, args.seconds * 25) for row in ROWS]
    names = ("voice", "unforeseen", "late_ms", "r", "own", "never", "after_s", "own_at_end")
    show("is the voice the person's own", names, [tuple(_text(row[name]) for name in names) for row in rows])
    last_line({"benchmark": "whose_voice", "streams": args.streams, "seconds": args.seconds, "rows": rows})


def _text(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
