"""What a session knows of its person, and how it is learnt anew when that is asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import Identity
from realtime_dub.web.upkeep import until

Known = Mapping[str, Identity]  # of one person, by engine
READY_S = 20.0  # for the run that begins with nothing to be on air
LONGER_S = 10.0  # for a face, where a busy machine had seen none by then


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
    """One session's. ``known``: by its runs, the newest first; ``on_air`` says whether the newest run is.

    ``note`` is for the visitor. On the server's loop.
    """

    def __init__(
        self, known: Callable[[], Sequence[Known]], on_air: Callable[[], bool], note: Callable[[str], None]
    ) -> None:
        self._known, self._on_air, self._note = known, on_air, note
        self._loaded: dict[str, Identity] = {}  # for the next run
        self._now: Span | None = None

    @property
    def known(self) -> dict[str, Identity]:
        """What is known of the person: copies, as two runs may be at work for a moment."""
        found: dict[str, Identity] = {}
        for known in (self._loaded, *self._known()):
            found = {**known, **found}
        return {engine: identity.copy() for engine, identity in found.items()}

    def load(self, engine: str, identity: Identity) -> None:
        """The next run begins with it."""
        self._loaded[engine] = identity

    def taken(self) -> None:
        """A run has begun, with what is :attr:`known`."""
        self._loaded = {}

    @property
    def progress(self) -> float | None:
        """0 to 1, but not all of 1; None while nobody is learnt."""
        return min(0.99, self._now.progress) if self._now is not None else None

    def forget(self, engine: str, seconds: float) -> Span:
        """The person, from the next run on; what :meth:`learn` takes to look at them for so long."""
        self._now = Span(seconds)
        self.load(engine, registry.identity_kind(engine).empty())
        return self._now

    async def learn(self, engine: str, span: Span) -> None:
        """Then the resting face is held. The seconds count from where the run that begins with nothing, or one that
        followed it, is on air.
        """
        await until(lambda: not self._loaded and self._on_air(), READY_S)
        span.begin()
        await asyncio.sleep(span.seconds)
        await until(lambda: self._now is not span or any(each.known for each in self._learnt(engine)[:1]), LONGER_S)
        if self._now is not span:  # begun anew
            return
        self._now = None
        # A run that took over meanwhile, or is about to, looks on with a copy.
        learnt = self._learnt(engine)
        for identity in learnt:
            identity.frozen = identity.known
        if not any(identity.frozen for identity in learnt):
            self._note("No face was seen: film it from the front, in good light.")

    def _learnt(self, engine: str) -> list[Identity]:
        """By each run, the newest first."""
        return [known[engine] for known in self._known() if engine in known]
