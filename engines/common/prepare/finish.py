"""What needs all tracks at once: offsets, speakers, the lists; then the sound in step, the index and the report.

Quick beside the reading of videos, and made anew whenever the command runs.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engines.common import Array
from engines.common.dataset import PARTS
from engines.common.grid import ANY_WORD, split
from engines.common.prepare import offset as offsets
from engines.common.prepare.clip import MARGIN_SAMPLES, RATE, track_path, write_whole
from engines.common.prepare.phones import BAD, BAD_HEAD, bad_lines, npy, write_audio
from engines.common.prepare.segments import FPS
from engines.common.prepare.speakers import group, signature
from engines.common.prepare.speech import runs, speech_activity
from realtime_dub.audio.frontends.logmel import LogMel
from realtime_dub.face.landmarks import mean_lip_opening

FAR_MS, SURE = 150, 0.95  # a track this far from the others needs this confidence: it may have another one's sound
HELD_SHARE = 0.1  # of the speakers for validation, and as many for test
LEAST_SPEAKERS = 3  # fewer cannot be kept apart: then it is clips that are held out
AT_ONCE = 1500  # tracks whose sound is in memory while their offsets are found
FEW = "fewer than {} tracks: no regressor was fitted, offsets were left as they are"


@dataclass
class Row:
    """One track of the index."""

    track: str
    clip: str
    speaker: str | None
    frames: int
    text: str
    words: list[tuple[int, int, str]]  # ms from the first picture, of the sound in step
    offset_ms: float = 0.0  # taken out: so much later than the picture the sound was
    confidence: float | None = None
    part: str = ""  # empty = dropped
    dropped: str = ""
    speech_share: float = 0.0
    corpus: str = ""
    language: str = ""
    gender: str = ""


@dataclass(frozen=True)
class Summary:
    """What there is to say about a prepared data set."""

    rows: list[Row]
    bad: list[tuple[str, str]]  # file, reason
    common_ms: float  # offset of all tracks, the median where they were many
    notes: list[str]
    labelled: bool  # speakers as the layout gives them

    def kept(self, part: str | None = None) -> list[Row]:
        return [row for row in self.rows if row.part == part or (part is None and row.part)]


def finish(
    out: Path,
    records: list[dict[str, Any]],
    least_confidence: float,
    step: Callable[[], None] = lambda: None,
    kept_out: Collection[str] = (),
    validated: Collection[str] = (),
) -> Summary:
    """Offsets, speakers, lists, sound and index for the tracks of ``records``.

    Speakers ``kept_out`` are for test, and not counted where others are held out. Where some are ``validated``, they
    are for validation and all others for training.
    """
    rows = [_row(record, track) for record in records for track in record["tracks"]]
    notes = [FEW.format(offsets.LEAST_TRACKS)] if len(rows) < offsets.LEAST_TRACKS else []
    signatures: list[Array] = []
    common_ms = []
    for some in np.array_split(np.arange(len(rows)), -(-len(rows) // AT_ONCE)):
        batch = [rows[index] for index in some]
        pairs = _load(out, batch, signatures, step)
        found = offsets.find_offsets(pairs)
        common_ms.append(found.common_ms)
        if found.tracks is not None:
            _judge(batch, found, least_confidence)
    labelled = all(row.speaker is not None for row in rows)
    _name_speakers(rows, signatures)
    notes += _assign(rows, [record["name"] for record in records], kept_out, validated)
    for row in rows:
        if row.part:
            _write_audio(out, row)
        step()
    bad = [(record["file"], record["error"]) for record in records if record["error"]]
    summary = Summary(rows, bad, float(np.median(common_ms)), notes, labelled)
    _write_index(out, summary)
    return summary


def _row(record: dict[str, Any], track: dict[str, Any]) -> Row:
    start, end = track["start_ms"], track["start_ms"] + track["frames"] * 1000 // FPS
    words = [(a - start, b - start, word) for a, b, word in record["words"] if b > start and a < end]
    row = Row(track["name"], record["name"], record["speaker"], track["frames"], record["text"], words)
    row.corpus, row.language, row.gender = (record.get(key, "") for key in ("corpus", "language", "gender"))
    return row


def _load(out: Path, rows: list[Row], signatures: list[Array], step: Callable[[], None]) -> list[offsets.Pair]:
    """Sound and lips of tracks; adds what tells their people apart to ``signatures``."""
    pairs, front_end = [], LogMel()
    for row in rows:
        with np.load(track_path(out, row.track), allow_pickle=False) as stored:
            canonical, sound = stored["canonical"], stored["sound"]
        front_end.reset()
        mel = front_end.process(sound.astype(np.float32) / 32768)
        pairs.append(offsets.Pair(mel, mean_lip_opening(canonical)))
        signatures.append(signature(canonical, mel))
        step()
    return pairs


def _judge(rows: list[Row], found: offsets.Offsets, least: float) -> None:
    for row, judged in zip(rows, found.tracks or [], strict=True):
        row.offset_ms, row.confidence = judged.ms, judged.confidence
        row.words = [(a - round(judged.ms), b - round(judged.ms), word) for a, b, word in row.words]
        far = abs(judged.ms - found.common_ms) > FAR_MS
        if judged.confidence < (max(least, SURE) if far else least):
            row.dropped = f"offset {judged.ms:+.0f} ms with confidence {judged.confidence:.2f}: another sound, or none"


def _name_speakers(rows: list[Row], signatures: list[Array]) -> None:
    """Labels for tracks that have none, by their likeness."""
    nameless = [index for index, row in enumerate(rows) if row.speaker is None]
    if nameless:
        for index, label in zip(nameless, group(np.stack([signatures[i] for i in nameless])), strict=True):
            rows[index].speaker = label


def _assign(rows: list[Row], clips: list[str], kept_out: Collection[str], validated: Collection[str]) -> list[str]:
    """Fill in the parts of all tracks; returns what has to be said about it."""
    missing = sorted({*kept_out, *validated} - {str(row.speaker) for row in rows})
    notes = [f"nobody is called {', '.join(missing)}, who should be kept out"] if missing else []
    away = [row for row in rows if row.speaker in kept_out]
    for row in away:
        row.part = "" if row.dropped else "test"
    others = [row for row in rows if row.speaker not in kept_out]
    if not validated:
        gone = {row.clip for row in away}
        return notes + _divide(others, [clip for clip in clips if clip not in gone])
    for row in others:
        row.part = "" if row.dropped else "validation" if row.speaker in validated else "train"
    return notes


def _divide(rows: list[Row], clips: list[str]) -> list[str]:
    """Fill in the parts of tracks that come from ``clips``; returns what has to be said about it."""
    kept = [row for row in rows if not row.dropped]
    by_speaker: dict[str, list[Row]] = defaultdict(list)
    for row in kept:
        by_speaker[str(row.speaker)].append(row)
    if len(clips) == 1 and len(by_speaker) == 1:
        return _divide_one(kept)
    if len(by_speaker) < LEAST_SPEAKERS:
        # The rule of the clips' names is the same whatever was dropped: what is held out today stays held out.
        where = {name: part for part, names in split(clips).items() for name in names}
        for row in kept:
            row.part = where[row.clip]
        people = "speaker" if len(by_speaker) == 1 else "speakers"
        return [
            f"{len(by_speaker)} {people}: validation and test are clips of their own, not people of their own "
            "(sorted by name, every 20th is test, the 10th after each is validation)"
        ]
    for part, names in zip(PARTS, _people(by_speaker), strict=True):
        for name in names:
            for row in by_speaker[name]:
                row.part = part
    return []


def _divide_one(rows: list[Row]) -> list[str]:
    """Of one recording of one person, tracks are held out, by the rule of the clips; of few the last one."""
    names = [row.track for row in rows]
    where = {name: part for part, own in split(names).items() for name in own}
    if "validation" not in where.values():
        where = dict.fromkeys(names, "train")
        if len(names) > 1:
            where[names[-1]] = "validation"
    for row in rows:
        row.part = where[row.track]
    return ["1 recording: validation and test are parts of it"]


def _people(by_speaker: dict[str, list[Row]]) -> tuple[list[str], list[str], list[str]]:
    """Speakers for training, validation and test: held out are some who say little and some who say more, by turns."""
    order = sorted(by_speaker, key=lambda name: (sum(row.frames for row in by_speaker[name]), name))
    count = max(1, round(HELD_SHARE * len(order)))
    held = [order[index * len(order) // (2 * count)] for index in range(2 * count)]
    return sorted(set(order) - set(held)), sorted(held[::2]), sorted(held[1::2])


def _write_audio(out: Path, row: Row) -> None:
    """The sound in step with the pictures, as long as they are, and where in it somebody speaks."""
    with np.load(track_path(out, row.track), allow_pickle=False) as stored:
        raw = stored["sound"]
    start = MARGIN_SAMPLES + round(row.offset_ms * RATE / 1000)
    sound = raw[start : start + row.frames * RATE // FPS]
    spoken = speech_activity(sound)
    row.speech_share = round(float(spoken.mean()), 3)
    if not row.words:
        row.words = [(a * 10, b * 10, ANY_WORD) for a, b in runs(spoken)]
    write_audio(out, row.track, sound)
    write_whole(out / "speech" / f"{row.track}.npy", npy(spoken))


def _write_index(out: Path, summary: Summary) -> None:
    lines = "".join(json.dumps(vars(row)) + "\n" for row in summary.rows)
    write_whole(out / "tracks.jsonl", lines.encode())
    for part in PARTS:
        names = "".join(f"{row.track}\n" for row in summary.kept(part))
        write_whole(out / f"{part}.txt", names.encode())
    write_whole(out / BAD, (BAD_HEAD + bad_lines(summary.bad)).encode())
