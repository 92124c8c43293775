"""What it is worth to know how a person talks: `python -m benchmarks.adapted --data data/grid/people --speaker s05`.

The clips of a speaker are dealt into ``--folds``. Each fold is measured with a bank that was shown the others, of
those at most ``--seconds``, with the person's own voice: with what it has learnt of their talking (``adapter.py``),
with a net that is tuned to them, too (``tuning.py``), and without. Nothing is drawn: the mouth that would be drawn is
compared with the one that was filmed. As in the program silence shows the live mouth. ``r`` of the opening, that in
speech, the distance as a share of a frozen mouth's, that in speech, ``r`` of the width, how often lips touch that
should, and that should not; means over clips.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.media import frames, voice
from benchmarks.occlusion_sheets import tracked
from benchmarks.output import last_line, show
from benchmarks.quality import chosen, speakers_in
from benchmarks.rendered import spoken_frames
from engines.common import Array
from engines.common.mouth_figures import scored
from engines.common.people import speaker_of
from engines.common.rates import STEADY_FPS
from engines.common.video_metrics import Bools
from engines.mouthbank.evaluate import BLOCK, motions_at
from engines.mouthbank.rows import gate, handed_back, shapes
from realtime_dub.face.alignment import LOWER, mouth_width
from realtime_dub.face.types import TrackedFrame
from realtime_dub.inference.bundle import Bundle, load, load_default, longest_look_ahead
from realtime_dub.inference.spec import UsualSpec
from realtime_dub.media import MS, NS
from realtime_dub.mouth.contract import HEARD_AHEAD_NS, VOICE_RATE
from realtime_dub.mouth.mouthbank.adapter import Adapter
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.motion import Motion, MotionStream
from realtime_dub.mouth.mouthbank.motion_nets import usual_of
from realtime_dub.mouth.mouthbank.own_voice import OwnVoiceStream
from realtime_dub.mouth.mouthbank.people import Person
from realtime_dub.mouth.mouthbank.personal import own_motion
from realtime_dub.mouth.mouthbank.style import Style, kept_shut
from realtime_dub.mouth.mouthbank.tuning import Tuned

ROWS = ("without", "layer", "with")  # a last layer alone, and all that is known
FIGURES = ("r_at_0", "r_spoken", "distance_share", "distance_share_spoken", "r_width", "closed", "closed_wrongly")
QUIET = 0.05  # of a clip's loudest frame: nobody speaks below


@dataclass(frozen=True, eq=False)
class Filmed:
    """A clip as the tracker sees it, its voice (n,), and what the net makes of that at its frames."""

    name: str
    seen: list[TrackedFrame]
    sound: Array
    motions: list[Motion]


def filmed(clip: Path, bundle: Bundle) -> Filmed:
    pictures = list(frames(str(clip)))
    seen = tracked([each.image for each in pictures], [each.pts_ns for each in pictures])
    sound = np.asarray(voice(str(clip)), np.float32)
    return Filmed(clip.stem, [each for each in seen if each.face is not None], sound, heard(sound, seen, bundle))


def heard(sound: Array, seen: Sequence[TrackedFrame], bundle: Bundle, tuned: Tuned | None = None) -> list[Motion]:
    """The net's motion at each frame in which there is a face."""
    times, stream = [each.frame.pts_ns for each in seen if each.face is not None], MotionStream(bundle)
    stream.tune(tuned)
    return motions_at(stream, sound, VOICE_RATE, times)


def known_from(clips: Iterable[Filmed], bundle: Bundle, late_ns: int = 0) -> tuple[Bank, int]:
    """A bank that has seen the person speak ``clips``, one behind the other; and from how many frames it learnt.

    ``late_ns``: by how much the pictures come behind their sound.
    """
    person, own = Person.with_bank(Bank(), usual=usual_of(bundle)), OwnVoiceStream(bundle, tunes=True)
    begins = 0  # samples
    for shot, clip in enumerate(clips):
        heard_until = 0
        for each in clip.seen:
            at_ns = each.frame.pts_ns + begins * NS // VOICE_RATE + late_ns
            moment = replace(each, frame=replace(each.frame, pts_ns=at_ns), shot=shot)
            person.learn(moment)
            own.show(person, moment)
            while heard_until < len(clip.sound) and (begins + heard_until) * NS // VOICE_RATE < at_ns + HEARD_AHEAD_NS:
                heard_until += _hear(own, clip, heard_until, begins)
        while heard_until < len(clip.sound):
            heard_until += _hear(own, clip, heard_until, begins)
        begins += len(clip.sound)
    own.finish()
    return person.bank, own.lessons.learnt


def _hear(own: OwnVoiceStream, clip: Filmed, at: int, begins: int) -> int:
    """How much was heard of a clip that begins at sample ``begins``."""
    block = clip.sound[at : at + BLOCK]
    own.hear(block, (begins + at) * NS // VOICE_RATE)
    return len(block)


def figures(
    clip: Filmed,
    speaker: str,
    bank: Bank,
    adapter: Adapter | None,
    usual: UsualSpec | None = None,
    tuned: Tuned | None = None,
) -> list[float]:
    """Of one clip, in the order of ``FIGURES``. ``usual``: of the net; ``tuned``: by what the clip's motions are."""
    assert bank.neutral is not None
    style, width, made = Style(usual), np.float32(mouth_width(bank.neutral)), []
    for motion in clip.motions:
        moved = style(motion, bank, 1.0)
        opened = style.opened(moved, bank)
        if (own := own_motion(motion, adapter, tuned, opened)) is not None:
            moved = moved + kept_shut(own * np.float32(motion.speech), opened)
        made.append(moved)
    wanted = np.stack([each.face.canonical for each in clip.seen if each.face is not None]) / width
    neutral = bank.neutral / width
    share = gate(np.array([each.speech for each in clip.motions]), STEADY_FPS)
    shown = handed_back(np.stack(made), (wanted - neutral)[:, LOWER], share)
    quiet = silent(clip)
    found = scored(clip.name, speaker, wanted, shapes(shown, neutral), spoken_frames(quiet), quiet).figures
    return [found[name] for name in FIGURES]


def silent(clip: Filmed) -> Bools:
    """Frames in which the voice is (T,)."""
    edges = [each.frame.pts_ns * VOICE_RATE // NS for each in clip.seen]
    frame = VOICE_RATE // STEADY_FPS
    loudness = np.array([np.sqrt(np.mean(np.append(clip.sound[at : at + frame], 0) ** 2)) for at in edges])
    return np.asarray(loudness < QUIET * loudness.max(), bool)


def measured(
    clips: Sequence[Path],
    speaker: str,
    bundle: Bundle,
    folds: int,
    seconds: float,
    shown: Sequence[Path] = (),
    late_ns: int = 0,
) -> dict[str, object]:
    """Means over all clips, each measured by what the other folds have taught, or all of them by ``shown``."""
    rows: dict[str, list[list[float]]] = {name: [] for name in ROWS}
    learnt, trust, shown_s = [], [], []
    for fold in range(1 if shown else folds):
        others = shown or [clip for place, clip in enumerate(clips) if place % folds != fold]
        taught, length = _first(others, seconds)
        bank, frames_learnt = known_from((filmed(clip, bundle) for clip in taught), bundle, late_ns)
        adapter, tuned, usual = bank.adapters.get(bundle.net), bank.tuned.get(bundle.net), usual_of(bundle)
        learnt.append(frames_learnt)
        trust.append(0.0 if adapter is None else adapter.trust)
        shown_s.append(length)
        for path in clips if shown else clips[fold::folds]:
            clip = filmed(path, bundle)
            own = replace(clip, motions=heard(clip.sound, clip.seen, bundle, tuned))
            rows["without"].append(figures(clip, speaker, bank, None, usual))
            rows["layer"].append(figures(clip, speaker, bank, adapter, usual))
            rows["with"].append(figures(own, speaker, bank, adapter, usual, tuned))
    means = {name: dict(zip(FIGURES, np.nanmean(row, axis=0).tolist(), strict=True)) for name, row in rows.items()}
    return {
        "clips": len(clips),
        "seconds": float(np.mean(shown_s)),
        "frames": float(np.mean(learnt)),
        "trust": float(np.mean(trust)),
        **means,
    }


def _first(clips: Sequence[Path], seconds: float) -> tuple[list[Path], float]:
    """As many as last so long, one at least; and how long they are."""
    taken, whole = list[Path](), 0.0
    for clip in clips:
        length = len(voice(str(clip))) / VOICE_RATE
        if taken and whole + length > seconds:
            break
        taken.append(clip)
        whole += length
    return taken, whole


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of talking videos")
    parser.add_argument("--speaker", action="append", default=[], help="this one; may be repeated; all without it")
    parser.add_argument("--clips", type=int, help="at most so many of each")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the others, at most")
    parser.add_argument("--shown", type=Path, help="folder of videos that teach in place of folds, in their order")
    parser.add_argument("--late", type=int, default=0, help="ms that pictures that teach come behind their sound")
    parser.add_argument("--bundle", type=Path, help="the built-in one without it")
    parser.add_argument("--look-ahead", type=int, help="ms; that of files without it")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    bundle = (
        load(args.bundle)
        if args.bundle
        else load_default("mouthbank", args.look_ahead or longest_look_ahead("mouthbank"))
    )
    found: dict[str, dict[str, object]] = {}
    clips = chosen(args.data, "test", args.clips if (args.data / "s1").is_dir() else None)
    for speaker in args.speaker or speakers_in(clips, args.data):
        own = [clip for clip in clips if speaker_of(clip, args.data) == speaker][: args.clips]
        shown = sorted(args.shown.glob("*.mp4")) if args.shown else []
        found[speaker] = measured(own, speaker, bundle, args.folds, args.seconds, shown, args.late * MS)
    report(found)


def report(found: dict[str, dict[str, object]]) -> None:
    rows = []
    for speaker, row in found.items():
        pairs = [", ".join(f"{row[kind][name]:.3f}" for kind in ROWS) for name in FIGURES]  # type: ignore[index]
        rows.append(
            (speaker, row["clips"], f"{row['seconds']:.0f} s", f"{row['frames']:.0f}", f"{row['trust']:.2f}", *pairs)
        )
    show(
        "without, with a last layer, with all that was learnt",
        ("speaker", "clips", "shown", "frames", "trust", *FIGURES),
        rows,
    )
    last_line({"benchmark": "adapted", "speakers": found})


if __name__ == "__main__":
    main()
