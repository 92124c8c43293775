"""The watchers of conftest.py are watched: each of them fails a test that deserves it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from blockbuster import BlockingError

from realtime_dub.clock import MonotonicClock

pytest_plugins = ["pytester"]

CONFTEST = (Path(__file__).parent / "conftest.py").read_text()


def test_a_leaked_thread_fails_its_test(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST.replace("GRACE_S = 2.0", "GRACE_S = 0.1"))
    pytester.makepyfile(
        """
        import threading

        stop = threading.Event()

        def test_leaks():
            threading.Thread(target=stop.wait, name="forgotten", daemon=True).start()

        def test_is_innocent():
            stop.set()
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*threads outlived the test: forgotten*"])


def test_a_leaked_task_fails_its_test(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        """
        import asyncio

        async def leaves_one_behind():
            global kept
            kept = asyncio.create_task(asyncio.sleep(60), name="forgotten")

        def test_leaks():
            asyncio.run(leaves_one_behind())
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*tasks outlived their loop: forgotten*"])


def test_blocking_the_loop_raises() -> None:
    async def blocks() -> None:
        clock = MonotonicClock()
        clock.sleep_until_blocking(clock.now_ns() + 1_000_000)

    with pytest.raises(BlockingError, match=r"time\.sleep"):
        asyncio.run(blocks())


def test_blocking_beside_the_loop_is_fine() -> None:
    clock = MonotonicClock()

    async def waits() -> None:
        await asyncio.to_thread(clock.sleep_until_blocking, clock.now_ns() + 1_000_000)

    asyncio.run(waits())
    assert threading.current_thread() is threading.main_thread()
