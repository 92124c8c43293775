"""Several streams' calls run as one: who waits for whom, for how long, and what that counts as."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from patience import PATIENCE_S
from test_inference import summing_net, summing_spec

from realtime_dub.clock import MonotonicClock
from realtime_dub.errors import BundleError
from realtime_dub.inference.backends.ort import OnnxSession
from realtime_dub.inference.batching import BatchingSession, take_waited_ns
from realtime_dub.inference.bundle import load_default
from realtime_dub.pipeline.live.executor import ThreadExecutor
from realtime_dub.pipeline.live.turns import Rank, Turns


def together(session: BatchingSession, inputs: list[np.ndarray]) -> list[Any]:
    """What each gets that calls at the same time."""
    start, found = threading.Barrier(len(inputs)), [None] * len(inputs)

    def call(place: int) -> None:
        start.wait()
        try:
            found[place] = session.run({"x": inputs[place], "past": np.zeros_like(inputs[place])})["y"]
        except Exception as error:
            found[place] = error

    threads = [threading.Thread(target=call, args=(place,)) for place in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    return found


def calls(
    threads: ThreadPoolExecutor, start: threading.Barrier, session: BatchingSession, inputs: list[Any]
) -> list[Any]:
    """As :func:`together`, each on a thread of the pool."""

    def call(x: Any) -> Any:
        start.wait(PATIENCE_S)
        return session.run({"x": x, "past": np.zeros_like(x)})["y"]

    return list(threads.map(call, inputs))


def test_calls_that_come_together_run_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime_dub.inference.batching.PRESENT_S", 60.0)
    session = BatchingSession(OnnxSession(summing_net()), summing_spec(), most=4, wait_ms=300)
    inputs = [np.full((1, 4), place, np.float32) for place in range(8)]
    with ThreadPoolExecutor(len(inputs)) as threads:  # the same ones again, so that each is known to be at work
        start = threading.Barrier(len(inputs))
        assert all(np.array_equal(*pair) for pair in zip(calls(threads, start, session, inputs), inputs, strict=True))
        before = session.calls
        assert all(np.array_equal(*pair) for pair in zip(calls(threads, start, session, inputs), inputs, strict=True))
    assert session.calls == before + 2
    assert session.backend == "cpu"


def test_who_is_alone_does_not_wait() -> None:
    session = BatchingSession(OnnxSession(summing_net()), summing_spec(), most=4, wait_ms=60_000)
    for _ in range(3):
        assert np.array_equal(
            session.run({"x": np.ones((1, 4), np.float32), "past": np.zeros((1, 4), np.float32)})["y"], np.ones((1, 4))
        )
    assert session.calls == 3


def test_waiting_for_others_has_an_end_and_is_counted_apart() -> None:
    session = BatchingSession(OnnxSession(summing_net()), summing_spec(), most=4, wait_ms=50)
    together(session, [np.ones((1, 4), np.float32)])  # another stream, which does not come again
    feeds = {"x": np.ones((1, 4), np.float32), "past": np.zeros((1, 4), np.float32)}
    take_waited_ns()
    began_ns = time.perf_counter_ns()
    session.run(feeds)
    took_ns = time.perf_counter_ns() - began_ns
    waited_ns = take_waited_ns()
    assert 45_000_000 < waited_ns <= took_ns
    assert take_waited_ns() == 0


def test_a_job_is_not_taken_for_slow_because_it_waited() -> None:
    session = BatchingSession(OnnxSession(summing_net()), summing_spec(), most=4, wait_ms=1000)
    together(session, [np.ones((1, 4), np.float32)])
    feeds = {"x": np.ones((1, 4), np.float32), "past": np.zeros((1, 4), np.float32)}
    clock = MonotonicClock()
    executor = ThreadExecutor("engine", clock, Turns(clock), Rank.ENGINE)
    try:
        results, took_ns, _ = asyncio.run(executor.run(lambda: session.run(feeds)))
    finally:
        executor.close()
    assert np.array_equal(results["y"], np.ones((1, 4)))
    assert took_ns < 800_000_000


def test_what_goes_wrong_is_told_to_all_that_went_together() -> None:
    session = BatchingSession(OnnxSession(summing_net()), summing_spec(), most=2, wait_ms=2_000)
    together(session, [np.ones((1, 4), np.float32), np.ones((1, 4), np.float32)])
    found = together(session, [np.ones((1, 5), np.float32), np.ones((1, 5), np.float32)])
    assert all(isinstance(each, Exception) for each in found)
    assert np.array_equal(together(session, [np.ones((1, 4), np.float32)])[0], np.ones((1, 4)))


def test_a_network_without_a_batch_is_not_batched() -> None:
    bundle = load_default("mouthbank")
    with pytest.raises(BundleError, match="mel has no batch"):
        BatchingSession(bundle.session(), bundle.spec)
