"""Whose voice it is: the person's in the picture, or another's.

While a voice is heard, the openings of the live mouth and of the mouth that the motion net makes of the voice are
compared over the last seconds, at the best of a few lags: sound cards and cameras are late by different times.
Silence says nothing: who chews, or whispers to somebody, has no voice to be compared with.
"""

from __future__ import annotations

import numpy as np

from realtime_dub.media import MS, NS, Floats
from realtime_dub.mouth.mouthbank.agreement import agreement_of

STEP_NS = 40 * MS  # between two places of the memory
SPAN = 200  # places: 8 s
LAGS = 5  # places to either side
SPOKEN = 40  # places with a voice in them, below which nothing is said
SEEN = 125  # places with a face, below which nothing is said
VOICED = 0.5  # probability of speech
EVERY_NS = NS // 2  # between two comparisons
OWN, ANOTHER = 0.52, 0.32  # correlations from which on, and down to which, all of a comparison counts
TRUST = 0.2  # of the way that one comparison leads to a conviction: five say it all
CHANGES = 0.5  # conviction, -1..1, beyond which the mind is changed


class VoiceOwner:
    """Watches the live mouth under a voice. Begins with the person's own."""

    def __init__(self) -> None:
        self.own = True
        self.later = False  # a comparison waits for :meth:`catch_up`, or for the next one; may be changed
        self._conviction = 1.0  # 1 = surely the person's, -1 = surely another's
        self.forget()

    def forget(self) -> None:
        """Another person is in the picture: what was seen holds no more; the conviction stays until there is more."""
        self._opened = np.full(SPAN, np.nan, np.float32)  # the live mouth, mouth widths
        self._spoken = np.full(SPAN, np.nan, np.float32)  # the mouth of the voice
        self._voiced = np.zeros(SPAN, np.bool_)
        self._place: int | None = None
        self._compared_ns: int | None = None
        self._waits: tuple[Floats, Floats] | None = None  # openings to be compared

    def see(self, at_ns: int, opened: float, spoken: float, speech: float) -> None:
        """At a rising instant: opening of the live mouth and of the voice's, mouth widths; probability of speech."""
        self._move_to(at_ns // STEP_NS)
        here = at_ns // STEP_NS % SPAN
        self._opened[here], self._spoken[here], self._voiced[here] = opened, spoken, speech > VOICED
        if self._compared_ns is None:
            self._compared_ns = at_ns
        elif at_ns - self._compared_ns >= EVERY_NS:
            self._compared_ns = at_ns
            self.catch_up()  # there was no time for the one before
            if np.count_nonzero(self._voiced) >= SPOKEN:
                order = np.arange(at_ns // STEP_NS - SPAN + 1, at_ns // STEP_NS + 1) % SPAN
                self._waits = self._opened[order], self._spoken[order]
        if not self.later:
            self.catch_up()

    def _move_to(self, place: int) -> None:
        """Places that were left out hold nothing."""
        if self._place is None or not 0 <= place - self._place < SPAN:
            self.forget()
        elif place - self._place > 1:
            skipped = np.arange(self._place + 1, place) % SPAN
            self._opened[skipped], self._voiced[skipped] = np.nan, False
        self._place = place

    def catch_up(self) -> None:
        """Make up the mind by what waits, if something does."""
        if self._waits is not None:
            (opened, spoken), self._waits = self._waits, None
            self._compare(opened, spoken)

    def _compare(self, opened: Floats, spoken: Floats) -> None:
        if np.count_nonzero(np.isfinite(opened)) < SEEN:
            return
        agreement = agreement_of(opened, spoken, LAGS, SEEN // 2) or 0.0
        said = 2 * float(np.clip((agreement - ANOTHER) / (OWN - ANOTHER), 0, 1)) - 1
        self._conviction += TRUST * (said - self._conviction)
        if abs(self._conviction) > CHANGES:
            self.own = self._conviction > 0
