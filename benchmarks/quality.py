"""How well dubbed mouths follow the voice: `python -m benchmarks.quality --data data/grid`.

Clips that the motion net has not seen are dubbed with their own voice by the file pipeline, taken before encoding, and
tracked afresh. What the mouth should have done is known: it is in the clip. With `--cross` each clip gets the voice of
the same speaker's next one, whose mouth is then the truth. `--rows` chooses what stands beside the dubbed mouths: the
true ones drawn, frozen ones, another clip's voice (rows.py). Errors are over people.

`--data` is any folder of talking videos, or the folder of GRID's `s1`, of which the clips kept out of training are
taken. Speakers are told apart by what stands before `_` in a name, or by folder; `people.tsv` in `--data`, or
`--people`, tells their gender and language (engines/common/people.py). `--noise-db` and `--opus-kbit` spoil the voice
first, `--face` makes the face a hard one (hard_faces.py). `--noise-db clean,20,10` and `--look-ahead 0,80` measure
every combination, and `--charts` draws them; the other rows are those of the first.

In silence the live mouth is handed back, which agrees with the truth for free; so `..._dubbed` counts the frames alone
whose pixels were changed, and `..._spoken` those between the first loud sound of a clip and the last.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import rows
from benchmarks.hard_faces import FACES
from benchmarks.output import last_line, plain
from benchmarks.rendered import Setup
from benchmarks.rendered_sweep import Point, draw, noises, whole_numbers
from benchmarks.rendered_sweep import table as show_sweep
from benchmarks.rows import Pair
from benchmarks.scores import summary, table, written
from benchmarks.spoilt import Spoilt
from engines.common import people_figures
from engines.common.grid import split
from engines.common.mouth_figures import Score
from engines.common.people import People, people_of, speaker_of
from engines.common.prepare.layouts import VIDEO_SUFFIXES

Swept = tuple[Setup, Sequence[Score]]


def chosen(data: Path, part: str, clips: int | None, of_each: int | None = None) -> list[Path]:
    """The first ``clips`` of s1's held-out ones where ``data`` has ``s1``, else of every video under it.

    Of these so many ``of_each`` speaker, where that is told.
    """
    if (data / "s1").is_dir():
        names = split([path.stem for path in (data / "s1").glob("*.mp4")])[part]
        return [data / "s1" / f"{name}.mp4" for name in names][: clips or 10]
    found = sorted(path for path in data.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    if not found:
        raise SystemExit(f"no videos in {data}: give a folder of talking videos, or the one that holds GRID's s1")
    return (evenly(found, data, of_each) if of_each else found)[:clips]


def evenly(clips: Sequence[Path], data: Path, count: int) -> list[Path]:
    """``count`` clips of each speaker, from the first to the last; all of who has fewer."""
    own = {name: [clip for clip in clips if speaker_of(clip, data) == name] for name in speakers_in(clips, data)}
    return [each[int(place)] for each in own.values() for place in np.linspace(0, len(each) - 1, min(count, len(each)))]


def speakers_in(clips: Sequence[Path], data: Path) -> list[str]:
    """In the order of their clips."""
    return list(dict.fromkeys(speaker_of(clip, data) for clip in clips))


def next_of_speaker(clips: Sequence[Path], data: Path) -> list[Path]:
    """For each clip the next of the same speaker, for the last the first."""
    speakers = [speaker_of(clip, data) for clip in clips]
    own = {name: [clip for clip, of in zip(clips, speakers, strict=True) if of == name] for name in set(speakers)}
    return [own[of][(own[of].index(clip) + 1) % len(own[of])] for clip, of in zip(clips, speakers, strict=True)]


def all_setups(args: argparse.Namespace) -> list[Setup]:
    """Every noise with every look-ahead."""
    return [
        Setup(args.engine, args.bundle, spoilt, look_ahead, args.face, args.repeats, args.learn)
        for look_ahead in args.look_ahead
        for spoilt in (Spoilt(noise_db, args.opus_kbit) for noise_db in args.noise_db)
    ]


def report(row: str, setup: Setup, scores: Sequence[Score], people: People, cross: bool) -> Point:
    """The table of one setup, clip by clip."""
    point = Point(setup.spoilt.noise_db, setup.look_ahead, summary(scores))
    voices = f"{'the voice of the next' if cross else 'their own voice'}, {point.heard}, look-ahead {point.waits}"
    table(f"{setup.engine}, {row}, {len(scores)} clips, {voices}", scores, people)
    return point


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/grid"))
    parser.add_argument("--part", choices=("test", "validation"), default="test", help="which of s1's clips")
    parser.add_argument("--clips", type=int, help="at most so many (of s1: 10)")
    parser.add_argument("--of-each", type=int, metavar="N", help="so many of each speaker, evenly chosen (not of s1)")
    parser.add_argument("--rows", type=rows.names, default=list(rows.ROWS), metavar="ROW,..", help="of %(default)s")
    parser.add_argument("--persons", action="store_true", help="show every row person by person, too")
    parser.add_argument("--people", type=Path, help="table of speakers (people.tsv in --data without it)")
    parser.add_argument("--engine", default="mouthbank")
    parser.add_argument("--bundle", type=Path, help="the built-in one without it")
    parser.add_argument("--look-ahead", type=whole_numbers, default=[None], metavar="MS,..", help="a file's usual one")
    parser.add_argument("--cross", action="store_true", help="give each clip the voice of its speaker's next")
    parser.add_argument("--learn", action="store_true", help="with --cross: let each clip's own voice teach its mouth")
    parser.add_argument("--noise-db", type=noises, default=[None], metavar="DB,..", help="pink noise so far below")
    parser.add_argument("--opus-kbit", type=float, help="the voice after Opus at this bit rate")
    parser.add_argument("--face", choices=FACES, help="paint the clips first: a face that is hard to track and to draw")
    parser.add_argument("--repeats", type=int, default=1, help="look at each picture so many times: a steadier measure")
    parser.add_argument("--charts", type=Path, help="folder for the charts of several noises or look-aheads")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    clips = chosen(args.data, args.part, args.clips, args.of_each)
    sounds = next_of_speaker(clips, args.data) if args.cross else clips
    pairs = [Pair(clip, sound, speaker_of(clip, args.data)) for clip, sound in zip(clips, sounds, strict=True)]
    setups = all_setups(args)
    jobs = rows.jobs(args.rows, setups, len(clips))
    found, first = rows.measured(jobs, pairs), jobs[0][0]
    by_row = {first: found[0]} | {row: scores for (row, _), scores in zip(jobs, found, strict=True) if row != first}
    told = {"benchmark": "quality", "engine": rows.setup_of(first, setups[0]).engine, "clips": len(clips)}
    told |= {"cross": args.cross, "face": args.face, "repeats": args.repeats}
    answer(args, told, list(zip(setups, found, strict=False)), by_row)


def answer(
    args: argparse.Namespace, told: dict[str, object], swept: Sequence[Swept], by_row: people_figures.Rows
) -> None:
    """Tables, charts, file and last line."""
    people, row = people_of(args.data, args.people), next(iter(by_row))
    points = [report(row, setup, scores, people, args.cross) for setup, scores in swept]
    if len(points) > 1:
        show_sweep(f"{told['clips']} clips", points)
    people_figures.show_rows("Mean over people", by_row, by_row if args.persons else ())
    if args.charts:
        draw(args.charts, points)
    if args.json:
        figures = everything(points, swept, people) | {"rows": people_figures.written(by_row)}
        args.json.write_text(json.dumps(plain({**told, **figures}), indent=1) + "\n")
    short = points[0].figures if len(points) == 1 else {"sweep": [vars(point) for point in points]}
    last_line({**told, **short, "rows": people_figures.brief(by_row)})


def everything(points: Sequence[Point], swept: Sequence[Swept], people: People) -> dict[str, object]:
    """All figures: of the one setup, or of each under ``sweep``."""
    if len(points) == 1:
        return written(swept[0][1], people)
    return {
        "sweep": [
            {"noise_db": point.noise_db, "look_ahead": point.look_ahead, **written(scores, people)}
            for point, (_, scores) in zip(points, swept, strict=True)
        ]
    }


if __name__ == "__main__":
    main()
