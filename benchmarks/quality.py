"""How well dubbed mouths follow the voice: `python -m benchmarks.quality --data data/grid`.

Clips that the motion net has not seen are dubbed with their own voice by the file pipeline, taken before encoding, and
tracked afresh. What the mouth should have done is known: it is in the clip. With `--cross` each clip gets the voice of
the same speaker's next one, whose mouth is then the truth; `--true-motion` draws that mouth itself instead of asking
the net, which shows what drawing and tracking lose. `--data` is any folder of talking videos, or the folder of GRID's
`s1`, of which the clips kept out of training are taken. Speakers are told apart by what stands before `_` in a name,
or by folder; `people.tsv` in `--data`, or `--people`, tells their gender and language (engines/common/people.py).
`--noise-db` and `--opus-kbit` spoil the voice first, `--face` makes the face a hard one (hard_faces.py).
`--noise-db clean,20,10` and `--look-ahead 0,80` measure every combination, and `--charts` draws them.

In silence the live mouth is handed back, which agrees with the truth for free; so `..._dubbed` counts the frames alone
whose pixels were changed, and `..._spoken` those between the first loud sound of a clip and the last.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.hard_faces import FACES
from benchmarks.output import last_line, plain
from benchmarks.rendered import Setup, score
from benchmarks.rendered_sweep import Point, draw, noises, whole_numbers
from benchmarks.rendered_sweep import table as show_sweep
from benchmarks.scores import Score, summary, table, written
from benchmarks.spoilt import Spoilt
from benchmarks.true_motion import NAME as TRUE_MOTION
from engines.common.grid import split
from engines.common.people import People, people_of, speaker_of
from engines.common.prepare.layouts import VIDEO_SUFFIXES


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


def all_setups(args: argparse.Namespace) -> list[Setup]:
    """Every noise with every look-ahead."""
    engine = TRUE_MOTION if args.true_motion else args.engine
    return [
        Setup(engine, args.bundle, Spoilt(noise_db, args.opus_kbit), look_ahead, args.face, args.repeats)
        for look_ahead in args.look_ahead
        for noise_db in args.noise_db
    ]


def report(setup: Setup, scores: Sequence[Score], people: People, cross: bool) -> Point:
    """The table of one setup."""
    point = Point(setup.spoilt.noise_db, setup.look_ahead, summary(scores))
    voices = f"{'the next one' if cross else 'their own'} voice, {point.heard}, look-ahead {point.waits}"
    table(f"{setup.engine}, {len(scores)} clips, {voices}", scores, people)
    return point


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/grid"))
    parser.add_argument("--part", choices=("test", "validation"), default="test", help="which of s1's clips")
    parser.add_argument("--clips", type=int, help="at most so many (of s1: 10)")
    parser.add_argument("--people", type=Path, help="table of speakers (people.tsv in --data without it)")
    parser.add_argument("--engine", default="mouthbank")
    parser.add_argument("--bundle", type=Path, help="the built-in one without it")
    parser.add_argument("--look-ahead", type=whole_numbers, default=[None], metavar="MS,..", help="a file's usual one")
    parser.add_argument("--cross", action="store_true", help="give each clip the voice of its speaker's next")
    parser.add_argument("--true-motion", action="store_true", help="draw the true mouth instead of the net's")
    parser.add_argument("--noise-db", type=noises, default=[None], metavar="DB,..", help="pink noise so far below")
    parser.add_argument("--opus-kbit", type=float, help="the voice after Opus at this bit rate")
    parser.add_argument("--face", choices=FACES, help="paint the clips first: a face that is hard to track and to draw")
    parser.add_argument("--repeats", type=int, default=1, help="look at each picture so many times: a steadier measure")
    parser.add_argument("--charts", type=Path, help="folder for the charts of several noises or look-aheads")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    clips, people = chosen(args.data, args.part, args.clips), people_of(args.data, args.people)
    pairs = list(zip(clips, next_of_speaker(clips, args.data) if args.cross else clips, strict=True))
    setups = all_setups(args)
    # Clip by clip, so that each is tracked once.
    found = [[score(clip, sound, each, speaker_of(clip, args.data)) for each in setups] for clip, sound in pairs]
    by_setup = list(zip(*found, strict=True))
    points = [report(each, scores, people, args.cross) for each, scores in zip(setups, by_setup, strict=True)]
    told = {"benchmark": "quality", "engine": setups[0].engine, "clips": len(clips), "cross": args.cross}
    told |= {"face": args.face, "repeats": args.repeats}
    if len(points) > 1:
        show_sweep(f"{len(clips)} clips", points)
    if args.charts:
        draw(args.charts, points)
    if args.json:
        args.json.write_text(json.dumps(plain({**told, **everything(points, by_setup, people)}), indent=1) + "\n")
    short = points[0].figures if len(points) == 1 else {"sweep": [vars(point) for point in points]}
    last_line({**told, **short})


def everything(points: Sequence[Point], by_setup: Sequence[Sequence[Score]], people: People) -> dict[str, object]:
    """All figures: of the one setup, or of each under ``sweep``."""
    if len(points) == 1:
        return written(by_setup[0], people)
    return {
        "sweep": [
            {"noise_db": point.noise_db, "look_ahead": point.look_ahead, **written(scores, people)}
            for point, scores in zip(points, by_setup, strict=True)
        ]
    }


if __name__ == "__main__":
    main()
