"""Speech corpora without a face, and the phonemes of filmed tracks: sound aligned to its text.

What OUT has is not made again, and what could not be aligned is not tried again in the same way. Speakers come in
turn, so that a run that was broken off has heard as many as possible.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.common import Array
from engines.common.dataset import ALIGNMENTS, INDEX, Dataset, Entry, read_entries, usable
from engines.common.grid import ANY_WORD, SILENCE
from engines.common.prepare.phones import (
    BAD,
    NET,
    POCKETSPHINX,
    UNREAD,
    append_alignment,
    append_bad,
    append_row,
    relabel,
    store,
    tidy,
    write_audio,
)
from engines.common.prepare.synthetic import make_all
from engines.common.speech.corpus import (
    ENGLISH,
    EVALUATION,
    RATE,
    SAID,
    Row,
    read_phones,
    read_sound,
    words_of,
)
from engines.common.speech.force_align import Aligner, Alignment
from engines.common.speech.pronounce import Pronouncer, Word, from_phones
from realtime_dub.audio.frontends.logmel import LogMelSpec

if TYPE_CHECKING:
    from engines.common.speech.net_align import NetAligner

OTHERS = "Common Voice 6.1"  # the corpus of many languages
COUNTED = 400  # tracks that tell how often each class is spoken
REFERENCE, REFERENCE_PHONES = "speechocean762", "speechocean762.text-phone"  # the corpus that tells its phones
Step = Callable[[], None]


def in_turn(rows: list[Row], seed: int = 0) -> list[Row]:
    """One clip of every speaker, then a second of every speaker, and so on; women first within a turn."""
    by_speaker: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by_speaker[row.corpus, row.speaker].append(row)
    rng = random.Random(seed)
    turns: list[tuple[int, bool, float, Row]] = []
    for own in by_speaker.values():
        rng.shuffle(own)
        turns += [(turn, row.gender != "female", rng.random(), row) for turn, row in enumerate(own)]
    return [row for *_, row in sorted(turns, key=lambda item: item[:3])]


@dataclass(frozen=True)
class Net:
    """Whose speech net aligns what no dictionary can; ``again``: also what a net has aligned before."""

    run: Path
    again: bool = False


def prepare_speech(
    folder: Path,
    table: list[Row],
    out: Path,
    spec: LogMelSpec,
    hours_synthetic: float = 0.0,
    net: Net | None = None,
    limit: int | None = None,
    step: Step = lambda: None,
    whole: bool = False,
) -> str:
    """The clips of a table in ``folder`` as a prepared folder; returns what there is to say of it.

    ``whole``: those too that cannot be aligned.
    """
    preparer = Preparer(out, spec, step)
    if net:
        preparer.add_by_net(folder, in_turn(table)[:limit], make_aligner(net.run, [out], spec), net.again)
    else:
        preparer.add_all(folder, in_turn([row for row in table if row.language == ENGLISH])[:limit])
    if whole:
        preparer.keep_all(folder, in_turn(table)[:limit])
    if hours_synthetic:
        make_all(table, out, hours_synthetic, spec)
    if preparer.bad:
        append_bad(out, preparer.bad)
    entries = read_entries(out) if (out / INDEX).exists() else []
    trusted = usable(entries)
    hours, people = sum(entry.seconds for entry in trusted) / 3600, {entry.speaker for entry in trusted}
    summary = f"{len(trusted)} of {len(entries)} clips with phonemes, {hours:.2f} h of {len(people)} speakers"
    return f"{summary}; {len(preparer.bad)} could not be read, see {out / BAD}" if preparer.bad else summary


class Preparer:
    """Aligns sounds and keeps them in the prepared folder ``out``."""

    def __init__(self, out: Path, spec: LogMelSpec, step: Step = lambda: None) -> None:
        self._out, self._spec, self._step = out, spec, step
        self._aligner = Aligner()
        out.mkdir(parents=True, exist_ok=True)
        self._heard = {row["track"] for row in tidy(out / INDEX)}
        self._tried = {row["track"]: row for row in tidy(out / ALIGNMENTS)}
        self.bad: list[tuple[str, str]] = []  # file and reason

    def add(self, row: Row, sound: Array, words: list[str], phones: list[list[str]] | None = None) -> None:
        """Keep an English clip, and align it where that is possible."""
        sound = self._keep(row, sound)
        self._aligned(row.key, sound, self._aligner.align(sound, words, phones), POCKETSPHINX)

    def add_all(self, folder: Path, rows: list[Row]) -> None:
        """Every English clip of a table."""
        phones = read_phones(folder / REFERENCE_PHONES)
        for row in rows:
            if row.key not in self._tried and (sound := self._read(folder, row)) is not None:
                self.add(row, sound, words_of(row.text), phones.get(_clip(row)))
            self._step()

    def keep_all(self, folder: Path, rows: list[Row]) -> None:
        """The sound of clips that are not there yet."""
        for row in rows:
            if row.key not in self._heard and (sound := self._read(folder, row)) is not None:
                self._keep(row, sound)
            self._step()

    def add_by_net(self, folder: Path, rows: list[Row], aligner: NetAligner, again: bool = False) -> None:
        """Clips of a table that no dictionary has the words of, and those that the dictionary's aligner failed on.

        ``again``: also those that a net has aligned before.
        """
        pronouncer = Pronouncer()
        phones = {clip: from_phones(spoken) for clip, spoken in read_phones(folder / REFERENCE_PHONES).items()}
        for row in rows:
            if self._for_net(row, again):
                reference = phones.get(_clip(row))
                readings: list[list[Word]] = [reference] if reference else pronouncer.readings(row.text, row.language)
                if readings:
                    self._align_by_net(row, folder, readings, aligner)
            self._step()

    def _for_net(self, row: Row, again: bool) -> bool:
        tried = self._tried.get(row.key)
        if tried is None:
            return row.language != ENGLISH and row.corpus == OTHERS
        if tried["aligner"] in (NET, UNREAD):
            return again and tried["aligner"] == NET
        return tried["seconds"] == 0 and row.corpus != EVALUATION

    def _align_by_net(self, row: Row, folder: Path, readings: list[list[Word]], aligner: NetAligner) -> None:
        if self._tried.get(row.key, {}).get("seconds", 0) > 0:
            self._align_again(row.key, readings, aligner)
            return
        if row.key in self._heard:
            sound = Dataset(self._out).audio(Entry(row.key, row.speaker, row.part, root=self._out))
        else:
            read = self._read(folder, row)
            if read is None:
                return
            sound = self._keep(row, read)
        self._aligned(row.key, sound, aligner.align(sound, readings), NET)

    def _align_again(self, track: str, readings: list[list[Word]], aligner: NetAligner) -> None:
        power = np.exp(np.load(self._out / "mel" / f"{track}.npy").astype(np.float32))
        found = aligner.align_power(power, readings)
        if found:
            relabel(self._out, track, found.segments, len(power), self._spec)
            append_alignment(self._out, track, found, self._tried[track]["seconds"], NET)
        else:
            append_row(self._out / ALIGNMENTS, {**self._tried[track], "sane": False})

    def _read(self, folder: Path, row: Row) -> Array | None:
        """The sound of a clip; a file that cannot be used is written down, and not tried again."""
        try:
            return read_sound(folder / row.file)
        except Exception as error:  # whatever a broken file brings up is no reason to stop at it
            self.bad.append((row.file, f"{type(error).__name__}: {error}"))
            append_alignment(self._out, row.key, None, 0.0, UNREAD)
            return None

    def _keep(self, row: Row, sound: Array) -> Array:
        """The sound of a clip as the prepared folder has it from now on."""
        kept = write_audio(self._out, row.key, sound)
        if row.key not in self._heard:
            append_row(self._out / INDEX, row_of(row))
            self._heard.add(row.key)
        return kept

    def _aligned(self, track: str, sound: Array, found: Alignment | None, aligner: str) -> None:
        if found:
            store(self._out, track, sound, found.segments, self._spec)
        append_alignment(self._out, track, found, len(sound) / RATE, aligner)


def row_of(row: Row) -> dict[str, Any]:
    """What the index tells of a clip that is only heard."""
    known = {"track": row.key, "speaker": row.speaker, "part": row.part, "text": row.text, "corpus": row.corpus}
    return {**known, "language": row.language, "gender": row.gender}


def _clip(row: Row) -> str:
    return Path(row.file).stem if row.corpus == REFERENCE else ""


def align_filmed(out: Path, spec: LogMelSpec, step: Step = lambda: None) -> int:
    """Align the filmed tracks of a prepared folder whose words are known; returns how many have phonemes."""
    aligner, tried = Aligner(), {row["track"]: row for row in tidy(out / ALIGNMENTS)}
    dataset = Dataset(out)
    for entry in dataset.entries:
        before = tried.get(entry.track)
        if (before is None or before.get("moved_ms") != entry.offset_ms) and (words := _words(entry)):
            sound = dataset.audio(entry)
            alignment = aligner.align(sound, words)
            if alignment:
                store(out, entry.track, sound, alignment.segments, spec)
            append_alignment(out, entry.track, alignment, len(sound) / RATE, POCKETSPHINX, entry.offset_ms)
        step()
    return sum(entry.seconds > 0 for entry in read_entries(out) if entry.part)


def _words(entry: Entry) -> list[str]:
    """What is said in a filmed track, as a dictionary knows it."""
    timed = [word for *_, word in entry.words if word not in (SILENCE, ANY_WORD)]
    return [SAID.get(word, word) for word in (words_of(" ".join(timed)) or words_of(entry.text))]


def make_aligner(net: Path, data: Sequence[Path], spec: LogMelSpec) -> NetAligner:
    """A speech net as an aligner; how often each class is spoken the prepared folders ``data`` tell."""
    import torch

    from engines.common.speech.losses import load_speech
    from engines.common.speech.net_align import NetAligner, frequency_of

    torch.set_num_threads(1)
    dataset = Dataset(*data)
    known = [entry for entry in dataset.spoken("train") if entry.aligner != NET]
    counted = random.Random(0).sample(known, min(COUNTED, len(known)))
    return NetAligner(load_speech(net), frequency_of(dataset.phones(entry)[1] for entry in counted), spec)
