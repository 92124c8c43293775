"""All sessions of a server, the rooms they meet in, and what was uploaded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from fractions import Fraction
from typing import Any

from realtime_dub.clock import Clock, MonotonicClock
from realtime_dub.errors import RealtimeDubError, UserError
from realtime_dub.inference.bundle import look_aheads
from realtime_dub.media import MS, NS
from realtime_dub.mouth import registry
from realtime_dub.pipeline.camera import USUAL, mouth_ns
from realtime_dub.pipeline.precedence import Order, Precedence
from realtime_dub.web.config import ENGINES, ServeConfig, SessionOptions
from realtime_dub.web.leavings import Leavings
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.rtc.apart.decoders import decoders
from realtime_dub.web.rtc.forwarder.forwarder import Forwarder
from realtime_dub.web.rtc.priority import share_of
from realtime_dub.web.studio.admission import Admission
from realtime_dub.web.studio.banks import BankInbox
from realtime_dub.web.studio.camera import CameraAdvice
from realtime_dub.web.studio.captions import Captions
from realtime_dub.web.studio.checks import PROMPT, Checks
from realtime_dub.web.studio.handle import StudioHandle
from realtime_dub.web.studio.keeping import Keeping, OwnKeeping
from realtime_dub.web.studio.links import Links
from realtime_dub.web.studio.metrics import Metrics
from realtime_dub.web.studio.outputs import Outputs
from realtime_dub.web.studio.oversight import Oversight
from realtime_dub.web.studio.pending import make_room
from realtime_dub.web.studio.program import ProgramSession
from realtime_dub.web.studio.room import Rooms
from realtime_dub.web.studio.run import RunSetup, bundle_for, least_budget_ms, make_generator
from realtime_dub.web.studio.seats import Seats
from realtime_dub.web.studio.session import Session
from realtime_dub.web.studio.uploads import named
from realtime_dub.web.upkeep import attempt_all, repeat

SWEEP_S = 1.0
WARM_NS = 400 * MS  # of mouths, after everything is loaded
log = logging.getLogger("realtime_dub.web")


class Studio:
    """Made and closed on the server's loop."""

    def __init__(
        self,
        config: ServeConfig,
        clock: Clock | None = None,
        keeping: Keeping | None = None,
        precedence: Precedence | None = None,
    ) -> None:
        self.config = config
        self.sessions: dict[str, Session] = {}
        self.dubbed_elsewhere = 0  # people, by other processes of this machine
        self._keeping = keeping or OwnKeeping(config)
        self.uploads, self.recordings = self._keeping.uploads, self._keeping.recordings
        self.avatars = self._keeping.avatars
        self.decoders = decoders(config.decode)
        self.forwarder = Forwarder()
        self.checks = Checks(PROMPT)  # somebody's mouth waits for a bank
        self.banks = BankInbox(self.checks)
        self.metrics = Metrics()
        self.leavings = Leavings()
        self._clock = clock or MonotonicClock()
        self.rooms = Rooms(self._clock, self.sessions)
        self.captions = Captions(self._clock, lambda: tuple(self.sessions.values()))
        self.oversight = Oversight(self)
        self.links = Links(self)
        self.outputs = Outputs(config, self.rooms, self.recordings, self._clock)
        self.seats = Seats(config)
        self._admission = Admission(config.max_channels)
        self.precedence = precedence or Order()
        self.camera = CameraAdvice(config, lambda: make_generator(self._setup(registry.DEFAULT)))
        self._sweeper: asyncio.Task[None] | None = None
        self._decoders_start: asyncio.Task[None] | None = None  # with the first visitor
        self._engines: list[dict[str, Any]] = []
        self._budgets: dict[str, int] = {}

    async def start(self) -> None:
        """Load what all sessions share. Raises UserError."""
        await asyncio.to_thread(self._load)
        sweeps = (
            self._look_around,
            self._sweep_sessions,
            self._sweep_rooms,
            self.outputs.sweep,
            self._sweep_files,
            self.leavings.sweep,
            self._update_metrics,
        )
        self._sweeper = asyncio.create_task(repeat(SWEEP_S, *sweeps), name="sweeper")

    async def measure(self) -> None:
        """What this machine holds: pages ask cameras for it, and where no rate was asked for, sessions go at it."""
        self.camera.begin()
        self.go_at((await self.camera.mode()).fps)

    def warm_up(self) -> None:
        """Blocking. What a first session would load is there then: it comes sooner, and memory is steady."""
        with contextlib.suppress(RealtimeDubError):
            mouth_ns(lambda: make_generator(self._setup(registry.DEFAULT)), USUAL, WARM_NS)

    def go_at(self, fps: float) -> None:
        """Sessions that come from now on, where no rate was asked for."""
        if self.config.fps_asked is None:
            self.config = self.config.model_copy(update={"fps": fps})

    async def close(self) -> None:
        await self.camera.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self.outputs.close()
        await asyncio.gather(*(self.end(id, "server stops") for id in tuple(self.sessions)))
        self.rooms.sweep(())
        await asyncio.to_thread(self.checks.close)
        if self._decoders_start is not None:
            await asyncio.gather(self._decoders_start, return_exceptions=True)
        await asyncio.to_thread(self.decoders.close)
        await self.forwarder.close()
        await asyncio.to_thread(self._keeping.close)

    async def open(self, options: SessionOptions, sdp: str) -> tuple[StudioHandle, str]:
        """A new session and the answer to its offer. Raises Refusal."""
        await self._make_way(options)
        try:
            self.seats.check(options.role, self.sessions.values())
        except Refusal:
            self.metrics.refused.labels("full").inc()
            raise
        if self._decoders_start is None:  # they are there when the handshake is over
            self._decoders_start = asyncio.create_task(asyncio.to_thread(self.decoders.start), name="decoders")
        await make_room(self.sessions.values(), self.end, time.monotonic())
        session = Session(self._keeping.names.new(), self, options, self._clock)
        self.sessions[session.id] = session
        try:
            await session.check()
            session.join()
            answer = await session.answer(sdp)
        except BaseException:
            await self.end(session.id, "refused")
            raise
        self.metrics.opened.labels(options.role).inc()
        log.info("session opened", extra={"session": session.id, "role": options.role})
        return session, answer

    async def open_program(self, options: SessionOptions, rate: int, ahead_s: float) -> ProgramSession:
        """An interpreter that sends audio at ``rate`` over HTTP, at most so far ahead. Raises Refusal."""
        self.seats.check(options.role, self.sessions.values())
        session = ProgramSession(self._keeping.names.new(), self, options, self._clock)
        self.sessions[session.id] = session
        try:
            session.begin(rate, round(ahead_s * NS))
        except BaseException:
            await self.end(session.id, "refused")
            raise
        self.metrics.opened.labels(options.role).inc()
        log.info("session opened", extra={"session": session.id, "role": options.role})
        return session

    def program_in(self, room: str, channel: str) -> ProgramSession | None:
        """That speaks there; the newest where there are several."""
        programs = [each for each in self.sessions.values() if isinstance(each, ProgramSession) and not each.closed]
        there = [each for each in programs if (each.options.room, each.options.channel) == (room, channel)]
        return there[-1] if there else None

    def frame_pixels(self) -> int:
        """Asked for by the decoders' threads."""
        dubbed = sum(each.options.role == "studio" and each.came for each in list(self.sessions.values()))
        return share_of(self.config.frame_pixels, dubbed + self.channels + self.dubbed_elsewhere)

    @property
    def channels(self) -> int:
        """Pictures of channels that are dubbed beside the senders' own."""
        return sum(each.channels for each in list(self.sessions.values()))

    def holds_no_more(self) -> str | None:
        """Why there cannot be one more picture of a channel."""
        return self._admission.refuses(self.channels)

    async def _look_around(self) -> None:
        """What the machine has left."""
        pictures = self.channels + self.seats.taken("studio", self.sessions.values())
        await asyncio.to_thread(self._admission.look, pictures)

    def has_seat(self, role: str) -> bool:
        """For one more of that role."""
        return self.seats.left(role, self.sessions.values()) > 0

    def find(self, id: str) -> StudioHandle:
        """Raises Refusal."""
        session = self.sessions.get(id)
        if session is None or session.closed:
            raise Refusal(404, "There is no such session.", "Start a new one.")
        return session

    def overseen(self, id: str) -> Session | None:
        """Who is in a room by that name, where it is a session."""
        return self.sessions.get(id)

    def on_air(self, room: str) -> bool:
        """Somebody sends a picture under that name."""
        found = self.rooms.find(room)
        return found is not None and found.sender is not None

    async def end(self, id: str, why: str) -> None:
        session = self.sessions.get(id)
        if session is not None:
            try:
                await session.close(why)
            finally:
                self.sessions.pop(id, None)
                self.leavings.add()

    def to_dict(self) -> dict[str, Any]:
        """For ``/api/config``."""
        return {"engines": self._engines, "budgets": self._budgets, **self.seats.to_dict(self.sessions.values())}

    async def _make_way(self, options: SessionOptions) -> None:
        """A sender that went without a word keeps nobody out of its room."""
        room = self.rooms.find(options.room) if options.room and options.role == "studio" else None
        if room is not None and (gone := self.rooms.gone(room)) is not None:
            await self.end(gone.id, "another one sends in its room")

    def _load(self) -> None:
        self._engines = [found for name in ENGINES if (found := self._offered(name)) is not None]
        least_ms, default_ms = least_budget_ms(self._setup(registry.DEFAULT))
        self._budgets = {"min_ms": least_ms, "default_ms": default_ms}

    def _offered(self, name: str) -> dict[str, Any] | None:
        """None for one that cannot be had here, because it needs a bundle that this server was not given."""
        if registry.engine(name).needs_bundle and bundle_for(name, self.config) is None:
            return None
        try:
            return self._engine(name)
        except (UserError, TypeError) as error:
            if name == registry.DEFAULT:
                raise
            log.warning("an engine is not offered", extra={"engine": name, "why": str(error)})
            return None

    def _engine(self, name: str) -> dict[str, Any]:
        """What the page is told of an engine: with each look-ahead the budgets that go with it."""
        generator = make_generator(self._setup(name))
        bundle, usual_ms = generator.bundle, generator.latency().look_ahead_ns // MS
        generator.close()
        choice = "look_ahead_ms" in registry.engine(name).options and bundle_for(name, self.config) is None
        offered = []
        for ms in look_aheads(name) if choice else [usual_ms]:
            least_ms, default_ms = least_budget_ms(self._setup(name, ms if choice else None))
            offered.append({"ms": ms, "min_ms": least_ms, "default_ms": default_ms})
        return {"name": name, "bundle": bundle, "look_ahead_ms": usual_ms, "look_aheads": offered}

    def _setup(self, engine: str, look_ahead_ms: int | None = None) -> RunSetup:
        bundle = bundle_for(engine, self.config)
        fps = Fraction(self.config.fps).limit_denominator(1001)
        return RunSetup(engine, bundle, look_ahead_ms, None, 1.0, "largest", fps, {})

    async def _sweep_sessions(self) -> None:
        """Close what is over."""
        overdue = [(id, why) for id, session in self.sessions.items() if (why := session.overdue) is not None]
        await attempt_all(self.end(id, why) for id, why in overdue)

    async def _sweep_rooms(self) -> None:
        """Forget those without anyone."""
        self.rooms.sweep(tuple(self.sessions.values()))
        self.captions.sweep(room.name for room in self.rooms.all)

    async def end_showing(self, picture: str, why: str) -> None:
        """Those whose picture that is: a page's camera, an upload or an avatar, as options name it."""
        shown = [id for id, each in self.sessions.items() if each.options.picture == picture]
        await asyncio.gather(*(self.end(id, why) for id in shown))

    def used_uploads(self) -> set[str]:
        """Those that a session has chosen."""
        return named(choice for each in self.sessions.values() for choice in each.options.files)

    async def _sweep_files(self) -> None:
        """Remove what is too old."""
        await asyncio.to_thread(self._keeping.sweep, self.used_uploads())

    async def _update_metrics(self) -> None:
        self.metrics.update(self.sessions.values())
