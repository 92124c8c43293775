"""The pipelines of a session: one on air, and one that takes over from it when its first tick is ready."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from realtime_dub.web.limits import MOST_RUNS, RUN_AGAIN_S, RUN_CALM_S, RUN_REST_S, RUNS_BURST, RUNS_PER_S
from realtime_dub.web.rates import TokenBucket
from realtime_dub.web.refusals import Refusal, sentences
from realtime_dub.web.retries import Retries
from realtime_dub.web.studio.run import Run

Make = Callable[[Callable[[Run], None]], tuple[int, Run]]


class RunSwitcher:
    """``make`` builds a run of the newest choices, which calls what it is given when it has ended, and says its number
    on the output's timeline; it raises Refusal. ``note`` is for the visitor. On the server's loop.
    """

    def __init__(self, make: Make, note: Callable[[str], None]) -> None:
        self._make, self._note = make, note
        self._runs: dict[int, Run] = {}
        self._newest = 0
        self._on_air: int | None = None
        self._starts = TokenBucket(RUNS_PER_S, RUNS_BURST)
        self._retries = Retries(RUN_REST_S, RUN_AGAIN_S, RUN_CALM_S)
        self._begins_again = False  # a run is to be begun when one has ended
        self._closed = False

    def begin(self) -> None:
        """With the present choices; it takes over from the one on air when it is ready."""
        if self._closed:
            return
        for number, run in self._runs.items():
            if number != self._on_air:
                run.ask_to_stop()
        if len(self._runs) >= MOST_RUNS:  # when one has ended, with the choices of then: the newest ones
            self._begins_again = True
        elif not self._starts.take(1, time.monotonic()):
            self._begin_later()
        else:
            self._begin()

    def take_over(self, number: int) -> None:
        """That run gives the output from now on; those before it end."""
        self._on_air = number
        for earlier, run in self._runs.items():
            if earlier < number:
                run.ask_to_stop()

    @property
    def any(self) -> bool:
        return bool(self._runs)

    @property
    def newest_is_on_air(self) -> bool:
        return self._on_air == self._newest

    @property
    def present(self) -> Run | None:
        """The run on air, else the newest."""
        if self._on_air in self._runs:
            return self._runs[self._on_air]
        return self._runs[max(self._runs)] if self._runs else None

    @property
    def newest_first(self) -> list[Run]:
        return [self._runs[number] for number in sorted(self._runs, reverse=True)]

    def refuse(self) -> None:
        """None begins any more."""
        self._closed = True

    async def close(self) -> int:
        """End all; how many did not end in time."""
        self.refuse()
        return (await asyncio.gather(*(run.stop() for run in self._runs.values()))).count(False)

    def _begin(self) -> None:
        self._begins_again = False
        try:
            number, run = self._make(self._ended)
        except Refusal as error:
            self._note(error.what)
            return
        self._newest = number
        self._runs[number] = run
        run.start()

    def _begin_later(self) -> None:
        if not self._begins_again:
            asyncio.get_running_loop().call_later(RUN_REST_S, self._begin_again)
        self._begins_again = True

    def _begin_again(self) -> None:
        if self._begins_again:
            self._begins_again = False
            self.begin()

    def _ended(self, run: Run) -> None:
        self._runs = {number: each for number, each in self._runs.items() if each is not run}
        if run.error is not None and not self._closed:
            self._note(sentences(run.error))
            rest_s = self._retries.pause_s(time.monotonic())
            asyncio.get_running_loop().call_later(rest_s, self._revive)
        self._begin_again()

    def _revive(self) -> None:
        """A run that failed is begun again: nobody in the room can do it."""
        if not self._runs:
            self.begin()
