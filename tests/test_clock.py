"""The clock that stands still until it is told, and the machine's own behind the same protocol."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import PATIENCE_S

from realtime_dub.clock import Clock, MonotonicClock, VirtualClock
from realtime_dub.media import MS


def wake_times(clock: VirtualClock, due_ms: list[int], until_ms: int) -> list[tuple[int, int]]:
    """(time asked for, time on waking) in ms of tasks that sleep on the clock, in order of waking."""
    woken: list[tuple[int, int]] = []

    async def sleeper(when_ms: int) -> None:
        await clock.sleep_until(when_ms * MS)
        woken.append((when_ms, clock.now_ns() // MS))

    async def scenario() -> None:
        tasks = [asyncio.create_task(sleeper(when_ms)) for when_ms in due_ms]
        await clock.run_until(until_ms * MS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(scenario())
    return woken


@given(st.lists(st.integers(1, 200), max_size=12), st.integers(0, 200))
def test_sleepers_wake_at_their_own_time_in_order(due_ms: list[int], until_ms: int) -> None:
    clock = VirtualClock()
    assert wake_times(clock, due_ms, until_ms) == [(when, when) for when in sorted(due_ms) if when <= until_ms]
    assert clock.now_ns() == until_ms * MS


def test_equal_times_wake_in_order_of_asking() -> None:
    clock, order = VirtualClock(), []

    async def sleeper(name: str) -> None:
        await clock.sleep_until(5 * MS)
        order.append(name)

    async def scenario() -> None:
        tasks = [asyncio.create_task(sleeper(name)) for name in "abc"]
        await clock.run_until(5 * MS)
        await asyncio.gather(*tasks)

    asyncio.run(scenario())
    assert order == ["a", "b", "c"]


def test_a_task_may_sleep_again_within_one_run() -> None:
    clock, seen = VirtualClock(), []

    async def ticker() -> None:
        for tick in range(4):
            await clock.sleep_until(tick * 40 * MS)
            seen.append(clock.now_ns() // MS)

    async def scenario() -> None:
        task = asyncio.create_task(ticker())
        await clock.run_until(200 * MS)
        await task

    asyncio.run(scenario())
    assert seen == [0, 40, 80, 120]


@given(st.lists(st.integers(-1000, 1000)))
def test_virtual_time_never_goes_back(steps: list[int]) -> None:
    clock = VirtualClock(100)
    times = [clock.now_ns()]
    for step in steps:
        clock.advance_to(step)
        times.append(clock.now_ns())
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert times[-1] == max(100, *steps, 100)


def test_blocking_on_the_virtual_clock_costs_no_time() -> None:
    clock = VirtualClock()
    clock.sleep_until_blocking(3600 * 1000 * MS)
    assert clock.now_ns() == 3600 * 1000 * MS


def test_a_cancelled_sleeper_holds_nobody_up() -> None:
    clock = VirtualClock()

    async def scenario() -> None:
        task = asyncio.create_task(clock.sleep_until(10 * MS))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await clock.run_until(20 * MS)

    asyncio.run(scenario())
    assert clock.now_ns() == 20 * MS


@pytest.mark.parametrize("clock", [MonotonicClock(), VirtualClock()], ids=["monotonic", "virtual"])
def test_the_past_is_not_waited_for(clock: Clock) -> None:
    before_ns = clock.now_ns()
    clock.sleep_until_blocking(before_ns - MS)
    asyncio.run(asyncio.wait_for(_sleep(clock, before_ns - MS), PATIENCE_S))
    assert clock.now_ns() >= before_ns


async def _sleep(clock: Clock, when_ns: int) -> None:
    await clock.sleep_until(when_ns)


def test_the_machines_clock_reaches_the_instant() -> None:
    clock = MonotonicClock()
    when_ns = clock.now_ns() + 5 * MS
    clock.sleep_until_blocking(when_ns)
    assert clock.now_ns() >= when_ns
    when_ns = clock.now_ns() + 5 * MS
    asyncio.run(_sleep(clock, when_ns))
    assert clock.now_ns() >= when_ns - MS  # the loop's own resolution
