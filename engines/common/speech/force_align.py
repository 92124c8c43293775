"""When each phone of a known text is spoken, with pocketsphinx and the English model that comes in its wheel.

Two passes: words first, then phones and their states within the words. Every clip is aligned in a process of its own,
because the library ends the process on some inputs and carries its level estimate from clip to clip.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

import numpy as np

from engines.common import Array
from engines.common.speech.inventory import SIL, from_arpabet

FRAME_S = 0.01
# A frame of the aligner begins at its index and is 25.6 ms long; ours is centred on its index.
CENTRE_S = 0.0128 - FRAME_S / 2
# Without digital silence first, the word pass may start in no state that the phone pass can reach.
LEAD = 1600
FIRST_HALF = 0.55  # of a diphthong's time belongs to its first end


@dataclass(frozen=True)
class Segment:
    """A class of the inventory from ``start`` to ``end``, seconds."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Alignment:
    """The segments of a clip and what tells a good one from a bad one."""

    segments: tuple[Segment, ...]
    score: float  # mean log likelihood per frame, the aligner's units
    hasty: float  # share of phones of the least length the model allows
    longest: float  # the longest phone, seconds
    rate: float  # phones per second of speech

    @property
    def sane(self) -> bool:
        """Whether people speak like that: else text and sound do not belong together."""
        return self.hasty < 0.4 and self.longest < 0.7 and 4 < self.rate < 22


class Aligner:
    """English sound and text to segments."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder = Decoder(lm=None, cmn="batch", loglevel="FATAL")

    def align(self, sound: Array, words: list[str], phones: list[list[str]] | None = None) -> Alignment | None:
        """The alignment of ``sound`` (n,) at 16 kHz; None where a word is unknown or the text does not fit.

        ``phones`` (ARPAbet per word) replaces the dictionary.
        """
        if phones is None and any(self._decoder.lookup_word(word) is None for word in words):
            return None
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            self._in_child(writer, sound, words, phones)
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            data = stream.read()
        os.waitpid(child, 0)
        return judge(json.loads(data)) if data else None

    def _in_child(self, writer: int, sound: Array, words: list[str], phones: list[list[str]] | None) -> None:
        try:
            found = self._decode(sound, words, phones)
            with os.fdopen(writer, "w") as stream:
                json.dump(found, stream)
        finally:
            os._exit(0)

    def _decode(
        self, sound: Array, words: list[str], phones: list[list[str]] | None
    ) -> list[tuple[str, int, int, float]]:
        decoder = self._decoder
        if phones is not None:
            words = [f"word{index}" for index in range(len(phones))]
            for word, spoken in zip(words, phones, strict=True):
                decoder.add_word(word, " ".join(p.split("_")[0].rstrip("012") for p in spoken), word == words[-1])
        pcm = (np.concatenate([np.zeros(LEAD), np.clip(sound, -1, 1)]) * 32767).astype(np.int16).tobytes()
        decoder.set_align_text(" ".join(words))
        self._hear(pcm)
        decoder.set_alignment()
        self._hear(pcm)
        return [(p.name, p.start, p.duration, p.score) for word in decoder.get_alignment() for p in word]

    def _hear(self, pcm: bytes) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()


def judge(found: list[tuple[str, int, int, float]]) -> Alignment | None:
    """Segments and figures of (phone, first frame, frames, score) with the lead taken off."""
    spoken = [(name, count) for name, _, count, _ in found if name != "SIL"]
    if len(spoken) < 3:
        return None
    lengths = np.array([count for _, count in spoken])
    segments = [segment for name, first, count, _ in found for segment in _split(name, first, count)]
    score = sum(score for *_, score in found) / sum(count for _, _, count, _ in found)
    seconds = float(lengths.sum()) * FRAME_S
    hasty, longest = float((lengths <= 3).mean()), float(lengths.max()) * FRAME_S
    return Alignment(tuple(segments), score, hasty, longest, len(spoken) / seconds)


def _split(name: str, first: int, count: int) -> list[Segment]:
    classes = from_arpabet(name) if name.isalpha() else (SIL,)
    start = first * FRAME_S + CENTRE_S - LEAD / 16_000
    return spread(classes, start, start + count * FRAME_S)


def spread(classes: tuple[str, ...], start: float, end: float) -> list[Segment]:
    """One phone's classes over its time: a diphthong's first end takes a little more than half."""
    if len(classes) == 1:
        return [Segment(classes[0], start, end)]
    if len(classes) == 2:
        middle = start + (end - start) * FIRST_HALF
        return [Segment(classes[0], start, middle), Segment(classes[1], middle, end)]
    edges = np.linspace(start, end, len(classes) + 1)
    return [Segment(name, float(edges[i]), float(edges[i + 1])) for i, name in enumerate(classes)]
