"""What a session knows of its person, and how it is learnt anew when that is asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from realtime_dub.web.studio.banks import Bank
from realtime_dub.web.upkeep import until

READY_S = 20.0  # for the run that begins with nothing to be on air


class Span:
    """``seconds`` of looking, from :meth:`begin` on."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._since_s: float | None = None

    def begin(self) -> None:
        self._since_s = time.monotonic()

    @property
    def progress(self) -> float:
        """0 to 1."""
        if self._since_s is None:
            return 0.0
        return min(1.0, (time.monotonic() - self._since_s) / self.seconds)


class Enrolment:
    """One session's. ``banks`` are those of its runs, the newest first; ``on_air`` says whether the newest run is.

    ``note`` is for the visitor. On the server's loop.
    """

    def __init__(
        self, banks: Callable[[], list[Bank]], on_air: Callable[[], bool], note: Callable[[str], None]
    ) -> None:
        self._banks, self._on_air, self._note = banks, on_air, note
        self._loaded: Bank | None = None  # for the next run
        self._now: Span | None = None

    @property
    def bank(self) -> Bank | None:
        """What is known of the person: a copy, as two runs may be at work for a moment."""
        if self._loaded is not None:
            return self._loaded.copy()
        return next((bank.copy() for bank in self._banks()), None)

    def load(self, bank: Bank) -> None:
        """The next run begins with it."""
        self._loaded = bank

    def taken(self) -> None:
        """A run has begun, with :attr:`bank`."""
        self._loaded = None

    @property
    def progress(self) -> float | None:
        """0 to 1; None while nobody is learnt."""
        return self._now.progress if self._now is not None else None

    def forget(self, seconds: float) -> Span:
        """The person, from the next run on; what :meth:`learn` takes to look at them for so long."""
        self._now = Span(seconds)
        self.load(Bank())
        return self._now

    async def learn(self, span: Span) -> None:
        """Then the resting face is held. The seconds count from where the run that begins with nothing, or one that
        followed it, is on air.
        """
        await until(lambda: self._loaded is None and self._on_air(), READY_S)
        span.begin()
        await asyncio.sleep(span.seconds)
        if self._now is not span:  # begun anew
            return
        self._now = None
        known = self._banks()  # a run that took over meanwhile, or is about to, looks on with a copy
        for bank in known:
            bank.frozen = bank.neutral is not None
        if not any(bank.frozen for bank in known):
            self._note("No face was seen: film it from the front, in good light.")
