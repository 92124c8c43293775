"""Who is sent to which worker, and who yields: decided at the front from what workers tell."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from realtime_dub.web.config import ServeConfig, SessionOptions
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.names import Names, owner_of
from realtime_dub.web.workers.crew import Crew
from realtime_dub.web.workers.labelled import labelled
from realtime_dub.web.workers.serving import workers_of
from realtime_dub.web.workers.wire import Guest, Order

pytestmark = pytest.mark.computes


class FakeWorker:
    """Has the guests that a test gives it, and keeps what it is told."""

    def __init__(self, number: int) -> None:
        self.number, self.is_ready = number, True
        self.guests: dict[str, Guest] = {}
        self.told: list[Order] = []
        self.moving: frozenset[str] = frozenset()

    def tell(self, order: Order) -> None:
        self.told.append(order)

    def has(self, *guests: Guest) -> None:
        self.guests = {each.id: each for each in guests}


@pytest.fixture
def crew() -> Crew:
    made = Crew(ServeConfig(port=0, max_sessions=4), 2)
    made.workers = [FakeWorker(0), FakeWorker(1)]  # type: ignore[list-item]
    return made


def guest(id: str, since_s: float, **more: object) -> Guest:
    fields = {"role": "studio", "voice": "mic", "picture": "camera", "came": True, **more}
    return Guest.model_validate({"id": id, "since_s": since_s, **fields})


def choose(crew: Crew, **options: object) -> int:
    return asyncio.run(crew.choose(SessionOptions.model_validate(options))).number


def test_whoever_came_first_shares_with_nobody_as_long_as_may_be(crew: Crew) -> None:
    first, second = crew.workers
    assert choose(crew) == 0
    first.has(guest("0-a", 1.0))
    assert choose(crew) == 1
    second.has(guest("1-b", 2.0))
    assert choose(crew) == 1
    second.has(guest("1-b", 2.0), guest("1-c", 3.0))
    assert choose(crew) == 1
    second.has(guest("1-b", 2.0), guest("1-c", 3.0), guest("1-d", 4.0))
    with pytest.raises(Refusal, match="full"):
        choose(crew)
    first.has()  # who is first now is among three: the other is free
    assert choose(crew) == 0


def test_a_room_is_where_its_people_are_or_are_on_their_way_to(crew: Crew) -> None:
    first, second = crew.workers
    first.has(guest("0-a", 1.0))
    assert choose(crew, room="one") == 1
    assert choose(crew, room="one", role="viewer") == 1  # nobody was told of yet
    second.has(guest("1-b", 2.0, room="two"), guest("1-c", 2.5))
    assert choose(crew, room="two", role="interpreter") == 1
    assert choose(crew, voice="room:two") == 1
    first.is_ready = False
    with pytest.raises(Refusal, match="no such session"):
        crew.of("0-a")


def test_who_came_last_yields_whichever_worker_has_it(crew: Crew) -> None:
    first, second = crew.workers
    calm, late = guest("1-b", 2.0, made=10), guest("0-a", 1.0, made=40, missed=10)
    for _ in range(2):
        first.has(guest("0-a", 1.0, made=25))
        second.has(calm)
        for worker in crew.workers:
            crew._changed(worker)
    first.has(late)
    crew._changed(first)
    assert first.told[-1] == second.told[-1] == Order(yields=["1-b"], dubbed=2)


def test_what_one_worker_has_told_is_counted_once(crew: Crew) -> None:
    first, second = crew.workers
    first.has(guest("0-a", 1.0, made=20, missed=4))  # one less than somebody has to yield for
    second.has(guest("1-b", 2.0, made=10))
    for worker in (first, second, second):
        crew._changed(worker)
    assert first.told[-1].yields == []


def test_one_seat_is_not_taken_twice(crew: Crew) -> None:
    first, second = crew.workers
    first.has(*(guest(f"0-{n}", n) for n in range(3)))
    second.has(*(guest(f"1-{n}", n + 0.5) for n in range(2)))
    crew._changed(second)
    assert [order.end for order in (*first.told, *second.told) if order.end] == ["0-2"]


def test_names_tell_whose_they_are(tmp_path: Path) -> None:
    for number in range(3):
        names = Names(number, 3)
        assert names.has(names.new())
        assert not Names((number + 1) % 3, 3).has(names.new())
    assert {owner_of(name, 2) for name in ("7-abc", "abc", "-1", "²-a", "99999-a", "")} == {0}


def test_one_text_of_several() -> None:
    text = b'# HELP a_total A\n# TYPE a_total counter\na_total{kind="x"} 2.0\n'
    told = labelled({"0": text, "1": text, "2": b""}).decode()
    assert told.count("# TYPE") == 1
    assert 'a_total{kind="x",worker="0"} 2.0' in told
    assert 'a_total{kind="x",worker="1"} 2.0' in told


def test_one_worker_for_each_who_may_be_dubbed() -> None:
    assert workers_of(ServeConfig(max_sessions=1)) == 1
    assert workers_of(ServeConfig(max_sessions=100, workers=3)) == 3
    assert workers_of(ServeConfig(max_sessions=100)) >= 1


def test_whoever_shows_an_avatar_that_is_deleted_is_ended_wherever_they_are(crew: Crew) -> None:
    first, second = crew.workers
    first.has(guest("0-a", 1.0, picture="avatar:mine"), guest("0-b", 2.0))
    second.has(guest("1-c", 3.0, picture="avatar:mine"), guest("1-d", 4.0, picture="avatar:other"))
    asyncio.run(crew.end_showing("avatar:mine", "the avatar was deleted"))
    assert [(order.end, order.why) for order in (*first.told, *second.told)] == [
        ("0-a", "the avatar was deleted"),
        ("1-c", "the avatar was deleted"),
    ]
    second.is_ready = False  # its guests are gone with it
    asyncio.run(crew.end_showing("avatar:other", "the avatar was deleted"))
