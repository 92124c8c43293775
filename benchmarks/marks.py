"""How well marks are found, what they cost, and how small they are.

`python -m benchmarks.marks --grid DATA/grid --speech DATA/speech [--films N] [--sounds N] [--only PART]`

PART is one of films, large, sounds, unmarked, cost. Films are windows of five seconds made of GRID's clips, played to
the end and back again; each is marked as the program marks what it dubs, goes through each attack of
`mark_attacks.py`, and is looked at by the detector. `unmarked` looks at films and sounds without marks. People and
voices of the parameters' choice (s1, s05, s33) and those kept out (s26, xa, xb) are counted apart. Each result goes to
standard error as it comes.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from benchmarks.mark_attacks import BEYOND, FILM_ATTACKS, FPS, RATE, SOUND_ATTACKS, Film
from benchmarks.output import last_line, show
from realtime_dub.media import MS, NS, AudioBlock, Coded, Floats, samples_to_ns
from realtime_dub.trust.marks import hearing, seeing
from realtime_dub.trust.marks.found import PictureTrack, SoundTrack, Track
from realtime_dub.trust.marks.odds import WINDOW_S, threshold
from realtime_dub.trust.marks.payload import Payload
from realtime_dub.trust.marks.picture import PictureMarker
from realtime_dub.trust.marks.sound import SoundMarker

PAYLOAD = Payload(0x5A5A5A)
FRAMES = round(WINDOW_S * FPS)
SIZES = ((640, 480), (1280, 720), (1920, 1080))
KEPT_OUT = ("s26_", "xa_", "xb_")
Row = dict[str, Any]


def clips(grid: Path, count: int) -> Iterator[Path]:
    """Of each person in turn, those the parameters were chosen on and those kept out by turns, so many of each."""
    held_out = sorted((grid / "s1").glob("*.mp4"))[::20]
    people = [held_out, *(sorted((grid / "people").glob(f"{name}_*.mp4")) for name in ("s05", "s33"))]
    kept_out = [sorted((grid / "others").glob(f"{name}*.mp4")) for name in KEPT_OUT]
    chosen = [path for paths in itertools.zip_longest(*people) for path in paths if path is not None]
    others = [path for paths in itertools.zip_longest(*kept_out) for path in paths if path is not None]
    return itertools.chain.from_iterable(zip(chosen[:count], others[:count], strict=False))


def film_of(path: Path, height: int | None = None) -> Film:
    """Five seconds of a clip; at another ``height`` with the noise of a camera."""
    with av.open(str(path)) as container:
        there = [np.asarray(frame.to_ndarray(format="gray"), np.uint8) for frame in container.decode(video=0)]
    film = list(itertools.islice(itertools.cycle([*there, *there[-2:0:-1]]), FRAMES))
    return film if height is None else [_enlarged(plane, height) for plane in film]


def _enlarged(plane: Any, height: int) -> Any:
    size = (round(plane.shape[1] * height / plane.shape[0] / 2) * 2, height)
    large = cv2.resize(plane, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    random = np.random.default_rng(int(plane.sum()))  # another one in each frame
    return np.clip(np.rint(large + random.standard_normal(large.shape, np.float32) * 1.2), 0, 255).astype(np.uint8)


def marked(film: Film, late_ns: int) -> Film:
    """As the program marks it; ``late_ns`` of its clock at the first frame."""
    marker, out = PictureMarker(PAYLOAD), []
    for n, plane in enumerate(film):
        image = cv2.cvtColor(plane, cv2.COLOR_GRAY2BGR)
        marker.begin(late_ns + n * NS // FPS, np.asarray(image, np.uint8))
        out.append(marker.coded(Coded((plane, plane, plane), False, False)).planes[0])
    return out


def looked_at(film: Film) -> Track:
    """At the frame rate that its length says."""
    track, rate = PictureTrack(), len(film) / WINDOW_S
    for n, plane in enumerate(film):
        track.add(plane, int(n * NS / rate) + 70 * MS)
    return track.end()


def levels_db(plain: Film, changed: Film) -> float:
    """PSNR of frames that have all of the mark."""
    errors = [float(((a.astype(np.float32) - b) ** 2).mean()) for a, b in zip(plain, changed, strict=True)]
    return float(10 * np.log10(255**2 / np.percentile(errors, 75)))


class Tally:
    """Windows told, of how many, with the least z."""

    def __init__(self) -> None:
        self._z: dict[tuple[str, str, bool], list[float]] = defaultdict(list)
        self._read: dict[tuple[str, str], list[bool]] = defaultdict(list)

    def add(self, attack: str, strength: str, kept_out: bool, track: Track) -> None:
        z = max(each.z for each in track.windows)
        print(
            attack,
            strength,
            int(kept_out),
            round(z, 1),
            track.payload == PAYLOAD,
            sep="\t",
            file=sys.stderr,
            flush=True,
        )
        self._z[attack, strength, kept_out].append(z)
        self._read[attack, strength].append(track.payload == PAYLOAD)

    def rows(self, least: float) -> list[Row]:
        return [self._row(attack, strength, least) for attack, strength in self._read]

    def _row(self, attack: str, strength: str, least: float) -> Row:
        by = {kept: np.array(self._z.get((attack, strength, kept), [])) for kept in (False, True)}
        every = np.concatenate(list(by.values()))
        told = {kept: f"{np.count_nonzero(z >= least)} of {len(z)}" for kept, z in by.items()}
        row: Row = {"attack": attack, "strength": strength, "told": told[False], "told, kept out": told[True]}
        read = float(np.mean(self._read[attack, strength]))
        return row | {"least z": float(every.min()), "median z": float(np.median(every)), "read": read}


def films(paths: Iterable[Path], height: int | None, attacks: dict[str, Any]) -> tuple[list[Row], list[float]]:
    """The table, and each film's PSNR."""
    tally, psnr = Tally(), []
    for number, path in enumerate(paths):
        plain = film_of(path, height)
        film = marked(plain, number * 370 * MS)
        psnr.append(levels_db(plain, film))
        kept_out = path.name.startswith(KEPT_OUT)
        tally.add("none", "", kept_out, looked_at(film))
        for name, strengths in attacks.items():
            for strength, attack in strengths:
                tally.add(name, strength, kept_out, looked_at(attack(film)))
    return tally.rows(threshold(seeing.TESTS)), psnr


def voices(speech: Path, count: int) -> Iterator[tuple[bool, Floats]]:
    """Five seconds each of a corpus' clips, languages in turn, then LibriSpeech, which is kept out."""
    folders = [sorted(each.glob("*.opus")) for each in sorted((speech / "common_voice").iterdir()) if each.is_dir()]
    chosen = [path for paths in itertools.zip_longest(*folders) for path in paths if path is not None]
    for kept_out, paths in ((False, chosen), (True, sorted((speech / "librispeech").glob("*.opus")))):
        yield from ((kept_out, sound) for sound in itertools.islice(_sounds(paths), count))


def _sounds(paths: Iterable[Path]) -> Iterator[Floats]:
    """Clips one after the other, cut into five seconds."""
    held = np.zeros(0, np.float32)
    for path in paths:
        held = np.concatenate([held, read_sound(path)])
        while len(held) >= WINDOW_S * RATE:
            yield held[: round(WINDOW_S * RATE)]
            held = held[round(WINDOW_S * RATE) :]


def read_sound(path: Path) -> Floats:
    resampler = av.AudioResampler("flt", "mono", RATE)
    with av.open(str(path)) as container:
        parts = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.asarray(np.concatenate(parts), np.float32)


def marked_sound(sound: Floats) -> Floats:
    marker, size = SoundMarker(PAYLOAD, RATE), RATE // 50
    blocks = [
        AudioBlock(sound[at : at + size, None], RATE, samples_to_ns(at, RATE)) for at in range(0, len(sound), size)
    ]
    return np.concatenate([marker.block(block).samples[:, 0] for block in blocks])


def listened(sound: Floats, rate: int) -> Track:
    track = SoundTrack(rate)
    track.hear(sound[: round(WINDOW_S * rate)])
    return track.end()


def sounds(speech: Path, count: int) -> tuple[list[Row], list[float]]:
    """The table, and how far each mark is below its voice, dB."""
    tally, below = Tally(), []
    for kept_out, plain in voices(speech, count):
        sound = marked_sound(plain)
        power = [float((each.astype(np.float64) ** 2).mean()) for each in (sound - plain, plain)]
        if power[1] < 1e-8:
            continue
        below.append(10 * np.log10(power[0] / power[1]))
        tally.add("none", "", kept_out, listened(sound, RATE))
        for name, strengths in SOUND_ATTACKS.items():
            for strength, attack in strengths:
                tally.add(name, strength, kept_out, listened(*attack(sound)))
    return tally.rows(threshold(hearing.TESTS)), below


def unmarked(grid: Path, speech: Path, film_count: int, sound_count: int) -> dict[str, Row]:
    """The largest z without marks, against what each bound asks for."""
    paths = [*sorted((grid / "people").glob("*.mp4")), *sorted((grid / "others").glob("*.mp4"))]
    paths += sorted((grid / "s1").glob("*.mp4"))
    seen = [_largest("picture", looked_at(film_of(path))) for path in paths[:: max(1, len(paths) // film_count)]]
    learners = itertools.islice(_sounds(sorted((speech / "speechocean762").rglob("*.opus"))), sound_count)
    spoken = itertools.chain((sound for _, sound in voices(speech, sound_count)), learners)
    heard = [_largest("sound", listened(sound, RATE)) for sound in spoken]
    return {"picture": _spread(seen, threshold(seeing.TESTS)), "sound": _spread(heard, threshold(hearing.TESTS))}


def _largest(what: str, track: Track) -> float:
    z = max(each.z for each in track.windows)
    print("unmarked", what, round(z, 2), sep="\t", file=sys.stderr, flush=True)
    return z


def _spread(z: list[float], least: float) -> Row:
    return {
        "windows": len(z),
        "told": int(np.count_nonzero(np.array(z) >= least)),
        "median z": float(np.median(z)),
        "99 %": float(np.percentile(z, 99)),
        "largest z": max(z),
        "told from z": least,
    }


def cost(width: int, height: int, count: int = 250) -> Row:
    """Processor time of this thread, ms: of a frame in BGR, of one that has its coded luma too, of 20 ms of voice."""
    random = np.random.default_rng(9)
    images = [random.integers(0, 255, (height, width, 3), np.uint8) for _ in range(4)]
    luma, chroma = images[0][..., 0].copy(), np.zeros((height // 2, width // 2), np.uint8)
    row: Row = {}
    for name, planes in (("frame", None), ("frame and its luma", Coded((luma, chroma, chroma), False, False))):
        marker = PictureMarker(PAYLOAD)
        took = []
        for n in range(count):
            began = time.thread_time()
            marker.begin(n * NS // 30, images[n % 4])
            marker.image(images[n % 4], own=True)
            if planes is not None:
                marker.coded(planes)
            took.append(1000 * (time.thread_time() - began))
        row |= {name: float(np.mean(took[1:])), f"{name}, 99 %": float(np.percentile(took[1:], 99))}
        row |= {f"{name}, the first": took[0]}
    sound = random.standard_normal(RATE * 4).astype(np.float32) * 0.1
    began = time.thread_time()
    marked_sound(sound)
    return row | {"20 ms of voice": 1000 * (time.thread_time() - began) / 200}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how well marks are found, and what they cost.")
    parser.add_argument("--grid", type=Path, required=True)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--films", type=int, default=24)
    parser.add_argument("--sounds", type=int, default=40)
    parser.add_argument("--only", choices=("films", "large", "sounds", "unmarked", "cost"), action="append")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    parts = arguments.only or ["films", "large", "sounds", "unmarked", "cost"]
    told: Row = {}
    if "cost" in parts:
        told["cost"] = {f"{height} lines": cost(width, height) for width, height in SIZES}
        named = [(size, *row.values()) for size, row in told["cost"].items()]
        show("Processor time, ms", ("", *next(iter(told["cost"].values()))), named)
    if "unmarked" in parts:
        told["unmarked"] = unmarked(arguments.grid, arguments.speech, arguments.films * 8, arguments.sounds * 8)
        named = [(name, *row.values()) for name, row in told["unmarked"].items()]
        show("Without marks", ("", *next(iter(told["unmarked"].values()))), named)
    if "sounds" in parts:
        rows, below = sounds(arguments.speech, arguments.sounds)
        told["sounds"], told["below the voice, dB"] = rows, {"mean": float(np.mean(below)), "most": max(below)}
        show("Sounds", tuple(rows[0]), [tuple(row.values()) for row in rows])
    if "films" in parts:
        rows, psnr = films(clips(arguments.grid, arguments.films), None, FILM_ATTACKS | BEYOND)
        told["films"], told["PSNR"] = rows, {"mean": float(np.mean(psnr)), "least": min(psnr)}
        show("Films of 288 lines", tuple(rows[0]), [tuple(row.values()) for row in rows])
    if "large" in parts:
        few = itertools.islice(clips(arguments.grid, max(1, arguments.films // 4)), arguments.films // 2)
        chosen = {name: FILM_ATTACKS[name] for name in ("H.264, crf", "VP8, kbit/s")}
        rows, psnr = films(few, 720, chosen)
        told["large"], told["PSNR, large"] = rows, {"mean": float(np.mean(psnr)), "least": min(psnr)}
        show("Films of 720 lines", tuple(rows[0]), [tuple(row.values()) for row in rows])
    last_line(told)


if __name__ == "__main__":
    main()
