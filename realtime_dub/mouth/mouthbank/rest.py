"""The resting mouth: shut as this person shuts it, its corners where the live face holds them, while nobody is heard.

It is drawn only while the live mouth is open. A live mouth that is shut rests by itself, and costs nothing.
"""

from __future__ import annotations

import math

import numpy as np

from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width
from realtime_dub.face.landmarks import CORNERS, mean_lip_opening
from realtime_dub.face.types import Points, TrackedFrame
from realtime_dub.media import MS
from realtime_dub.mouth.fade import BREAK_NS, Fade
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.voice_owner import VoiceOwner
from realtime_dub.mouth.silence import AUTO, Silence, SilenceShows

NEARLY_SHUT, OPEN = 0.02, 0.06  # mouth widths beyond the person's closed lips: from which on, and that all is drawn
HOLD_NS = 400 * MS  # a mouth that talks is shut now and then; what is drawn stays meanwhile
FADE_NS = 300 * MS  # from the drawn mouth back to the live one, once that is shut
TURN_NS = 600 * MS  # between showing the live mouth and the resting one, where the mind is changed
SLOW_NS = 700 * MS  # time constant of corners that a smile moves, and speech does not
WITH_CORNER = 0.28  # mouth widths: sigma of what goes with a corner


def _with_corners() -> Points:
    """How far each point of the lower face goes with the two corners (2, len(LOWER), 1)."""
    apart = np.linalg.norm(TEMPLATE[LOWER, None, :2] - TEMPLATE[list(CORNERS), :2], axis=-1)
    return np.asarray(np.exp(-0.5 * (apart.T / WITH_CORNER) ** 2)[..., None], np.float32)


_CORNERS_AT = np.searchsorted(LOWER, CORNERS)
_WITH_CORNERS = _with_corners()


def resting_face(bank: Bank) -> Points | None:
    """The face (478, 3), canonical, with the lips shut; None where the person's closed lips are not known yet."""
    nearest = bank.closed if bank.closed is not None or not bank.frozen else bank.neutral
    if nearest is None:
        return None
    shut = bank.shut_of(nearest, False)  # of lips that came near in speech only, too
    return nearest if shut is None else shut


class SlowCorners:
    """Where the live face holds the corners of the mouth when the speech is taken out, which is quick."""

    def __init__(self) -> None:
        self._held: Points | None = None  # (2, 3) canonical
        self._at_ns = 0

    def __call__(self, canonical: Points, at_ns: int) -> Points:
        """Those of a face (478, 3), at rising instants: (2, 3)."""
        live, step_ns = canonical[list(CORNERS)], at_ns - self._at_ns
        if self._held is None or not 0 <= step_ns < BREAK_NS:
            self._held = live
        else:
            self._held = self._held + np.float32(1 - math.exp(-step_ns / SLOW_NS)) * (live - self._held)
        self._at_ns = at_ns
        return self._held


def resting_displacement(rests: Points, corners: Points | None, neutral: Points) -> Points:
    """From ``neutral`` to the lips of ``rests``, both (478, 3): (len(LOWER), 3), mouth widths.

    ``corners`` (2, 3), canonical: where those of the mouth are to be, in place of their own.
    """
    moved = (rests - neutral)[LOWER]
    if corners is not None:
        moved = moved + (_WITH_CORNERS * (corners - rests[list(CORNERS)])[:, None]).sum(0)
    return np.asarray(moved / np.float32(mouth_width(neutral)), np.float32)


class Need:
    """How much of the resting mouth has to be drawn over a live one, 0..1: at once as far as that is open."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._share = Fade(0, FADE_NS)
        self._open_ns: int | None = None  # when the live mouth was last open
        self._at_ns: int | None = None

    def __call__(self, beyond: float, at_ns: int) -> float:
        """``beyond``: how much farther than closed the live lips are apart at ``at_ns``, mouth widths."""
        if self._at_ns is not None and not 0 <= at_ns - self._at_ns < BREAK_NS:
            self.forget()
        self._at_ns = at_ns
        wanted = min(max((beyond - NEARLY_SHUT) / (OPEN - NEARLY_SHUT), 0.0), 1.0)
        if wanted > 0:
            self._open_ns = at_ns
        holds = self._open_ns is not None and at_ns - self._open_ns <= HOLD_NS
        return self._share(max(wanted, self._share.weight) if holds else wanted, at_ns)


class Resting:
    """How far the mouth rests while no voice is heard: by what was asked for, whose voice it is, and the live mouth."""

    def __init__(self, silence: Silence = AUTO) -> None:
        self.silence = silence  # may be changed at any time
        self._owner, self._need, self._corners = VoiceOwner(), Need(), SlowCorners()
        self._turned = Fade(TURN_NS, TURN_NS)  # the share of the resting mouth; it begins as it should be
        self._held: Points | None = None  # corners (2, 3) canonical, at the last look

    @property
    def shows(self) -> SilenceShows:
        """What silence shows now."""
        if self.silence == "auto":
            return "live" if self._owner.own else "rest"
        return self.silence

    @property
    def later(self) -> bool:
        """Whose voice it is, is told by :meth:`catch_up` alone; may be changed."""
        return self._owner.later

    @later.setter
    def later(self, later: bool) -> None:
        self._owner.later = later

    def catch_up(self) -> None:
        """With what was put off."""
        self._owner.catch_up()

    def forget(self) -> None:
        """Another person is in the picture."""
        self._owner.forget()
        self._need.forget()
        self._corners, self._held = SlowCorners(), None

    def __call__(self, tracked: TrackedFrame, bank: Bank, spoken: float, speech: float, at_ns: int) -> float:
        """0..1, 0 = the live mouth. ``spoken``, ``speech``: as :meth:`VoiceOwner.see` has them."""
        face, rests = tracked.face, resting_face(bank)
        if face is None:
            return 0.0
        if rests is None or bank.neutral is None:
            self._turned(0.0, at_ns)
            return 0.0  # also while it goes back from the rest of whoever was there before
        self._held = self._corners(face.canonical, at_ns)
        width, opened = mouth_width(bank.neutral), float(mean_lip_opening(face.canonical))
        if self.silence == "auto":
            self._owner.see(at_ns, opened / width, spoken, speech)
        beyond = (opened - float(mean_lip_opening(rests))) / width
        return self._turned(float(self.shows == "rest"), at_ns) * self._need(beyond, at_ns)

    def displacement(self, bank: Bank, still: bool) -> Points:
        """The resting mouth (len(LOWER), 3) of a person of whom something is known, mouth widths from ``bank.neutral``.

        ``still``: of a photograph, whose corners a smile may hold too far apart for lips that are shut.
        """
        rests = bank.shut if still else resting_face(bank)
        assert bank.neutral is not None
        held = None if still else self._held
        return resting_displacement(bank.neutral if rests is None else rests, held, bank.neutral)
