"""What is known of a person goes over to the session that their page opens elsewhere; and a worker is emptied."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from patience import PATIENCE_S

from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.web.config import SessionOptions
from realtime_dub.web.store import FileStore
from realtime_dub.web.studio.leases import Leases
from realtime_dub.web.upkeep import until
from realtime_dub.web.workers.drain import LOOK_S, PAUSE_S, Drain

pytestmark = pytest.mark.computes


class FakeSession:
    """Knows whom a test says; is given banks."""

    def __init__(self, id: str, known: Any = None, **options: object) -> None:
        self.id, self._known, self.has_seat, self.closed = id, known, True, False
        self.options = SessionOptions.model_validate(options)
        self.speaks, self.since_s = False, 0.0
        self.used: Any = None

    async def known(self) -> Any:
        return self._known

    async def use_bank(self, bank: Any) -> None:
        self.used = self._known = bank


def somebody(wide: float = 0.2) -> Bank:
    return Bank(neutral=TEMPLATE, closed=TEMPLATE, wide=wide)


def leases(store: FileStore, *sessions: FakeSession) -> Leases:
    return Leases(store, lambda: sessions)  # type: ignore[arg-type, return-value]


async def goes_over(store: FileStore, before: FakeSession, after: FakeSession, name: str = "") -> bool:
    """Kept by one worker, taken over at another."""
    await leases(store, before).keep(before)  # type: ignore[arg-type]
    return await leases(store, after).take_over(name or before.id, after)  # type: ignore[arg-type]


def test_a_bank_goes_over_to_the_next_session(tmp_path: Path) -> None:
    store, after = FileStore(tmp_path), FakeSession("1-after")

    async def go() -> None:
        assert await goes_over(store, FakeSession("0-before", somebody(0.123)), after)
        assert after.used.wide == pytest.approx(0.123)
        again = FakeSession("0-again")
        assert await leases(store, again).take_over("1-after", again)  # type: ignore[arg-type]
        assert again.used.wide == pytest.approx(0.123)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("known", "options", "name"),
    [
        (None, {}, ""),
        (Bank(), {}, ""),  # nobody was seen
        (somebody(), {}, "0-guessed"),
        (somebody(), {"role": "viewer", "room": "hall"}, ""),
    ],
)
def test_there_is_nothing_for_others(known: Any, options: dict[str, object], name: str, tmp_path: Path) -> None:
    after = FakeSession("1-after", **options)
    assert not asyncio.run(goes_over(FileStore(tmp_path), FakeSession("0-before", known), after, name))
    assert after.used is None


def test_what_somebody_else_wrote_there_is_no_bank(tmp_path: Path) -> None:
    store, after = FileStore(tmp_path), FakeSession("1-after")
    for data in (b"", b"{}", b"[1]\n", b'{"engine": "mouthbank"}\nnot a bank', b"\xff\n"):
        store.put("0-before", data, 60)
        assert not asyncio.run(leases(store, after).take_over("0-before", after))  # type: ignore[arg-type]
    assert after.used is None


def test_who_wants_to_be_forgotten_is_forgotten_there_too(tmp_path: Path) -> None:
    store, before, after = FileStore(tmp_path), FakeSession("0-before", somebody()), FakeSession("1-after")

    async def go() -> None:
        await leases(store, before).keep(before)  # type: ignore[arg-type]
        there = leases(store, after)
        await there.take_over("0-before", after)  # type: ignore[arg-type]
        await there.forget("1-after")

    asyncio.run(go())
    assert store.get("0-before") is None
    assert store.get("1-after") is None


class FakeStudio:
    def __init__(self, *sessions: FakeSession) -> None:
        self.sessions = {each.id: each for each in sessions}
        self.ended: list[list[str]] = [[]]
        self.ended_s: list[float] = []

    async def end(self, id: str, why: str) -> None:
        self.sessions.pop(id)
        self.ended[-1].append(id)
        self.ended_s.append(time.monotonic())


def test_a_room_at_a_time_and_not_while_somebody_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PAUSE_S": 0.03, "BETWEEN_S": 0.2, "LOOK_S": 0.005, "LONGEST_S": 60.0}.items():
        monkeypatch.setattr(f"realtime_dub.web.workers.drain.{name}", value)
    speaks = FakeSession("0-a", room="hall")
    booth = FakeSession("0-b", room="hall", role="interpreter")
    elsewhere, alone = FakeSession("0-c", voice="room:hall"), FakeSession("0-d")
    for number, each in enumerate((speaks, booth, elsewhere, alone)):
        each.since_s = float(number)
    speaks.speaks = True
    kept: list[str] = []

    async def keep(session: Any) -> None:
        kept.append(session.id)

    async def go() -> None:
        studio = FakeStudio(speaks, booth, elsewhere, alone)
        drain = Drain(studio, keep)  # type: ignore[arg-type]
        task = asyncio.create_task(drain.run())
        await asyncio.sleep(0.3)
        assert len(studio.sessions) == 4  # somebody speaks
        speaks.speaks = False
        assert await until(lambda: not studio.sessions, PATIENCE_S)
        assert studio.ended == [["0-a", "0-b", "0-c", "0-d"]]
        assert studio.ended_s[3] - studio.ended_s[2] > 0.19  # another room
        assert drain.moving == {"hall"}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert kept == ["0-a", "0-c", "0-d"]

    asyncio.run(go())


def test_a_loop_that_stood_still_moves_nobody_who_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> None:
        now_s = 0.0
        monkeypatch.setattr("realtime_dub.web.workers.drain.time", SimpleNamespace(monotonic=lambda: now_s))
        speaks = FakeSession("0-a", room="hall")
        speaks.speaks = True
        pause = asyncio.create_task(Drain(FakeStudio(speaks))._pause([speaks]))  # type: ignore[arg-type, list-item]
        for _ in range(3):
            await asyncio.sleep(2 * LOOK_S)
            now_s += 2 * PAUSE_S
        assert not pause.done()
        pause.cancel()
        await asyncio.gather(pause, return_exceptions=True)

    asyncio.run(go())
