"""Several streams' calls run as one: what a GPU does in nearly the time of one.

Whoever comes first waits a moment for the others that are at work, then runs for all of them; who is alone never waits.
Only calls of the same shapes go together; a network has to declare its axis of streams, ``batch``, in every tensor.
What a thread has waited for others is no slowness of its network, and is counted apart (:func:`take_waited_ns`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime_dub.errors import BundleError
from realtime_dub.inference.contract import Arrays, Declared, Session
from realtime_dub.inference.spec import BundleSpec, Shape
from realtime_dub.inference.tensors import declared_by

MS = 1e-3  # seconds
WAIT_MS = 2.0  # for which the first of several calls waits for the others
PRESENT_S = 1.0  # a thread that called within the last second is a stream at work
Key = tuple[tuple[str, tuple[int, ...]], ...]


class _Waited(threading.local):
    """Nanoseconds that this thread has waited for others."""

    ns = 0


_waited = _Waited()


def take_waited_ns() -> int:
    """What this thread has waited for others since it was last asked."""
    waited, _waited.ns = _waited.ns, 0
    return waited


@dataclass(eq=False)
class _Batch:
    """Calls that go together."""

    most: int  # of them
    feeds: list[Arrays] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    full: threading.Event = field(default_factory=threading.Event)
    results: list[dict[str, npt.NDArray[Any]]] = field(default_factory=list)
    error: BaseException | None = None
    took_ns: int = 0  # the network, for all of them


class BatchingSession:
    """A session around another one, of any backend. ``run`` is called from several threads, one per stream.

    ``most``: streams in one call; ``wait_ms``: for how long the first of them waits for the others.
    """

    def __init__(self, inner: Session, spec: BundleSpec, most: int = 8, wait_ms: float = WAIT_MS) -> None:
        self._inner, self._most, self._wait_s = inner, most, wait_ms * MS
        self.backend = inner.backend
        self.inputs: Sequence[Declared] = inner.inputs
        self.outputs: Sequence[Declared] = inner.outputs
        expected = declared_by(spec)
        self._in, self._out = _axes(spec.name, expected.inputs), _axes(spec.name, expected.outputs)
        self._lock = threading.Lock()
        self._open: dict[Key, _Batch] = {}
        self._present: dict[int, float] = {}  # by thread, when it called last
        self.calls = 0  # of the network, for statistics

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        """As one stream would see it alone. Raises what the network raises, to all that went together."""
        key = tuple(sorted((name, array.shape) for name, array in feeds.items()))
        began_ns = time.perf_counter_ns()
        batch, place = self._join(key, feeds)
        if place == 0:
            batch.full.wait(self._wait_s)
            self._run(key, batch)
        else:
            batch.done.wait()
        _waited.ns += max(time.perf_counter_ns() - began_ns - batch.took_ns, 0)
        if batch.error is not None:
            raise batch.error
        return batch.results[place]

    def _join(self, key: Key, feeds: Arrays) -> tuple[_Batch, int]:
        with self._lock:
            batch = self._open.setdefault(key, _Batch(min(self._most, self._streams())))
            place = len(batch.feeds)
            batch.feeds.append(feeds)
            if len(batch.feeds) >= batch.most:
                del self._open[key]
                batch.full.set()
            return batch, place

    def _streams(self) -> int:
        """How many are at work, this one among them."""
        now_s = time.monotonic()
        self._present[threading.get_ident()] = now_s
        self._present = {thread: at_s for thread, at_s in self._present.items() if now_s - at_s < PRESENT_S}
        return len(self._present)

    def _run(self, key: Key, batch: _Batch) -> None:
        with self._lock:
            if self._open.get(key) is batch:  # nobody can join any more
                del self._open[key]
            self.calls += 1
        began_ns = time.perf_counter_ns()
        try:
            batch.results = self._results(batch.feeds)
        except BaseException as error:
            batch.error = error
        finally:
            batch.took_ns = time.perf_counter_ns() - began_ns
            batch.done.set()

    def _results(self, feeds: Sequence[Arrays]) -> list[dict[str, npt.NDArray[Any]]]:
        if len(feeds) == 1:
            return [self._inner.run(feeds[0])]
        together = {name: np.concatenate([each[name] for each in feeds], axis) for name, axis in self._in.items()}
        results = self._inner.run(together)
        parts = {name: np.split(results[name], len(feeds), axis) for name, axis in self._out.items()}
        return [{name: part[place] for name, part in parts.items()} for place in range(len(feeds))]


def _axes(name: str, shapes: Mapping[str, Shape]) -> dict[str, int]:
    """Where each tensor has its axis of streams. Raises BundleError where one has none."""
    for tensor, shape in shapes.items():
        if "batch" not in shape:
            raise BundleError("cannot run streams together with", f"{name}: {tensor} has no batch", "run them apart")
    return {tensor: shape.index("batch") for tensor, shape in shapes.items()}
