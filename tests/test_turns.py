"""Whose turn it is to work, on real threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import ClassVar

import pytest
from live_parts import Camera, Microphone, Tracker
from patience import PATIENCE_S

from realtime_dub.clock import MonotonicClock, VirtualClock
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import MS, Frame
from realtime_dub.pipeline.live.executor import Done, ThreadExecutor
from realtime_dub.pipeline.live.inputs import ThreadedInputs
from realtime_dub.pipeline.live.turns import DECODES_NS, Rank, SourceTurns, Turns
from realtime_dub.pipeline.schedule import TrackedSample
from realtime_dub.sources.base import Turn, at_once

LONG_NS = 20_000 * MS  # nobody waits for so long


class Job:
    """Asks for a turn on a thread of its own and works until it is told to end."""

    def __init__(self, turns: Turns, rank: Rank, order: list[Rank]) -> None:
        self.begun, self._end = threading.Event(), threading.Event()
        self._turns, self._rank, self._order = turns, rank, order
        self.waited_ns = -1
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._turns.turn(self._rank) as waited_ns:
            self.waited_ns = waited_ns
            self._order.append(self._rank)
            self.begun.set()
            assert self._end.wait(PATIENCE_S)

    def end(self) -> None:
        self._end.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@pytest.fixture
def turns() -> Iterator[Turns]:
    before = threading.active_count()
    yield Turns(MonotonicClock(), LONG_NS)
    assert threading.active_count() == before


def waiting(turns: Turns, count: int) -> None:
    """Until so many wait."""
    until = time.monotonic() + PATIENCE_S
    while turns.waiting != count:
        assert time.monotonic() < until
        time.sleep(0.001)


def test_who_is_needed_first_is_next_and_of_one_rank_who_came_first(turns: Turns) -> None:
    order: list[Rank] = []
    first = Job(turns, Rank.TRACKER, order)
    assert first.begun.wait(PATIENCE_S)
    jobs = []
    for count, rank in enumerate((Rank.TRACKER, Rank.ENGINE, Rank.COMPOSER, Rank.ENGINE), 1):
        jobs.append(Job(turns, rank, order))
        waiting(turns, count)
    assert order == [Rank.TRACKER]
    first.end()
    for job in (jobs[2], jobs[1], jobs[3], jobs[0]):
        assert job.begun.wait(PATIENCE_S)
        assert sum(each.begun.is_set() for each in jobs) == len(order) - 1  # one at a time
        job.end()
    assert order == [Rank.TRACKER, Rank.COMPOSER, Rank.ENGINE, Rank.ENGINE, Rank.TRACKER]
    assert turns.waiting == 0


def test_nobody_waits_where_nobody_works(turns: Turns) -> None:
    for _ in range(3):
        with turns.turn(Rank.ENGINE) as waited_ns:
            assert waited_ns < 1_000 * MS
    assert turns.waiting == 0


def test_patience_ends_and_whoever_holds_a_turn_may_give_it_on_all_the_same() -> None:
    turns, order = Turns(MonotonicClock(), 20 * MS), []
    slow = Job(turns, Rank.ENGINE, order)
    assert slow.begun.wait(PATIENCE_S)
    beside = Job(turns, Rank.TRACKER, order)
    assert beside.begun.wait(PATIENCE_S)  # both work
    assert beside.waited_ns >= 20 * MS
    beside.end()
    third = Job(turns, Rank.COMPOSER, order)
    assert third.begun.wait(PATIENCE_S)  # what has had its turn for so long is not waited for anew
    assert turns.waiting == 0
    third.end()
    slow.end()
    with turns.turn(Rank.TRACKER) as waited_ns:
        assert waited_ns < 20 * MS
    assert turns.waiting == 0


def test_who_went_beside_gives_nothing_away() -> None:
    turns, order = Turns(MonotonicClock(), 500 * MS), []
    slow = Job(turns, Rank.ENGINE, order)
    assert slow.begun.wait(PATIENCE_S)
    time.sleep(0.6)
    beside = Job(turns, Rank.TRACKER, order)
    assert beside.begun.wait(PATIENCE_S)
    beside.end()
    slow.end()
    first = Job(turns, Rank.ENGINE, order)
    assert first.begun.wait(PATIENCE_S)
    second = Job(turns, Rank.COMPOSER, order)
    waiting(turns, 1)
    assert not second.begun.is_set()
    first.end()
    assert second.begun.wait(PATIENCE_S)
    second.end()


def test_a_turn_may_be_waited_for_until_an_instant_and_no_longer(turns: Turns) -> None:
    clock, order = MonotonicClock(), []  # type: ignore[var-annotated]
    slow = Job(turns, Rank.ENGINE, order)
    assert slow.begun.wait(20)
    with turns.turn(Rank.SOURCE, clock.now_ns() - MS) as waited_ns:  # in the past: beside, at once
        assert waited_ns < 1_000 * MS
    with turns.turn(Rank.SOURCE, clock.now_ns() + 30 * MS) as waited_ns:
        assert 29 * MS <= waited_ns < 5_000 * MS
    assert turns.waiting == 0
    slow.end()
    with turns.turn(Rank.TRACKER) as waited_ns:  # nobody who went beside has it
        assert waited_ns < 1_000 * MS


def test_a_composer_waits_for_a_slow_engine_until_it_has_to_begin(turns: Turns) -> None:
    clock, order = MonotonicClock(), []  # type: ignore[var-annotated]
    slow = Job(turns, Rank.ENGINE, order)
    assert slow.begun.wait(20)
    composer = ThreadExecutor("composer", clock, turns, Rank.COMPOSER)
    try:
        done = asyncio.run(composer.run(lambda: "composed", clock.now_ns() + 15 * MS))
    finally:
        composer.close()
        slow.end()
    assert done.result == "composed"
    assert 10 * MS <= done.queued_ns < 5_000 * MS


def test_a_source_waits_for_all_others(turns: Turns) -> None:
    order, clock = [], MonotonicClock()  # type: ignore[var-annotated]
    first = Job(turns, Rank.ENGINE, order)
    assert first.begun.wait(20)
    source = SourceTurns(turns, clock)

    def decode() -> None:
        with source.turn(clock.now_ns() + LONG_NS):
            order.append(Rank.SOURCE)

    decoding = threading.Thread(target=decode)
    decoding.start()
    waiting(turns, 1)
    tracker = Job(turns, Rank.TRACKER, order)
    waiting(turns, 2)
    first.end()
    assert tracker.begun.wait(20)
    tracker.end()
    decoding.join(20)
    assert order == [Rank.ENGINE, Rank.TRACKER, Rank.SOURCE]


def test_nobody_waits_long_for_a_source_that_is_slow_for_once(turns: Turns) -> None:
    """At the seam of a film that is shown again, say."""
    order: list[Rank] = []
    slow = Job(turns, Rank.SOURCE, order)
    assert slow.begun.wait(20)
    with turns.turn(Rank.ENGINE) as waited_ns:
        assert waited_ns < 5_000 * MS  # of a patience without end
    time.sleep(0.01)
    with turns.turn(Rank.ENGINE) as waited_ns:  # it has had its time
        assert waited_ns < 1_000 * MS
    assert turns.waiting == 0
    slow.end()


def test_what_takes_long_to_decode_goes_beside_the_others_and_is_tried_again() -> None:
    clock, worked = VirtualClock(), 0
    turns = Turns(clock, LONG_NS)
    source = SourceTurns(turns, clock, lambda: worked)

    def decodes_in_turn(takes_ns: int) -> bool:
        nonlocal worked
        with source.turn(clock.now_ns() + LONG_NS):
            worked += takes_ns
            alone: list[bool] = []
            other = threading.Thread(target=lambda: alone.append(turns._has is None))
            other.start()
            other.join()
        return not alone[0]

    assert all(decodes_in_turn(DECODES_NS) for _ in range(30))
    assert sum(decodes_in_turn(2 * DECODES_NS) for _ in range(30)) == 5  # of nine the middle one is
    clock.advance_to(SourceTurns.AGAIN_NS - 1)
    assert not decodes_in_turn(MS)
    clock.advance_to(SourceTurns.AGAIN_NS)
    assert all(decodes_in_turn(MS) for _ in range(30))
    takes = [MS, MS, 9 * DECODES_NS] * 20  # one that is slow now and then, as at the start of a film
    assert all(decodes_in_turn(each) for each in takes)


def test_a_job_that_fails_gives_its_turn_on(turns: Turns) -> None:
    with pytest.raises(ValueError, match="broke"), turns.turn(Rank.ENGINE):
        raise ValueError("broke")
    with turns.turn(Rank.TRACKER) as waited_ns:
        assert waited_ns < 1_000 * MS


def test_many_threads_never_work_at_once(turns: Turns) -> None:
    working, most = 0, 0

    def work() -> None:
        nonlocal working, most
        for _ in range(200):
            with turns.turn(Rank.ENGINE):
                working += 1
                most = max(most, working)
                time.sleep(0)
                working -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert most == 1
    assert working == 0


def test_tracker_engine_composer_and_source_of_a_run_never_work_at_once() -> None:
    working, most, tracked = [], [], threading.Event()

    def busy(name: str) -> str:
        working.append(name)
        most.append(len(working))
        time.sleep(0.004)
        working.remove(name)
        return name

    class Busy(Tracker):
        def track(self, frame: Frame) -> TrackedFrame:
            busy("tracker")
            return super().track(frame)

    class Decoding(Camera):
        turn: Turn = staticmethod(at_once)

        def read(self) -> Frame:
            frame = super().read()
            with self.turn(clock.now_ns() + LONG_NS):
                busy("source")
            return frame

    class Sink:
        queued: ClassVar[list[int]] = []

        def on_frame(self, sample: TrackedSample) -> None:
            self.queued.append(sample.queued_ns)
            if len(self.queued) == 20:
                tracked.set()

        def on_voice(self, block: object) -> None: ...

        def on_end(self, which: str, error: object) -> None: ...

    clock = MonotonicClock()
    turns = Turns(clock, LONG_NS, LONG_NS)
    camera, microphone = Decoding("camera", clock, 100), Microphone("microphone", clock)
    camera.open(), microphone.open()
    inputs = ThreadedInputs(camera, microphone, Busy(""), clock, turns=turns)
    ranks = {"engine": Rank.ENGINE, "composer": Rank.COMPOSER}
    executors = {name: ThreadExecutor(name, clock, turns, rank) for name, rank in ranks.items()}

    async def work(name: str) -> list[Done[str]]:
        done = []
        while not tracked.is_set():
            done.append(await executors[name].run(lambda: busy(name)))
            await asyncio.sleep(0.002)
        return done

    async def both() -> list[list[Done[str]]]:
        return await asyncio.gather(work("engine"), work("composer"))

    inputs.start(Sink())
    try:
        found = asyncio.run(both())
    finally:
        inputs.close()
        for each in executors.values():
            each.close()
    assert max(most) == 1
    assert len(Sink.queued) >= 20
    for name, done in zip(executors, found, strict=True):
        assert {each.result for each in done} == {name}
        assert min(each.took_ns for each in done) >= 4 * MS
    assert sum(Sink.queued) + sum(each.queued_ns for done in found for each in done) > 0  # they did meet
