"""What every test is held to: it ends the threads and tasks that it started, and never blocks the event loop."""

from __future__ import annotations

import asyncio
import asyncio.runners
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

if TYPE_CHECKING:
    from pulse import PrivatePulse

# No deadline: the machine may be busy with something else, and a slow example is no wrong one. Derandomised, so that
# two runs of one commit agree.
settings.register_profile("project", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("project")

GRACE_S = 10.0  # on a busy machine the end of a thread takes its time, too

# Threads that live as long as the process, by the beginning of their names, each with its reason.
PROCESS_THREADS = (
    "asyncio_",  # the pool behind asyncio.to_thread, shared by whatever uses the loop; joined when the loop closes
    "pytest_timeout",  # the watchdog that ends a test which hangs
    "ThreadPoolExecutor-",  # pools of libraries, which give their threads no name; ours all have one
)


def _threads() -> set[threading.Thread]:
    return {
        thread
        for thread in threading.enumerate()
        if not thread.name.startswith(PROCESS_THREADS) and not isinstance(thread, threading._DummyThread)
    }


def _wait_for_end(threads: set[threading.Thread]) -> list[str]:
    """Names of those that are still alive after the grace."""
    until = time.monotonic() + GRACE_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return sorted(thread.name for thread in threads if thread.is_alive())


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A group need not import the files of which it would leave all out anyway: 2 to 8 s."""
    if collection_path.suffix != ".py":
        return None
    group = config.option.markexpr
    if group.startswith("alone and "):
        return "pytest.mark.alone" not in collection_path.read_text() or None
    for beginning, studio in {"studio and ": True, "not studio and ": False}.items():
        if group.startswith(beginning):
            return collection_path.name.startswith("test_web_") != studio or None
    return None


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The studio's tests are a group of their own, beside the others (tools/test.sh)."""
    for item in items:
        if item.path.name.startswith("test_web_"):
            item.add_marker("studio")


@pytest.fixture(scope="session", autouse=True)
def state_of_the_tests_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What servers keep lies in no home and meets no other server's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))  # the key that signs
        kept = tmp_path_factory.mktemp("cache")
        patch.setattr("realtime_dub.pipeline.camera_kept.cache_folder", lambda: kept)
        yield


@pytest.fixture
def pulse(tmp_path: Path) -> Iterator[PrivatePulse]:
    """A sound server of the test's own."""
    from pulse import PrivatePulse, missing

    if why := missing():
        pytest.skip(why)
    private = PrivatePulse(tmp_path)
    private.start()
    yield private
    private.stop()


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    """A thread that outlives its test fails it, after a grace for those that are just ending."""
    before = _threads()
    yield
    leaked = _wait_for_end(_threads() - before)
    if leaked:
        pytest.fail(f"threads outlived the test: {', '.join(leaked)}")


@pytest.fixture(autouse=True)
def no_leaked_tasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``asyncio.run`` cancels in silence what is still running when its coroutine returns; here that is a failure."""
    leaked: list[str] = []
    cancel_all = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]

    def record_and_cancel(loop: asyncio.AbstractEventLoop) -> None:
        leaked.extend(f"{task.get_name()} ({task.get_coro()})" for task in asyncio.all_tasks(loop))
        cancel_all(loop)

    monkeypatch.setattr(asyncio.runners, "_cancel_all_tasks", record_and_cancel)
    yield
    if leaked:
        pytest.fail(f"tasks outlived their loop: {', '.join(leaked)}")


@pytest.fixture(autouse=True)
def no_blocked_loop() -> Iterator[BlockBuster]:
    """Code of ours that sleeps, or waits for a file or a socket, on the event loop raises ``BlockingError``.

    After anyio's ``tests/conftest.py``.
    """
    with blockbuster_ctx("realtime_dub") as blockbuster:
        # The slot and the ring are handed over under a lock that nobody holds for more than a copy; that is the design.
        blockbuster.functions["threading.Lock.acquire"].deactivate()
        # /proc is memory, no disk: the size of the process, once at the start of a run and once at its end.
        for function in ("io.TextIOWrapper.read", "os.stat"):
            blockbuster.functions[function].can_block_in("realtime_dub/pipeline/measures.py", "rss_mb")
        yield blockbuster


@pytest.fixture(autouse=True)
def _ordinary_priority() -> None:
    """SVT-AV1, which makes a test's AVIF, puts the thread that calls it before all others (SCHED_FIFO 99, as root), and
    with it whatever that one starts: a busy child would keep the machine, and a later test, waiting for good.
    """
    if sys.platform == "linux" and os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
