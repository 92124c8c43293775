"""Work on many files in several processes, none of which a bad file may take down for good."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Item = TypeVar("Item")

CRASHED = "the process that read it died"


def work(
    items: Iterable[Item], function: Callable[[Item], str], workers: int, crashed: Callable[[Item], None]
) -> Iterator[tuple[Item, str]]:
    """``function`` over ``items`` in ``workers`` processes; gives each with its result as it is done.

    A process that dies takes the pool with it: what was under way then is tried again by itself, one item at a time,
    and the one that kills its process again is handed to ``crashed`` and given with the result CRASHED.
    """
    waiting = iter(items)
    suspects: list[Item] = []
    while True:
        yield from _round(waiting, function, workers, suspects)
        if not suspects:
            return
        for item in suspects:
            result = _alone(item, function)
            if result == CRASHED:
                crashed(item)
            yield item, result
        suspects.clear()


def _pool(workers: int) -> ProcessPoolExecutor:
    # Spawned, not forked: a copy of a process that has threads may hang on a lock that one of them held.
    return ProcessPoolExecutor(max(1, workers), mp_context=multiprocessing.get_context("spawn"))


def _round(
    waiting: Iterator[Item], function: Callable[[Item], str], workers: int, suspects: list[Item]
) -> Iterator[tuple[Item, str]]:
    """Until ``waiting`` is empty or the pool breaks; what was under way then goes into ``suspects``."""
    pool = _pool(workers)
    running: dict[Future[str], Item] = {}
    try:
        while not suspects:
            for item in waiting:
                if (future := _submit(pool, function, item)) is None:
                    suspects += [item, *running.values()]
                    return
                running[future] = item
                if len(running) >= 2 * workers:
                    break
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                item = running.pop(future)
                try:
                    yield item, future.result()
                except BrokenProcessPool:
                    suspects += [item, *running.values()]
                    break
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, function: Callable[[Item], str], item: Item) -> Future[str] | None:
    try:
        return pool.submit(function, item)
    except BrokenProcessPool:
        return None


def _alone(item: Item, function: Callable[[Item], str]) -> str:
    with _pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return CRASHED
