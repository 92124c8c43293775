"""When each phoneme is said so that the voice fits lips that were filmed: a hidden semi-Markov path.

Each phoneme lasts from SHORTEST to LONGEST times as long as the synthesiser says it, pauses as long as they like. Of
all ways to do so the one is taken whose expected opening follows the lips best (Viterbi; Rabiner 1989, section IV D).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from realtime_dub.voice.espeak import Phone, Speech
from realtime_dub.voice.tts.phones import PAUSE, opening_of
from realtime_dub.voice.tts.stretch import stretched

STEP_S = 0.02
SHORTEST, LONGEST = 0.8, 1.5  # times a phoneme's own length
EVENNESS = 1.0  # what a phoneme costs that is e times as long or short, in steps of its own length
Doubles = npt.NDArray[np.float64]
Steps = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]  # at each edge: a phoneme's length, where its pause begins


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """``times``: of the synthesised speech, s, where phonemes begin and end; ``places``: where these go."""

    times: Doubles
    places: Doubles


def lip_curve(openness: Doubles, times_s: Doubles, length_s: float) -> Doubles:
    """How far lips stand open (n,) at steps of STEP_S, 0..1 over what this mouth does; NaN where none is seen."""
    at = np.arange(max(1, round(length_s / STEP_S))) * STEP_S
    seen = np.isfinite(openness)
    if seen.sum() < 2:
        return np.full(len(at), np.nan)
    low, high = np.percentile(openness[seen], (5, 95))
    curve = np.interp(at, times_s[seen], (openness[seen] - low) / max(high - low, 1e-6))
    near = np.abs(times_s[seen][np.clip(np.searchsorted(times_s[seen], at), 0, seen.sum() - 1)] - at) < 0.2
    return np.where(near, np.clip(curve, 0, 1), np.nan)


def shortest_s(phones: Sequence[Phone]) -> float:
    """How long it lasts at the quickest."""
    return sum(max(1, round((each.end_s - each.start_s) * SHORTEST / STEP_S)) for each in _said(phones)) * STEP_S


def fitted(phones: Sequence[Phone], lips: Doubles) -> Fitted | None:
    """When the phonemes are said along the lips (n,) of :func:`lip_curve`; None where they do not fit in."""
    said = _said(phones)
    if not said or shortest_s(phones) > len(lips) * STEP_S:
        return None
    known = np.isfinite(lips)
    seen = np.where(known, lips, 0.0)
    weight = known.astype(np.float64)
    best = _cumulated(seen, weight, PAUSE)  # a pause from the start to each step
    back: list[Steps] = []
    for number, phone in enumerate(said):
        best, length = _after_phone(best, phone, _cumulated(seen, weight, opening_of(phone.name)))
        waits = number == len(said) - 1 or said[number + 1].start_s - phone.end_s > 1e-3
        best, since = _after_pause(best, _cumulated(seen, weight, PAUSE)) if waits else (best, np.arange(len(best)))
        back.append((length.astype(np.int32), since.astype(np.int32)))
    return _path(said, back, len(lips)) if np.isfinite(best[-1]) else None


def spoken(speech: Speech, fit: Fitted) -> npt.NDArray[np.float32]:
    """The speech in the time of ``fit``, (n,) from the lips' start to the last phoneme's end."""
    return stretched(speech.samples, speech.rate, fit.times, fit.places)


def _said(phones: Sequence[Phone]) -> list[Phone]:
    return [each for each in phones if each.name and each.end_s - each.start_s > 0]


def _cumulated(seen: Doubles, weight: Doubles, opening: float) -> Doubles:
    """What it costs to hold an opening from the start to each edge of a step (n + 1,)."""
    return np.concatenate([[0.0], np.cumsum(weight * (seen - opening) ** 2)])


def _after_phone(best: Doubles, phone: Phone, cost: Doubles) -> tuple[Doubles, npt.NDArray[np.int64]]:
    """The best cost when this phoneme ends at each edge, and its length there."""
    own = (phone.end_s - phone.start_s) / STEP_S
    least, most = max(1, round(own * SHORTEST)), max(1, round(own * LONGEST))
    out, length = np.full(len(best), np.inf), np.zeros(len(best), np.int64)
    for steps in range(least, min(most, len(best) - 1) + 1):
        uneven = EVENNESS * own * np.log(steps / own) ** 2
        new = best[:-steps] + cost[steps:] - cost[:-steps] + uneven
        better = new < out[steps:]
        out[steps:][better] = new[better]
        length[steps:][better] = steps
    return out, length


def _after_pause(best: Doubles, cost: Doubles) -> tuple[Doubles, npt.NDArray[np.int64]]:
    """The best cost when a pause of any length has gone by, and the edge at which it began."""
    without = best - cost
    lowest = np.minimum.accumulate(without)
    since = np.maximum.accumulate(np.where(without <= lowest, np.arange(len(best)), 0))
    return lowest + cost, since


def _path(said: Sequence[Phone], back: Sequence[Steps], at: int) -> Fitted:
    times, places = [], []
    for phone, (length, since) in zip(reversed(said), reversed(back), strict=True):
        end = int(since[at])
        at = end - int(length[end])
        times += [phone.end_s, phone.start_s]
        places += [end * STEP_S, at * STEP_S]
    return _rising([0.0, *reversed(times)], [0.0, *reversed(places)])


def _rising(times: Sequence[float], places: Sequence[float]) -> Fitted:
    """Without points that say a place twice. The speech's lead-in is left out where there is no room for it."""
    keep = [k for k in range(len(places)) if k == 0 or places[k] > places[k - 1] + 1e-9]
    return Fitted(np.array([times[k] for k in keep]), np.array([places[k] for k in keep]))
