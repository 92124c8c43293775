"""What a script says, as sound: sentence by sentence, or in the times of a film's lips and of its subtitles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from realtime_dub.errors import ConfigError
from realtime_dub.media import Floats
from realtime_dub.voice.contract import Line, MadeVoice
from realtime_dub.voice.espeak import Phone, Speech
from realtime_dub.voice.tts.fit import STEP_S, Doubles, fitted, shortest_s, spoken
from realtime_dub.voice.tts.programs import Program

MOST_SPEED = 1.8  # times the normal speed: what is longer than its time is said no quicker than that
SLOWEST_SPEED = 0.75
FILL = 0.95  # of its time that a line aims to take
MOST_FITTED_S = 120.0  # of lips that are looked at together
BETWEEN_S = 0.25  # from one line of a script to the next, where lips do not say otherwise
LATE_S = 0.05  # past its time is worth saying
NOTED = 5  # lines that are named, of those alike


class Sayer:
    """Says lines by a program, and notes what it has no sound for."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.rate = program.rate
        self.notes: list[str] = []

    def say(self, text: str, speed: float = 1.0) -> Speech:
        """A sentence at ``speed`` times the normal one. What has no sound in it is noted, not lost unsaid."""
        made = self._program.speak(text, speed)
        if not any(each.name for each in made.phones):
            self._note(f"{_short(text)}: passed over: {self._program.title} has no sound for it")
            return replace(made, samples=made.samples[:0], phones=())
        return made

    def close(self) -> None:
        self._program.close()

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def make_voice(lines: Sequence[Line], lips: Doubles, sayer: Sayer) -> MadeVoice:
    """``lines`` along ``lips``, (n,) of ``fit.lip_curve`` for the whole film. Raises ConfigError: nothing is said."""
    timed = lines if lines[0].start_s is not None else _times(lines, lips, sayer)
    track, end_s, notes = np.zeros(round(len(lips) * STEP_S * sayer.rate), np.float32), 0.0, []
    for number, line in enumerate(timed, 1):
        start_s, until_s = max(line.start_s or 0.0, end_s), line.end_s or 0.0
        sound, at_s, speed = _in_its_time(line.text, lips, start_s, until_s, sayer)
        if not len(sound):
            continue
        track = _laid(track, sound, at_s, sayer.rate)
        end_s = at_s + len(sound) / sayer.rate
        if end_s > until_s + LATE_S:
            late = f"it ends {end_s - until_s:.1f} s after its time, said {speed:.2g} times as quick"
            notes.append(f"line {number} ({_short(line.text)}) is too long: {late}")
    if not end_s:
        raise ConfigError("nothing to say:", f"{_short(lines[0].text)} has no sound", "write words")
    return MadeVoice(track, sayer.rate, (*_few(notes), *_few(sayer.notes)))


def _times(lines: Sequence[Line], lips: Doubles, sayer: Sayer) -> list[Line]:
    """Of a script without times: a short film's lips say all; a longer one is shared out by the lines' lengths."""
    length_s = len(lips) * STEP_S
    if length_s <= MOST_FITTED_S:
        return [Line("\n".join(line.text for line in lines), 0.0, length_s)]
    lengths = np.cumsum([0.0, *(max(sayer.say(line.text).seconds, STEP_S) for line in lines)])
    edges = lengths / lengths[-1] * length_s
    pairs = zip(lines, edges[:-1], edges[1:], strict=True)
    return [Line(line.text, float(start), float(end)) for line, start, end in pairs]


def _in_its_time(text: str, lips: Doubles, start_s: float, until_s: float, sayer: Sayer) -> tuple[Floats, float, float]:
    """Its sound, when that begins, and how quick it is said."""
    room_s = max(until_s - start_s, 0.0)
    there = lips[round(start_s / STEP_S) : round(until_s / STEP_S)]
    active_s = _active_s(there) or room_s
    whole = _joined(text, 1.0, sayer)
    if not len(whole.samples):
        return whole.samples, start_s, 1.0
    speed = _speed(whole.seconds, active_s * FILL)
    made = _joined(text, speed, sayer)
    if shortest_s(made.phones) > room_s and made.seconds > room_s:
        speed = _speed(whole.seconds, room_s)
        made = _joined(text, speed, sayer)
    seen = bool(np.isfinite(there).any()) and len(there) * STEP_S <= MOST_FITTED_S
    fit = fitted(made.phones, there) if seen else None
    return (made.samples, start_s, speed) if fit is None else (spoken(made, fit), start_s, speed)


def _speed(natural_s: float, room_s: float) -> float:
    return float(np.clip(natural_s / max(room_s, 1e-3), SLOWEST_SPEED, MOST_SPEED))


def _active_s(lips: Doubles) -> float:
    """How long the mouth moves, s: from the first to the last opening of a third of what it does; 0 without one."""
    wide = np.flatnonzero(np.nan_to_num(lips) > 1 / 3)
    return (int(wide[-1]) - int(wide[0]) + 1) * STEP_S if len(wide) else 0.0


def _joined(text: str, speed: float, sayer: Sayer) -> Speech:
    """All its lines, one after the other with a pause between, as if they were one."""
    pause = np.zeros(round(BETWEEN_S * sayer.rate), np.float32)
    sounds: list[Floats] = []
    phones: list[Phone] = []
    at_s = 0.0
    for line in text.split("\n"):
        made = sayer.say(line, speed)
        if len(made.samples):
            sounds += [pause, made.samples] if sounds else [made.samples]
            at_s += BETWEEN_S if phones else 0.0
            phones += [Phone(each.name, each.start_s + at_s, each.end_s + at_s) for each in made.phones]
            at_s += made.seconds
    return Speech(np.concatenate([np.zeros(0, np.float32), *sounds]), sayer.rate, tuple(phones))


def _laid(track: Floats, sound: Floats, at_s: float, rate: int) -> Floats:
    at = round(at_s * rate)
    if at + len(sound) > len(track):
        track = np.pad(track, (0, at + len(sound) - len(track)))
    track[at : at + len(sound)] += sound
    return track


def _few(notes: Sequence[str]) -> list[str]:
    more = len(notes) - NOTED
    return [*notes[:NOTED], *([f"and {more} more lines like it"] if more > 0 else [])]


def _short(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= 30 else text[:29] + "…")
