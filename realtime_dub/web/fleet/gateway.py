"""The front of a fleet: who is let in, to which worker, and nothing that another gateway would miss.

All that it knows of the workers they tell it anew when it comes: so gateways come and go, and any of them may answer
any request.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from realtime_dub.web.config import ServeConfig, SessionOptions
from realtime_dub.web.fleet.config import FleetConfig
from realtime_dub.web.fleet.host import AVATARS, CHANNEL, SECRET, UPLOADS, make_folders
from realtime_dub.web.fleet.thread import LoopThread
from realtime_dub.web.http import connectivity
from realtime_dub.web.http.doors import Doors
from realtime_dub.web.http.logs import unheard
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.said import said
from realtime_dub.web.studio.avatar_training import Trainings
from realtime_dub.web.studio.avatars import Avatars
from realtime_dub.web.studio.seats import FULL, RETRY_S, Seats
from realtime_dub.web.studio.uploads import Uploads
from realtime_dub.web.upkeep import Tasks, repeat
from realtime_dub.web.workers.front import make_front
from realtime_dub.web.workers.load import Load, place, place_light
from realtime_dub.web.workers.roster import Roster, starting
from realtime_dub.web.workers.wire import MOST_LINE, Channel, Order, WebChannel
from realtime_dub.web.workers.worker import CONNECT_S, Worker

SWEEP_S = 1.0
FILES_S = 5.0
SENT_S = 3.0  # who was sent to a worker counts there until that one tells of them, and for so long at most
SILENT_S = 3.5  # a worker says something every second; one that is busy may be late
REVOKED = "revoked.json"
Find = Callable[[int], str]  # where a worker answers, by its number; blocking; raises OSError where it is not there


class ActorBody:
    """A worker that somebody else starts, anywhere: it is asked for where it is each time."""

    comes_by_itself = True

    def __init__(self, number: int, secret: str, find: Find) -> None:
        self._number, self._find, self.address = number, find, ""
        self.http = ClientSession(
            headers={SECRET: secret},
            connector=TCPConnector(limit=0, force_close=True),  # none is ever found closed
            timeout=ClientTimeout(total=None, sock_connect=CONNECT_S),
            auto_decompress=False,
        )

    async def begin(self) -> Channel:
        self.address = await asyncio.to_thread(self._find, self._number)
        try:
            socket = await self.http.ws_connect(self.address + CHANNEL, max_msg_size=MOST_LINE)
        except (ClientError, TimeoutError) as error:
            raise OSError(f"worker {self._number} does not answer") from error
        return WebChannel(socket, SILENT_S)

    async def end(self, expected: bool) -> str:
        return f"worker {self._number} is gone"

    async def close(self, within_s: float) -> None:
        """It goes on without us."""


class Fleet(Roster):
    """On a gateway's loop."""

    def __init__(self, config: FleetConfig, find: Find, serve: ServeConfig) -> None:
        """Blocking. Raises ConfigError."""
        super().__init__(Seats(serve, config.workers), config.workers)
        self._config, self._find = config, find
        make_folders(config.folder)
        self.uploads = Uploads(serve.upload_mb * 1_000_000, config.folder / UPLOADS)
        self.avatars = Avatars(serve, config.folder / AVATARS, self.uploads)
        self.trainings = Trainings(self.avatars, self.uploads, 0)
        self.revoked = config.folder / REVOKED
        self._sent: dict[int, deque[float]] = defaultdict(deque)  # workers: when people were sent there
        self._known: dict[int, set[str]] = defaultdict(set)  # workers: the guests that were told of last
        self._measures: Worker | None = None

    async def start(self) -> None:
        """Nobody is waited for: pages are told that the server is starting."""
        self._tasks = Tasks("fleet")
        bodies = [ActorBody(number, self._config.secret, self._find) for number in range(self.count)]
        self.workers = [Worker(number, body, self._changed, self._is_ready) for number, body in enumerate(bodies)]
        for worker in self.workers:
            self._tasks.spawn(worker.run(), f"worker {worker.number}")
        self._tasks.spawn(repeat(SWEEP_S, self._sweep), "sweeper")
        self._tasks.spawn(repeat(FILES_S, self._sweep_files), "files")

    async def measure(self) -> None:
        """By one worker after another, until one has."""

    async def camera(self) -> dict[str, Any]:
        done, _ = await asyncio.wait([each.camera for each in self.workers], return_when=asyncio.FIRST_COMPLETED)
        return next(iter(done)).result()

    async def close(self) -> None:
        await asyncio.gather(*(worker.close(0.0) for worker in self.workers))
        await self._tasks.close()
        await asyncio.to_thread(self._close_files)

    def loads(self) -> list[Load | None]:
        """As they were measured a moment ago, with who is there and who is on the way by now."""
        return [self._load(worker) for worker in self.workers]

    def pick(self, options: SessionOptions) -> Worker:
        if options.role != "studio":
            return self.anyone()
        if (number := place(self.loads())) is None:
            raise self._full()
        self._sent[number].append(time.monotonic())
        return self.workers[number]

    def anyone(self) -> Worker:
        if (number := place_light(self.loads())) is None:
            raise starting()
        return self.workers[number]

    def _load(self, worker: Worker) -> Load | None:
        if not worker.is_ready or worker.load is None:
            return None
        dubbed = [guest.came for guest in worker.guests.values() if guest.role == "studio"]
        queued = len(dubbed) - sum(dubbed) + len(self._sent[worker.number])
        return worker.load.model_copy(update={"dubbed": sum(dubbed), "queued": queued})

    def _full(self) -> Refusal:
        there = [load for load in self.loads() if load is not None and not load.draining]
        if not there:
            return starting()
        what = said(FULL["studio"], most=sum(load.dubbed + load.queued for load in there))
        return Refusal(503, what, "Try again in a minute.", {"Retry-After": RETRY_S})

    def _is_ready(self, worker: Worker) -> None:
        self._see_to_measuring()
        self._changed(worker)

    def _changed(self, worker: Worker) -> None:
        present = {id for id, guest in worker.guests.items() if guest.role == "studio"}
        sent = self._sent[worker.number]
        for _ in present - self._known[worker.number]:
            if sent:
                sent.popleft()
        self._known[worker.number] = present

    def _see_to_measuring(self) -> None:
        if any(worker.camera.done() for worker in self.workers) or (self._measures and self._measures.is_ready):
            return
        self._measures = next((worker for worker in self.workers if worker.is_ready), None)
        if self._measures is not None:
            self._measures.tell(Order(measure=True))

    async def _sweep(self) -> None:
        self._see_to_measuring()
        self.forget_rooms()
        ends_s = time.monotonic() - SENT_S
        for sent in self._sent.values():
            while sent and sent[0] < ends_s:
                sent.popleft()

    async def _sweep_files(self) -> None:
        await asyncio.to_thread(self.uploads.sweep, self.used_uploads())
        await asyncio.to_thread(self.avatars.sweep)

    def _close_files(self) -> None:
        self.trainings.close()
        self.avatars.close()
        self.uploads.close()


class Gateway(LoopThread):
    """In an actor's process."""

    def __init__(self, config: FleetConfig, find: Find) -> None:
        self._config, self._find = config, find
        super().__init__("gateway", config.serve)

    async def work(self) -> None:
        asyncio.get_running_loop().set_exception_handler(unheard)
        self._config.check_version()
        serve = self._config.serve
        doors = Doors(make_front(partial(Fleet, self._config, self._find))(serve), serve)
        try:
            port = await doors.open()
            self.listens(connectivity.address(serve, port))
            await self.stopped()
        finally:
            await doors.close()
