"""Stages of the file loop on threads of their own: in order, a few items ahead of whoever takes them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Generic, TypeVar

from realtime_dub.flow import Worker

T = TypeVar("T")
DEPTH = 6  # items between two stages
TOGETHER = DEPTH // 2  # who waits for room goes on where there is room for so many: each time it wakes costs both


class PrefetchStage(Generic[T]):
    """Iterates over ``items`` on a thread. What that raises is raised here, in its place in the order.

    Stages chain: the iterator of one may be the :class:`PrefetchStage` of another. Closed from the last to the first.
    """

    def __init__(self, name: str, items: Iterator[T], depth: int = DEPTH) -> None:
        self._items = items
        self._depth, self._low = depth, max(0, depth - TOGETHER)
        self._ready: deque[T] = deque()
        self._changed = threading.Condition()
        self._ended = self._closed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._ended or self._closed)
            if self._ready and not self._closed:
                item = self._ready.popleft()
                if len(self._ready) == self._low:
                    self._changed.notify_all()
                return item
            if self._error is not None and not self._closed:
                raise self._error
            raise StopIteration

    def stop(self) -> None:
        """Let go of whoever waits on either side. The thread ends with the item in hand."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def join(self) -> None:
        self._thread.join(10)

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, item: T) -> bool:
        with self._changed:
            if len(self._ready) >= self._depth:
                self._changed.wait_for(lambda: len(self._ready) <= self._low or self._closed)
            self._ready.append(item)
            if len(self._ready) == 1:
                self._changed.notify_all()
            return not self._closed


class BoundedWriter(Generic[T]):
    """Calls ``take`` for each item on a thread, at most ``depth`` behind. What it raises, a later call here raises."""

    def __init__(self, name: str, take: Callable[[T], None], depth: int = DEPTH) -> None:
        self._worker = Worker(name)
        self._take, self._depth = take, depth
        self._pending: deque[Future[None]] = deque()

    def first(self, what: Callable[[], None]) -> None:
        """Run ``what`` on the thread, before all items."""
        self._worker.submit(what).result()

    def put(self, item: T) -> None:
        if len(self._pending) >= self._depth:
            self._pending[min(TOGETHER, self._depth) - 1].exception()  # is waited for; the first one is told below
        while self._pending and self._pending[0].done():
            self._pending.popleft().result()
        self._pending.append(self._worker.submit(lambda: self._take(item)))

    def finish(self, last: Callable[[], None]) -> None:
        """Wait for everything, then run ``last`` on the same thread."""
        while self._pending:
            self._pending.popleft().result()
        self._worker.submit(last).result()

    def close(self) -> None:
        """End the thread. Idempotent."""
        if not self._worker.closed:
            self._worker.close(10)
