"""How an avatar moves, in figures: its mouth against the filmed one, its head against the recording.

``python -m engines.common.avatar_figures me.avatar [--part test] [--others DATA] [--plot out.png] [--json out.json]``

Own voice: r of the lips' opening, clip by clip, on tracks that the avatar has not learnt. Other voices: r between the
avatar's opening and that of mouthbank's motion for the same voice. Head: spread, speed and spectrum of what is shown
beside those of the recording, and how far beyond the recorded range it goes. All through the code that runs live.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import numpy.typing as npt
import typer

from engines.common import Array, command
from engines.common.avatar import DATA, blurred
from engines.common.dataset import Dataset, Entry, Track, evenly, of_each
from engines.common.rates import STEADY_FPS, steady_ns
from engines.common.speech.corpus import RATE
from engines.common.video_metrics import correlation
from realtime_dub.face.alignment import LOWER
from realtime_dub.face.landmarks import LIPS, mean_lip_opening
from realtime_dub.inference.bundle import load_default
from realtime_dub.media import NS, Floats, samples_to_ns
from realtime_dub.mouth.avatar.hearing import ENGINE
from realtime_dub.mouth.avatar.motion import AvatarMotion
from realtime_dub.mouth.avatar.pose import AvatarPose
from realtime_dub.mouth.mouthbank.motion import MotionStream, opening

NAMES = ("pitch", "yaw", "roll", "right", "down", "near")
BLOCK = RATE // 25
BEHIND = np.zeros(RATE, np.float32)  # after a voice, so that all of it is moved
PIECE = 64  # frames of a spectrum
SLOW_HZ = 4.0  # what of it is told in figures
LEAST = 1e-6  # that a head moves which is held still
WIDTH, HEIGHT = 300, 180  # pixels of one plot
REAL, SHOWN = (0xAA, 0x77, 0x44), (0x33, 0x33, 0xEE)  # BGR
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True, eq=False)
class Played:
    """What an avatar did with a voice, at 25 frames a second."""

    canonical: Array  # (T, 478, 3)
    rotation: Array  # (T, 3, 3)
    scale: Array  # (T,)
    shift: Array  # (T, 3)
    cpu_s: float  # of the processor, for all of it


def play(motion: AvatarMotion, sound: Array, count: int, begin_ns: int = 0) -> Played:
    """``count`` frames of a sound (n,) at 16 kHz that begins at ``begin_ns``."""
    whole, wanted = np.concatenate([sound, BEHIND]), steady_ns(count, begin_ns)
    found: list[AvatarPose] = []
    started = time.thread_time()
    for start in range(0, len(whole), BLOCK):
        motion.hear(whole[start : start + BLOCK], begin_ns + samples_to_ns(start, RATE))
        while len(found) < count and wanted[len(found)] <= motion.heard_until_ns():
            found.append(motion.at(wanted[len(found)]))
    took = time.thread_time() - started
    poses = [each.pose for each in found]
    return Played(
        np.stack([each.canonical for each in found]),
        np.stack([each.rotation for each in poses]),
        np.array([each.scale for each in poses], np.float32),
        np.stack([each.shift for each in poses]),
        took,
    )


def own_voice(folder: Path, dataset: Dataset, entries: Sequence[Entry]) -> dict[str, float]:
    """Means over clips: r of the opening; the lips' distance as a share of what lips that stand still would score."""
    r, shares = [], []
    for entry in entries:
        track = dataset.load(entry)
        motion = AvatarMotion(folder)
        found = play(motion, track.audio, len(track.scale)).canonical
        r.append(correlation(mean_lip_opening(found), mean_lip_opening(track.canonical)))
        apart, still = (
            np.linalg.norm((each[:, LIPS] - track.canonical[:, LIPS])[..., :2], axis=-1).mean()
            for each in (found, track.canonical.mean(0, keepdims=True))
        )
        shares.append(apart / still)
    return {
        "clips": len(r),
        "r": round(float(np.mean(r)), 4),
        "r_least": round(float(min(r)), 4),
        "distance_share": round(float(np.mean(shares)), 4),
    }


def other_voices(folder: Path, dataset: Dataset, entries: Sequence[Entry]) -> dict[str, Any]:
    """r between the avatar's opening and that of mouthbank's motion, by voice."""
    found = {}
    for entry in entries:
        sound = dataset.audio(entry)[: 10 * RATE]
        count = len(sound) * STEADY_FPS // RATE
        opened = mean_lip_opening(play(AvatarMotion(folder), sound, count).canonical)
        found[entry.name] = round(correlation(opened, mouthbank_opening(sound, count)), 4)
    values = list(found.values())
    return {
        "voices": len({entry.speaker for entry in entries}),
        "r": round(float(np.mean(values)), 4),
        "r_least": min(values),
        "below_half": sum(value < 0.5 for value in values),
    }


def mouthbank_opening(sound: Array, count: int) -> Array:
    """The opening (count,) of mouthbank's motion for a sound, mouth widths."""
    stream, whole = MotionStream(load_default(ENGINE)), np.concatenate([sound, BEHIND])
    found: list[float] = []
    for start in range(0, len(whole), BLOCK):
        stream.hear(whole[start : start + BLOCK], samples_to_ns(start, RATE))
        while len(found) < count and len(found) * NS // STEADY_FPS <= stream.heard_until_ns():
            found.append(opening(stream.at(len(found) * NS // STEADY_FPS).displacement))
    assert len(LOWER) == len(stream.points)
    return np.array(found)


def head_figures(motion: AvatarMotion, shown: Floats, recorded: list[Array]) -> dict[str, dict[str, float]]:
    """Of places shown (n, 6) and recorded (T, 6) each: spread and speed against the recording's, what of the range is
    used, and the share of slow frequencies whose power lies in the 90 % range over pieces of the recording.
    """
    person, found = motion.person, {}
    real = np.concatenate(recorded)
    steps = np.concatenate([np.diff(each, axis=0) for each in recorded])
    (hz, _, around), (_, own, _) = (spectrum(each, piece_of(recorded)) for each in (recorded, [shown]))
    slow = hz <= SLOW_HZ  # beyond it the recording has the tracker's noise
    for i, name in enumerate(NAMES):
        inside = (own[slow, i] >= around[0][slow, i]) & (own[slow, i] <= around[1][slow, i])
        found[name] = {
            "spread": round(float(shown[:, i].std() / (real[:, i].std() + LEAST)), 3),
            "speed": round(float(np.abs(np.diff(shown[:, i])).mean() / (np.abs(steps[:, i]).mean() + LEAST)), 3),
            "range_used": round(float(np.ptp(shown[:, i]) / (person.high[i] - person.low[i] + LEAST)), 3),
            "spectrum_inside": round(float(inside.mean()), 3),
            "beyond": round(
                float(max(0, (shown[:, i] - person.high[i]).max(), (person.low[i] - shown[:, i]).max())), 6
            ),
        }
    return found


def spectrum(runs: Sequence[Array], piece: int) -> tuple[Array, Array, Array]:
    """Frequencies (m,), Hz, mean power (m, 6) of pieces of runs (T, 6), its 90 % range (2, m, 6) over pieces."""
    window = np.hanning(piece)[:, None]
    pieces = [run[at : at + piece] for run in runs for at in range(0, len(run) - piece + 1, piece // 2)]
    power = np.stack([np.abs(np.fft.rfft((each - each.mean(0)) * window, axis=0)) ** 2 for each in pieces])
    spread = np.quantile(power, [0.05, 0.95], axis=0)
    return np.fft.rfftfreq(piece, 1 / STEADY_FPS)[1:], power.mean(0)[1:], spread[:, 1:]


def piece_of(runs: Sequence[Array]) -> int:
    """Frames of a spectrum: no more than the longest run has."""
    return min(PIECE, max(len(run) for run in runs))


def plotted(shown: Array, recorded: list[Array], low: Array, high: Array) -> npt.NDArray[np.uint8]:
    """For each of the six: above, two minutes of what is shown between the recorded limits; below, both spectra."""
    piece = piece_of(recorded)
    (hz, real, around), (_, own, _) = spectrum(recorded, piece), spectrum([shown], piece)
    columns = []
    for i, name in enumerate(NAMES):
        curve, power = (np.full((HEIGHT, WIDTH, 3), 255, np.uint8) for _ in range(2))
        some = shown[: 120 * STEADY_FPS, i]
        bounds = (float(low[i]) - 0.1 * float(high[i] - low[i]), float(high[i]) + 0.1 * float(high[i] - low[i]))
        for limit in (low[i], high[i]):
            _line(curve, np.full(2, limit), bounds, REAL)
        _line(curve, some, bounds, SHOWN)
        levels = [10 * np.log10(each[:, i] + 1e-12) for each in (around[0], around[1], real, own)]
        bounds = (min(each.min() for each in levels), max(each.max() for each in levels))
        for level, ink in zip(levels, ((220, 200, 180), (220, 200, 180), REAL, SHOWN), strict=True):
            _line(power, level, bounds, ink)
        _write(curve, f"{name}: two minutes, recorded limits")
        _write(power, f"{name}: spectrum to {hz[-1]:.1f} Hz, dB")
        columns.append(np.vstack([curve, power]))
    return np.vstack([np.hstack(columns[:3]), np.hstack(columns[3:])])


def _line(
    picture: npt.NDArray[np.uint8], values: Array, bounds: tuple[float, float], ink: tuple[int, int, int]
) -> None:
    x = np.linspace(4, WIDTH - 5, len(values))
    y = HEIGHT - 5 - (values - bounds[0]) / max(bounds[1] - bounds[0], LEAST) * (HEIGHT - 30)
    cv2.polylines(picture, [np.stack([x, y], 1).round().astype(np.int32)], False, ink, 1, cv2.LINE_AA)


def _write(picture: npt.NDArray[np.uint8], text: str) -> None:
    cv2.putText(picture, text, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (60, 60, 60), 1, cv2.LINE_AA)
    cv2.rectangle(picture, (0, 0), (WIDTH - 1, HEIGHT - 1), (230, 230, 230))


def recorded_places(motion: AvatarMotion, tracks: Sequence[Track]) -> list[Array]:
    """The head's place (T, 6) in each track, as smooth as training has it."""
    return [blurred(motion.person.places(track.rotation, track.scale, track.shift)) for track in tracks]


@app.command()
def avatar_figures(
    folder: Annotated[Path, typer.Argument(metavar="AVATAR", help="The avatar's folder.")],
    part: Annotated[str, typer.Option(help="Which tracks of its data: train, validation or test.")] = "test",
    others: Annotated[list[Path] | None, typer.Option(help="Prepared folders with other people's voices.")] = None,
    others_part: Annotated[str, typer.Option(help="Which tracks of these.")] = "validation",
    clips: Annotated[int, typer.Option(min=1, help="Of own tracks, and of each other folder, at most.")] = 50,
    minutes: Annotated[float, typer.Option(min=0.1, help="Of the head.")] = 4.0,
    plot: Annotated[Path | None, typer.Option(help="Where the head's plot goes.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json")] = None,
) -> None:
    """Measure an avatar's motion."""
    dataset = Dataset(folder / DATA)
    entries = evenly(dataset.part(part), clips)
    found: dict[str, Any] = {"own": own_voice(folder, dataset, entries)}
    for root in others or []:
        voices = Dataset(root)
        chosen = [entry for entry in voices.entries if entry.part == others_part]
        found[root.name] = other_voices(folder, voices, evenly(of_each(chosen, 3), clips))
    motion = AvatarMotion(folder)
    sounds = np.concatenate([dataset.audio(entry) for entry in dataset.part("train")])
    count = int(minutes * 60 * STEADY_FPS)
    played = play(motion, np.resize(sounds, count * RATE // STEADY_FPS), count)
    shown = motion.person.places(played.rotation, played.scale, played.shift)
    recorded = recorded_places(motion, [dataset.load(entry) for entry in dataset.part("train")])
    found["head"] = head_figures(motion, shown, recorded)
    found["cpu_ms_per_frame"] = round(1000 * played.cpu_s / count, 3)
    if plot:
        cv2.imwrite(str(plot), plotted(shown, recorded, motion.person.low, motion.person.high))
    text = json.dumps(found, indent=1)
    typer.echo(text)
    if as_json:
        as_json.write_text(text + "\n")


if __name__ == "__main__":
    command.run("engines.common.avatar_figures", "avatar-figures", "stopped")
