"""What a fleet decides and keeps, without Ray: placement, passes for a relay, the store, who is where."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from realtime_dub.errors import ConfigError
from realtime_dub.web.config import ServeConfig, SessionOptions
from realtime_dub.web.fleet.config import FleetConfig
from realtime_dub.web.fleet.gateway import Fleet
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.store import FileStore
from realtime_dub.web.turn import password_of, turn_pass
from realtime_dub.web.workers.load import OVERLOADED, Load, place, place_light, why_none
from realtime_dub.web.workers.wire import Guest

pytestmark = pytest.mark.computes

LOADS = some.lists(
    some.none()
    | some.builds(
        Load,
        seats=some.integers(1, 8),
        dubbed=some.integers(0, 8),
        queued=some.integers(0, 4),
        late=some.floats(0, 1),
        busy=some.floats(0, 1),
        card=some.floats(0, 1),
        draining=some.booleans(),
    ),
    max_size=12,
)


@given(LOADS)
def test_nobody_is_sent_where_there_is_no_place(loads: list[Load | None]) -> None:
    number = place(loads)
    if number is None:
        assert all(load is None or load.draining or load.full or load.overloaded for load in loads)
        assert why_none(loads) in ("starting", "draining", "full", "overloaded")
        return
    assert why_none(loads) == ""
    chosen = loads[number]
    assert chosen is not None
    assert not chosen.draining
    assert chosen.dubbed + chosen.queued < chosen.seats
    assert chosen.late <= OVERLOADED or chosen.dubbed == 0
    assert all(chosen.cost <= load.cost for load in loads if load is not None and load.takes)


@given(LOADS)
def test_who_only_watches_is_sent_to_whoever_stays(loads: list[Load | None]) -> None:
    number = place_light(loads)
    assert (number is None) == all(load is None or load.draining for load in loads)
    assert number is None or not loads[number].draining  # type: ignore[union-attr]


@given(some.integers(1, 6), some.integers(1, 5), some.integers(0, 40))
def test_a_fleet_is_filled_evenly_and_then_says_so(workers: int, seats: int, people: int) -> None:
    loads: list[Load | None] = [Load(seats=seats) for _ in range(workers)]
    refused = 0
    for _ in range(people):
        if (number := place(loads)) is None:
            refused += 1
            continue
        loads[number] = loads[number].model_copy(update={"dubbed": loads[number].dubbed + 1})  # type: ignore[union-attr]
        taken = [load.dubbed for load in loads if load is not None]
        assert max(taken) - min(taken) <= 1
    assert refused == max(0, people - workers * seats)


def test_late_frames_count_more_than_free_seats() -> None:
    assert place([Load(seats=4, dubbed=1, late=0.09), Load(seats=4, dubbed=2)]) == 1
    assert place([Load(seats=4, dubbed=1, late=0.2), Load(seats=4, dubbed=4)]) is None
    assert why_none([Load(seats=4, dubbed=1, late=0.2)]) == "overloaded"
    assert why_none([Load(seats=4, draining=True), None]) == "draining"


def test_a_pass_is_as_coturn_reckons_it_and_runs_out() -> None:
    name, password = turn_pass("north", 1_000_000.0, "someone", 60)
    assert name == "1000060:someone"
    digest = hmac.new(b"north", b"1000060:someone", hashlib.sha1).digest()
    assert password == base64.b64encode(digest).decode() == password_of("north", name)
    assert password_of("south", name) != password


def test_each_who_asks_has_a_pass_of_their_own() -> None:
    config = ServeConfig(turn="turn:relay.example:3478", turn_secret="a long secret")
    (first,), (second,) = config.ice_servers, config.ice_servers
    assert first["username"] != second["username"]
    until_s = int(first["username"].partition(":")[0])
    assert 23 * 3600 < until_s - time.time() < 25 * 3600
    with pytest.raises(ValueError, match="turn_secret"):
        ServeConfig(turn="turn:relay.example:3478")


def test_a_store_keeps_for_a_time_and_tells_no_name(tmp_path: Path) -> None:
    store, other = FileStore(tmp_path / "kept"), FileStore(tmp_path / "kept")
    store.put("0-secret", b"one", 60)
    store.put("0-secret", b"two", 60)
    assert other.get("0-secret") == b"two"
    assert other.get("0-other") is None
    assert not any("secret" in path.name for path in (tmp_path / "kept").iterdir())
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "kept").iterdir())
    store.put("1-late", b"late", -1)
    assert other.get("1-late") is None
    half = tmp_path / "kept" / ".half"
    half.write_bytes(b"x")
    os.utime(half, (0, 0))
    store.sweep()
    assert len(list((tmp_path / "kept").iterdir())) == 1
    store.drop("0-secret")
    store.drop("0-secret")
    assert store.get("0-secret") is None


class FakeWorker:
    """Says of itself what a test says."""

    def __init__(self, number: int, load: Load | None) -> None:
        self.number, self.load, self.is_ready = number, load, load is not None
        self.guests: dict[str, Guest] = {}
        self.moving: frozenset[str] = frozenset()

    def has(self, *guests: Guest) -> None:
        self.guests = {each.id: each for each in guests}


def guest(id: str, **more: object) -> Guest:
    fields = {"role": "studio", "voice": "mic", "picture": "camera", "came": True, "since_s": 0.0, **more}
    return Guest.model_validate({"id": id, **fields})


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    config = FleetConfig(serve=ServeConfig(port=0), secret="s" * 20, folder=tmp_path, workers=3)
    made = Fleet(config, lambda number: "", config.serve)
    made.workers = [FakeWorker(number, Load(seats=2)) for number in range(3)]  # type: ignore[misc]
    return made


def choose(fleet: Fleet, **options: object) -> int:
    return asyncio.run(fleet.choose(SessionOptions.model_validate(options))).number


def test_whom_nobody_has_told_of_yet_counts_where_they_were_sent(fleet: Fleet) -> None:
    assert [choose(fleet) for _ in range(6)] == [0, 1, 2, 0, 1, 2]
    with pytest.raises(Refusal, match="full"):
        choose(fleet)
    first = fleet.workers[0]
    first.has(guest("0-a"))  # type: ignore[attr-defined]
    fleet._changed(first)
    with pytest.raises(Refusal, match="full"):  # one is here, one is on the way
        choose(fleet)
    first.has(guest("0-a"), guest("0-b"))  # type: ignore[attr-defined]
    fleet._changed(first)
    first.has(guest("0-b"))  # type: ignore[attr-defined]
    fleet._changed(first)
    assert choose(fleet) == 0


def test_a_room_stays_where_it_is_until_it_is_given_away(fleet: Fleet) -> None:
    first = fleet.workers[0]
    first.has(guest("0-a", room="hall"))  # type: ignore[attr-defined]
    first.load = Load(seats=2, dubbed=1, draining=True)
    assert choose(fleet, room="hall", role="viewer") == 0
    first.moving = frozenset({"hall"})
    assert choose(fleet, room="hall") == 1
    assert choose(fleet, room="hall", role="viewer") == 1
    assert choose(fleet) == 2


def test_a_worker_that_is_gone_is_nobodys(fleet: Fleet) -> None:
    fleet.workers[0].has(guest("0-a", room="hall"))  # type: ignore[attr-defined]
    fleet.workers[0].is_ready = False  # type: ignore[misc]
    assert choose(fleet, room="hall") == 1
    for worker in fleet.workers:
        worker.is_ready = False  # type: ignore[misc]
    with pytest.raises(Refusal, match="starting"):
        choose(fleet)


def test_a_worker_is_told_how_the_world_sees_its_node(tmp_path: Path) -> None:
    config = FleetConfig(
        serve=ServeConfig(port=0, token="long enough"),
        secret="s" * 20,
        folder=tmp_path,
        public_ips=("10.0.0.5=203.0.113.7",),
        worker_ports="7400-7401",
    )
    assert str(config.at("10.0.0.5").public_ip) == "203.0.113.7"
    assert config.at("10.0.0.6").public_ip is None
    assert config.at("10.0.0.5").token is None
    assert list(config.ports) == [7400, 7401]
    for wrong in ({"public_ips": ("10.0.0.5",)}, {"worker_ports": "80-90"}, {"secret": "short"}):
        with pytest.raises(ValueError, match=r"."):
            FleetConfig.model_validate({**config.model_dump(), **wrong})


def test_a_node_with_another_version_says_so(tmp_path: Path) -> None:
    config = FleetConfig(serve=ServeConfig(port=0), secret="s" * 20, folder=tmp_path)
    config.check_version()
    told = config.model_copy(update={"version": "0.0.1"}).model_dump_json(exclude_unset=True)
    with pytest.raises(ConfigError, match=r"the fleet is of 0\.0\.1; install one version on all nodes"):
        FleetConfig.model_validate_json(told).check_version()
