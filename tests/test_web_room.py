"""Several people in one room, with real connections: who comes in any order, goes and comes back, is live again."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from test_web_sessions import visiting
from web_peers import HEADERS, ROOMY_MS, Visitor, serving

ROLES = ("studio", "interpreter", "viewer", "second viewer")
OPTIONS: dict[str, dict[str, Any]] = {
    "studio": {"engine": "passthrough", "voice": "room:hall", "room": "hall", "budget_ms": ROOMY_MS},
    "interpreter": {"role": "interpreter", "room": "hall"},
    "viewer": {"role": "viewer", "room": "hall"},
    "second viewer": {"role": "viewer", "room": "hall"},
}


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())


async def come(http: Any, url: str, role: str) -> Visitor:
    visitor = Visitor(http, url, sends="viewer" not in role)
    await visitor.connect(**OPTIONS[role])
    return visitor


def room(visitor: Visitor) -> dict[str, Any]:
    """What the page was told of it last."""
    return next((each["room"] for each in reversed(visitor.got.stats) if "room" in each), {})


async def watched(viewer: Visitor) -> None:
    """From now on pictures come, and the interpreter is heard."""
    pictures, sounds = len(viewer.got.pictures), len(viewer.got.sounds)
    await viewer.until(lambda: len(viewer.got.pictures) > pictures + 5)
    await viewer.until(lambda: any(np.abs(each[2]).max() > 1500 for each in viewer.got.sounds[sounds:]))
    await viewer.until(lambda: room(viewer).get("state") == "live")


async def go(visitor: Visitor) -> None:
    assert await visitor.delete() == 204
    await visitor.close()


async def all_are_on(here: dict[str, Visitor]) -> None:
    """From now on both viewers watch and hear, and each is told that the room is live."""
    await asyncio.gather(*(watched(here[role]) for role in ROLES[2:]))
    for visitor in here.values():
        await visitor.until(lambda visitor=visitor: room(visitor).get("state") == "live")


async def comes_and_goes(order: tuple[str, ...], leaving: tuple[str, ...]) -> None:
    async with serving(max_sessions=1) as (studio, http, url):
        here = {role: await come(http, url, role) for role in order}
        await all_are_on(here)
        for role in leaving:
            await go(here.pop(role))
            here[role] = await come(http, url, role)
            await all_are_on(here)
        for visitor in here.values():
            await go(visitor)
        assert studio.sessions == {}


@pytest.mark.slow
def test_four_roles_in_one_order_and_one_leaves_and_comes_back() -> None:
    run(lambda: comes_and_goes(("viewer", "interpreter", "second viewer", "studio"), ("studio",)))


PAIRS = list(itertools.permutations(ROLES, 2))


@pytest.mark.long
@pytest.mark.parametrize("first", PAIRS)
def test_four_roles_in_any_order_and_each_leaves_and_comes_back(first: tuple[str, str]) -> None:
    rest = [role for role in ROLES if role not in first]
    for number, last in enumerate((rest, rest[::-1])):
        order = (*first, *last)
        run(partial(comes_and_goes, order, order[number::2]))


def test_a_viewer_waits_and_is_told_when_the_sender_goes_and_comes() -> None:
    async def test() -> None:
        async with serving(max_sessions=1) as (_, http, url), visiting(await come(http, url, "viewer")) as viewer:
            await viewer.until(lambda: room(viewer).get("state") == "waiting")
            for _ in range(2):
                sender = await come(http, url, "studio")
                await viewer.until(lambda: room(viewer)["state"] == "live")
                await go(sender)
                await viewer.until(lambda: room(viewer)["state"] == "ended")

    run(test)


def test_who_speaks_or_watches_takes_no_seat_of_a_pipeline() -> None:
    async def test() -> None:
        async with serving(max_sessions=1, max_viewers=1, max_interpreters=1) as (_, http, url):
            others = [await come(http, url, "viewer"), await come(http, url, "interpreter")]
            sender = await come(http, url, "studio")
            for visitor in (*others, sender):  # a seat is taken by who is connected
                await visitor.until(lambda visitor=visitor: visitor.got.stats)
            for role, word in (("studio", "full"), ("viewer", "viewer"), ("interpreter", "interpreter")):
                async with visiting(Visitor(http, url, sends=role != "viewer")) as one_too_many:
                    options = {**OPTIONS[role], "room": "other"}
                    status, told = await one_too_many.offer("/api/sessions", {"options": options})
                    assert (status, word in told["error"]["what"]) == (503, True), told
            for visitor in (*others, sender):
                await go(visitor)

    run(test)


def test_the_first_interpreter_keeps_the_floor_and_the_second_gets_it_when_the_first_goes() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url):
            first = await come(http, url, "interpreter")
            await first.until(lambda: room(first).get("floor") == "you")
            second = await come(http, url, "interpreter")
            await second.until(lambda: room(second).get("floor") == "another")
            microphone = studio.find(second.id).input
            await second.until(lambda: microphone.is_heard)
            assert room(first)["floor"] == "you"
            assert studio.rooms.find("hall").presence.on_air("").id == first.id
            await go(first)
            await second.until(lambda: room(second)["floor"] == "you")
            await go(second)

    run(test)


def test_a_second_sender_is_told_and_gets_the_room_when_the_first_is_gone() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url), visiting(Visitor(http, url)) as second:
            first = await come(http, url, "studio")
            status, told = await second.offer("/api/sessions", {"options": OPTIONS["studio"]})
            assert status == 409
            assert "Somebody else sends" in told["error"]["what"]
            assert len(studio.sessions) == 1
            async with http.get(f"{url}/api/rooms/hall") as answer:
                assert (await answer.json())["sender"] is True
            await go(first)
            async with http.get(f"{url}/api/rooms/hall") as answer:
                assert (await answer.json())["sender"] is False
            async with visiting(await come(http, url, "studio")) as again:
                await again.until(lambda: len(again.got.pictures) > 3)
                assert await again.delete() == 204

    run(test)


def test_changes_at_once_are_all_made() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url), visiting(Visitor(http, url)) as visitor:
            await visitor.connect(engine="passthrough")
            changes = ({"budget_ms": 700}, {"strength": 0.5}, {"face": "left"}, {"budget_ms": 650}, {"voice": "none"})
            answers = await asyncio.gather(*(visitor.patch(**each) for each in changes))
            assert [status for status, _ in answers] == [200] * len(changes)
            options = studio.find(visitor.id).options
            assert (options.strength, options.face, options.voice) == (0.5, "left", "none")
            assert options.budget_ms in (650, 700)
            async with http.get(f"{url}/api/sessions/{visitor.id}", headers=HEADERS) as answer:
                assert (await answer.json())["options"] == options.model_dump(mode="json")
            assert await visitor.delete() == 204

    run(test)
