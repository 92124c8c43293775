"""The parts of a session, each alone: choices, the runs that take over, what is learnt of a person."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from patience import PATIENCE_S

from realtime_dub.errors import ConfigError
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.web.config import ServeConfig, SessionOptions
from realtime_dub.web.http.callers import CallerRates
from realtime_dub.web.limits import MOST_RUNS, RUN_REST_S, RUNS_BURST
from realtime_dub.web.rates import TokenBucket
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.choices import Choices
from realtime_dub.web.studio.connection import pong
from realtime_dub.web.studio.enrolment import Enrolment
from realtime_dub.web.studio.run_switcher import RunSwitcher
from realtime_dub.web.studio.seats import Seats
from realtime_dub.web.upkeep import until


class Pipeline:
    """What a switcher knows of a run: it is begun, asked to stop, and says when it has ended."""

    def __init__(self, ended: Callable[[Any], None]) -> None:
        self.begun = self.asked = False
        self.error: BaseException | None = None
        self._ended = ended

    def start(self) -> None:
        self.begun = True

    def ask_to_stop(self) -> None:
        self.asked = True

    def end(self, error: BaseException | None = None) -> None:
        self.error = error
        self._ended(self)

    async def stop(self) -> bool:
        return True


class Switched:
    def __init__(self) -> None:
        self.made: list[Pipeline] = []
        self.notes: list[str] = []
        self.switcher = RunSwitcher(self._make, self.notes.append)

    def _make(self, ended: Callable[[Any], None]) -> tuple[int, Any]:
        self.made.append(Pipeline(ended))
        return len(self.made), self.made[-1]


def test_a_run_that_takes_over_ends_the_one_before() -> None:
    switched = Switched()
    switched.switcher.begin()
    switched.switcher.take_over(1)
    switched.switcher.begin()
    first, second = switched.made
    assert (first.asked, second.begun, switched.switcher.present) == (False, True, first)
    switched.switcher.take_over(2)
    assert (first.asked, second.asked, switched.switcher.present) == (True, False, second)
    first.end()
    assert switched.switcher.newest_first == [second]


def test_what_is_chosen_while_two_runs_are_at_work_waits_for_one_to_end() -> None:
    switched = Switched()
    for _ in range(MOST_RUNS + 3):
        switched.switcher.begin()
    assert len(switched.made) == MOST_RUNS
    assert all(run.asked for run in switched.made), "none is on air, so none is needed"
    switched.made[0].end()
    assert len(switched.made) == MOST_RUNS + 1


def test_a_run_that_fails_is_noted_and_one_that_is_refused_is_not_counted() -> None:
    async def fails() -> Switched:
        switched = Switched()
        switched.switcher.begin()
        switched.made[0].end(ConfigError("cannot use", "it", "take another"))
        await asyncio.sleep(2 * RUN_REST_S)
        return switched

    switched = asyncio.run(fails())
    assert "Take another." in switched.notes[0]
    assert len(switched.made) == 2, "and is begun again by itself"

    def refused(ended: Callable[[Any], None]) -> tuple[int, Any]:
        raise Refusal(404, "There is no sound of that name.", "Send it again.")

    notes: list[str] = []
    switcher = RunSwitcher(refused, notes.append)
    switcher.begin()
    assert notes == ["There is no sound of that name."]
    assert not switcher.any


@pytest.mark.slow
def test_after_too_many_begun_at_once_the_newest_choice_is_tried_later() -> None:
    async def test() -> None:
        switched = Switched()
        for _ in range(int(RUNS_BURST)):
            switched.switcher.begin()
            switched.made[-1].end()
        switched.switcher.begin()
        assert len(switched.made) == RUNS_BURST
        assert await until(lambda: len(switched.made) > RUNS_BURST, PATIENCE_S)
        switched.switcher.refuse()
        switched.made[-1].end()
        switched.switcher.begin()
        assert len(switched.made) == RUNS_BURST + 1
        assert await switched.switcher.close() == 0

    asyncio.run(test())


def test_each_change_is_added_to_what_the_one_before_it_has_left() -> None:
    async def test() -> None:
        seen: list[tuple[float, str]] = []

        async def check(options: SessionOptions) -> None:
            await asyncio.sleep(0)
            if options.face == "4":
                raise Refusal(422, "It cannot be.", "Choose another one.")

        choices = Choices(SessionOptions(), check, lambda _, after: seen.append((after.strength, after.face)))
        with pytest.raises(Refusal):
            await choices.change({"strength": 2.0, "face": "4"})
        await asyncio.gather(choices.change({"strength": 0.5}), choices.change({"face": "left"}))
        await choices.change({"face": "left"})  # as it is
        assert seen == [(0.5, "largest"), (0.5, "left")]
        choices.close()
        with pytest.raises(Refusal):
            await choices.change({"face": "right"})

    asyncio.run(test())


@pytest.mark.parametrize("seen", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_person_is_forgotten_looked_at_and_held(seen: bool) -> None:
    async def test() -> None:
        runs, notes = [{"mouthbank": Bank()}], []
        enrolment = Enrolment(lambda: runs, lambda: True, notes.append)
        before = runs[0]["mouthbank"]
        span = enrolment.forget("mouthbank", 0.1)
        assert enrolment.known["mouthbank"] is not before
        assert enrolment.progress == 0
        work = asyncio.create_task(enrolment.learn("mouthbank", span))
        await asyncio.sleep(0.05)
        assert enrolment.progress == 0, "no run has begun with nothing yet"
        bank = runs[0]["mouthbank"] = Bank()
        bank.neutral = np.zeros((478, 3)) if seen else None
        enrolment.taken()
        await work
        assert (bank.frozen, bool(notes), enrolment.progress) == (seen, not seen, None)

    asyncio.run(test())


def test_who_asks_for_the_time_is_answered_and_nobody_else() -> None:
    assert '"at": 5' in str(pong('{"t": "ping", "at": 5}'))
    assert [pong(text) for text in ("", "[]", '{"t": "ping"}', '{"t": "stats", "at": 1}', "[" * 100_000)] == [None] * 5


def test_what_was_refused_costs_nothing() -> None:
    bucket, rates = TokenBucket(per_s=1, most=1), CallerRates(per_s=1, burst=1)
    assert bucket.take(1, 10.0)
    assert rates.take("a", 10.0)
    assert not rates.take("a", 10.5)
    assert rates.take("a", 11.0), "who goes on asking comes in again"
    assert not rates.take("a", 11.5)
    assert not bucket.take(1, 10.5)
    assert bucket.take(1, 11.0), "what was refused costs nothing"
    assert rates.take("a", 20.0)
    assert rates.take("b", 10.0)


class Seat:
    """One who has come."""

    has_seat = True

    def __init__(self, role: str) -> None:
        self.role = role


def test_pipelines_viewers_and_the_line_are_counted_apart() -> None:
    seats = Seats(ServeConfig(max_sessions=2, max_viewers=3, max_bitrate_kbps=2_000, max_bandwidth_kbps=5_000))
    here = [Seat("studio"), Seat("viewer")]  # 4,000 of the line
    assert {role: seats.left(role, here) for role in seats.most} == {"studio": 0, "viewer": 0, "interpreter": 1}
    with pytest.raises(Refusal, match="line is full"):
        seats.check("viewer", here)
    seats.check("interpreter", here)
    with pytest.raises(Refusal, match="line is full"):
        seats.check("interpreter", [*here, Seat("interpreter")])
    open_line = Seats(ServeConfig(max_sessions=2, max_viewers=1))
    with pytest.raises(Refusal, match="1 are watching"):
        open_line.check("viewer", here)
    open_line.check("studio", here)
