"""Whether a voice made of a script fits lips and is understood: `python -m benchmarks.voice --data data/grid/s1`.

The held-out clips of one speaker, silent, are given their own words to say. Against the clip's own voice: ``MCD``, dB,
after dynamic time warp, and ``MCD-SL``, the same times the ratio of the speech's lengths (Hu et al. 2021); how much
longer or shorter the speech is (``duration``, s). Against the clip's lips: the correlation of their opening with the
opening that the motion net hears in the voice, at its best lag within 400 ms, and that lag. ``WER`` by pocketsphinx
with a grammar of GRID's words. ``alike``: the cosine of the speaker net's vectors of the voice and of the person's own
in all other clips; the last row has what the net says of one person. Rows: espeak-ng fitted to the clip's lips, to
those of the next clip (what lips are worth), said at the normal speed from the start (what a fit is worth); HPM for the
clip's lips and for the next clip's, and by other vocoders that are named; the clip's own voice (the best there is). HPM
speaks in the voice that it has learnt, espeak-ng as high as the clip's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from benchmarks.media import voice
from benchmarks.output import last_line, show
from engines.common import Array
from engines.common.dataset import Dataset
from engines.common.grid import Words, read_words, split
from engines.hpm.mcd import STEP_S, cepstra, warped
from realtime_dub.face.types import Face, Pose
from realtime_dub.inference.bundle import load, load_default
from realtime_dub.media import NS
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.mouthbank.motion_nets import open_motion
from realtime_dub.mouth.mouthbank.voice_stream import opening
from realtime_dub.pipeline.file.script_voice import see
from realtime_dub.voice.contract import Line, MadeVoice, SeenFilm, Wish
from realtime_dub.voice.hpm.film import say
from realtime_dub.voice.hpm.speaking import MelMaker
from realtime_dub.voice.hpm.vocoders import vocoder_named
from realtime_dub.voice.registry import script_speaker
from realtime_dub.voice.speaker import alike, own_speakers
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
COLUMNS = (
    *("voice", "MCD, dB", "MCD-SL, dB", "duration, s", "r", "lag, ms", "lag spread, ms", "within 40 ms", "WER"),
    "alike",
)
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


class Ears:
    """What hears words, and who speaks."""

    def __init__(self, clips: Sequence[Shown]) -> None:
        self.recogniser, self._net = Recogniser(), own_speakers()
        self._own = [self._net.of(clip.own, VOICE_RATE) for clip in clips]

    def alike(self, sound: Array, number: int) -> float:
        """A voice (n,) at 16 kHz, and the person's own in the clips but this one."""
        others = [each for k, each in enumerate(self._own) if k != number or len(self._own) == 1]
        return alike(self._net.of(sound, VOICE_RATE), np.mean(others, 0))


def measured(sound: Array, clip: Shown, recogniser: Recogniser) -> Figures:
    """Of one voice (n,) at 16 kHz for one clip."""
    own, film = clip.own, clip.film
    said, (begin, end) = said_in(clip.words), spoken_in(clip.words)
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


@dataclass(frozen=True, eq=False)
class Shown:
    """A held-out clip."""

    name: str
    own: Array  # its voice (n,) at 16 kHz
    film: SeenFilm
    words: Words

    @property
    def text(self) -> str:
        return " ".join(said_in(self.words))


class Networks:
    """The voice of HPM, by the bundles that come with it or by others."""

    def __init__(self, bundle: Path | None, vocoders: Sequence[str]) -> None:
        """``vocoders``: by name or folder (``voice/hpm/vocoders.py``), none = the usual one."""
        self.maker = MelMaker(load_default("hpm") if bundle is None else load(bundle))
        self.vocoders = {name: vocoder_named(name, Path(), self.maker.spec) for name in vocoders}

    def say(self, text: str, film: SeenFilm, vocoder: str | None = None) -> Array:
        """(n,) at 16 kHz."""
        made = say([Line(text)], film, Wish("en-us"), self.maker, None if vocoder is None else self.vocoders[vocoder])
        return at_16k(made)


def rows_of_tts(clip: Shown, other: SeenFilm, by: str) -> dict[str, Array]:
    """By row, the voices (n,) of a speaking program; piper's speak no higher and no lower than they do."""
    still = SeenFilm(np.zeros(0), (), 0.0)
    films = {"fitted": clip.film, "next clip's lips": other, "not fitted": still}
    wish = Wish("en-us") if by.startswith("piper") else Wish("en-us", clip.own, VOICE_RATE)
    speak = script_speaker(by)
    return {f"tts, {row}": at_16k(speak([Line(clip.text)], film, wish)) for row, film in films.items()}


def rows_of_hpm(clip: Shown, other: SeenFilm, networks: Networks) -> dict[str, Array]:
    found = {"hpm": networks.say(clip.text, clip.film), "hpm, next clip's lips": networks.say(clip.text, other)}
    return found | {f"hpm, by {name}": networks.say(clip.text, clip.film, name) for name in networks.vocoders}


def at_16k(made: MadeVoice) -> Array:
    return np.asarray(soxr.resample(made.samples, made.rate, VOICE_RATE), np.float32)


def said_in(words: Words) -> list[str]:
    return [word for _, _, word in words if word not in ("sil", "sp")]


def spoken_in(words: Words) -> tuple[int, int]:
    """The samples at 16 kHz from the first word's start to the last one's end."""
    times = [(start, end) for start, end, word in words if word not in ("sil", "sp")]
    return max(0, times[0][0]) * VOICE_RATE // 1000, times[-1][1] * VOICE_RATE // 1000


def summary(each: Sequence[Figures]) -> Figures:
    mean = {
        name: float(np.median([one[name] for one in each]))
        for name in ("mcd", "mcd_sl", "duration", "r", "lag_ms", "alike")
    }
    wer = sum(one["errors"] for one in each) / sum(one["words"] for one in each)
    lags = np.array([one["lag_ms"] for one in each])
    mean["lag_spread_ms"] = float(np.subtract(*np.percentile(lags, (75, 25))))
    return {**mean, "within": float((np.abs(lags) <= 40).mean()), "wer": wer}


def filmed(folder: Path) -> list[Shown]:
    """The held-out clips of a folder of films, with NAME.words.tsv beside it."""
    words = read_words(folder.with_name(f"{folder.name}.words.tsv"))
    paths = [folder / f"{name}.mp4" for name in split([path.stem for path in folder.glob("*.mp4")])["test"]]
    return [Shown(each.stem, voice(str(each)), see(str(each), "largest"), words[each.stem]) for each in paths]


def prepared(folder: Path) -> list[Shown]:
    """The held-out clips of a folder of ``prepare-dataset``, whose faces are found already."""
    dataset, found = Dataset(folder), []
    for entry in dataset.part("test"):
        track = dataset.load(entry)
        poses = zip(track.canonical, track.rotation, track.scale, track.shift, strict=True)
        faces = [Face(points, points, Pose(r, float(s), t)) for points, r, s, t in poses]
        times_s = np.arange(len(faces)) / track.fps
        found.append(Shown(entry.name, track.audio, SeenFilm(times_s, faces, len(faces) / track.fps), entry.words))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path, help="a speaker of GRID, with NAME.words.tsv beside it")
    where.add_argument("--prepared", type=Path, help="the same, prepared: quicker")
    parser.add_argument("--voices", default="tts,hpm", help="which, comma-separated")
    parser.add_argument("--by", default="tts", help="what says the rows of tts: also flite, piper:VOICE.onnx")
    parser.add_argument("--bundle", type=Path, help="of hpm, instead of the one that comes with it")
    parser.add_argument(
        "--vocoder", action="append", default=[], help="a row of hpm by another one: a name, or a bundle"
    )
    parser.add_argument("--clips", type=int, help="so many of the held-out ones")
    args = parser.parse_args()
    clips = (filmed(args.data) if args.data else prepared(args.prepared))[: args.clips]
    networks = Networks(args.bundle, args.vocoder) if "hpm" in args.voices.split(",") else None
    ears, rows = Ears(clips), dict[str, list[Figures]]()
    for number, clip in enumerate(clips):
        other = clips[(number + 1) % len(clips)].film
        voices = {} if networks is None else rows_of_hpm(clip, other, networks)
        voices |= rows_of_tts(clip, other, args.by) if "tts" in args.voices.split(",") else {}
        for row, sound in {**voices, "the clip's own": clip.own}.items():
            found = measured(sound, clip, ears.recogniser) | {"alike": ears.alike(sound, number)}
            rows.setdefault(row, []).append(found)
    result = {row: summary(each) for row, each in rows.items()}
    order = ("mcd", "mcd_sl", "duration", "r", "lag_ms", "lag_spread_ms", "within", "wer", "alike")
    show("voices of scripts", COLUMNS, [(row, *(each[key] for key in order)) for row, each in result.items()])
    last_line({"clips": len(clips), **result})


if __name__ == "__main__":
    main()
