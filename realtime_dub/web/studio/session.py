"""One visitor: a connection, and where the role asks for it a pipeline with its own clock, budget and statistics."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from realtime_dub.clock import Clock
from realtime_dub.errors import RealtimeDubError
from realtime_dub.media import MS, Samples
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import Identity
from realtime_dub.mouth.silence import for_voice
from realtime_dub.pipeline.assembly import make_tracker
from realtime_dub.pipeline.credentials import MadeBy
from realtime_dub.pipeline.plan import MARGIN_NS
from realtime_dub.pipeline.precedence import Place
from realtime_dub.sources.base import VideoSource
from realtime_dub.trust.consent import CarriesConsent
from realtime_dub.web.config import SessionOptions, room_voice
from realtime_dub.web.limits import MANY_VIEWERS, MOST_TURNS
from realtime_dub.web.refusals import Refusal, refused, sentence
from realtime_dub.web.rtc.browser_input import BrowserInput
from realtime_dub.web.rtc.dropped import Dropped
from realtime_dub.web.rtc.feed import Feed
from realtime_dub.web.rtc.original import Taps
from realtime_dub.web.rtc.output_timeline import OutputTimeline, TimelinePublisher
from realtime_dub.web.rtc.peer import Peer
from realtime_dub.web.said import coded
from realtime_dub.web.studio.agreement import Agreement
from realtime_dub.web.studio.captions import Hearing
from realtime_dub.web.studio.choices import Choices, renamed
from realtime_dub.web.studio.chosen_sources import ChosenSources
from realtime_dub.web.studio.connection import Connection, pong
from realtime_dub.web.studio.dubs import Dub, Dubs
from realtime_dub.web.studio.enrolment import Enrolment, Known, Span
from realtime_dub.web.studio.handle import HandoverStep
from realtime_dub.web.studio.presence import MAIN
from realtime_dub.web.studio.recording_signer import RecordingSigner
from realtime_dub.web.studio.room import Microphone, Room, Shown
from realtime_dub.web.studio.run import Run, RunSetup, least_budget_ms, setup_of
from realtime_dub.web.studio.run_switcher import RunSwitcher
from realtime_dub.web.studio.session_recorder import SessionRecorder
from realtime_dub.web.studio.session_statistics import BLANK, STATS_S, SessionStatistics
from realtime_dub.web.studio.shared import Shared
from realtime_dub.web.studio.tracked_once import TrackedOnce
from realtime_dub.web.traces import SessionTrace
from realtime_dub.web.upkeep import Tasks, attempt, repeat, until

AT_ONCE = ("strength", "silence", "under", "consent", "channel", "hears", "languages")  # need no other pipeline
CHANNEL_MARGIN_NS = MARGIN_NS + 100 * MS  # who interprets is seconds behind: a tenth of one more costs nobody
USUAL_BUDGET_MS = 350.0  # at least what is planned where none is asked for
FULL = "The studio is full: others were connected sooner. Try again in a minute."
log = logging.getLogger("realtime_dub.web")


class Session:
    """Made, used and closed on the server's loop."""

    def __init__(self, id: str, shared: Shared, options: SessionOptions, clock: Clock) -> None:
        self.id = id
        self.config = shared.config
        self._shared, self._clock = shared, clock
        self.note: str | None = None
        self.told: dict[str, Any] = {}  # its page, the last time
        self.closed = False
        self.room: Room | None = None
        self.input = BrowserInput(clock)
        self.output: OutputTimeline | None = None
        self._dubs: Dubs | None = None  # of its room's channels
        self._tracked: dict[tuple[str, str], TrackedOnce] = {}  # by picture and face, the newest alone
        self._feed: Feed | None = None  # of the present connection
        self._choices = Choices(options, self._check, self._chosen)
        self.agreement = Agreement(id)
        self._dropped = Dropped()
        self._trace = SessionTrace(id, options.role)
        self.place: Place | None = None  # from its first connection on
        self._tasks = Tasks(id[:6])
        self._statistics = SessionStatistics()
        self._sends_statistics = False
        self._turn = 0  # of the statistics
        self._sources = ChosenSources(shared.config, shared.uploads, shared.avatars, shared.rooms, self.input, clock)
        self._runs = RunSwitcher(self._make_run, self._send_note)
        self._enrolment = Enrolment(self._known, lambda: self._runs.newest_is_on_air, self._send_note)
        signing = RecordingSigner.of(shared.config, self._made_by)
        self._recorder = SessionRecorder(shared.recordings, clock, self._send_note, self._tasks.spawn, signing)
        sends = options.role != "viewer" and options.picture == "camera"
        heard_ns = (lambda: self.input.last_ns) if sends else None
        self._connection = Connection(self._make_peer, self._admit, clock, heard_ns, partial(self._log, logging.INFO))

    @property
    def options(self) -> SessionOptions:
        return self._choices.options

    def join(self) -> None:
        """Into the room that was asked for, if any. Raises Refusal."""
        name, role, rooms = self.options.room, self.options.role, self._shared.rooms
        if name or role != "studio":
            self.room = rooms.enter(name, role)
            self.room.join(self)
        if role == "interpreter" and self.room is not None:
            self.input = Microphone(self.room, self.id)
        if self.room is not None:
            self.input.on_speaking = self.room.tell_speaking
        if role == "studio":
            if self.room is not None:
                self._dubs = self._make_dubs(self.room)
            self.output = self.room.timeline if self.room else OutputTimeline(self._clock, asyncio.get_running_loop())
            self.output.taken_over = self._taken_over
            self.input.on_size = self._first_frame
            self.input.share = self._shared.frame_pixels
            self._bound_frames()
            taps = Taps(lambda: rooms.originals_of(self), self._hear_under)
            self.input.on_frame, self.input.on_audio = taps.see, taps.hear

    # The connection.

    async def answer(self, sdp: str) -> str:
        """Connect; also again, from a new connection of the same page, while everything else goes on."""
        self._statistics.reconnected()
        answer = await self._connection.answer(sdp)
        if not self._sends_statistics:
            self._sends_statistics = True
            self._tasks.spawn(repeat(STATS_S, self._send_statistics), "statistics")
        return answer

    async def add_candidate(self, line: str | None, mid: str | None, index: int | None) -> None:
        await self._connection.add_candidate(line, mid, index)

    @property
    def ufrag(self) -> str | None:
        return self._connection.ufrag

    @property
    def role(self) -> str:
        return self.options.role

    @property
    def came(self) -> bool:
        """It has been connected."""
        return self._connection.came

    @property
    def has_seat(self) -> bool:
        return self.came and not self.closed

    @property
    def since_s(self) -> float:
        return self._connection.since_s

    @property
    def speaks(self) -> bool:
        """Just now."""
        return self.input.speaks

    @property
    def away_s(self) -> float:
        """For how long nothing has been heard of it."""
        return self._connection.away_s

    @property
    def films(self) -> bool:
        """Its camera gives frames, or it has another picture."""
        return self.options.picture != "camera" or self.input.moves

    @property
    def overdue(self) -> str | None:
        """Why the session is to be closed, if it is."""
        return self._connection.overdue(self.config.idle_s)

    def _make_peer(self, changed: Callable[[], None]) -> Peer:
        given = None if self.options.role == "viewer" else self.input
        feed = None if self._shown is None else Feed(self._fed, *self.config.bitrates, self._shared.forwarder)
        self._feed = feed
        self._shared.leavings.add()  # the connection before
        return Peer(self.config, given, feed, changed, pong, self._dropped, self.send_room, self._shared.decoders)

    def _fed(self) -> tuple[OutputTimeline, OutputTimeline, float]:
        """The video and the audio that its page shows, and how loud it hears the original under them."""
        shown = self._shown
        assert shown is not None, "asked for where something is shown"
        return shown.video, shown.audio, self._under(shown)

    def _under(self, shown: Shown) -> float:
        """How loud its page hears the original under the dub. Who speaks does not hear themself."""
        if self.room is None or self.options.role != "viewer" or not shown.dubbed:
            return 0.0
        if self.options.under is None or not (self.room.under or self.room.languages):
            return self.room.under
        return self.options.under

    def speak_under(self, heard: Samples, captured_ns: int) -> None:
        """What the interpreter says for it, as soon as it comes."""
        if (pts_ns := self._shown_at(captured_ns)) is not None and self.output is not None:
            self.output.below.speak(heard, pts_ns)

    def speak_in(self, channel: str, heard: Samples, captured_ns: int) -> None:
        """What an interpreter says for it in a channel with a picture of its own."""
        if self._dubs is not None and (dub := self._dubs.of(channel)) is not None:
            dub.speak(heard, captured_ns)

    def _hear_under(self, heard: Samples, captured_ns: int) -> None:
        """What the person says, where another speaks for them."""
        for dub in self._dubs.all if self._dubs is not None else ():
            dub.hear(heard, captured_ns)
        heard_under = self.options.under or self.options.languages
        if room_voice(self.options.voice) is None or not heard_under or self.output is None:
            return
        if (pts_ns := self._shown_at(captured_ns)) is not None:
            self.output.below.hear(heard, pts_ns)

    def _shown_at(self, captured_ns: int) -> int | None:
        """When on its output what was captured then is seen; None while nothing is."""
        budget_ms: int = self.told.get("budget_ms", 0)
        if not budget_ms or self.output is None or self.output.origin_ns is None:
            return None
        return captured_ns + round(budget_ms * MS) - self.output.origin_ns

    @property
    def hearing(self) -> Hearing | None:
        """What its page hears, where that is the dub or beside it."""
        if self.room is not None and self.options.role == "viewer":
            return self._heard_in(self.room)
        shown_ns = self._shown_at(0)
        if self.options.role != "studio" or shown_ns is None or self.output is None or self.output.origin_ns is None:
            return None
        voice = room_voice(self.options.voice) or (self.options.room or "", MAIN)
        return Hearing(shown_ns + self.output.origin_ns + self.output.lag_ns, voice)

    def _heard_in(self, room: Room) -> Hearing | None:
        shown, sender, person = self._shown, room.sender, room.presence.of(self.id)
        if shown is None or sender is None or person is None:
            return None
        if shown.audio is room.timeline:
            return sender.hearing
        if shown.audio is room.original.timeline:
            return Hearing(shown.audio.lag_ns, (room.name, MAIN))
        after_ns = sender.dubs_after_ns(person.channel) if shown.dubbed else 0
        return None if after_ns is None else Hearing(shown.audio.lag_ns + after_ns, (room.name, person.channel))

    def dubs_after_ns(self, channel: str) -> int | None:
        """From when something is said in a channel with a picture of its own to when it is seen; None: it is not."""
        dub = self._dubs.of(channel) if self._dubs is not None else None
        run = dub.runs.present if dub is not None else None
        return (run.recorder.budget_ns or None) if run is not None else None

    @property
    def _shown(self) -> Shown | None:
        """What its page shows."""
        if self.room is None or self.options.role == "studio":
            return None if self.output is None else Shown(self.output, self.output, self.dubs_itself)
        if self.options.role == "viewer":
            person = self.room.presence.of(self.id)
            return self.room.shown(person.channel if person is not None else self.options.channel)
        return self.room.booth(self.options.hears)

    def _admit(self) -> bool:
        """Connected for the first time: from now on it has a seat, and may cost something."""
        if not self._shared.has_seat(self.options.role):
            self._send_note(FULL)
            return False
        if self.options.role == "studio":
            self.place = place = self._shared.precedence.take_place()
            self.input.yields = lambda: place.yields(self._clock.now_ns())
            if self.options.picture != "camera" or self.input.size:
                self._runs.begin()
            asyncio.get_running_loop().call_soon(self.follow)  # it has come then
        self._trace.came(self.options.role == "studio")
        if self._trace.on:
            self._tasks.spawn(self._see_first_mouth(), "first mouth")
        return True

    async def _see_first_mouth(self) -> None:
        await until(lambda: (run := self.present_run) is not None and run.recorder.frames.get("fresh", 0) > 0, math.inf)
        self._trace.spoke()

    # What can be chosen while it runs.

    async def change(self, changes: dict[str, Any]) -> None:
        """Checked options that differ from the present ones. Raises Refusal, and then nothing has changed."""
        await self._choices.change(changes)
        if "channel" in changes and self.room is not None and self.options.role != "studio":
            self.room.presence.choose(self.id, changes["channel"])  # it may have been moved since

    def _chosen(self, before: SessionOptions, after: SessionOptions) -> None:
        self.note = None
        for run in self._runs.newest_first:
            run.set_strength(after.strength)
            run.set_silence(for_voice(after.silence, after.speaks_for_another))
        at_once = {name: getattr(before, name) for name in AT_ONCE}
        others = after.model_copy(update=at_once) != before or after.is_floor != before.is_floor
        if others and self._runs.any:
            self._runs.begin()
        if self._dubs is not None:
            self._dubs.chosen(before, after)
        self._choose_in_room(before, after)

    def _choose_in_room(self, before: SessionOptions, after: SessionOptions) -> None:
        """What the others of its room have to be told."""
        if self.room is None:
            return
        for old, new in renamed(before.languages, after.languages):
            self.room.presence.rename(old, new)
        if (after.languages, after.voice) != (before.languages, before.voice) and after.role == "studio":
            self.room.follow()
            self.room.tell()
        self.follow()

    async def check(self) -> None:
        """Raises Refusal where the options cannot be met."""
        await self._check(self.options)

    async def _check(self, options: SessionOptions) -> None:
        if options.role != "studio":
            return
        await self.agreement.check(options)
        self._sources.check(options)
        if options.avatar is not None:
            await asyncio.to_thread(self._shared.avatars.find, options.avatar)
        if options.budget_ms is not None or options.look_ahead_ms is not None:
            try:
                await asyncio.to_thread(least_budget_ms, self._setup(options))
            except RealtimeDubError as error:
                raise refused(error) from error

    # The pipeline.

    def _first_frame(self) -> None:
        if self.options.picture == "camera" and self.came:
            self._runs.begin()
            self.follow()

    def _setup(self, options: SessionOptions) -> RunSetup:
        return setup_of(options, self.config, self._enrolment.known, self._sources.avatar(options))

    def _own_setup(self) -> RunSetup:
        setup = self._setup(self.options)
        if self.dubs_itself:
            return setup
        return replace(setup, engine=registry.NOTHING, bundle=None, look_ahead_ms=None, margin_ns=CHANNEL_MARGIN_NS)

    @property
    def dubs_itself(self) -> bool:
        """A floor is dubbed in its channels alone, but while its person is learnt."""
        return not self.options.is_floor or self._enrolment.progress is not None

    def _make_run(self, ended: Callable[[Run], None]) -> tuple[int, Run]:
        """With the present options. Raises Refusal."""
        assert self.output is not None, "only who gives an output has runs"
        video, voice = self._video(self.options, self.dubs_itself), self._sources.voice(self.options)
        own_voice = self._sources.own_voice(self.options)
        self._bound_frames()
        number = self.output.next_run()
        self._shared.leavings.add()  # the run before
        publishers = (TimelinePublisher(self.output, number),)
        setup, name = self._own_setup(), f"session {self.id[:6]}"
        self._enrolment.taken()
        place = self.place if self.dubs_itself else None  # what makes no mouths has none to be given way to for
        return number, Run(name, setup, video, voice, publishers, self._clock, ended, place, own_voice)

    def _make_dubs(self, room: Room) -> Dubs:
        shared = self._shared
        return Dubs(
            room.dub, self._make_dub, shared.precedence.take_place, shared.holds_no_more, self._send_note, room.tell
        )

    def _make_dub(
        self, channel: str, timeline: OutputTimeline, place: Place, ended: Callable[[Run], None]
    ) -> tuple[int, Run]:
        """Of a channel of its room: its picture, that channel's voice. Raises Refusal."""
        assert self.room is not None, "channels are a room's"
        options = self.options.model_copy(update={"voice": f"room:{self.room.name}:{channel}", "own_mic": False})
        number = timeline.next_run()
        publishers = (TimelinePublisher(timeline, number),)
        setup = replace(self._setup(options), margin_ns=CHANNEL_MARGIN_NS)
        name = f"session {self.id[:6]} {channel}"
        video, voice = self._video(options), self._sources.voice(options)
        return number, Run(name, setup, video, voice, publishers, self._clock, ended, place)

    def _video(self, options: SessionOptions, tracks: bool = True) -> Callable[[], VideoSource]:
        """Read once for all runs that show the same, and tracked once for those that need it; of an avatar nothing is
        tracked. Raises Refusal.
        """
        if options.avatar is not None:
            return self._sources.video(options)
        key = options.picture, options.face
        if key not in self._tracked:
            tracker = partial(make_tracker, options.face, at_once=False)
            self._tracked = {key: TrackedOnce(self._sources.video(options), tracker)}
        return partial(self._tracked[key].for_a_run, tracks)

    def _bound_frames(self) -> None:
        """Those that wait for the end of the latency budget."""
        budget_ns = round((self.options.budget_ms or USUAL_BUDGET_MS) * MS)
        self.input.wait(budget_ns, self.config.fps, self.config.frame_pixels)

    def _taken_over(self, number: int) -> None:
        self._runs.take_over(number)
        self._statistics.taken_over()
        if (playback := self._sources.playback(self.options)) is not None:
            playback.begin()

    @property
    def present_run(self) -> Run | None:
        """The run on air, else the newest."""
        return self._runs.present

    # The person.

    def _made_by(self) -> tuple[MadeBy, str]:
        """What makes the mouths now, and whose the voice is."""
        run = self._runs.present
        made_by = MadeBy() if run is None or run.generator is None else MadeBy.of(run.generator)
        return made_by, "another's" if self.options.speaks_for_another else "own"

    def _known(self) -> list[Known]:
        own = [run.known for run in self._runs.newest_first]
        dubs = self._dubs.all if self._dubs is not None else ()
        of_channels = [run.known for dub in dubs for run in dub.runs.newest_first]
        return own + of_channels if self.dubs_itself else of_channels + own

    def _begin_anew(self) -> None:
        """All that is at work, with what is known of the person now."""
        for dub in self._dubs.all if self._dubs is not None else ():
            dub.runs.begin()
        if self._runs.any:
            self._runs.begin()

    async def known(self) -> Identity | None:
        identity = self._enrolment.known.get(self.options.shown_by)
        if isinstance(identity, CarriesConsent) and not identity.consent and identity.known:
            identity.consent = await self.agreement.for_bank(identity.subject)
        return identity

    async def forget(self) -> str:
        """Also what runs at work know: they are followed by others that know nothing."""
        for engine in self._enrolment.known:
            self._enrolment.load(engine, registry.identity_kind(engine).empty())
        self._begin_anew()
        return self.agreement.revoked()

    async def use_bank(self, bank: Identity) -> None:
        self._enrolment.load(self.options.engine, bank)
        self._begin_anew()

    async def enroll(self, seconds: float, consent: bool = False) -> None:
        run = self._runs.present
        engine = self.options.shown_by
        if run is None or not registry.engine(engine).learns_identity:
            do = "Turn the camera on, and an engine that learns a person."
            raise Refusal(409, "There is nobody to learn from.", do)
        if consent:
            await self.agreement.agreed("learning the face")
        span = self._enrolment.forget(engine, seconds)
        self._runs.begin()
        self._tasks.spawn(self._learn(engine, span), "enrolment")

    async def _learn(self, engine: str, span: Span) -> None:
        await self._enrolment.learn(engine, span)
        if not self.dubs_itself:
            known = self._runs.newest_first[0].known if self._runs.any else {}
            if engine in known:
                self._enrolment.load(engine, known[engine].copy())
            self._begin_anew()

    # What is made of it, and steered in it.

    async def start_recording(self, visitor: str) -> dict[str, object]:
        return (await self._recorder.start(self.output, visitor, self.options.room)).to_dict()

    async def stop_recording(self) -> dict[str, object] | None:
        kept = await self._recorder.stop()
        return kept.to_dict() if kept is not None else None

    async def steer_voice(self, playing: bool | None, at_ns: int | None, loop: bool | None) -> dict[str, Any]:
        playback = self._sources.playback(self.options)
        if playback is None:
            raise Refusal(409, "The voice is not a file.", "Choose an uploaded file.")
        playback.steer(playing, at_ns, loop)
        return playback.to_dict()

    async def hand_over(self, action: HandoverStep, to: int | None = None) -> None:
        if self.room is None:
            raise Refusal(409, "Only interpreters hand over.", "Open the interpreter's page.")
        presence = self.room.presence
        if action == "propose":
            presence.propose(self.id, to)
        elif action == "confirm":
            presence.confirm(self.id)
        else:
            presence.withdraw(self.id)

    # What it says.

    async def statistics(self) -> dict[str, Any]:
        """What the page shows."""
        counts, playback = self._statistics, self._sources.playback(self.options)
        fields = {**BLANK, **counts.of_run(self._runs.present, self.options.voice), **counts.of_output(self._shown)}
        if not self.dubs_itself:  # its own frames have no mouths that could be late
            fields |= {"mouths": None, "advice": None}
        fields |= {"voice": playback.to_dict() if playback is not None else None, "recording": self._recorder.running}
        if self._dubs is not None and self._dubs.all:
            fields["dubs"] = self._dubs.to_dict()
        if (progress := self._enrolment.progress) is not None:
            fields["enroll"] = {"progress": round(progress, 2)}
        if self.room is not None:
            fields["room"] = self._shared.rooms.to_dict(self.room, self)
        fields |= counts.of_connection(await self._connection.statistics())
        self.input.packets_lost = counts.packets_lost
        if (note := self._dropped.report(self._shared.metrics.dropped)) is not None:
            self._send_note(note)
        fields["dropped"] = {kind: count for kind, count in dict(self._dropped).items() if count}
        fields["options"] = self.options.model_dump()
        return fields | ({"note": self.note, "codes": coded(note=self.note)} if self.note else {})

    def follow(self) -> None:
        """What its page is shown, or what it has to dub, may be another now."""
        if self.closed:
            return
        if self._dubs is not None and self.room is not None:
            voiced = self.room.voiced if self._may_run else ()
            self._end_dubs(self._dubs.follow(voiced))
        if self._feed is not None:
            self._feed.refresh()

    @property
    def channels(self) -> int:
        """Pictures of channels that it dubs beside its own."""
        return self._dubs.count if self._dubs is not None else 0

    @property
    def _may_run(self) -> bool:
        """It is connected, and there is something to dub."""
        return self.came and (self.options.picture != "camera" or self.input.size is not None)

    def undubbed_because(self, channel: str) -> str | None:
        """Why it gives no picture of that channel, where the machine cannot hold it."""
        return self._dubs.refused(channel) if self._dubs is not None else None

    def _end_dubs(self, dubs: list[Dub]) -> None:
        if dubs and self._dubs is not None:
            self._tasks.spawn(self._dubs.close(dubs), "channels end")

    async def _send_statistics(self) -> None:
        self.follow()
        self._turn += 1
        if self._turn % self._turns:
            return
        self.told = await self.statistics()
        self._connection.send(json.dumps(self.told))

    @property
    def _turns(self) -> int:
        """Of so many turns of its statistics one is told: of few viewers each, of many every fourth."""
        if self.room is None or self.options.role != "viewer":
            return 1
        return min(MOST_TURNS, 1 + self.room.presence.count("viewer") // MANY_VIEWERS)

    def send_room(self) -> None:
        """At once, what the statistics also say."""
        if self.room is not None and not self.closed:
            self._connection.send(json.dumps({"t": "room", "room": self._shared.rooms.to_dict(self.room, self)}))

    def tell_caption(self, caption: dict[str, Any]) -> None:
        """To its page, and into what is recorded, in the moment in which what it says leaves."""
        if caption["heard"]:
            self._recorder.add_caption(caption["text"], caption["for_ms"])
        self._connection.send(json.dumps(caption))

    def send_end(self, why: Refusal) -> None:
        """To the page, which does not come back by itself then."""
        self._connection.send(json.dumps({"t": "end", **why.body()}))

    def _send_note(self, text: str) -> None:
        """With the next statistics."""
        self.note = sentence(text)
        self._log(logging.WARNING, "note", note=self.note)

    # The end.

    async def close(self, why: str) -> None:
        """End threads, connection and what was uploaded for it. Idempotent."""
        if self.closed:
            return
        self.closed = True
        self._trace.ended(why)
        self._choices.close()
        self._runs.refuse()
        dubs = self._dubs.give_up_all() if self._dubs is not None else []
        if self.room is not None:
            self.room.leave(self)  # at once: a recording takes a while to end
        await attempt(self._recorder.close())
        await self._tasks.close()
        stuck = await self._runs.close()
        if self._dubs is not None:
            stuck += await self._dubs.close(dubs)
        if self.place is not None:
            self.place.leave()
        await attempt(self._connection.close())
        await attempt(asyncio.to_thread(self._sources.remove, self.options))
        self._log(logging.INFO, "session closed", why=why, stuck_threads=stuck)

    def _log(self, level: int, event: str, **fields: object) -> None:
        log.log(level, event, extra={"session": self.id, **fields})
