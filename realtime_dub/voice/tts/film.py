"""A script said along a film's lips by a speaking program."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from realtime_dub.face.types import Face
from realtime_dub.voice.contract import Line, MadeVoice, SeenFilm, Wish
from realtime_dub.voice.tts.fit import STEP_S, lip_curve
from realtime_dub.voice.tts.programs import open_program
from realtime_dub.voice.tts.speaking import BETWEEN_S, Sayer, make_voice

NO_LIPS = "no lips were seen: nothing is timed by them"
UPPER, LOWER = 13, 14  # of the face mesh: the inner lips' middle


def speak(lines: Sequence[Line], film: SeenFilm, wish: Wish, by: str = "") -> MadeVoice:
    """A ``ScriptSpeaker``. ``by``: a program (``programs.py``). Raises UserError: it is not there, or cannot do it."""
    with closing(Sayer(open_program(by, wish))) as sayer:
        if not film.length_s:
            return make_voice(lines, np.full(_steps(lines, sayer), np.nan), sayer)
        lips = lips_of(film)
        made = make_voice(lines, lip_curve(lips, film.times_s, film.length_s), sayer)
        return made if np.isfinite(lips).any() else replace(made, notes=(NO_LIPS, *made.notes))


def lips_of(film: SeenFilm) -> npt.NDArray[np.float64]:
    """How far the film's lips stand open (n,), in mouth widths, at its frames; NaN without a face."""
    return np.array([_openness(face) for face in film.faces])


def _steps(lines: Sequence[Line], sayer: Sayer) -> int:
    """How many a photograph needs to say it all."""
    if lines[-1].end_s is not None:
        return round(max(line.end_s or 0.0 for line in lines) / STEP_S) + 1
    said_s = sum(sayer.say(line.text).seconds + BETWEEN_S for line in lines)
    return round(said_s / STEP_S) + 1


def _openness(face: Face | None) -> float:
    return float("nan") if face is None else float(np.linalg.norm(face.canonical[LOWER] - face.canonical[UPPER]))
