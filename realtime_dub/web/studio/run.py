"""One run of the live pipeline inside a session, on a thread and an event loop of its own.

The server's loop sends packets and must never wait for a tracker to load; the pipeline's loop paces and must never wait
for a handshake. Where a chooser asks for something that a pipeline is built with, a second run takes over from the
first when its first tick is ready: nothing is reconnected and nothing stands still.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from realtime_dub.clock import Clock
from realtime_dub.config import OnOff
from realtime_dub.errors import LostOutput
from realtime_dub.inference.bundle import engine_of
from realtime_dub.media import MS, VoiceInfo
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import HasStrength, LearnsIdentity, MouthGenerator, RestsInSilence
from realtime_dub.mouth.silence import AUTO as AUTO_SILENCE
from realtime_dub.mouth.silence import Silence, for_voice
from realtime_dub.pipeline import assembly
from realtime_dub.pipeline.live.loop import LivePipeline
from realtime_dub.pipeline.plan import MARGIN_NS
from realtime_dub.pipeline.precedence import Place
from realtime_dub.pipeline.statistics import Recorder
from realtime_dub.pipeline.timing import LiveSettings, Timing
from realtime_dub.publishers.base import Publisher
from realtime_dub.sources.base import VideoSource, VoiceSource
from realtime_dub.trust.badge_style import USUAL, BadgeStyle
from realtime_dub.web.config import ServeConfig, SessionOptions
from realtime_dub.web.rtc.aiortc_access import AUDIO_DELAY_NS
from realtime_dub.web.rtc.browser_input import FRAME_DELAY_NS, NETWORK_NS, RATE
from realtime_dub.web.studio.avatar_video import AvatarChoice, AvatarVideo
from realtime_dub.web.studio.enrolment import Known
from realtime_dub.web.studio.tracked_once import TrackedVideo


@dataclass(frozen=True)
class RunSetup:
    """What a run is built with."""

    engine: str
    bundle: Path | None
    look_ahead_ms: int | None
    budget_ms: float | None
    strength: float
    face: str
    fps: Fraction
    known: Known  # what was learnt of the person by the runs before
    silence: Silence = AUTO_SILENCE
    avatar: AvatarChoice | None = None  # where the picture is one
    badge: BadgeStyle = USUAL
    marks: OnOff = "on"
    margin_ns: int = MARGIN_NS  # of a budget that nobody chose


def make_generator(setup: RunSetup) -> MouthGenerator:
    """With those of the page's choices that the engine has: its controls are the same for all."""
    if setup.avatar is not None:
        return setup.avatar.generator(setup.strength)
    return registry.create_with_known(
        setup.engine,
        bundle=setup.bundle,
        identity=setup.known.get(setup.engine),
        strength=setup.strength,
        silence=setup.silence,
        look_ahead_ms=setup.look_ahead_ms,
    )


def bundle_for(engine: str, config: ServeConfig) -> Path | None:
    """The bundle of the server's own, for the engine that it is for. Raises BundleError."""
    return config.bundle if config.bundle is not None and engine_of(config.bundle) == engine else None


def setup_of(
    options: SessionOptions, config: ServeConfig, known: Known, avatar: AvatarChoice | None = None
) -> RunSetup:
    """What a page's choices ask for; ``avatar`` where the picture is one."""
    bundle = bundle_for(options.shown_by, config)
    return RunSetup(
        options.shown_by,
        bundle,
        options.look_ahead_ms if bundle is None else None,  # a bundle of the server's own has one alone
        options.budget_ms,
        options.strength,
        options.face,
        Fraction(config.fps).limit_denominator(1001),
        known,
        for_voice(options.silence, options.speaks_for_another),
        avatar,
        config.badge_style,
        config.marks,
    )


def settings_of(setup: RunSetup) -> LiveSettings:
    return LiveSettings(setup.fps, setup.budget_ms, margin_ns=setup.margin_ns, arrival_ns=FRAME_DELAY_NS)


def least_budget_ms(setup: RunSetup) -> tuple[int, int]:
    """The least budget with a browser's microphone, and the one that is used where none is asked for."""
    generator = make_generator(setup)
    voice = VoiceInfo(RATE, 1, True, "browser microphone", AUDIO_DELAY_NS + NETWORK_NS + MS)
    plan = Timing.of(settings_of(setup), voice, generator).plan
    generator.close()
    return -(-plan.required_ns // MS), plan.budget_ns // MS


class Run:
    """Sources, tracker, engine and publishers, from :meth:`start` to :meth:`stop`. Called from the server's loop.

    ``video``, ``voice`` and ``own_voice`` make the sources, on the run's thread. ``ended`` is called on the server's
    loop when the thread is over, by itself or by ``stop``.
    """

    def __init__(
        self,
        name: str,
        setup: RunSetup,
        video: Callable[[], VideoSource],
        voice: Callable[[], VoiceSource],
        publishers: tuple[Publisher, ...],
        clock: Clock,
        ended: Callable[[Run], None],
        place: Place | None = None,
        own_voice: Callable[[], VoiceSource] | None = None,
    ) -> None:
        self.setup = setup
        self.recorder = Recorder(engine=setup.engine)
        self.error: BaseException | None = None
        self.generator: MouthGenerator | None = None
        self._video, self._voice, self._publishers, self._clock = video, voice, publishers, clock
        self._own_voice = own_voice
        self._server, self._ended, self._place = asyncio.get_running_loop(), ended, place
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pipeline: LivePipeline | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Come to an end, without waiting for it."""
        self._stopping.set()
        with contextlib.suppress(RuntimeError):  # its loop is closed: it has ended
            if self._loop is not None and self._pipeline is not None:
                self._loop.call_soon_threadsafe(self._pipeline.stop)

    async def stop(self, timeout_s: float = 10.0) -> bool:
        """False where the thread did not end in time."""
        self.ask_to_stop()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, timeout_s)
        return not self._thread.is_alive()

    def set_strength(self, strength: float) -> None:
        """At once."""
        if isinstance(self.generator, HasStrength):
            self.generator.strength = strength

    def set_silence(self, silence: Silence) -> None:
        """At once."""
        if isinstance(self.generator, RestsInSilence):
            self.generator.silence = silence

    @property
    def known(self) -> Known:
        """What is known of the person: by the engine; before there is one, and of other engines, as given."""
        if isinstance(self.generator, LearnsIdentity):
            return {**self.setup.known, self.setup.engine: self.generator.identity}
        return self.setup.known

    def _main(self) -> None:
        try:
            with ExitStack() as stack:
                pipeline = self._assemble(stack)
                if not self._stopping.is_set():
                    asyncio.run(self._go(pipeline))
        except Exception as error:  # told by the session
            self.error = error
        with contextlib.suppress(RuntimeError):  # the server is gone
            self._server.call_soon_threadsafe(self._ended, self)

    async def _go(self, pipeline: LivePipeline) -> None:
        self._loop = asyncio.get_running_loop()
        running = asyncio.ensure_future(pipeline.run())
        await asyncio.sleep(0)  # it has begun: now it can be stopped
        self._pipeline = pipeline
        if self._stopping.is_set():
            pipeline.stop()
        if lost := (await running).lost:
            raise LostOutput("; ".join(lost))

    def _assemble(self, stack: ExitStack) -> LivePipeline:
        setup = self.setup
        video, voice = self._video(), self._voice()
        for source in (video, voice):
            stack.callback(source.close)
        self.generator = make_generator(setup)
        stack.callback(self.generator.close)
        if isinstance(video, AvatarVideo):
            video.show(self.generator)
        tracker = video if isinstance(video, TrackedVideo) else assembly.tracker_of(setup.engine, setup.face, False)
        stack.callback(tracker.close)
        own = self._own_voice() if self._own_voice is not None and assembly.learns_own(self.generator) else None
        parts = video, voice, tracker, self.generator, self._publishers
        members = assembly.LiveMembers(*parts, own_voice=own, place=self._place, badge=setup.badge)
        members = replace(members, marks=assembly.make_marks(setup.marks))
        return assembly.assemble_live(members, settings_of(setup), self._clock, self.recorder, stack)
