"""The watchers of conftest.py are watched: each of them fails a test that deserves it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from blockbuster import BlockingError

from realtime_dub.clock import MonotonicClock

pytestmark = pytest.mark.computes

pytest_plugins = ["pytester"]

HERE = Path(__file__).parent


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with our conftest.py and little patience, run in a process of its own."""
    monkeypatch.setenv("PYTHONPATH", str(HERE.parent))
    pytester.makeconftest((HERE / "conftest.py").read_text().replace("GRACE_S = 10.0", "GRACE_S = 0.1"))
    return pytester


def test_a_leaked_thread_fails_its_test(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        import threading

        stop = threading.Event()

        def test_leaks():
            threading.Thread(target=stop.wait, name="forgotten", daemon=True).start()

        def test_is_innocent():
            stop.set()
        """
    )
    result = inner.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*threads outlived the test: forgotten*"])


def test_a_leaked_task_fails_its_test(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        import asyncio

        async def leaves_one_behind():
            global kept
            kept = asyncio.create_task(asyncio.sleep(60), name="forgotten")

        def test_leaks():
            asyncio.run(leaves_one_behind())
        """
    )
    result = inner.runpytest_subprocess("-p", "no:cacheprovider")
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
