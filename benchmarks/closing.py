"""Whether dubbed lips touch in every p, b and m: `python -m benchmarks.closing --data data/grid/people --speaker s05`.

Clips whose names spell their sentence, as GRID's do, are dubbed with their own voices; the sounds' times are the phone
aligner's, 40 ms more at either end. The lips are found again in the result, before encoding. Lips touch where they are
within 0.03 mouth widths of the clip's least true opening. `filmed`: the lips as they were filmed, by the same count: at
25 pictures a second some of these sounds fall between two. Errors are over people.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import rows
from benchmarks.media import voice
from benchmarks.output import last_line, show
from benchmarks.quality import evenly
from benchmarks.rendered import Setup, looked, score
from engines.common.grid import sentence
from engines.common.mouth_figures import Score
from engines.common.people import speaker_of
from engines.common.people_figures import Estimate, estimate
from engines.common.rates import STEADY_FPS
from engines.common.speech.force_align import Aligner, Segment
from engines.common.video_metrics import LEAST_SHARE, TOUCH
from engines.mouthbank.contact import Contact, bilabials, contacts
from realtime_dub.media import NS

FILMED = "filmed"


def said(aligner: Aligner, clip: Path) -> list[Segment]:
    """The p, b and m of a clip, from its first picture on; none where name and sound do not fit."""
    start_s = looked(clip, None, 1).times_ns[0] / NS
    found = bilabials(aligner, voice(str(clip)), sentence(clip.stem))
    return [replace(each, start=each.start - start_s, end=each.end - start_s) for each in found]


def counted(found: Score, segments: Sequence[Segment]) -> list[Contact]:
    """The gaps in each sound beyond the clip's least true opening."""
    known = found.truth[np.isfinite(found.truth)]
    least = float(np.quantile(known, LEAST_SHARE)) if len(known) else 0.0
    test, truth = (np.where(np.isfinite(each), each - least, np.inf) for each in (found.test, found.truth))
    return contacts(segments, STEADY_FPS, test, truth)


def share(told: Sequence[Contact], filmed: bool = False) -> float:
    """Of the sounds those in which the lips touch; NaN without any."""
    gaps = [each.real if filmed and each.real is not None else each.found for each in told]
    return float(np.mean([gap <= TOUCH for gap in gaps])) if gaps else float("nan")


Counted = dict[str, dict[str, list[Contact]]]  # by row, by speaker


def measured(clips: Sequence[Path], data: Path, jobs: Sequence[rows.Job]) -> Counted:
    """Every sound of the clips, by row."""
    found: dict[str, dict[str, list[Contact]]] = {row: defaultdict(list) for row, _ in jobs}
    aligner, pairs = Aligner(), [rows.Pair(clip, clip, speaker_of(clip, data)) for clip in clips]
    for place, pair in enumerate(pairs):
        if segments := said(aligner, pair.clip):
            for row, setup in jobs:
                made = score(pair.clip, pair.sound, setup, pair.speaker, rows.heard_by(row, place, pairs))
                found[row][pair.speaker] += counted(made, segments)
    return {row: dict(people) for row, people in found.items()}


Share = tuple[Estimate, dict[str, float]]  # over people, and each of them


def figures(found: Counted) -> dict[str, Share]:
    """By row the share over people, and person by person."""
    first = next(iter(found.values()))
    shares = {row: {name: share(told) for name, told in people.items()} for row, people in found.items()}
    shares[FILMED] = {name: share(told, filmed=True) for name, told in first.items()}
    return {row: (estimate(people.values()), people) for row, people in shares.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/grid/people"))
    parser.add_argument("--speaker", action="append", help="this one alone; may be repeated")
    parser.add_argument("--of-each", type=int, default=10, metavar="N", help="so many clips of each, evenly chosen")
    parser.add_argument("--rows", type=rows.names, default=list(rows.ROWS), metavar="ROW,..", help="of %(default)s")
    parser.add_argument("--bundle", type=Path, help="the built-in one without it")
    parser.add_argument("--look-ahead", type=int, metavar="MS", help="a file's usual one")
    args = parser.parse_args()
    clips = [each for each in sorted(args.data.rglob("*.mp4")) if sentence(each.stem) and "_hd" not in each.stem]
    clips = [each for each in clips if not args.speaker or speaker_of(each, args.data) in args.speaker]
    if not clips:
        raise SystemExit(f"no clips of such names in {args.data}: give a folder of GRID's, or other speakers")
    clips, setup = evenly(clips, args.data, args.of_each), Setup(bundle=args.bundle, look_ahead=args.look_ahead)
    jobs = [(row, rows.setup_of(row, each)) for row, each in rows.jobs(args.rows, [setup], len(clips))]
    found = measured(clips, args.data, jobs)
    told, sounds = figures(found), {name: len(each) for name, each in next(iter(found.values())).items()}
    show(
        "p, b, m in which the lips touch",
        ("", "mean", "error", *(f"{name} ({count})" for name, count in sounds.items())),
        [(row, each.mean, each.error, *shares.values()) for row, (each, shares) in told.items()],
    )
    plain = {row: {"mean": each.mean, "error": each.error, "each": shares} for row, (each, shares) in told.items()}
    last_line({"benchmark": "closing", "clips": len(clips), "sounds": sounds, "rows": plain})


if __name__ == "__main__":
    main()
