"""What becomes of the ticks of a live run, and what has come in for them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from realtime_dub.media import Blendshapes, Coded, Image
from realtime_dub.mouth.contract import Generated
from realtime_dub.pipeline.live.inputs import Which
from realtime_dub.pipeline.live.voice_line import VoiceLine
from realtime_dub.pipeline.schedule import FrameChoice, FrameStore, Outcome, TickComposition


@dataclass(slots=True, eq=False)
class TickState:
    """What becomes of one tick."""

    k: int
    choice: FrameChoice | None = None
    outcome: Outcome = "missed"
    starved: bool = False  # its audio had not come when its mouth had to be begun: it is made of silence
    yielded: bool = False  # no mouth was asked for: the machine is kept for others
    implausible: bool = False  # what the engine made can be no mouth
    result: Generated | None = None
    blendshapes: Blendshapes | None = None
    composition: TickComposition = field(default_factory=lambda: TickComposition(None, 0.0, "passthrough"))
    image: Image | None = None
    coded: Coded | None = None  # what the image was made of, where that came coded
    chosen_ns: int = 0  # when its frame and its audio were there, or were waited for no longer
    engine_ns: int = 0
    compose_ns: int = 0
    queued_ns: int = 0  # that engine and composer waited for their turns
    chosen: asyncio.Event = field(default_factory=asyncio.Event)
    decided: asyncio.Event = field(default_factory=asyncio.Event)  # what to compose: the next tick's turn
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def before_the_first(cls) -> TickState:
        state = cls(-1)
        state.chosen.set()
        state.decided.set()
        return state


class LiveState:
    """What has come in, and the ticks in hand. Changed on the loop alone, but for the voice line."""

    def __init__(self, store: FrameStore, voice: VoiceLine) -> None:
        self.store, self.voice = store, voice
        self.ended: set[Which] = set()
        self.stopping = False
        self._ticks: dict[int, TickState] = {}

    def tick(self, k: int) -> TickState:
        return self._ticks.setdefault(k, TickState(k))

    def forget(self, k: int) -> None:
        self._ticks.pop(k, None)

    def choices_from(self, k: int) -> Iterator[FrameChoice]:
        """The frames that tick k and those after it have chosen."""
        for at in range(k, k + len(self._ticks)):
            if at in self._ticks and (choice := self._ticks[at].choice) is not None:
                yield choice


class Spawn(Protocol):
    """Starts a task that the run's end cancels."""

    def __call__(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]: ...
