"""What things pass through or stay in: the latest-value slot, the audio ring, the worker thread, a spread of a few.

Each buffer has one policy (see ARCHITECTURE.md): video is the newest unconsumed value; sound is a ring of fixed length
in which a hole is silence that is marked; results go by sequence number.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

import numpy as np

from realtime_dub.media import AudioBlock, Samples, ns_to_samples, samples_to_ns

T = TypeVar("T")
R = TypeVar("R")


class LatestSlot(Generic[T]):
    """A slot of one. A newer value replaces an unconsumed one, which is counted in ``dropped``.

    After lerobot's ``camera.py``.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._value: T | None = None
        self._closed = False
        self.dropped = 0

    def put(self, value: T) -> None:
        """Replace the value."""
        with self._condition:
            if self._value is not None:
                self.dropped += 1
            self._value = value
            self._condition.notify()

    def take(self, timeout_s: float | None = None) -> T | None:
        """The newest unconsumed value; None after ``timeout_s`` or once the slot is closed and empty."""
        with self._condition:
            self._condition.wait_for(lambda: self._value is not None or self._closed, timeout_s)
            value, self._value = self._value, None
            return value

    def close(self) -> None:
        """Wake every waiter. What lies in the slot can still be taken."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed


class AudioRing:
    """Sound of the last ``length_ns`` on the pipeline's clock, read by time. Thread-safe, allocated once.

    The first block anchors the time line; from there samples are counted, so that time never jitters. A block that
    starts later than the end by more than a sample leaves a hole: silence, counted in ``gap_samples``. One that starts
    earlier has its overlap dropped.
    """

    def __init__(self, rate: int, channels: int, length_ns: int) -> None:
        self.rate = rate
        self.channels = channels
        self._data = np.zeros((ns_to_samples(length_ns, rate), channels), np.float32)
        self._lock = threading.Lock()
        self._origin_ns: int | None = None
        self._end = 0  # samples since the origin
        self.gap_samples = 0

    @property
    def end_ns(self) -> int | None:
        """The instant up to which there is sound; None before the first block."""
        with self._lock:
            return None if self._origin_ns is None else self._origin_ns + samples_to_ns(self._end, self.rate)

    def write(self, block: AudioBlock) -> None:
        """Append a block of the ring's rate and channel count."""
        samples = block.samples
        with self._lock:
            if self._origin_ns is None:
                self._origin_ns = block.pts_ns
            start = ns_to_samples(block.pts_ns - self._origin_ns, self.rate)
            if start > self._end + 1:
                self.gap_samples += start - self._end
                self._append_silence(start - self._end)
            elif start < self._end - 1:
                samples = samples[self._end - start :]
            if block.gap:
                self.gap_samples += len(samples)
            self._append(samples)

    def snap(self, instant_ns: int) -> int:
        """The instant of the sample nearest to ``instant_ns``, so that reads counted from there never round apart."""
        with self._lock:
            if self._origin_ns is None:
                return instant_ns
            index = ns_to_samples(instant_ns - self._origin_ns, self.rate)
            return self._origin_ns + samples_to_ns(index, self.rate)

    def read(self, start_ns: int, count: int) -> Samples:
        """``count`` samples from ``start_ns`` on, a new array (count, channels); silence where the ring has none."""
        out = np.zeros((count, self.channels), np.float32)
        with self._lock:
            if self._origin_ns is None:
                return out
            first = ns_to_samples(start_ns - self._origin_ns, self.rate)
            low = max(first, self._end - len(self._data), 0)
            high = min(first + count, self._end)
            if high > low:
                index = np.arange(low, high) % len(self._data)
                out[low - first : high - first] = self._data[index]
        return out

    def _append(self, samples: Samples) -> None:
        if len(samples) > len(self._data):
            self._end += len(samples) - len(self._data)
            samples = samples[-len(self._data) :]
        at = self._end % len(self._data)
        head = min(len(samples), len(self._data) - at)
        self._data[at : at + head] = samples[:head]
        self._data[: len(samples) - head] = samples[head:]
        self._end += len(samples)

    def _append_silence(self, count: int) -> None:
        keep = min(count, len(self._data))
        self._end += count - keep
        self._append(np.zeros((keep, self.channels), np.float32))


class Worker:
    """A named thread that runs what it is given, in order. ``close`` waits for the work in hand.

    The pipeline awaits its futures through ``asyncio.wrap_future``; tests put a virtual worker in its place.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._jobs: queue.SimpleQueue[tuple[Future[object], Callable[[], object]] | None] = queue.SimpleQueue()
        self._busy = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Something is running or waiting."""
        return self._busy.is_set() or not self._jobs.empty()

    @property
    def closed(self) -> bool:
        """It takes no more jobs."""
        return self._closed

    def submit(self, job: Callable[[], R]) -> Future[R]:
        """Run ``job`` on the thread; the future carries its result or exception. RuntimeError once closed."""
        if self._closed:
            raise RuntimeError(f"{self.name} is closed")
        future: Future[R] = Future()
        self._jobs.put((future, job))  # type: ignore[arg-type]
        return future

    def close(self, timeout_s: float = 5.0) -> bool:
        """Finish what was submitted and end the thread. False where it did not end in time."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self._jobs.get()) is not None:
            future, job = item
            if not future.set_running_or_notify_cancel():
                continue
            self._busy.set()
            try:
                future.set_result(job())
            except BaseException as error:  # the caller's, through the future
                future.set_exception(error)
            finally:
                self._busy.clear()
            del item, job, future  # a waiting thread keeps no picture alive


class Pump:
    """A named thread that calls ``step`` until it raises ``until`` or is closed: one per camera, per microphone.

    Two-stage shutdown after lerobot's ``camera_opencv.py``: ask, release the device to unblock the read, join.
    """

    def __init__(
        self, name: str, step: Callable[[], None], until: type[Exception], release: Callable[[], None]
    ) -> None:
        self._step, self._until, self._release = step, until, release
        self._stopping = threading.Event()
        self.error: BaseException | None = None
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_s: float = 2.0) -> bool:
        """Stop; False where the thread could not be brought to an end."""
        self._stopping.set()
        if self._thread.ident is None:
            self._release()
            return True
        self._thread.join(0.1)
        with contextlib.suppress(Exception):
            self._release()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._step()
        except self._until:
            pass
        except BaseException as error:
            if not self._stopping.is_set():  # a device that is taken away under the read may say anything
                self.error = error
        finally:
            self.ended.set()


class Spread(Generic[T]):
    """``count`` of any number of things that come one after another, evenly spread, in memory for ``most`` of them.

    Every ``stride``-th is kept, and where they become too many, every second is dropped and the stride doubled.
    """

    def __init__(self, count: int, most: int) -> None:
        self._count, self._most = count, most
        self._stride, self.seen = 1, 0
        self._kept: list[T] = []

    def offer(self, make: Callable[[], T]) -> None:
        """One more; it is made where it is kept, for now."""
        if self.seen % self._stride == 0:
            self._kept.append(make())
        self.seen += 1
        if len(self._kept) > self._most:
            self._kept = self._kept[::2]
            self._stride *= 2

    def chosen(self) -> list[T]:
        """At most ``count``, the first and the last that are kept among them."""
        if len(self._kept) <= self._count:
            return self._kept
        return [self._kept[round(place)] for place in np.linspace(0, len(self._kept) - 1, self._count)]
