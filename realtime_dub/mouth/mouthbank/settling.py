"""Keeps a drawn mouth from jumping where its bank has found anew how the face rests, and how near its lips come.

In the first two seconds a bank finds that with each look, and the same motion would be drawn up to 0.06 mouth widths
elsewhere from one frame to the next. So by how much it would is added to the mouth, and comes to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from realtime_dub.face.alignment import LOWER, mouth_width
from realtime_dub.face.types import Points
from realtime_dub.media import MS
from realtime_dub.mouth.fade import BREAK_NS
from realtime_dub.mouth.mouthbank.bank import Bank

SETTLES_NS = 80 * MS  # time constant


class Settling:
    """Of one bank. Called once per drawn frame."""

    def __init__(self) -> None:
        self._known: Bank | None = None  # as it was in the last drawn frame
        self._left = np.zeros((len(LOWER), 3), np.float32)  # canonical
        self._at_ns = 0

    def __call__(self, bank: Bank, moved: Points, by: Callable[[Bank], Points], at_ns: int) -> Points:
        """What ``moved`` needs for no jump: (len(LOWER), 3), mouth widths.

        ``moved``: displacement from ``bank.neutral`` at ``at_ns``, of the same form; ``by``: the same motion's, by what
        a bank knew before. Of a face that is known.
        """
        assert bank.neutral is not None
        step_ns, self._at_ns = at_ns - self._at_ns, at_ns
        if self._known is None or not 0 <= step_ns < BREAK_NS:
            self._left, self._known = np.zeros_like(self._left), replace(bank)
            return self._left
        self._left = self._left * np.float32(math.exp(-step_ns / SETTLES_NS))
        if self._known.neutral is not bank.neutral:
            self._left = self._left + _drawn(self._known, by(self._known)) - _drawn(bank, moved)
            self._known = replace(bank)
        return np.asarray(self._left / np.float32(mouth_width(bank.neutral)), np.float32)


def _drawn(bank: Bank, moved: Points) -> Points:
    """Where the lower face is, canonical."""
    assert bank.neutral is not None
    return np.asarray(bank.neutral[LOWER] + moved * np.float32(mouth_width(bank.neutral)), np.float32)
