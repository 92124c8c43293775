"""Languages are channels: one pipeline each, tracked once; the floor where nobody interprets; refused in words."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import ValidationError

from realtime_dub.clock import VirtualClock
from realtime_dub.errors import EndOfStream
from realtime_dub.face.types import TrackedFrame
from realtime_dub.face.unlooked import NOT_LOOKED_FOR
from realtime_dub.flow import LatestSlot
from realtime_dub.media import MS, NS, Frame, VideoInfo
from realtime_dub.pipeline.precedence import Order
from realtime_dub.web.config import FLOOR, SessionOptions
from realtime_dub.web.http.invited import INVITE, check_change
from realtime_dub.web.invites import Invite
from realtime_dub.web.limits import DUB_AGAIN_S, DUB_KEPT_S, MANY_VIEWERS, VIEWERS_TOLD_S
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.rtc.browser_input import BrowserInput
from realtime_dub.web.studio import dubs as dubs_module
from realtime_dub.web.studio.admission import Admission
from realtime_dub.web.studio.choices import renamed
from realtime_dub.web.studio.dubs import Dubs
from realtime_dub.web.studio.room import Microphone, Room
from realtime_dub.web.studio.tracked_once import TrackedOnce, TrackedVideo

pytestmark = pytest.mark.computes


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())


class Somebody:
    """In a room, without a connection."""

    def __init__(self, room: Room, id: str, **options: Any) -> None:
        self.id, self.closed, self.away_s, self.films = id, False, 0.0, True
        self.options = SessionOptions(room=room.name, **options)
        self.input: BrowserInput = BrowserInput(room.clock)
        self.refused: dict[str, str] = {}
        self.followed = self.told = 0
        if self.options.role == "interpreter":
            self.input = Microphone(room, id)
        room.join(self)

    @property
    def dubs_itself(self) -> bool:
        return not self.options.is_floor

    def says(self) -> None:
        self.input.give(np.full((960, 1), 0.5, np.float32), self.input.clock.now_ns() - 100 * MS, False)

    def send_room(self) -> None:
        self.told += 1

    def speak_under(self, heard: Any, captured_ns: int) -> None: ...

    def speak_in(self, channel: str, heard: Any, captured_ns: int) -> None: ...

    def follow(self) -> None:
        self.followed += 1

    def undubbed_because(self, channel: str) -> str | None:
        return self.refused.get(channel)


def flows(room: Room, channel: str) -> None:
    """Frames of that channel's dub leave."""
    timeline = room.dub(channel)
    timeline.begin(timeline.next_run(), 40 * MS)
    timeline._add_frame(np.zeros((24, 16), np.uint8), 0)


def test_a_channel_shows_the_floor_until_it_is_interpreted_and_its_dub_has_come() -> None:
    async def test() -> None:
        clock = VirtualClock()
        room = Room("hall", clock)
        sender = Somebody(room, "sender", languages=("en", "es"))
        floor, own = room.original.timeline, room.timeline
        assert room.shown("es").video is room.shown(FLOOR).video is floor
        assert not sender.dubs_itself  # its voice is its own: there is nothing to dub but in channels
        assert room.shown("").video is room.shown("fr").video is floor
        sender.options = SessionOptions(room="hall", voice="upload:0123456789abcdef", languages=("en", "es"))
        assert room.shown("").video is room.shown("fr").video is own
        spanish = Somebody(room, "spanish", role="interpreter", channel="es")
        spanish.says()
        assert room.voiced == ("es",)
        over = room.shown("es")  # its dub has not come yet
        assert (over.video, over.audio, over.dubbed) == (floor, room.relay("es"), False)
        flows(room, "es")
        shown = room.shown("es")
        assert (shown.video, shown.audio, shown.dubbed) == (room.dub("es"), room.dub("es"), True)
        assert shown.video not in (own, floor)
        assert room.shown("en").video is floor
        assert [each["state"] for each in room.channel_fields()] == ["floor", "dubbed"]
        followed = sender.followed
        clock.advance_to(clock.now_ns() + NS)  # nothing is heard of the interpreter any more
        room.listen()
        assert sender.followed > followed
        assert room.voiced == ()
        assert room.shown("es").video is room.shown("es").audio is floor
        assert not room.shown("es").dubbed

    run(test)


def test_the_senders_own_picture_is_a_channels_where_it_has_that_voice() -> None:
    async def test() -> None:
        room = Room("hall", VirtualClock())
        sender = Somebody(room, "sender", voice="room:hall:es", languages=("es", "fr"))
        assert room.shown("").video is room.original.timeline  # nobody interprets it
        Somebody(room, "spanish", role="interpreter", channel="es").input.give(
            np.zeros((960, 1), np.float32), room.clock.now_ns(), False
        )
        assert room.voiced == ()  # no second pipeline for it
        flows(room, "es")
        assert room.shown("es").video is room.shown("").video is room.timeline
        room.leave(sender)
        assert room.languages == ("es", "fr")  # those who wait still see what there will be

    run(test)


def test_nobody_is_shown_undubbed_who_has_not_agreed_to_it() -> None:
    async def test() -> None:
        room = Room("hall", VirtualClock())
        sender = Somebody(room, "sender", voice="room:hall")
        for channel in ("", FLOOR, "es"):
            assert room.shown(channel).video is room.timeline
        room.leave(sender)
        Somebody(room, "another", languages=("es",), picture="upload:x")  # there is nothing undubbed
        assert room.shown(FLOOR).video is room.timeline

    run(test)


def test_an_interpreter_may_hear_another_one_instead_of_the_floor() -> None:
    async def test() -> None:
        clock = VirtualClock()
        room = Room("hall", clock)
        Somebody(room, "sender", languages=("en", "es"))
        english = Somebody(room, "english", role="interpreter", channel="en")
        floor, relay = room.booth(FLOOR), room.booth("en")
        assert floor.audio is room.original.timeline
        assert relay.video is floor.video
        assert relay.audio is not floor.audio
        clock.advance_to(NS)
        english.says()
        origin_ns = relay.audio.origin_ns
        assert origin_ns is not None
        heard = relay.audio.ring.read(NS - 100 * MS - origin_ns, 480)
        assert heard[10:].min() == pytest.approx(0.5)

    run(test)


class Runs:
    """Stands for a switcher: what is asked of it is kept. The real one needs networks and threads."""

    made: ClassVar[list[Runs]] = []

    def __init__(self, make: Any, note: Any) -> None:
        self.make, self.begun, self.present, self.newest_first, self.over = make, 0, None, [], False
        Runs.made.append(self)

    def begin(self) -> None:
        self.begun += 1

    def refuse(self) -> None:
        self.over = True

    def take_over(self, number: int) -> None: ...

    async def close(self) -> int:
        return 0


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Runs]:
    Runs.made = []
    monkeypatch.setattr(dubs_module, "RunSwitcher", Runs)
    return Runs.made


class Clocked:
    now_s = 100.0
    full: str | None = None
    told = 0

    def dubs(self) -> Dubs:
        room = Room("hall", VirtualClock())
        order = Order()

        def told() -> None:
            self.told += 1

        return Dubs(
            room.dub, lambda *parts: (1, None), order.take_place, lambda: self.full, print, told, lambda: self.now_s
        )  # type: ignore[arg-type, return-value]


def test_each_channel_with_a_voice_has_one_pipeline_and_keeps_it_for_a_moment(runs: list[Runs]) -> None:
    async def test() -> None:
        at = Clocked()
        dubs = at.dubs()
        for _ in range(5):
            assert dubs.follow(("es", "fr")) == []
        assert [each.begun for each in runs] == [1, 1]
        assert dubs.count == 2
        dubs.of("es").timeline.taken_over(1)  # type: ignore[union-attr]
        assert at.told == 1
        assert dubs.follow(("fr",)) == []  # a breath, or another interpreter comes
        at.now_s += DUB_KEPT_S / 2
        dubs.follow(("es", "fr"))
        dubs.follow(("fr",))
        at.now_s += DUB_KEPT_S
        over = dubs.follow(("fr",))
        assert [each.channel for each in over] == ["es"]
        assert dubs.count == 2
        assert await dubs.close(over) == 0
        assert dubs.count == 1
        assert runs[0].over
        before = SessionOptions()
        dubs.chosen(before, before.model_copy(update={"strength": 0.5}))
        assert runs[1].begun == 1
        dubs.chosen(before, before.model_copy(update={"face": "left"}))
        assert runs[1].begun == 2
        ending = dubs.follow(()) or dubs.give_up_all()
        assert [each.channel for each in ending] == ["fr"]
        assert await dubs.close([*ending, *dubs.give_up_all()]) == 0
        assert dubs.count == 0
        assert dubs.follow(("es",)) == []
        assert dubs.count == 0

    run(test)


def test_what_the_machine_cannot_hold_is_said_and_tried_again(runs: list[Runs]) -> None:
    async def test() -> None:
        at = Clocked()
        dubs = at.dubs()
        at.full = "This machine cannot hold one more dubbed picture."
        dubs.follow(("es",))
        assert (dubs.refused("es"), dubs.count) == (at.full, 0)
        at.full = None
        dubs.follow(("es",))
        assert dubs.count == 0  # not at once
        at.now_s += DUB_AGAIN_S
        dubs.follow(("es",))
        assert (dubs.refused("es"), dubs.count) == (None, 1)

    run(test)


class Machine:
    """Its processor's time."""

    def __init__(self, busy: float) -> None:
        self.busy, self.at = busy, 0.0

    def __call__(self) -> tuple[float, float]:
        return self.busy * self.at, 4 * self.at


def test_one_more_is_admitted_while_the_cores_have_room_for_what_one_costs_here() -> None:
    machine, own = Machine(1.0), Machine(0.8)
    admission = Admission(None, machine, own, all_cores=4)
    assert admission.refuses(0) is None  # nothing is known yet
    for second in range(40):
        machine.at = own.at = float(second)
        admission.look(2)
    assert admission._cost == pytest.approx(0.4, abs=0.01)
    assert admission.refuses(3) is None
    machine.busy = 3.7
    machine.at = own.at = 0.0
    admission._seen = admission._own_seen = (0.0, 0.0)
    for second in range(1, 40):
        machine.at = own.at = float(second)
        admission.look(2)
    why = admission.refuses(3)
    assert why is not None
    assert why.endswith("3.7 of 4 cores are at work, and one more takes 0.4.")
    assert Admission(1).refuses(0) is None
    assert "1 more pictures at most" in str(Admission(1).refuses(1))


class Film:
    """Frames, as fast as they are asked for; counts."""

    opened = closed = 0

    def __init__(self) -> None:
        self.k, self.go = 0, threading.Event()

    def open(self) -> VideoInfo:
        Film.opened += 1
        return VideoInfo(16, 12, Fraction(25), live=True, name="film")

    def read(self) -> Frame:
        if self.go.wait(0.01) or self.k > 200:
            raise EndOfStream
        self.k += 1
        return Frame(np.zeros((12, 16, 3), np.uint8), self.k * 40 * MS, self.k)

    def close(self) -> None:
        Film.closed += 1
        self.go.set()


class Tracker:
    tracked: ClassVar[list[int]] = []

    def track(self, frame: Frame) -> TrackedFrame:
        Tracker.tracked.append(frame.seq)
        return TrackedFrame(frame, None, f"frame {frame.seq}")

    def close(self) -> None: ...


def test_frames_are_read_and_tracked_once_for_all_runs() -> None:
    Film.opened, Film.closed, Tracker.tracked = 0, 0, []
    shared = TrackedOnce(Film, Tracker)
    runs = [shared.for_a_run() for _ in range(3)]
    assert [each.open().width for each in runs] == [16] * 3
    seen = [[run.track(run.read()).why for _ in range(4)] for run in runs]
    assert all(why.startswith("frame ") for each in seen for why in each)
    assert Film.opened == 1
    assert len(Tracker.tracked) == len(set(Tracker.tracked))
    runs[0].close()
    runs[0].close()
    assert runs[1].read() is not None
    assert Film.closed == 0
    for each in runs[1:]:
        each.close()
    assert Film.closed >= 1
    with pytest.raises(EndOfStream):
        runs[2].read()
    again = shared.for_a_run()
    again.open()
    assert Film.opened == 2
    assert again.read() is not None
    again.close()


def test_no_face_is_looked_for_while_no_run_needs_one() -> None:
    Film.opened, Film.closed, Tracker.tracked = 0, 0, []
    shared = TrackedOnce(Film, Tracker)
    floor, dub = shared.for_a_run(tracks=False), shared.for_a_run()
    floor.open()
    assert {floor.track(floor.read()).why for _ in range(4)} == {NOT_LOOKED_FOR}
    assert Tracker.tracked == []
    dub.open()
    assert Film.opened == 1
    while not dub.track(dub.read()).why.startswith("frame "):
        pass
    dub.close()
    count = len(Tracker.tracked)
    floor.read()
    while floor.track(floor.read()).why != NOT_LOOKED_FOR:
        pass
    assert len(Tracker.tracked) <= count + 10
    floor.close()


def read_all_of(source: TrackedVideo) -> None:
    for _ in range(300):
        source.read()


def test_a_picture_that_ends_ends_for_all_runs() -> None:
    shared = TrackedOnce(Film, Tracker)
    runs = [shared.for_a_run() for _ in range(2)]
    for each in runs:
        each.open()
    assert runs[0]._reading is not None
    runs[0]._reading._source.go.set()  # type: ignore[attr-defined]
    for each in runs:
        with pytest.raises(EndOfStream):
            read_all_of(each)
    late: LatestSlot[TrackedFrame] = LatestSlot()
    runs[0]._reading.add(late, tracks=True)
    assert late.closed
    for each in runs:
        each.close()


def test_what_a_session_may_be_asked_for() -> None:
    assert SessionOptions(languages=["es", "es", "pt-BR"]).languages == ("es", "pt-BR")
    assert SessionOptions(role="viewer", room="hall", channel=FLOOR).channel == FLOOR
    for wrong in (
        {"languages": ["Spanish"]},
        {"languages": [f"a{chr(97 + n)}" for n in range(13)]},
        {"channel": "two words"},
        {"role": "interpreter", "channel": FLOOR},
        {"hears": ""},
    ):
        with pytest.raises(ValidationError):
            SessionOptions(**wrong)  # type: ignore[arg-type]


def test_a_channel_that_is_renamed_is_not_a_channel_less_and_one_more() -> None:
    assert renamed(("en", "es"), ("en", "es-MX")) == [("es", "es-MX")]
    assert renamed(("en", "es"), ("es", "en")) == []
    assert renamed(("en", "es"), ("en",)) == renamed(("en",), ("en", "es")) == []


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({"channel": "es"}, True),
        ({"channel": "fr"}, False),
        ({"channel": ""}, False),
        ({"hears": "fr"}, True),
        ({"voice": "room:attic:es"}, False),
        ({}, True),
    ],
)
def test_a_link_for_a_language_does_not_let_into_another_one(changes: dict[str, Any], allowed: bool) -> None:
    request: Any = {INVITE: Invite(role="interpreter", room="hall", channel="es", made_ms=0, until_ms=1)}
    for asked, may in ((request, allowed), ({}, True)):
        if may:
            check_change(asked, changes)
        else:
            with pytest.raises(Refusal):
                check_change(asked, changes)


def test_many_viewers_are_told_once_of_what_happens_within_a_moment_and_others_at_once() -> None:
    """Each who comes would be a message to all who are there: two hundred, and twenty thousand messages."""

    async def test() -> None:
        room = Room("hall", VirtualClock())
        sender = Somebody(room, "sender", role="studio")
        viewers = [Somebody(room, f"viewer {number}", role="viewer") for number in range(MANY_VIEWERS)]
        assert viewers[0].told == MANY_VIEWERS  # few: each at once
        told = sender.told
        viewers += [Somebody(room, f"late {number}", role="viewer") for number in range(10)]
        assert sender.told == told + 10
        assert viewers[0].told == MANY_VIEWERS
        await asyncio.sleep(VIEWERS_TOLD_S + 0.1)
        assert {each.told - before for each, before in zip(viewers, [*range(MANY_VIEWERS, 0, -1)], strict=False)} == {1}
        assert {each.told for each in viewers[MANY_VIEWERS:]} == {1}
        room.leave(viewers.pop())
        room.close()  # with viewers who are still to be told
        await asyncio.sleep(VIEWERS_TOLD_S + 0.1)
        assert viewers[-1].told == 1

    run(test)
