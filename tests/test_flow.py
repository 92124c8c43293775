"""The slot, the ring, the worker, the pump."""

from __future__ import annotations

import threading
import time
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from patience import PATIENCE_S

from realtime_dub.errors import DeviceError, EndOfStream
from realtime_dub.flow import AudioRing, LatestSlot, Pump, Worker
from realtime_dub.media import NS, AudioBlock, samples_to_ns

RATE = 8_000


def block(first: int, count: int, origin_ns: int = 0, gap: bool = False) -> AudioBlock:
    samples = (np.arange(first, first + count, dtype=np.float32) + 1)[:, None]
    return AudioBlock(samples, RATE, origin_ns + samples_to_ns(first, RATE), gap)


@given(
    st.integers(0, 10**15),
    st.lists(st.tuples(st.integers(-30, 60), st.integers(1, 300)), min_size=1, max_size=25),
    st.integers(-400, 3000),
    st.integers(0, 500),
)
def test_ring_is_what_was_written_by_time_and_silence_elsewhere(
    origin_ns: int, writes: list[tuple[int, int]], start: int, count: int
) -> None:
    ring, length, end, gaps = AudioRing(RATE, 1, samples_to_ns(1000, RATE)), 1000, 0, 0
    model: dict[int, float] = {}
    for number, (step, size) in enumerate(writes):
        first = 0 if number == 0 else max(0, end + step)
        first = end if abs(first - end) <= 1 else first  # a sample more or less is jitter
        ring.write(block(first, size, origin_ns))
        gaps += max(0, first - end)
        for at in range(max(first, end), first + size):
            model[at] = at + 1
        end = max(end, first + size)
    assert ring.end_ns == origin_ns + samples_to_ns(end, RATE)
    assert ring.gap_samples == gaps
    got = ring.read(origin_ns + samples_to_ns(start, RATE), count)[:, 0]
    want = [model.get(at, 0) if at >= end - length else 0 for at in range(start, start + count)]
    assert np.array_equal(got, np.array(want, np.float32))


@given(st.integers(0, 10**12), st.integers(-(10**6), 10**6), st.lists(st.integers(0, 700), min_size=1, max_size=20))
@settings(max_examples=50)
def test_reads_counted_from_a_snapped_instant_join(origin_ns: int, start_ns: int, counts: list[int]) -> None:
    ring = AudioRing(RATE, 1, 3 * NS)
    ring.write(block(0, 2 * RATE, origin_ns))
    anchor, at, parts = ring.snap(origin_ns + start_ns), 0, []
    for count in counts:
        parts.append(ring.read(anchor + samples_to_ns(at, RATE), count))
        at += count
    joined = np.concatenate(parts)
    assert np.array_equal(joined, ring.read(anchor, at))
    assert abs(anchor - origin_ns - start_ns) <= NS // RATE


def test_ring_of_several_channels_that_wraps() -> None:
    ring = AudioRing(RATE, 2, samples_to_ns(100, RATE))
    for first in range(0, 350, 70):
        samples = np.repeat(block(first, 70).samples, 2, axis=1)
        ring.write(AudioBlock(samples, RATE, samples_to_ns(first, RATE)))
    got = ring.read(samples_to_ns(240, RATE), 120)
    assert got.shape == (120, 2)
    assert not got[:10].any()
    assert np.array_equal(got[10:110, 1], np.arange(251, 351, dtype=np.float32))
    assert not got[110:].any()


def test_a_marked_gap_is_counted() -> None:
    ring = AudioRing(RATE, 1, NS)
    ring.write(block(0, 10))
    ring.write(block(10, 5, gap=True))
    assert ring.gap_samples == 5


def test_slot_keeps_the_newest_and_counts_the_rest() -> None:
    slot: LatestSlot[int] = LatestSlot()
    assert slot.take(timeout_s=0) is None
    for value in (1, 2, 3):
        slot.put(value)
    assert slot.take() == 3
    assert slot.dropped == 2
    slot.put(4)
    slot.close()
    assert slot.take() == 4
    assert slot.take() is None


def test_slot_wakes_a_waiting_reader_when_closed() -> None:
    slot: LatestSlot[int] = LatestSlot()
    got: list[int | None] = []
    thread = threading.Thread(target=lambda: got.append(slot.take()))
    thread.start()
    slot.close()
    thread.join(PATIENCE_S)
    assert got == [None]


def test_worker_runs_in_order_and_carries_results_and_errors() -> None:
    worker = Worker("a worker")
    futures = [worker.submit(lambda n=n: (n, threading.current_thread().name)) for n in range(5)]
    broken = worker.submit(lambda: 1 / 0)
    assert [future.result(2) for future in futures] == [(n, "a worker") for n in range(5)]
    with pytest.raises(ZeroDivisionError):
        broken.result(2)
    assert worker.close()
    assert not worker.busy
    with pytest.raises(RuntimeError):
        worker.submit(lambda: None)


def test_worker_finishes_what_waits_and_keeps_nothing_alive() -> None:
    class Picture:
        pass

    worker, held = Worker("holder"), Picture()
    gone = weakref.ref(held)
    worker.submit(lambda picture=held: time.sleep(0.02)).result(2)
    worker.submit(lambda: None).result(2)
    del held
    assert gone() is None
    last = worker.submit(lambda: time.sleep(0.05) or "done")
    assert worker.busy
    assert worker.close()
    assert last.result(0) == "done"


def test_cancelled_jobs_are_left_out() -> None:
    worker, ran = Worker("w"), []
    hold = threading.Event()
    worker.submit(lambda: hold.wait(2))
    waiting = worker.submit(lambda: ran.append(1))
    assert waiting.cancel()
    hold.set()
    assert worker.close()
    assert ran == []


class Device:
    """Blocks in read until it is released, then raises as devices do."""

    def __init__(self, error: type[Exception] = DeviceError) -> None:
        self.released = threading.Event()
        self.error = error
        self.reads = 0

    def read(self) -> None:
        self.reads += 1
        if self.reads > 3:
            self.released.wait(5)
            raise self.error("taken away")


def test_pump_releases_a_blocked_device_and_its_last_words_are_no_error() -> None:
    device = Device()
    pump = Pump("camera", device.read, EndOfStream, device.released.set)
    pump.start()
    assert pump.close()
    assert device.reads == 4
    assert pump.ended.is_set()
    assert pump.error is None


def test_pump_keeps_a_real_error_and_ends_quietly_at_the_end() -> None:
    for error, kept in ((DeviceError, DeviceError), (EndOfStream, type(None))):
        device = Device(error)
        device.released.set()
        pump = Pump("camera", device.read, EndOfStream, lambda: None)
        pump.start()
        assert pump.ended.wait(PATIENCE_S)
        assert isinstance(pump.error, kept)
        assert pump.close()


def test_pump_that_never_started_still_releases() -> None:
    device = Device()
    assert Pump("camera", device.read, EndOfStream, device.released.set).close()
    assert device.released.is_set()
