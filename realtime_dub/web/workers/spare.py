"""The front's side of ``standby``: one process that has loaded everything, for whichever worker ends next."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys

from realtime_dub.imports import python_path
from realtime_dub.web.workers.wire import Task

MODULE = "realtime_dub.web.workers.standby"
RENEW_S = 10.0  # after it was taken: those who come back are dubbed before another one loads
LONGEST_PAUSE_S = 300.0  # twice as long each time it could not load
Started = tuple[asyncio.subprocess.Process, socket.socket]


async def start(module: str) -> Started:
    """A process of ours, and our end of its channel. Raises OSError."""
    mine, its = socket.socketpair()
    with its:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, str(its.fileno())),
            pass_fds=[its.fileno()],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,  # the front's own is for the address alone
            process_group=0,  # away from the terminal's Ctrl-C, which it would answer with a traceback while it loads
            env=os.environ | {"PYTHONPATH": python_path()},
        )
    mine.setblocking(False)
    return process, mine


class Spare:
    """On the front's loop. ``task`` is any worker's: of it all is used but the number."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._loaded: Started | None = None
        self._taken = asyncio.Event()

    @property
    def waits(self) -> bool:
        """For a worker's task: it has loaded."""
        return self._loaded is not None

    def take(self) -> Started | None:
        """One that waits for a worker's task. None where it is not there, or has not loaded yet."""
        loaded, self._loaded = self._loaded, None
        self._taken.set()
        return loaded if loaded is not None and loaded[0].returncode is None else None

    async def run(self) -> None:
        """For good: where one was taken or has ended, there is another after a while."""
        pause_s = RENEW_S
        while True:
            await asyncio.sleep(pause_s)
            loaded = False
            with contextlib.suppress(OSError):
                loaded = await self._keep(await start(MODULE))
            pause_s = RENEW_S if loaded else min(2 * pause_s, LONGEST_PAUSE_S)

    async def _keep(self, started: Started) -> bool:
        """Until it is taken, or has ended; whether it had loaded."""
        process, end = started
        waits = False
        try:
            waits = await self._loads(end)
            self._loaded = started if waits else None
            if waits:
                await self._until_taken(process)
            return waits
        finally:
            if not waits or self._loaded is started:  # nobody has it
                self._loaded = None
                end.close()
                await _killed(process)

    async def _until_taken(self, process: asyncio.subprocess.Process) -> None:
        """Or until it has ended by itself."""
        self._taken.clear()
        waits = [asyncio.ensure_future(each) for each in (process.wait(), self._taken.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    async def _loads(self, end: socket.socket) -> bool:
        """Whether it does. Raises OSError."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(end, self._task.line())
        return bool(await loop.sock_recv(end, 1))


async def _killed(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
