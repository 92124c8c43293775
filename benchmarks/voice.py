"""Whether a voice made of a script fits lips and is understood: `python -m benchmarks.voice --data data/grid/s1`.

The held-out clips of one speaker, silent, are given their own words to say. Against the clip's own voice: ``MCD``, dB,
after dynamic time warp, and ``MCD-SL``, the same times the ratio of the speech's lengths (Hu et al. 2021); how much
longer or shorter the speech is (``duration``, s). Against the clip's lips: the correlation of their opening with the
opening that the motion net hears in the voice, at its best lag within 400 ms, and that lag. ``WER`` by pocketsphinx
with a grammar of GRID's words. Rows: the voice fitted to the clip's lips, to those of the next clip (what lips are
worth), said at the normal speed from the start (what a fit is worth), and the clip's own voice (the best there is).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr

from benchmarks.media import voice
from benchmarks.output import last_line, show
from engines.common import Array
from engines.common.grid import Words, read_words, split
from engines.hpm.mcd import STEP_S, cepstra, warped
from realtime_dub.inference.bundle import load_default
from realtime_dub.media import NS
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.mouthbank.motion_nets import open_motion
from realtime_dub.mouth.mouthbank.voice_stream import opening
from realtime_dub.pipeline.file.script_voice import see
from realtime_dub.voice.contract import Line, SeenFilm, Wish
from realtime_dub.voice.registry import script_speaker
from realtime_dub.voice.tts.film import lips_of

MOST_LAG = 40  # steps
NOISE = 1e-3  # of what is recognised
GRAMMAR = """#JSGF V1.0;
grammar grid;
public <line> = (bin | lay | place | set) (blue | green | red | white) (at | by | in | with) <letter> <digit> <end>;
<letter> = a | b | c | d | e | f | g | h | i | j | k | l | m | n | o | p | q | r | s | t | u | v | x | y | z;
<digit> = zero | one | two | three | four | five | six | seven | eight | nine;
<end> = again | now | please | soon;
"""
COLUMNS = ("voice", "MCD, dB", "MCD-SL, dB", "duration, s", "r", "lag, ms", "within 40 ms", "WER")
Figures = dict[str, float]


class Recogniser:
    """English of GRID's grammar."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder = Decoder(lm=None, cmn="batch", loglevel="FATAL")
        self._decoder.add_jsgf_string("grid", GRAMMAR)
        self._decoder.activate_search("grid")

    def words(self, sound: Array) -> list[str]:
        """What is heard in sound (n,) at 16 kHz."""
        loud = np.pad(0.5 * sound / max(float(np.abs(sound).max()), 1e-6), VOICE_RATE // 4)
        loud = loud + NOISE * np.random.default_rng(0).standard_normal(
            len(loud)
        )  # digital silence is none that it knows
        pcm = (np.clip(loud, -1, 1) * 32767).astype("<i2").tobytes()
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return found.hypstr.split() if found else []


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Words that have to be changed, left out or put in (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        before, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (word != other)))
    return row[-1]


def heard_opening(sound: Array, count: int) -> Array:
    """The opening (count,) at steps of STEP_S that the motion net hears in sound (n,) at 16 kHz."""
    motion = open_motion(load_default("mouthbank"), "cpu")
    found: list[float] = []
    sound = np.pad(sound, (0, VOICE_RATE))
    for at in range(0, len(sound), VOICE_RATE // 10):  # its history is short
        motion.hear(sound[at : at + VOICE_RATE // 10], round(at / VOICE_RATE * NS))
        while len(found) < count and len(found) * STEP_S * NS <= motion.heard_until_ns():
            found.append(opening(motion.at(round(len(found) * STEP_S * NS)).displacement))
    return np.array(found)


def lag_of(lips: Array, heard: Array) -> tuple[float, float]:
    """The best r of openings (n,), and by how many ms the voice is late there."""
    found = {}
    for lag in range(-MOST_LAG, MOST_LAG + 1):
        count = min(len(lips), len(heard)) - abs(lag)
        a, b = lips[max(0, -lag) :][:count], heard[max(0, lag) :][:count]
        both = np.isfinite(a) & np.isfinite(b)
        found[lag] = float(np.corrcoef(a[both], b[both])[0, 1]) if a[both].std() and b[both].std() else -1.0
    best = max(found, key=lambda lag: found[lag])
    return found[best], best * STEP_S * 1000


def measured(sound: Array, own: Array, film: SeenFilm, words: Words, recogniser: Recogniser) -> Figures:
    """Of one voice (n,) at 16 kHz for one clip."""
    said, (begin, end) = said_in(words), spoken_in(words)
    true = cepstra(own[begin:end])
    made = true if sound is own else cepstra(sound)
    at = np.arange(round(film.length_s / STEP_S)) * STEP_S
    lips = lips_of(film)
    seen = np.isfinite(lips)
    r, lag = lag_of(np.interp(at, film.times_s[seen], lips[seen]), heard_opening(sound, len(at)))
    distance = warped(made, true)
    longer = max(len(made), len(true)) / min(len(made), len(true))
    return {
        "mcd": distance,
        "mcd_sl": distance * longer,
        "duration": abs(len(made) - len(true)) * STEP_S,
        "r": r,
        "lag_ms": lag,
        "errors": float(word_errors(said, recogniser.words(sound))),
        "words": float(len(said)),
    }


def made_for(text: str, film: SeenFilm, sample: Array) -> Array:
    """A script's voice, (n,) at 16 kHz."""
    made = script_speaker("tts")([Line(text)], film, Wish("en-us", sample, VOICE_RATE))
    return np.asarray(soxr.resample(made.samples, made.rate, VOICE_RATE), np.float32)


def said_in(words: Words) -> list[str]:
    return [word for _, _, word in words if word not in ("sil", "sp")]


def spoken_in(words: Words) -> tuple[int, int]:
    """The samples at 16 kHz from the first word's start to the last one's end."""
    times = [(start, end) for start, end, word in words if word not in ("sil", "sp")]
    return times[0][0] * VOICE_RATE // 1000, times[-1][1] * VOICE_RATE // 1000


def summary(each: Sequence[Figures]) -> Figures:
    mean = {
        name: float(np.median([one[name] for one in each])) for name in ("mcd", "mcd_sl", "duration", "r", "lag_ms")
    }
    wer = sum(one["errors"] for one in each) / sum(one["words"] for one in each)
    return {**mean, "within": float(np.mean([abs(one["lag_ms"]) <= 40 for one in each])), "wer": wer}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a speaker of GRID, with NAME.words.tsv beside it")
    parser.add_argument("--clips", type=int, help="so many of the held-out ones")
    args = parser.parse_args()
    words = read_words(args.data.with_name(f"{args.data.name}.words.tsv"))
    names = split([path.stem for path in args.data.glob("*.mp4")])["test"][: args.clips]
    recogniser, rows = Recogniser(), dict[str, list[Figures]]()
    films = [see(str(args.data / f"{name}.mp4"), "largest") for name in names]
    for number, name in enumerate(names):
        own = voice(str(args.data / f"{name}.mp4"))
        film, other, text = films[number], films[(number + 1) % len(films)], " ".join(said_in(words[name]))
        still = SeenFilm(np.zeros(0), (), 0.0)
        voices = {"fitted": made_for(text, film, own), "next clip's lips": made_for(text, other, own)}
        voices |= {"not fitted": made_for(text, still, own), "the clip's own": own}
        for row, sound in voices.items():
            rows.setdefault(row, []).append(measured(sound, own, film, words[name], recogniser))
    result = {row: summary(each) for row, each in rows.items()}
    order = ("mcd", "mcd_sl", "duration", "r", "lag_ms", "within", "wer")
    show("voices of scripts", COLUMNS, [(row, *(each[key] for key in order)) for row, each in result.items()])
    last_line({"clips": len(names), **result})


if __name__ == "__main__":
    main()
