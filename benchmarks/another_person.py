"""Whether people are told apart, on GRID clips: `python -m benchmarks.another_person --data data/grid`.

One after another: a film of two clips of one speaker, two of another, one of the first, cut hard or faded over 0.5 s
(``--fade``), for ``--pairs`` pairs of the speakers (``--speakers``, else all that are found, each with clips enough).
``wrong``: frames of the second speaker that were drawn with the first's mouth; ``second ms``: from the cut to the first
frame at which the second may be dubbed; ``first ms``: the same for the first one's return.
Alone: all clips (``--clips``) of each speaker in a row; a false alarm is a person too many, ``undrawn`` the share of
frames of which it was not known whose they are.
With ``--dub``, films of two speakers go through the file pipeline, and the lips of the second are found again: the
correlation of their opening with the truth where people are told apart, where they are not, and alone.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.capture import captured
from benchmarks.hard_faces import write_lossless
from benchmarks.media import frames, voice
from benchmarks.output import last_line, show
from benchmarks.rendered import UNSPOILT, Look
from engines.common import Array
from engines.common import video_metrics as metrics
from engines.common.people import speaker_of
from realtime_dub.config import FileConfig, build
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import NS, Frame, Image
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.people import People, Person
from realtime_dub.pipeline.file.run import run_file

FPS = 25
FRAME_MS = 1000 // FPS
FADE = 12  # frames
FIRST, SECOND, BACK = 2, 2, 1  # clips


@dataclass(frozen=True)
class Compared:
    """What became of a film of two speakers."""

    wrong: int  # frames of the second drawn as the first
    second_ms: float  # NaN: never
    first_ms: float
    people: int


def images_of(clips: Iterable[Path]) -> list[Image]:
    return [frame.image for clip in clips for frame in frames(str(clip))]


def one_film(before: Sequence[Image], after: Sequence[Image], fade: bool) -> list[Image]:
    """One after the other; a fade takes its frames from both."""
    if not fade:
        return [*before, *after]
    shares = np.arange(1, FADE + 1) / (FADE + 1)
    pairs = zip(before[-FADE:], after[:FADE], shares, strict=True)
    between = [np.asarray(cv2.addWeighted(a, 1 - share, b, share, 0), np.uint8) for a, b, share in pairs]
    return [*before[:-FADE], *between, *after[FADE:]]


def met(images: Iterable[Image]) -> tuple[list[Person | None], People]:
    """Whose each frame is, as the engine would know it while it runs."""
    people, tracker = People(Bank()), MediaPipeTracker()
    found = []
    try:
        for k, image in enumerate(images):
            tracked = tracker.track(Frame(image, k * NS // FPS, k))
            person = people.who(tracked)
            if person is not None and k % 3 == 0:
                person.learn(tracked)
            found.append(person)
    finally:
        tracker.close()
    return found, people


def compared(first: Sequence[Path], second: Sequence[Path], fade: bool) -> Compared:
    """A film of two speakers."""
    parts = images_of(first[:FIRST]), images_of(second[:SECOND]), images_of(first[FIRST : FIRST + BACK])
    found, people = met(one_film(one_film(parts[0], parts[1], fade), parts[2], fade))
    own, lost = found[0], FADE if fade else 0
    begin = len(parts[0]) - lost // 2  # a fade counts as the second's from its middle on
    end = begin + len(parts[1]) - lost
    theirs = found[begin:end]
    second_at = next((k for k, each in enumerate(theirs) if each not in (None, own)), None)
    back_at = next((k for k, each in enumerate(found[end:]) if each is own), None)
    wrong = sum(each is own for each in theirs)
    return Compared(wrong, _ms(second_at), _ms(back_at), len(people.known))


def _ms(frames_late: int | None) -> float:
    return float("nan") if frames_late is None else float(frames_late * FRAME_MS)


def alone(clips: Sequence[Path]) -> dict[str, float]:
    """All clips of one speaker in a row."""
    found, people = met(image for clip in clips for image in images_of([clip]))
    changes = [k for k in range(1, len(found)) if found[k] is not None and found[k] is not _before(found, k)]
    strangers = {id(found[k]) for k in changes if found[k] is not people.expected}
    minutes = len(found) / FPS / 60
    return {
        "minutes": minutes,
        "cuts": len(clips) - 1,
        "false_alarms": len(strangers),
        "per_minute": len(strangers) / minutes,
        "undrawn": float(np.mean([each is None for each in found])),
    }


def _before(found: Sequence[Person | None], k: int) -> Person | None:
    return next((each for each in found[k - 1 :: -1] if each is not None), found[k])


@contextmanager
def everybody_alike() -> Iterator[None]:
    """In this block nobody is told apart: one bank for all."""
    usual = People.who

    def who(people: People, tracked: TrackedFrame) -> Person | None:
        return None if tracked.face is None else people.expected

    People.who = who  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        People.who = usual  # type: ignore[method-assign]


def opening_r(clips: Sequence[Path], of_last: int) -> float:
    """``clips`` in one film, dubbed with their own sound: r of the lip opening over the last ``of_last`` of them."""
    images = images_of(clips)
    count = len(images_of(clips[len(clips) - of_last :]))
    lengths = [len(images_of([clip])) * VOICE_RATE // FPS for clip in clips]
    sounds = [np.pad(voice(str(clip)), (0, n))[:n] for clip, n in zip(clips, lengths, strict=True)]
    with tempfile.TemporaryDirectory() as folder, captured() as result:
        film = write_lossless(images, Path(folder) / "film.mkv")
        sound = UNSPOILT.write(np.concatenate(sounds), Path(folder) / "film.wav")
        options = {"output": Path("captured.mp4"), "badge": "off", "marks": "off", "quiet": True}
        run_file(build(FileConfig, input=str(film), mic=str(sound), **options))
        made = Look.at(result[-count:], _times_ns(count))
    truth = Look.at(images[-count:], _times_ns(count))
    openings = [metrics.lip_opening(each.shapes / truth.width()) for each in (truth, made)]
    return float(metrics.correlation(*openings))


def _times_ns(count: int) -> list[int]:
    return [k * NS // FPS for k in range(count)]


def dubbed(first: Sequence[Path], second: Sequence[Path]) -> dict[str, float]:
    """r of the second speaker's lips."""
    film = [*first[:FIRST], *second[:SECOND]]
    with everybody_alike():
        before = opening_r(film, SECOND)
    return {"r_alike": before, "r_apart": opening_r(film, SECOND), "r_alone": opening_r(second[:SECOND], SECOND)}


def speakers(data: Path, wanted: Sequence[str]) -> dict[str, list[Path]]:
    """Clips of each speaker, of one size."""
    found: dict[str, list[Path]] = defaultdict(list)
    for folder in ("people", "others", "s1"):
        for clip in sorted((data / folder).glob("*.mp4")):
            if "_hd" not in clip.stem and "x576" not in clip.stem:
                found[speaker_of(clip, data)].append(clip)
    return {name: clips for name, clips in found.items() if not wanted or name in wanted}


def pairs_of(clips: dict[str, list[Path]], count: int) -> list[tuple[str, str]]:
    """``count`` ordered pairs, the steps between the two of all sizes in turn. Who comes first has clips enough."""
    names = list(clips)
    every = [(names[i], names[(i + step) % len(names)]) for step in range(1, len(names)) for i in range(len(names))]
    every = [pair for pair in every if len(clips[pair[0]]) >= FIRST + BACK]
    return [every[round(place)] for place in np.linspace(0, len(every) - 1, min(count, len(every)))]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/grid"))
    parser.add_argument("--speakers", type=lambda text: text.split(","), default=[], metavar="NAME,..")
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--clips", type=int, default=40, help="at most so many in a row of one speaker; 0 = none")
    parser.add_argument("--fade", action="store_true")
    parser.add_argument("--dub", type=int, default=0, metavar="PAIRS", help="dub films of so many pairs")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    clips = speakers(args.data, args.speakers)
    pairs = pairs_of(clips, args.pairs)
    films = {f"{a} {b}": vars(compared(clips[a], clips[b], args.fade)) for a, b in pairs}
    rows = {name: alone(each[: args.clips]) for name, each in clips.items() if args.clips and len(each) > 1}
    drawn = {f"{a} {b}": dubbed(clips[a], clips[b]) for a, b in pairs_of(clips, args.dub)} if args.dub else {}
    tables: list[tuple[str, dict[str, dict[str, float]]]] = [
        (f"two speakers, {'faded' if args.fade else 'cut'}", films),
        ("one speaker's clips in a row", rows),
        ("the second speaker's lips", drawn),
    ]
    for title, table in tables:
        if table:
            _show(title, table)
    last_line({"benchmark": "another_person", "fade": args.fade, "films": films, "alone": rows, "dubbed": drawn})


def _show(title: str, table: dict[str, dict[str, float]]) -> None:
    columns = tuple(next(iter(table.values())))
    means: Array = np.nanmean([[float(row[key]) for key in columns] for row in table.values()], axis=0)
    rows = [(name, *(float(row[key]) for key in columns)) for name, row in table.items()]
    show(title, ("", *columns), [*rows, ("mean", *means.tolist())])


if __name__ == "__main__":
    main()
