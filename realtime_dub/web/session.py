"""One visitor: a connection, and where the role asks for it a pipeline with its own clock, budget and statistics."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from realtime_dub.clock import Clock
from realtime_dub.errors import RealtimeDubError
from realtime_dub.media import MS, NS
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.sources.base import VideoSource, VoiceSource
from realtime_dub.sources.registry import open_video
from realtime_dub.sources.voices import open_voice
from realtime_dub.web.advice import Advice
from realtime_dub.web.allowance import Allowance
from realtime_dub.web.config import ServeConfig, SessionOptions
from realtime_dub.web.dropped import Dropped
from realtime_dub.web.enrolment import Enrolment
from realtime_dub.web.file_voice import FileVoice, Playback
from realtime_dub.web.inbound import Inbound, InboundVideo, InboundVoice
from realtime_dub.web.keeping import Keeping
from realtime_dub.web.limits import MOST_RUNS, RUN_AGAIN_S, RUN_CALM_S, RUN_REST_S, RUNS_BURST, RUNS_PER_S
from realtime_dub.web.outlet import Outlet, OutletPublisher
from realtime_dub.web.peer import Peer
from realtime_dub.web.refusals import Refusal, refused, sentence, sentences
from realtime_dub.web.retries import Retries
from realtime_dub.web.room import Microphone, Room
from realtime_dub.web.run import Run, RunSetup, least_budget_ms
from realtime_dub.web.traffic import Traffic
from realtime_dub.web.upkeep import attempt, log_failure, repeat, until

if TYPE_CHECKING:
    from realtime_dub.web.studio import Studio

STATS_S = 0.5
CONNECT_S = 20.0  # for a connection to come about, or to come back
GONE_S = 3.0  # after the other side has said that it closes
PICTURE_FPS = Fraction(25)
USUAL_BUDGET_MS = 350.0  # at least what is planned where none is asked for
FULL = "The studio is full: others were connected sooner. Try again in a minute."
log = logging.getLogger("realtime_dub.web")


class Session:
    """Made, used and closed on the server's loop."""

    def __init__(self, id: str, studio: Studio, options: SessionOptions, clock: Clock) -> None:
        self.id, self.options = id, options
        self.config: ServeConfig = studio.config
        self._studio, self._clock = studio, clock
        self.inbound = Inbound(clock)
        self.outlet: Outlet | None = None
        self.peer: Peer | None = None
        self.note: str | None = None
        self.closed = False
        self.came = False  # it has been connected
        self.since_s = time.monotonic()
        self.dropped = Dropped()
        self._starts = Allowance(RUNS_PER_S, RUNS_BURST)  # of runs
        self._begins_again = False  # a run is to be begun when one has ended
        self._retries = Retries(RUN_REST_S, RUN_AGAIN_S, RUN_CALM_S)
        self._runs: dict[int, Run] = {}
        self._count = 0  # number of the newest run
        self.room: Room | None = None
        self._changing = asyncio.Lock()
        self._on_air: int | None = None
        self._disconnected_s = time.monotonic()  # since when, while it is
        self._connected_ns = clock.now_ns()  # since when, while it is
        self._traffic = Traffic()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loaded: Bank | None = None  # for the next run
        self._learning: Enrolment | None = None
        self.keeping = Keeping(studio.recordings, clock, self._tell_note, self._spawn)
        self._advice = Advice()
        self._played: tuple[str, Playback] | None = None  # the upload that is the voice, and where it is

    def join(self) -> None:
        """Into the room that was asked for, if any. Raises Refusal."""
        name, role, rooms = self.options.room, self.options.role, self._studio.rooms
        if name or role != "studio":
            self.room = rooms.enter(name, role)
            self.room.join(self)
        if role == "interpreter" and self.room is not None:
            self.inbound = Microphone(self.room)
        if role == "studio":
            self.outlet = self.room.outlet if self.room else Outlet(self._clock, asyncio.get_running_loop())
            self.outlet.taken_over = self._taken_over
            self.inbound.on_size = self._picture_came
            self._bound_pictures()

    # The connection.

    async def answer(self, sdp: str) -> str:
        """Connect; also again, from a new connection of the same page, while everything else goes on."""
        before, self.peer = self.peer, self._make_peer()
        self._traffic.restart()
        self._disconnected_s = time.monotonic()
        if before is not None:
            await before.close()
        try:
            answer = await self.peer.answer(sdp)
        except Refusal:
            await self.peer.close()
            raise
        if before is None:
            self._spawn(repeat(STATS_S, self._tell_statistics), "statistics")
        return answer

    def _make_peer(self) -> Peer:
        inbound = None if self.options.role == "viewer" else self.inbound
        return Peer(self.config, inbound, self._seen, self._changed, self._message, self.dropped)

    @property
    def _seen(self) -> Outlet | None:
        """What its page shows."""
        return self.room.outlet if self.room is not None and self.options.role == "viewer" else self.outlet

    def _changed(self) -> None:
        state = self.peer.state if self.peer is not None else "closed"
        self._say(logging.INFO, f"connection {state}")
        if state != "connected":
            self._disconnected_s = time.monotonic()
        else:
            self._connected_ns = self._clock.now_ns()
            if not self.came:
                self._arrived()

    def _arrived(self) -> None:
        """Connected for the first time: from now on it has a seat, and may cost something."""
        self.came = self._studio.seats.left(self.options.role, self._studio.sessions.values()) > 0
        if not self.came:
            self._tell_note(FULL)
        elif self.options.role == "studio" and (self.options.picture != "camera" or self.inbound.size):
            self._begin_run()

    @property
    def away_s(self) -> float:
        """For how long nothing has been heard of it."""
        if self.peer is None or self.peer.state != "connected":
            return time.monotonic() - self._disconnected_s
        if self.options.picture != "camera":
            return 0.0  # it need not send
        return (self._clock.now_ns() - max(self.inbound.last_ns, self._connected_ns)) / NS

    @property
    def films(self) -> bool:
        """Its camera gives pictures, or it has another picture."""
        return self.options.picture != "camera" or self.inbound.moves

    @property
    def overdue(self) -> str | None:
        """Why the session is to be closed, if it is."""
        now_s = time.monotonic()
        state = self.peer.state if self.peer is not None else "closed"
        away_s = now_s - self._disconnected_s
        if (state != "connected" and away_s > CONNECT_S) or (state == "closed" and away_s > GONE_S):
            return "not connected"
        if state == "connected" and not self.came:
            return "full"
        sends = self.options.role != "viewer" and self.options.picture == "camera"
        idle_s = (self._clock.now_ns() - max(self.inbound.last_ns, self._connected_ns)) / NS
        if sends and state == "connected" and idle_s > self.config.idle_s:
            return "idle"
        return None

    # What can be chosen while it runs.

    async def change(self, changes: dict[str, Any]) -> None:
        """Checked options that differ from the present ones. Raises Refusal, and then nothing has changed.

        One after another: each is checked with, and added to, what the one before it has left.
        """
        async with self._changing:
            if self.closed:
                raise Refusal(404, "There is no such session.", "Start a new one.")
            await self._change(changes)

    async def _change(self, changes: dict[str, Any]) -> None:
        new = self.options.model_copy(update=changes)
        if new == self.options:
            return
        await self._check(new)
        strength_only = new.model_copy(update={"strength": self.options.strength}) == self.options
        self.options, self.note = new, None
        for run in self._runs.values():
            run.set_strength(new.strength)
        if not strength_only and self._runs:
            self._begin_run()

    async def check(self) -> None:
        """Raises Refusal where the options cannot be met."""
        await self._check(self.options)

    async def _check(self, options: SessionOptions) -> None:
        if options.role != "studio":
            return
        kind, _, name = options.voice.partition(":")
        if kind == "upload":
            self._studio.uploads.find(name, "sound")
        if kind == "server" and self.config.server_mic is None:
            raise Refusal(409, "This server offers no microphone.", "Start it with --server-mic.")
        if options.picture != "camera":
            self._studio.uploads.find(options.picture.partition(":")[2], "picture")
        if options.budget_ms is not None or options.look_ahead_ms is not None:
            try:
                await asyncio.to_thread(least_budget_ms, self._setup(options))
            except RealtimeDubError as error:
                raise refused(error) from error

    # The pipeline.

    def _picture_came(self) -> None:
        if self.options.picture == "camera" and self.came:
            self._begin_run()

    def _setup(self, options: SessionOptions) -> RunSetup:
        bundle = self.config.bundle if options.engine == "mouthbank" else None
        return RunSetup(
            options.engine,
            bundle,
            options.look_ahead_ms if bundle is None else None,  # a bundle of the server's own has one alone
            options.budget_ms,
            options.strength,
            options.face,
            Fraction(self.config.fps).limit_denominator(1001),
            self._bank(),
        )

    @property
    def bank(self) -> Bank | None:
        """What is known of the person: a copy, as two runs may be at work for a moment."""
        return self._bank()

    def use_bank(self, bank: Bank) -> None:
        """From now on, a moment later."""
        self._loaded = bank
        if self._runs:
            self._begin_run()

    def enroll(self, seconds: float) -> None:
        """Forget the person and look for so long; then the resting face is held. Raises Refusal."""
        run = self.recorder_run
        if run is None or self.options.engine != "mouthbank":
            raise Refusal(409, "There is nobody to learn from.", "Turn the camera and the mouthbank engine on first.")
        self._learning = Enrolment(seconds)
        self.use_bank(Bank())
        self._spawn(self._enrol(self._learning), "enrolment")

    async def _enrol(self, learning: Enrolment) -> None:
        """The seconds count from where the run that begins with nothing, or one that followed it, is on air."""
        await until(lambda: self._loaded is None and self._on_air == self._count, CONNECT_S)
        learning.begin()
        await asyncio.sleep(learning.seconds)
        if self._learning is not learning:  # begun anew
            return
        self._learning = None
        # A run that took over meanwhile, or is about to, looks on with a copy.
        known = [run.bank for run in self._runs.values() if isinstance(run.bank, Bank)]
        for bank in known:
            bank.frozen = bank.neutral is not None
        if not any(bank.frozen for bank in known):
            self._tell_note("No face was seen: film it from the front, in good light.")

    def _bank(self) -> Bank | None:
        if self._loaded is not None:
            return self._loaded.copy()
        for number in sorted(self._runs, reverse=True):
            if (bank := self._runs[number].bank) is not None:
                return cast(Bank, bank).copy()
        return None

    def _begin_run(self) -> None:
        """With the present options; it takes over from the one on air when it is ready."""
        if self.closed or self.outlet is None:
            return
        for number, run in self._runs.items():
            if number != self._on_air:
                run.ask_to_stop()
        if len(self._runs) >= MOST_RUNS:  # when one has ended, with the options of then: the newest ones
            self._begins_again = True
            return
        if not self._starts.take(1, time.monotonic()):
            if not self._begins_again:
                asyncio.get_running_loop().call_later(RUN_REST_S, self._begin_again)
            self._begins_again = True
            return
        self._begins_again = False
        self._count = self.outlet.next_run()
        name = f"session {self.id[:6]}"
        publishers = (OutletPublisher(self.outlet, self._count),)
        try:
            video, voice = self._video(), self._voice()
        except Refusal as error:
            self._tell_note(str(error))
            return
        self._bound_pictures()
        run = Run(name, self._setup(self.options), video, voice, publishers, self._clock, self._run_ended)
        self._loaded = None
        self._runs[self._count] = run
        run.start()

    def _bound_pictures(self) -> None:
        """Those that wait for the end of the latency budget."""
        budget_ns = round((self.options.budget_ms or USUAL_BUDGET_MS) * MS)
        self.inbound.wait(budget_ns, self.config.fps, self.config.picture_pixels)

    def _video(self) -> Callable[[], VideoSource]:
        kind, _, name = self.options.picture.partition(":")
        if kind == "camera":
            return partial(InboundVideo, self.inbound, PICTURE_FPS)
        path = str(self._studio.uploads.find(name, "picture"))
        return partial(open_video, path, clock=self._clock, live=True, fps=self.config.fps)

    def _voice(self) -> Callable[[], VoiceSource]:
        kind, _, name = self.options.voice.partition(":")
        if kind == "mic":
            return partial(InboundVoice, self.inbound)
        if kind == "room":
            return partial(InboundVoice, self._studio.rooms.enter(name).voice)
        if kind == "none":
            return partial(InboundVoice, Inbound(self._clock))  # nothing ever comes: silence
        if kind == "upload":
            path = self._studio.uploads.find(name, "sound")
            if self._played is None or self._played[0] != name:
                self._played = name, Playback(self._clock, self._studio.uploads.length_ns(name))
            return partial(FileVoice, path, self._played[1], self._clock)
        microphone = self.config.server_mic or ""
        return partial(open_voice, microphone, clock=self._clock, video_path=None, live=True, loop=True)

    @property
    def playback(self) -> Playback | None:
        """Of the file that is the voice, where it is one."""
        return self._played[1] if self._played and self.options.voice == f"upload:{self._played[0]}" else None

    def _taken_over(self, number: int) -> None:
        self._on_air = number
        self._advice.restart()
        if self.playback is not None:
            self.playback.begin()
        for earlier, run in self._runs.items():
            if earlier < number:
                run.ask_to_stop()

    def _run_ended(self, run: Run) -> None:
        self._runs = {number: each for number, each in self._runs.items() if each is not run}
        if run.error is not None and not self.closed:
            self._tell_note(sentences(run.error))
            rest_s = self._retries.pause_s(time.monotonic())
            asyncio.get_running_loop().call_later(rest_s, self._revive)
        self._begin_again()

    def _revive(self) -> None:
        """A run that failed is begun again: nobody in the room can do it."""
        if not self._runs:
            self._begin_run()

    def _begin_again(self) -> None:
        if self._begins_again:
            self._begins_again = False
            self._begin_run()

    def _tell_note(self, text: str) -> None:
        self.note = sentence(text)
        self._say(logging.WARNING, "note", note=self.note)

    # What it says.

    @property
    def recorder_run(self) -> Run | None:
        """The run on air, else the newest."""
        if self._on_air in self._runs:
            return self._runs[self._on_air]
        return self._runs[max(self._runs)] if self._runs else None

    async def statistics(self) -> dict[str, Any]:
        """What the page shows."""
        run = self.recorder_run
        told: dict[str, Any] = {"t": "stats", "fps": 0.0, "latency_ms": {"p50": 0, "p95": 0}, "frames": {},
                                "av_offset_ms": 0.0, "budget_ms": 0, "enroll": None, "recording": False}  # fmt: skip
        if run is not None:
            report = run.recorder.report()
            told |= {"frames": report.frames, "budget_ms": report.budget_ms}
            told["latency_ms"] = {name: report.latency_ms[name] for name in ("p50", "p95")}
            told["av_offset_ms"] = report.av_offset_ms["mean"]
            shares = self._advice.look(report.frames, time.monotonic())
            told |= self._advice.told(shares, report.budget_ms, self.options.voice)
        told["voice"] = self.playback.told() if self.playback is not None else None
        told["recording"] = self.keeping.running
        if self._learning is not None:
            told["enroll"] = {"progress": round(self._learning.progress, 2)}
        if self._seen is not None:
            told["fps"] = self._traffic.per_second("pictures", self._seen.sent, time.monotonic())
        if self.room is not None:
            told["room"] = self._studio.rooms.told(self.room, self)
        if self.peer is not None:
            told |= self._traffic.seen(await self.peer.statistics(), time.monotonic())
            self.inbound.packets_lost = self._traffic.lost
        if (note := self.dropped.look(self._studio.metrics.dropped)) is not None:
            self._tell_note(note)
        told["dropped"] = {kind: count for kind, count in dict(self.dropped).items() if count}
        told["options"] = self.options.model_dump()
        return told | ({"note": self.note} if self.note else {})

    async def _tell_statistics(self) -> None:
        if self.peer is not None:
            self.peer.tell(json.dumps(await self.statistics()))

    def tell_room(self) -> None:
        """At once, what the statistics also say."""
        if self.room is not None and self.peer is not None and not self.closed:
            self.peer.tell(json.dumps({"t": "room", "room": self._studio.rooms.told(self.room, self)}))

    def _message(self, text: str) -> str | None:
        try:
            asked = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(asked, dict) or asked.get("t") != "ping" or not isinstance(asked.get("at"), int | float):
            return None
        return json.dumps({"t": "pong", "at": asked["at"], "server_ms": time.time() * 1000})

    # The end.

    async def close(self, why: str) -> None:
        """End threads, connection and what was uploaded for it. Idempotent."""
        if self.closed:
            return
        self.closed = True
        if self.room is not None:
            self.room.leave(self)  # at once: a recording takes a while to end
        await attempt(self.keeping.close())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        stopped = await asyncio.gather(*(run.stop() for run in self._runs.values()))
        if self.peer is not None:
            await attempt(self.peer.close())
        for choice in (self.options.voice, self.options.picture):
            kind, _, name = choice.partition(":")
            if kind == "upload":
                await attempt(asyncio.to_thread(self._studio.uploads.remove, name))
        self._say(logging.INFO, "session closed", why=why, stuck_threads=stopped.count(False))

    def _say(self, level: int, event: str, **fields: object) -> None:
        log.log(level, event, extra={"session": self.id, **fields})

    def _spawn(self, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=f"{name} {self.id[:6]}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(log_failure)
