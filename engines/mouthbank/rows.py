"""The rows of a table of the net alone: landmarks against landmarks, nothing drawn.

``net``       the net's motion
``truth``     the true motion: 1 and 0 by definition, with the hand-back and without
``frozen``    the clip's mean shape, where the net would be shown
``shuffled``  the net's motion to other clips' voices: the mean over up to four

With ``hand_back`` silence shows the live mouth, as the program does: the net's own probability of speech opens the same
gate. What the live mouth then gives to any net is in the rows ``frozen`` and ``shuffled``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from engines.common import Array
from engines.common.grid import Clip
from engines.common.mouth_figures import Score, others, scored
from engines.common.rates import places
from engines.mouthbank.evaluate import Result
from realtime_dub.face.alignment import LOWER
from realtime_dub.media import NS
from realtime_dub.mouth.gate import SpeechGate

Bools = npt.NDArray[np.bool_]
NET, TRUTH, FROZEN, SHUFFLED = ROWS = ("net", "truth", "frozen", "shuffled")
VOICES = 4  # that stand for another one; one alone may fit by chance
QUIET = 1e-2  # of the power of a clip's loud parts: below, nobody speaks


def shapes(motion: Array, neutral: Array) -> Array:
    """Faces (T, 478, 3) of motion (T, 168, 3); all but the lower face is at rest."""
    found = np.repeat(neutral[None], len(motion), 0)
    found[:, LOWER] += motion
    return found


def loud(clip: Clip, frames: int) -> Bools:
    """Which of the first ``frames`` frames are loud; beyond the sound none is."""
    edges = places(int(len(clip.audio) * clip.fps / 16_000) + 1, clip.fps, 16_000)
    power = np.array([(clip.audio[low:high] ** 2).mean() for low, high in pairwise(edges)])
    found = np.zeros(max(frames, len(power)), bool)
    found[: len(power)] = power > np.quantile(power, 0.9) * QUIET
    return found[:frames]


def spoken(clip: Clip, frames: int) -> Bools:
    """Which of the first ``frames`` frames lie between the first loud sound of a clip and the last."""
    at, heard = np.arange(frames), np.flatnonzero(loud(clip, frames))
    return np.asarray((at >= heard[0] - 1) & (at <= heard[-1] + 2) if len(heard) else at < 0, bool)


def gate(speech: Array, fps: float) -> Array:
    """The share (T,) of the dubbed mouth by the probability of speech (T,)."""
    weigh = SpeechGate()
    return np.array([weigh(float(value), round(frame * NS / fps)) for frame, value in enumerate(speech)], np.float32)


def handed_back(motion: Array, live: Array, share: Array) -> Array:
    """Motion (T, 168, 3) that fades over to the live one where the gate shuts."""
    return np.asarray(live + share[:, None, None] * (motion - live))


def shown(row: str, own: Result, heard: Result, hand_back: bool) -> Array:
    """The motion (T, 168, 3) that a row shows for the clip of ``own`` to the voice of ``heard``."""
    count = min(len(own.motion), len(heard.motion), len(own.clip.motion))
    live = own.clip.motion[:count]
    moved = {TRUTH: live, FROZEN: np.broadcast_to(live.mean(0), live.shape)}.get(row, heard.motion[:count])
    return handed_back(moved, live, gate(heard.speech[:count], own.clip.fps)) if hand_back else np.asarray(moved)


def score(row: str, own: Result, heard: Result, speaker: str, hand_back: bool = False) -> Score:
    """The figures of a row for the clip of ``own`` to the voice of ``heard``."""
    clip, motion = own.clip, shown(row, own, heard, hand_back)
    wanted, made = (shapes(each, clip.neutral) for each in (clip.motion[: len(motion)], motion))
    said, quiet = spoken(clip, len(motion)), ~loud(clip, len(motion))
    return scored(clip.name, speaker, wanted, made, said, quiet)


def scores(
    results: Sequence[Result], speakers: Sequence[str], hand_back: bool = False, rows: Sequence[str] = ROWS
) -> dict[str, list[Score]]:
    """Every row of all clips. There is no other voice for a clip alone."""
    found: dict[str, list[Score]] = {row: [] for row in rows if row != SHUFFLED or len(results) > 1}
    for place, (own, speaker) in enumerate(zip(results, speakers, strict=True)):
        for row, made in found.items():
            heard = others(place, len(results), VOICES) if row == SHUFFLED else [place]
            made += [score(row, own, results[voice], speaker, hand_back) for voice in heard]
    return found
