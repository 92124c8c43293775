"""A publisher that is fed on time, with a flash and a click in the first 200 ms of every second."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

import numpy as np
from media_files import grid, output_format, ticks
from patience import PATIENCE_S

from realtime_dub.clock import MonotonicClock
from realtime_dub.media import Image, OutputFormat
from realtime_dub.publishers.registry import open_publisher
from realtime_dub.web.publish.loop_thread import LoopThread

FPS = 25
T = TypeVar("T")


def flashing(fmt: OutputFormat, k: int) -> Image:
    image = np.full((fmt.height, fmt.width, 3), 90, np.uint8)
    image[:24, :24] = 255 if k % FPS < 5 else 0
    return image


@contextmanager
def publishing(spec: str, seconds: float = 60) -> Iterator[tuple[Any, list[float]]]:
    """The publisher of ``spec``, open and fed by a thread; and how long each tick took it."""
    fmt = output_format(live=True)
    at = np.arange(int(seconds * fmt.rate)) / fmt.rate
    sound = (0.5 * np.sin(2 * np.pi * 700 * at) * (at % 1 < 0.2)).astype(np.float32)[:, None]
    publisher, over, took = open_publisher(spec, clock=MonotonicClock()), threading.Event(), []

    def feed() -> None:
        began = time.monotonic()
        for tick in ticks(fmt, grid(int(seconds * FPS), fmt.fps), sound, flashing):
            if over.wait(max(0.0, began + tick.pts_ns / 1e9 - time.monotonic())):
                return
            now = time.monotonic()
            publisher.publish(tick)
            took.append(time.monotonic() - now)

    try:
        publisher.open(fmt)
        thread = threading.Thread(target=feed)
        thread.start()
        try:
            yield publisher, took
        finally:
            over.set()
            thread.join()
    finally:
        publisher.close()
        publisher.close()


class Aside:
    """A loop on another thread, for a server that the test's own thread talks to."""

    def __init__(self, context: AbstractAsyncContextManager[T]) -> None:
        self._context = context

    def __enter__(self) -> tuple[Aside, T]:
        self._loop = LoopThread("server")
        try:
            return self, self.run(self._context.__aenter__())
        except BaseException:
            self._loop.close()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            self.run(self._context.__aexit__(None, None, None))
        finally:
            self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work)

    def until(self, ready) -> None:
        """Wait until ``ready()``, called on the loop, is true."""

        async def wait() -> None:
            end = time.monotonic() + PATIENCE_S
            while not ready():
                assert time.monotonic() < end, "it never came true"
                await asyncio.sleep(0.05)

        self.run(wait())
