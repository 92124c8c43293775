"""Whose mouth is it: the dubbed one while there is a voice, the person's own in silence, and a smooth way between."""

from __future__ import annotations

from realtime_dub.media import MS
from realtime_dub.mouth.fade import Fade

OPEN_AT = 0.9  # probability of speech that opens the gate: noise is taken for a word of 0.8 now and then
SHUT_AT = 0.5  # and below which it begins to shut
MIN_STEP = 0.05  # so that the gate leaves zero even where instants do not rise
HOLD_NS = 240 * MS  # pauses inside a sentence stay dubbed: the live mouth may speak something else
FADE_IN_NS = 80 * MS  # two frames at 25 per second: the first sound must not be missed
FADE_OUT_NS = 200 * MS


class SpeechGate:
    """Share of the dubbed mouth, 0..1, from the probability of speech at rising instants.

    It fades the *shape* over from live to dubbed, so that never two mouths are seen through each other.
    """

    def __init__(self) -> None:
        self._share = Fade(FADE_IN_NS, FADE_OUT_NS, begins=0.0, least_step=MIN_STEP)
        self._spoke_ns: int | None = None

    def __call__(self, speech: float, at_ns: int) -> float:
        """The blend weight at ``at_ns``."""
        threshold = OPEN_AT if self._share.weight == 0 else SHUT_AT
        if speech >= threshold:
            self._spoke_ns = at_ns
        speaking = self._spoke_ns is not None and at_ns - self._spoke_ns <= HOLD_NS
        return self._share(float(speaking), at_ns)
