"""Trackers of pitch beside each other: ``python -m benchmarks.pitch --prepared prepared/s1 --prepared prepared/en``.

Of people's sounds nobody knows the pitch. So each sound is made again by WORLD (Morise et al. 2016), of the pitch that
its own tracker, Harvest, has found, and that is the truth of the sound that was made: ``off`` is the share of voiced
frames that a tracker has more than a fifth off (Rabiner et al. 1976), ``fine`` the median error of the others, in
cents; ``missed`` the share of voiced frames without a pitch, ``invented`` that of the others with one; ``ms`` the
processor's time for a second of sound. ``alike``: of the person's own sound, the share of the frames voiced for both
within a fifth of Harvest. Needs `pip install pyworld`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.output import last_line, show
from engines.common import Array
from engines.common.dataset import Dataset, evenly
from realtime_dub.voice.pitch import HIGHEST_HZ, LOWEST_HZ, pitch_track

RATE, HOP = 16_000, 160
GROSS = 0.2
COLUMNS = ("tracker", "off", "fine, cents", "missed", "invented", "alike", "ms")
Tracker = Callable[[Array], Array]  # Hz (m,) every 10 ms, NaN without a voice


def trackers() -> dict[str, Tracker]:
    import pyworld

    about = {"f0_floor": LOWEST_HZ, "f0_ceil": HIGHEST_HZ, "frame_period": 1000 * HOP / RATE}

    def refined(sound: Array) -> Array:
        wide = sound.astype(np.float64)
        return _gaps(pyworld.stonemask(wide, *pyworld.dio(wide, RATE, **about), RATE))

    return {
        "our own": lambda sound: pitch_track(sound, RATE, HOP),
        "WORLD, DIO and StoneMask": refined,
        "WORLD, Harvest": lambda sound: _gaps(pyworld.harvest(sound.astype(np.float64), RATE, **about)[0]),
    }


def made_again(sound: Array, hz: Array) -> Array:
    """A sound (n,) of the same spectrum whose pitch is known."""
    import pyworld

    wide, times = sound.astype(np.float64), np.arange(len(hz)) * HOP / RATE
    told = np.nan_to_num(hz)
    spectrum, noise = pyworld.cheaptrick(wide, told, times, RATE), pyworld.d4c(wide, told, times, RATE)
    return np.asarray(pyworld.synthesize(told, spectrum, noise, RATE, 1000 * HOP / RATE), np.float32)


def compared(found: Array, truth: Array) -> dict[str, float]:
    count = min(len(found), len(truth))
    found, truth = found[:count], truth[:count]
    voiced, told = np.isfinite(truth), np.isfinite(found)
    apart = np.abs(found[voiced & told] / truth[voiced & told] - 1)
    near = apart[apart <= GROSS]
    return {
        "off": float((apart > GROSS).mean()),
        "fine": float(1200 * np.log2(1 + np.median(near))),
        "missed": float((~told[voiced]).mean()),
        "invented": float(told[~voiced].mean()),
    }


def measured(track: Tracker, sounds: list[Array], harvest: Tracker) -> dict[str, float]:
    """Means over the sounds."""
    rows, alike, spent = [], [], 0.0
    for sound in sounds:
        truth = harvest(sound)
        rows.append(compared(track(made_again(sound, truth)), truth))
        started = time.thread_time()
        found = track(sound)
        spent += time.thread_time() - started
        alike.append(1 - compared(found, truth)["off"])
    seconds = sum(map(len, sounds)) / RATE
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return {**means, "alike": float(np.mean(alike)), "ms": 1000 * spent / seconds}


def _gaps(hz: Array) -> Array:
    return np.where(hz > 0, hz, np.nan)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepared", type=Path, action="append", required=True, help="a folder of prepare-dataset")
    parser.add_argument("--clips", type=int, default=10, help="of each folder's validation part")
    args = parser.parse_args()
    sounds = []
    for folder in args.prepared:
        dataset = Dataset(folder)
        held = [entry for entry in dataset.entries if entry.part == "validation"]
        sounds += [dataset.audio(entry) for entry in evenly(held, args.clips)]
    found = trackers()
    result = {name: measured(track, sounds, found["WORLD, Harvest"]) for name, track in found.items()}
    show("pitch", COLUMNS, [(name, *row.values()) for name, row in result.items()])
    last_line({"clips": len(sounds), **result})


if __name__ == "__main__":
    main()
