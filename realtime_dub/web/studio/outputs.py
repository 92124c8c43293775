"""What leaves a room besides to its people: a channel as its viewers see it, into a file or to a media server.

Whoever operates a room begins and ends them. Addresses are taken only where the server was started with their host
(``--push-to``): an operator's link must not open doors into the network that the server stands in.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

import numpy as np
from yarl import URL

from realtime_dub.clock import Clock
from realtime_dub.errors import RealtimeDubError
from realtime_dub.i420 import Planes, coded_of, image_of
from realtime_dub.media import NS, AudioBlock, Tick, ns_to_samples, samples_to_ns
from realtime_dub.pipeline.live.outputs import PublisherThread, Stamped
from realtime_dub.pipeline.statistics import Recorder
from realtime_dub.publishers.base import Publisher
from realtime_dub.publishers.registry import open_publisher
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.limits import MOST_OUTPUTS, OUTPUT_ALONE_S, RECORDING_S
from realtime_dub.web.refusals import Refusal, refused
from realtime_dub.web.rtc.output_timeline import RATE, OutputTimeline
from realtime_dub.web.said import said
from realtime_dub.web.studio.fitted import Fitted
from realtime_dub.web.studio.recording import why
from realtime_dub.web.studio.recordings import Kept, Recordings
from realtime_dub.web.studio.room import Room, Rooms, Shown
from realtime_dub.web.upkeep import attempt

FILE = "file"
SCHEMES = ("whip", "whips", "rtmp", "rtmps", "srt")
ADDRESS = re.compile(rf"({'|'.join(SCHEMES)})://[!-~]+")  # no blank: what follows one would be read as options
LAG_NS = NS // 2  # behind what viewers get: all audio is there by then


@runtime_checkable
class FollowsRedirects(Protocol):
    follows_redirects: bool


def allowed(to: str, hosts: Iterable[str]) -> URL:
    """The address, where it may be sent to. Raises Refusal."""
    hosts = tuple(hosts)
    try:
        url = URL(to) if ADDRESS.fullmatch(to) else None
        authority = (url.host or "", url.explicit_port) if url is not None else ("", None)
    except ValueError:
        url, authority = None, ("", None)
    if url is None or not authority[0] or url.user or url.password:
        schemes = ", ".join(f"{each}://" for each in SCHEMES)
        raise Refusal(422, "The address cannot be used.", said("Begin it with one of {schemes}.", schemes=schemes))
    host, port = authority[0].lower(), authority[1]
    if host not in hosts and f"{host}:{port}" not in hosts:
        raise Refusal(
            403, said("This server does not push to {host}.", host=host), "Start it with --push-to and that host."
        )
    return url


class Latest:
    """Of a timeline's frames the newest one that is due."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Planes, int]] = []

    def put(self, planes: Planes, pts_ns: int) -> None:
        self._waiting.append((planes, pts_ns))

    def due(self, pts_ns: int) -> Planes | None:
        """None where there is no newer one."""
        past = [each for each in self._waiting if each[1] <= pts_ns]
        self._waiting = [each for each in self._waiting if each[1] > pts_ns]
        return past[-1][0] if past else None


class Output:
    """One: a tick for each period of what viewers of a channel are shown. On the loop; it publishes on a thread."""

    def __init__(self, publisher: Publisher, shown: Callable[[], Shown], clock: Clock, fps: float) -> None:
        self.error: Exception | None = None
        self.ticks = 0
        self._shown, self._clock = shown, clock
        self._period_ns = round(NS / fps)
        self._film = Fitted(publisher, Fraction(fps).limit_denominator(1001))
        self._thread = PublisherThread(self._film, clock, Recorder(), self._failed)
        self._latest: tuple[OutputTimeline, Latest] | None = None
        self._planes: Planes | None = None

    @property
    def seconds(self) -> float:
        return round(self.ticks * self._period_ns / NS, 2)

    async def run(self) -> None:
        """Until it is cancelled, or fails."""
        began_ns = self._clock.now_ns()
        read = 0  # samples
        try:
            while self.error is None:
                at_ns = began_ns + (self.ticks + 1) * self._period_ns
                await self._clock.sleep_until(at_ns)
                due_ns = at_ns - LAG_NS  # what leaves until then
                shown = self._shown()
                self._planes = self._frame(shown.video, due_ns)
                if self._planes is None:
                    began_ns += self._period_ns  # it begins with its first frame
                    continue
                count = ns_to_samples((self.ticks + 1) * self._period_ns, RATE) - read
                audio = _audio(shown.audio, due_ns - samples_to_ns(count, RATE), count, samples_to_ns(read, RATE))
                read += count
                image = await asyncio.to_thread(image_of, self._planes)
                coded = coded_of(self._planes)
                tick = Tick(image, self.ticks * self._period_ns, self._period_ns, self.ticks, audio, coded=coded)
                self._thread.offer(Stamped(tick, None, 0))
                self.ticks += 1
        finally:
            if self._latest is not None:
                self._latest[0].remove(self._latest[1])

    def close(self) -> None:
        """Blocking."""
        self._thread.close()

    def _frame(self, timeline: OutputTimeline, due_ns: int) -> Planes | None:
        """The newest one that has left until then; of another timeline than before, none until its first has."""
        if self._latest is None or self._latest[0] is not timeline:
            if self._latest is not None:
                self._latest[0].remove(self._latest[1])
            self._latest = timeline, Latest()
            timeline.add(self._latest[1])
        if timeline.origin_ns is None:
            return self._planes
        newer = self._latest[1].due(due_ns - timeline.origin_ns - timeline.lag_ns)
        return newer if newer is not None else self._planes

    def _failed(self, name: str, error: Exception) -> None:
        self.error = self.error or error


def _audio(timeline: OutputTimeline, leaves_ns: int, count: int, pts_ns: int) -> AudioBlock:
    if timeline.origin_ns is None:
        return AudioBlock(np.zeros((count, 1), np.float32), RATE, pts_ns)
    return AudioBlock(timeline.ring.read(leaves_ns - timeline.origin_ns - timeline.lag_ns, count), RATE, pts_ns)


class Begun:
    """An output that somebody has begun."""

    def __init__(self, number: int, room: Room, channel: str, to: str, output: Output, kept: Kept | None) -> None:
        self.number, self.room, self.channel, self.to, self.output, self.kept = number, room, channel, to, output, kept
        self.alone_s: float | None = None
        self.task = asyncio.create_task(output.run(), name=f"output {number}")
        room.watching.add(self._stays)

    def to_dict(self) -> dict[str, Any]:
        """For operators: no path, and no key that is in one."""
        error = self.output.error
        state = "failed" if error is not None else "on" if self.output.ticks else "waiting"
        note = None if error is None else why(error)
        return {"number": self.number, "channel": self.channel, "to": self.to, "state": state,
                "seconds": self.output.seconds, "note": note}  # fmt: skip

    async def close(self) -> None:
        self.room.watching.discard(self._stays)
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await asyncio.to_thread(self.output.close)

    def _stays(self) -> None:
        """The room is not forgotten while something leaves it."""


class Outputs:
    """All of a server. On its loop."""

    def __init__(self, config: ServeConfig, rooms: Rooms, recordings: Recordings, clock: Clock) -> None:
        self._config, self._rooms, self._recordings, self._clock = config, rooms, recordings, clock
        self._begun: dict[int, Begun] = {}
        self._newest = 0

    @property
    def hosts(self) -> tuple[str, ...]:
        return self._config.push_to

    def of(self, room: str) -> list[dict[str, Any]]:
        return [each.to_dict() for each in self._begun.values() if each.room.name == room]

    async def begin(self, name: str, channel: str, to: str, visitor: str = "") -> dict[str, Any]:
        """``to``: ``file``, or an address. Raises Refusal."""
        if len(self._begun) >= MOST_OUTPUTS:
            raise Refusal(503, said("{most} outputs are on already.", most=MOST_OUTPUTS), "End one of them.")
        room = self._rooms.enter(name)
        kept = None
        if to == FILE:
            kept = await asyncio.to_thread(self._recordings.begin, visitor, name)
            publisher, told = open_publisher(str(kept.path), live=True), FILE
        else:
            publisher, told = self._opened(to)
        output = Output(publisher, lambda: room.shown(channel), self._clock, self._config.fps)
        self._newest += 1
        self._begun[self._newest] = begun = Begun(self._newest, room, channel, told, output, kept)
        return begun.to_dict()

    async def end(self, name: str, number: int) -> None:
        """Raises Refusal."""
        begun = self._begun.get(number)
        if begun is None or begun.room.name != name:
            raise Refusal(404, "There is no such output.", "Look at what there is now.")
        await self._end(begun)

    async def sweep(self) -> None:
        """End what is of a room without people, failed recordings, and those that are as long as they may be."""
        now_s = time.monotonic()
        for each in tuple(self._begun.values()):
            peopled = any(person.role != "operator" for person in each.room.presence.people)
            each.alone_s = None if peopled else each.alone_s or now_s
            over = each.kept is not None and (each.output.error is not None or each.output.seconds > RECORDING_S)
            if over or (each.alone_s is not None and now_s - each.alone_s > OUTPUT_ALONE_S):
                await attempt(self._end(each))

    async def close(self) -> None:
        for each in tuple(self._begun.values()):
            await attempt(self._end(each))

    def _opened(self, to: str) -> tuple[Publisher, str]:
        url = allowed(to, self.hosts)
        try:
            publisher = open_publisher(to, clock=self._clock)
        except RealtimeDubError as error:
            raise refused(error) from error
        if isinstance(publisher, FollowsRedirects):
            publisher.follows_redirects = False  # it would lead to hosts that are not allowed
        return publisher, f"{url.scheme}://{url.authority}"

    async def _end(self, begun: Begun) -> None:
        self._begun.pop(begun.number, None)
        await begun.close()
        if begun.kept is not None:
            error = begun.output.error
            note = None if error is None else why(error)
            await asyncio.to_thread(self._recordings.end, begun.kept.id, begun.output.seconds, note)
