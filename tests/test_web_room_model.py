"""The room's model: whatever happens in whatever order, one interpreter is on air per channel, and nobody is lost."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.presence import MAIN, Presence

pytestmark = pytest.mark.computes

LANGUAGES = (MAIN, "en", "es")
ALL = (*LANGUAGES, "fr")
ROLES = ("studio", "interpreter", "viewer", "operator")
anybody = st.integers(0, 11)  # of those who ever came, or who never did


class AnyOrder(RuleBasedStateMachine):
    """People come, go, speak, fall silent, hand over, are moved and muted, in any order."""

    @initialize()
    def begin(self) -> None:
        self.told = 0
        self.room = Presence(self._changed)
        self.here: dict[str, str] = {}
        self.came = 0
        self.before: dict[str, int | None] = {}

    def _changed(self) -> None:
        self.told += 1

    def _name(self, which: int) -> str:
        return f"session {which}"

    def _number(self, which: int) -> int:
        person = self.room.of(self._name(which))
        return person.number if person is not None else 10_000

    @rule(role=st.sampled_from(ROLES), channel=st.sampled_from(LANGUAGES))
    def arrive(self, role: str, channel: str) -> None:
        id = self._name(self.came % 12)
        if id in self.here:
            return
        came = self._tries(lambda: self.room.arrive(id, role, channel))
        assert came != (role == "studio" and "studio" in self.here.values())
        if not came:
            return
        self.here[id] = role
        self.came += 1

    @rule(which=anybody)
    def leave(self, which: int) -> None:
        self.room.leave(self._name(which))
        self.here.pop(self._name(which), None)

    @rule(which=anybody, heard=st.booleans())
    def hear(self, which: int, heard: bool) -> None:
        if self.here.get(self._name(which)) == "interpreter":
            self.room.hear(self._name(which), heard)

    @rule(which=anybody, channel=st.sampled_from(LANGUAGES))
    def choose(self, which: int, channel: str) -> None:
        chose = self._tries(lambda: self.room.choose(self._name(which), channel))
        assert chose == (self.here.get(self._name(which)) in ("interpreter", "viewer"))

    @rule(before=st.sampled_from(LANGUAGES), after=st.sampled_from(ALL))
    def rename(self, before: str, after: str) -> None:
        on_air, taken = self.room.on_air(before), after in self.room.channels
        self.room.rename(before, after)
        if on_air is not None and not taken:
            now = self.room.on_air(after)
            assert now is not None
            assert now.number == on_air.number

    @rule(which=anybody, to=st.none() | anybody)
    def propose(self, which: int, to: int | None) -> None:
        before = self._on_air()
        self._tries(lambda: self.room.propose(self._name(which), None if to is None else self._number(to)))
        assert self._on_air() == before  # nothing changes hands before it is confirmed

    @rule(which=anybody)
    def confirm(self, which: int) -> None:
        channels, id = self.room.channels, self._name(which)
        person, before = self.room.of(id), self._on_air()
        if not self._tries(lambda: self.room.confirm(id)):
            assert self._on_air() == before
            return
        assert person is not None
        handover = channels[person.channel].handover
        assert handover is not None
        assert person.number == handover.confirms != handover.by
        assert self._on_air() == before | {person.channel: handover.taker}
        assert self.room.channels[person.channel].handover is None

    @rule(which=anybody)
    def withdraw(self, which: int) -> None:
        before = self._on_air()
        self._tries(lambda: self.room.withdraw(self._name(which)))
        assert self._on_air() == before

    @rule(which=anybody, muted=st.booleans())
    def mute(self, which: int, muted: bool) -> None:
        before = self._on_air()
        self._tries(lambda: self.room.mute(self._number(which), muted))
        assert self._on_air() == before

    @rule(which=anybody, channel=st.sampled_from(LANGUAGES))
    def move(self, which: int, channel: str) -> None:
        self._tries(lambda: self.room.move(self._number(which), channel))

    @rule(which=anybody)
    def put_on_air(self, which: int) -> None:
        if self._tries(lambda: self.room.put_on_air(self._number(which))):
            person = self.room.of(self._name(which))
            assert person is not None
            assert self.room.on_air(person.channel) == person

    def _tries(self, what: object) -> bool:
        """False where it was refused: then nothing has changed."""
        before, told = self.room.to_dict(), self.told
        try:
            what()  # type: ignore[operator]
        except Refusal:
            assert (self.room.to_dict(), self.told) == (before, told)
            return False
        return True

    def _on_air(self) -> dict[str, int | None]:
        return {name: channel.on_air for name, channel in self.room.channels.items()}

    @invariant()
    def nobody_is_lost(self) -> None:
        assert {each.id: each.role for each in self.room.people} == self.here
        numbers = [each.number for each in self.room.people]
        assert numbers == sorted(set(numbers))

    @invariant()
    def one_is_on_air_per_channel(self) -> None:
        on_air = [each["number"] for each in self.room.to_dict()["people"] if each["on_air"]]
        assert sorted(on_air) == sorted(number for number in self._on_air().values() if number is not None)
        for name in ALL:
            there, now = self.room.interpreters(name), self.room.on_air(name)
            assert now is None or now in there
            assert (now is not None and now.heard) == any(each.heard for each in there)
            assert (name in self.room.channels) == bool(there)

    @invariant()
    def a_handover_is_between_two_who_can(self) -> None:
        for name, channel in self.room.channels.items():
            if (handover := channel.handover) is not None:
                assert handover.giver == channel.on_air != handover.taker
                assert handover.taker in {each.number for each in self.room.interpreters(name)}
                assert handover.by in (handover.giver, handover.taker)

    @invariant()
    def every_change_is_told_once(self) -> None:
        assert self.told == self.room.sequence == self.room.to_dict()["sequence"]


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase


def booth(*heard: bool) -> Presence:
    """Interpreters a, b, … of one channel."""
    room = Presence()
    for at, is_heard in enumerate(heard):
        room.arrive("abc"[at], "interpreter", "es")
        room.hear("abc"[at], is_heard)
    return room


def on_air(room: Presence) -> str | None:
    person = room.on_air("es")
    return person and person.id


def test_a_partner_asks_and_whoever_is_on_air_confirms() -> None:
    room = booth(True, True)
    room.propose("b")
    assert on_air(room) == "a"
    with pytest.raises(Refusal, match="other one has to confirm"):
        room.confirm("b")
    room.confirm("a")
    assert on_air(room) == "b"


def test_whoever_is_on_air_offers_and_the_partner_confirms() -> None:
    room = booth(True, True, True)
    room.propose("a", to=3)
    with pytest.raises(Refusal, match="other one has to confirm"):
        room.confirm("b")
    room.confirm("c")
    assert on_air(room) == "c"


def test_who_is_not_heard_cannot_be_on_air_in_place_of_who_is() -> None:
    room = booth(True, False)
    room.propose("a")
    with pytest.raises(Refusal, match="Nothing is heard"):
        room.confirm("b")
    assert on_air(room) == "a"
    room.hear("a", False)
    assert on_air(room) == "a"  # silence beside silence: nobody would gain
    room.hear("b", True)
    assert on_air(room) == "b"


def test_a_handover_ends_where_one_of_the_two_goes() -> None:
    room = booth(True, True, True)
    room.propose("b")
    room.leave("a")
    assert (on_air(room), room.channels["es"].handover) == ("b", None)
    room.propose("b", to=3)
    room.move(3, "en")
    assert room.channels["es"].handover is None
    assert room.channels["en"].on_air == 3
