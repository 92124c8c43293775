"""When each phone of a known text is spoken, by our own speech net: any language that the inventory can write.

Viterbi over a chain of states: every phone stays for a least time, silence may stand around and between the words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch

from engines.common import Array
from engines.common.speech.force_align import FRAME_S, Alignment, Segment
from engines.common.speech.inventory import CLASSES, INDEX, SIL
from engines.common.speech.network import LOOK_AHEAD, SpeechNet
from engines.common.speech.pronounce import Word
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec

SHORTEST = 3  # frames of a phone of one class
SHORTEST_END = 2  # frames of each class of a phone of several
SHORTEST_PAUSE = 5
FLOOR = 1e-3  # of a class: one frame misheard must not bend the path
LEAST_SCORE = -2.8
HASTY = 0.45
PRIOR = 0.5  # power of the classes' frequency by which posteriors are divided


@dataclass(frozen=True)
class Run:
    """One class in the chain."""

    name: str
    least: int  # frames
    phone: int  # which phone of the text it is part of; -1 for silence

    @property
    def may_be_left_out(self) -> bool:
        return self.phone < 0


def runs_of(words: Iterable[Word]) -> list[Run]:
    """The text's phones one after another, a pause before, between and after the words."""
    pause = Run(SIL, SHORTEST_PAUSE, -1)
    found, phone = [pause], 0
    for word in words:
        for classes in word:
            least = SHORTEST if len(classes) == 1 else SHORTEST_END
            found += [Run(name, least, phone) for name in classes]
            phone += 1
        found.append(pause)
    return found


@dataclass(eq=False)
class Chain:
    """The states of a list of runs: as many as the least frames of each, the last of which may repeat."""

    runs: list[Run]
    run: Array = field(init=False)  # (S,) place of each state's run
    classes: Array = field(init=False)  # (S,)
    may_stay: Array = field(init=False)  # (S,)
    skip_from: Array = field(init=False)  # (S,) the state before the pause that is left out; -1 where none is
    starts: Array = field(init=False)
    ends: Array = field(init=False)

    def __post_init__(self) -> None:
        least = np.array([run.least for run in self.runs])
        self.run = np.repeat(np.arange(len(least)), least)
        self.classes = np.array([INDEX[run.name] for run in self.runs])[self.run]
        last = np.cumsum(least) - 1
        first = last - least + 1
        self.may_stay = np.isin(np.arange(len(self.run)), last)
        self.skip_from = np.full(len(self.run), -1)
        for i in range(2, len(self.runs)):
            if self.runs[i - 1].may_be_left_out:
                self.skip_from[first[i]] = last[i - 2]
        self.starts = first[:2] if self.runs[0].may_be_left_out else first[:1]
        self.ends = last[-2:] if self.runs[-1].may_be_left_out else last[-1:]


def best_path(scores: Array, runs: list[Run]) -> Array | None:
    """The run (n,) of each frame that fits log scores (n, classes) best; None where the frames are too few."""
    if len(runs) < 2 or len(scores) == 0:
        return None
    chain = Chain(runs)
    count, nothing = len(chain.run), np.float32(-np.inf)
    emitted = np.asarray(scores, np.float32)[:, chain.classes]
    stay = np.where(chain.may_stay, np.float32(0), nothing)
    skip = np.where(chain.skip_from >= 0, np.float32(0), nothing)
    before = np.stack([np.arange(count), np.arange(count) - 1, chain.skip_from])
    total = np.full(count, nothing)
    total[chain.starts] = emitted[0, chain.starts]
    came = np.zeros((len(scores), count), np.int8)
    ways = np.full((3, count), nothing)
    for at in range(1, len(scores)):
        ways[0], ways[1, 1:], ways[2] = total + stay, total[:-1], total[chain.skip_from] + skip
        came[at] = ways.argmax(0)
        total = ways.max(0) + emitted[at]
    state = int(chain.ends[total[chain.ends].argmax()])
    if not np.isfinite(total[state]):
        return None
    path = np.empty(len(scores), int)
    for at in range(len(scores) - 1, -1, -1):
        path[at] = state
        state = before[came[at, state], state]
    return np.asarray(chain.run[path])


class NetAlignment(Alignment):
    """An alignment with the bounds that the net's scores need."""

    @property
    def sane(self) -> bool:
        """Whether the text was said: of true texts 91 % pass, of texts of other clips 2 %."""
        return self.score > LEAST_SCORE and self.hasty < HASTY and self.longest < 0.7 and 4 < self.rate < 22


def alignment_of(scores: Array, posteriors: Array, runs: list[Run]) -> Alignment | None:
    """The alignment along the best path; its score is the mean log posterior of the frames of speech."""
    path = best_path(scores, runs)
    if path is None:
        return None
    edges = np.concatenate([[0], np.flatnonzero(np.diff(path)) + 1, [len(path)]])
    # A frame is centred on its index, so it begins half a frame before.
    times = (edges - 0.5) * FRAME_S
    said = [runs[path[edge]] for edge in edges[:-1]]
    segments = tuple(Segment(r.name, float(a), float(b)) for r, a, b in zip(said, times, times[1:], strict=False))
    phones = np.array([run.phone for run in runs])[path]
    spoken = phones >= 0
    lengths = np.bincount(phones[spoken])
    least = np.bincount([r.phone for r in runs if r.phone >= 0], [r.least for r in runs if r.phone >= 0])
    right = posteriors[np.arange(len(path)), [INDEX[runs[i].name] for i in path]]
    score = float(np.log(np.maximum(right, FLOOR))[spoken].mean())
    seconds = float(lengths.sum()) * FRAME_S
    return NetAlignment(
        segments, score, float((lengths <= least).mean()), float(lengths.max()) * FRAME_S, len(lengths) / seconds
    )


class NetAligner:
    """Sound and words of phones to segments."""

    def __init__(self, net: SpeechNet, frequency: Array, spec: LogMelSpec, prior: float = PRIOR) -> None:
        """``frequency`` (classes,): share of the classes in what the net was trained on."""
        self._net, self._spec = net.eval(), spec
        self._prior = prior * np.log(np.maximum(frequency, 1e-4)).astype(np.float32)

    def posteriors(self, power: Array) -> Array:
        """Probabilities (n, classes) of the frames of band powers (n, bands), the look-ahead taken off."""
        ended = np.concatenate([power, np.zeros((LOOK_AHEAD, power.shape[1]), np.float32)])
        mel = torch.from_numpy(LogMel(self._spec).compress(ended))[None]
        with torch.no_grad():
            logits = self._net(mel, self._net.initial_state())[0][0, LOOK_AHEAD:]
            return np.asarray(torch.softmax(logits, -1).numpy())

    def align_heard(self, posteriors: Array, words: Iterable[Word]) -> Alignment | None:
        """As :meth:`align`, of sound that the net has heard and one reading."""
        return alignment_of(self._scores(posteriors), posteriors, runs_of(words))

    def align_best(self, posteriors: Array, readings: Iterable[list[Word]]) -> Alignment | None:
        """The alignment with the reading that fits best."""
        found = [self.align_heard(posteriors, words) for words in readings if words]
        return max((one for one in found if one), key=lambda one: one.score, default=None)

    def path(self, posteriors: Array, runs: list[Run]) -> Array | None:
        """:func:`best_path` of what the net has heard."""
        return best_path(self._scores(posteriors), runs)

    def _scores(self, posteriors: Array) -> Array:
        return np.asarray(np.log(posteriors + FLOOR) - self._prior)

    def align(self, sound: Array, readings: Iterable[list[Word]]) -> Alignment | None:
        """The alignment of ``sound`` (n,) at 16 kHz with the reading that fits best; None where none does."""
        return self.align_power(LogMel(self._spec).power(sound), readings)

    def align_power(self, power: Array, readings: Iterable[list[Word]]) -> Alignment | None:
        """As :meth:`align`, of band powers (n, bands)."""
        return self.align_best(self.posteriors(power), readings)


def frequency_of(labels: Iterable[Array]) -> Array:
    """Share (classes,) of each class in rows of labels."""
    counts = np.sum([np.bincount(row, minlength=len(CLASSES)) for row in labels], axis=0) + 1.0
    return np.asarray(counts / counts.sum())
