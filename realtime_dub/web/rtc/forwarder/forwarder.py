"""The forwarder of a worker, as the worker has it: a process that sends to many, so that this interpreter need not.

The worker keeps whatever is asked and answered: ICE, DTLS, reports, what is sent again. It says what each packet is,
and counts: so a forwarder that dies takes nothing along, and its senders go on here until there is another one.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from realtime_dub.media import NS
from realtime_dub.web.confinement import environment
from realtime_dub.web.limits import FORWARDED_FROM
from realtime_dub.web.rtc.forwarder import wire
from realtime_dub.web.rtc.packets import Packet

START_S = 20.0  # for Python to be loaded, on a busy machine
ASK_S, MOST_UNANSWERED = 0.5, 2  # whether it lives is asked so often; it is ended when so many have no answer
REST_S, MOST_REST_S, LASTED_S = 0.2, 30.0, 60.0  # until there is another one; twice as long where it did not last
MOST_WAITING = 64  # messages that the system does not take: what comes then is left out, as for a slow line
SINCE_1900_NS = 2_208_988_800 * NS
START = "import sys; from realtime_dub.web.rtc.forwarder.process import main; main(int(sys.argv[1]))"
log = logging.getLogger("realtime_dub.web")


def leaves_now() -> bytes:
    """The time as headers have it: seconds in 6.18 bits."""
    return (((time.time_ns() + SINCE_1900_NS) << 18) // NS & 0xFFFFFF).to_bytes(3, "big")


class Takes(Protocol):
    """Whoever has a place."""

    def back(self, packets: list[bytes]) -> None:
        """The system did not take them; none: it cannot be served there."""

    def look(self) -> None:
        """Whether it is still to be served there. Called now and then."""

    def exit(self) -> None:
        """It is not served there any more. Idempotent."""


class Forwarder:
    """Of one worker, on its loop. The process is begun when there are ``least`` senders, and ends with the last one."""

    def __init__(self, least: int = FORWARDED_FROM) -> None:
        self.is_full = False  # it does not keep up
        self.pid: int | None = None
        self._least, self._senders = least, 0
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._channel: socket.socket | None = None
        self._over = asyncio.Event()
        self._waiting: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._unanswered = 0
        self._places: dict[int, Takes] = {}
        self._numbers = itertools.count(1)

    def come(self) -> None:
        """One more sender."""
        self._senders += 1
        if self._senders >= self._least and self._task is None and sys.platform == "linux":
            self._task = asyncio.create_task(self._live(), name="forwarder")

    def leave(self) -> None:
        self._senders -= 1
        if not self._senders:
            self._end()

    async def close(self) -> None:
        """Idempotent."""
        self._end()
        await asyncio.gather(*self._ending, return_exceptions=True)

    def number(self) -> int:
        """Of a place or a group: never another one's."""
        return next(self._numbers)

    def take(self, made: Callable[[int], wire.Place], through: int, takes: Takes) -> int | None:
        """A place for the sender that ``made`` describes, given its number; ``through``: its socket's descriptor. None
        where there is none.
        """
        if self._channel is None or self.is_full:
            return None
        place = made(self.number())
        if not place.fits:
            return None
        self._places[place.number] = takes
        self._put(place.packed(), through)
        return place.number if self._channel is not None else None

    def drop(self, place: int) -> None:
        if self._places.pop(place, None) is not None:
            self._put(wire.DROPPED.pack(wire.DROP, place))

    def give(self, group: int, packet: Packet, leaves: bytes) -> None:
        """To all who have a place in that group; ``leaves``: what headers say of when it does."""
        between = bytes(2) if packet.is_numbered else b""
        for begin, end in packet.runs:
            payloads = [head + between + body for head, body in packet.payloads[begin:end]]
            marks = wire.NUMBERED * packet.is_numbered | wire.LAST * (end == len(packet.payloads))
            counts = len(payloads), len(payloads[0]), begin
            head = wire.RUN_HEAD.pack(wire.RUN, marks, *counts, group, packet.ticks & 0xFFFFFFFF, leaves)
            self._put(b"".join((head, *payloads)))

    # The process.

    async def _live(self) -> None:
        """One process after another."""
        rest_s = REST_S
        while True:
            began_s = time.monotonic()
            starting = asyncio.ensure_future(asyncio.to_thread(_start))
            try:
                process, channel = await asyncio.shield(starting)
            except asyncio.CancelledError:
                process, channel = await starting
                await _end(process, channel)
                raise
            except (OSError, EOFError) as error:
                log.warning("no forwarder could be begun, and its viewers are served by the worker", exc_info=error)
            else:
                await self._serve(process, channel)
            rest_s = REST_S if time.monotonic() - began_s > LASTED_S else min(2 * rest_s, MOST_REST_S)
            await asyncio.sleep(rest_s)

    async def _serve(self, process: subprocess.Popen[bytes], channel: socket.socket) -> None:
        """Until it has ended."""
        loop = asyncio.get_running_loop()
        self._channel, self.pid = channel, process.pid
        self._over.clear()
        self._unanswered = 0
        loop.add_reader(channel, self._read)
        try:
            while not self._over.is_set():
                await self._ask()
            log.warning("the forwarder ended: its viewers are served by the worker until there is another one")
        finally:
            self._forget()
            await asyncio.shield(_end(process, channel))

    async def _ask(self) -> None:
        """Whether it still does what it is told, and is to do it."""
        for takes in tuple(self._places.values()):
            takes.look()
        if self._unanswered >= MOST_UNANSWERED:
            self._lose()
            return
        self._unanswered += 1
        self._put(wire.ASKED)
        with suppress(TimeoutError):
            async with asyncio.timeout(ASK_S):
                await self._over.wait()

    def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._ending.add(self._task)
            self._task.add_done_callback(self._ending.discard)
            self._task = None

    def _lose(self) -> None:
        self._forget()
        self._over.set()

    def _forget(self) -> None:
        """Nobody has a place there any more. Idempotent."""
        channel, self._channel = self._channel, None
        if channel is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(channel)
            loop.remove_writer(channel)
        self.pid = None
        for _, descriptors in self._waiting:
            for each in descriptors:
                os.close(each)
        self._waiting.clear()
        self.is_full = False
        for takes in tuple(self._places.values()):
            takes.exit()
        self._places.clear()

    # What goes there and what comes back.

    def _put(self, message: bytes, *descriptors: int) -> None:
        if self._channel is None or (not self._waiting and self._sent(message, descriptors)):
            return
        if self._channel is not None:  # it has not ended just now
            if not self._waiting:
                asyncio.get_running_loop().add_writer(self._channel, self._put_more)
            self._waiting.append((message, tuple(map(os.dup, descriptors))))
            self.is_full = len(self._waiting) > MOST_WAITING

    def _put_more(self) -> None:
        while self._waiting and self._sent(*self._waiting[0]):
            for each in self._waiting.popleft()[1]:
                os.close(each)
        self.is_full = len(self._waiting) > MOST_WAITING
        if not self._waiting and self._channel is not None:
            asyncio.get_running_loop().remove_writer(self._channel)

    def _sent(self, message: bytes, descriptors: tuple[int, ...]) -> bool:
        """False: it takes nothing just now, or is no more."""
        assert self._channel is not None
        try:
            if descriptors:
                socket.send_fds(self._channel, [message], descriptors)
            else:
                self._channel.send(message)
        except BlockingIOError:
            return False
        except OSError:
            self._lose()
            return False
        return True

    def _read(self) -> None:
        assert self._channel is not None
        try:
            message = self._channel.recv(wire.MOST_MESSAGE)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._lose()
            return
        place, size = wire.BACK.unpack_from(message)
        if not place:
            self._unanswered = 0
        packets = message[wire.BACK.size :]
        takes = self._places.get(place) if packets else self._places.pop(place, None)
        if takes is not None:
            takes.back([packets[at : at + size] for at in range(0, len(packets), size or 1)])


def _start() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Blocking; it is ready then. Raises OSError, EOFError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    null = subprocess.DEVNULL
    try:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", START, str(theirs.fileno())],
                stdin=null, stdout=null, stderr=null, env=environment(), pass_fds=[theirs.fileno()],
                start_new_session=True,
            )  # fmt: skip
    except BaseException:
        ours.close()
        raise
    try:
        ours.settimeout(START_S)
        if not ours.recv(1):
            raise EOFError("it does not start")
        ours.setblocking(False)
    except BaseException:
        ours.close()
        process.kill()
        process.wait()
        raise
    return process, ours


async def _end(process: subprocess.Popen[bytes], channel: socket.socket) -> None:
    channel.close()
    with suppress(ProcessLookupError):
        process.kill()
    await asyncio.to_thread(process.wait)
