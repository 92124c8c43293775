"""One worker: ``python -m realtime_dub.web.workers.process DESCRIPTOR``, started by the front (``worker``).

It ends where its channel does, whatever became of the front.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys

from aiohttp import web

from realtime_dub.errors import UserError
from realtime_dub.pipeline.process import few_heaps, one_thread_each
from realtime_dub.web import limits
from realtime_dub.web.http.logs import unheard
from realtime_dub.web.http.server import working
from realtime_dub.web.http.stopping import end_in_time
from realtime_dub.web.store import FileStore
from realtime_dub.web.studio.avatars import FoundAvatars
from realtime_dub.web.studio.keeping import SharedKeeping
from realtime_dub.web.studio.names import Names
from realtime_dub.web.studio.studio import Studio
from realtime_dub.web.workers.hosting import Hosting
from realtime_dub.web.workers.secretary import CountedOrder, Secretary
from realtime_dub.web.workers.wire import Channel, Report, SocketChannel, Task, first_line


def main(descriptor: int) -> None:
    """Until the front says so, or is no more."""
    leave_signals()
    end = socket.socket(fileno=descriptor)
    run(Task.model_validate_json(first_line(end)), end)


def leave_signals() -> None:
    """A terminal sends them to all; the front decides."""
    for each in (signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)


def run(task: Task, end: socket.socket, warmed: bool = False) -> None:
    """``warmed``: :func:`warm` was called before."""
    with working(task.config, task.number) as runner:
        runner.run(_work(task, end, warmed))


async def warm(task: Task) -> None:
    """Load what a worker of that kind and its first session would, and let go of what is not the process's."""
    few_heaps()
    studio = _studio(task)
    try:
        with one_thread_each():
            await studio.start()
            studio.warm_up()
    finally:
        await studio.close()


def _studio(task: Task) -> Studio:
    avatars, names = FoundAvatars(task.avatars, task.config.avatars), Names(task.number, task.of)
    keeping = SharedKeeping(task.uploads, task.recordings, avatars, names, task.config.signing)
    return Studio(task.config, keeping=keeping, precedence=CountedOrder())


async def _work(task: Task, end: socket.socket, warmed: bool) -> None:
    asyncio.get_running_loop().set_exception_handler(unheard)
    channel = await SocketChannel.of(end)
    studio = _studio(task)
    store = FileStore(task.leases) if task.leases is not None else None
    hosting = Hosting(studio, store)
    runner = web.AppRunner(hosting.app, access_log=None, handle_signals=False, shutdown_timeout=limits.ANSWERS_S)
    secretary = Secretary(studio, channel, hosting.duties)
    try:
        if not await _started(studio, channel):
            return
        if task.number and not warmed:  # the first one is waited for, and measures the machine: that warms it, too
            await asyncio.to_thread(studio.warm_up)
        await runner.setup()
        await web.UnixSite(runner, str(task.socket)).start()
        hosting.begin()
        await secretary.work()
    finally:
        end_in_time()
        await secretary.close()
        await hosting.close()
        await studio.close()
        await runner.cleanup()
        channel.close()


async def _started(studio: Studio, channel: Channel) -> bool:
    try:
        await studio.start()
    except UserError as error:
        channel.tell(Report(failed=str(error)))
        return False
    return True


if __name__ == "__main__":
    main(int(sys.argv[1]))
