"""An operator sees who is in a room and how they fare, and mutes, moves, puts on air, ends, invites."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import cv2
import numpy as np
from aiohttp import ClientSession
from patience import PATIENCE_S
from test_web_invites import BEARER, TOKEN, by, link
from test_web_room import OPTIONS, come, go, room
from test_web_safety import ask
from test_web_sessions import visiting
from web_peers import HEADERS, Visitor, serving

from realtime_dub.web.http.operators import _qr
from realtime_dub.web.limits import MOST_OPERATORS


class Events:
    """The newest state of a room, as its stream tells it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.sequences: list[int] = []
        self.room: dict[str, Any] = {"people": [], "channels": []}

    async def read(self) -> None:
        """The next one."""
        fields = {}
        while line := (await self._stream.content.readline()).decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
        assert fields["event"] == "room"
        self.room = json.loads(fields["data"])
        assert int(fields["id"]) == self.room["sequence"]
        self.sequences.append(self.room["sequence"])

    async def until(self, so: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not so(self.room):
                await self.read()

    def person(self, role: str) -> dict[str, Any]:
        return next((each for each in self.room["people"] if each["role"] == role), {})


@asynccontextmanager
async def events(http: ClientSession, url: str) -> AsyncIterator[Events]:
    async with http.get(f"{url}/api/rooms/hall/events") as stream:
        assert (stream.status, stream.content_type) == (200, "text/event-stream")
        yield Events(stream)


async def own(visitor: Visitor) -> int:
    """Its number in the room."""
    await visitor.until(lambda: "you" in room(visitor))
    return int(room(visitor)["you"])


async def act(http: ClientSession, url: str, number: int, action: str, **more: str) -> int:
    body = {"action": action, **more}
    return (await ask(http, "POST", f"{url}/api/rooms/hall/people/{number}", json=body, headers=HEADERS))[0]


def test_an_operator_mutes_moves_puts_on_air_and_ends() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url), events(http, url) as seen:
            await seen.read()
            assert [each["role"] for each in seen.room["people"]] == ["operator"]
            one, two = await come(http, url, "interpreter"), await come(http, url, "interpreter")
            await seen.until(lambda told: sum(each["heard"] for each in told["people"]) == 2)
            there = {await own(visitor): visitor for visitor in (one, two)}
            (channel,) = seen.room["channels"]
            first = channel["on_air"]  # whoever was heard first
            (second,) = set(there) - {first}
            assert channel == {"name": "", "on_air": first, "handover": None}
            one, two = there[first], there[second]
            assert await act(http, url, second, "air") == 204
            await seen.until(lambda told: told["channels"][0]["on_air"] == second)
            await two.until(lambda: room(two).get("floor") == "you")
            assert await act(http, url, second, "mute") == 204
            await two.until(lambda: room(two).get("muted"))
            assert studio.sessions[two.id].input.muted
            assert await act(http, url, second, "unmute") == 204
            assert await act(http, url, first, "move", channel="es") == 204
            await one.until(lambda: (room(one)["floor"], room(one)["channel"]) == ("you", "es"))
            await seen.until(lambda told: [each["name"] for each in told["channels"]] == ["", "es"])
            await seen.until(lambda told: "loss_percent" in seen.person("interpreter").get("statistics", ()))
            assert seen.person("interpreter")["connected"]
            wrong = [(99, "mute", 404), (1, "air", 409), (1, "end", 409), (first, "shout", 400)]
            for number, action, status in wrong:
                assert await act(http, url, number, action) == status, (number, action)
            assert await act(http, url, first, "end") == 204
            await seen.until(lambda told: first not in [each["number"] for each in told["people"]])
            assert [each["error"]["what"] for each in one.ended] == ["The operator has ended this session."]
            assert (await ask(http, "DELETE", f"{url}/api/rooms/hall", headers=HEADERS))[0] == 204
            assert studio.sessions == {}
            assert seen.sequences == sorted(seen.sequences)
            for each in (one, two):
                await each.close()

    asyncio.run(test())


def test_a_stream_begins_with_all_there_is_and_only_so_many_may_watch() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url):
            interpreter = await come(http, url, "interpreter")
            async with events(http, url) as seen:
                await seen.read()
                assert seen.person("interpreter")["number"] == 1
                last = seen.room["sequence"]
            async with events(http, url) as again:
                await again.read()
                assert again.room["sequence"] > last
                hall = studio.rooms.find("hall")
                assert hall is not None
                for at in range(MOST_OPERATORS - hall.presence.count("operator")):
                    hall.presence.arrive(f"operator {at}", "operator")
                status, told, _ = await ask(http, "GET", f"{url}/api/rooms/hall/events")
                assert (status, "operators enough" in told["error"]["what"]) == (503, True)
            status, told, _ = await ask(http, "GET", f"{url}/api/rooms/hall/people")
            assert (status, told["interpreters"], told["name"]) == (200, 1, "hall")
            status, told, _ = await ask(http, "GET", f"{url}/api/rooms")
            assert [each["name"] for each in told["rooms"]] == ["hall"]
            assert (await ask(http, "GET", f"{url}/api/rooms/attic/people"))[1]["people"] == []
            assert studio.rooms.find("attic") is None
            await go(interpreter)

    asyncio.run(test())


def test_recordings_of_a_room_are_told_to_its_operator() -> None:
    async def test() -> None:
        async with serving(token=TOKEN) as (_, http, url), visiting(Visitor(http, url)) as sender:
            http.headers.update({"Authorization": f"Bearer {TOKEN}"})
            await sender.connect(**OPTIONS["studio"] | {"voice": "mic"})
            await sender.until(lambda: len(sender.got.pictures) > 5)
            at = f"{url}/api/sessions/{sender.id}/recording"
            assert (await ask(http, "POST", at, json={"action": "start"}, headers=HEADERS))[0] == 200
            count = len(sender.got.pictures)
            await sender.until(lambda: len(sender.got.pictures) > count + 10)
            assert (await ask(http, "POST", at, json={"action": "stop"}, headers=HEADERS))[0] == 200
            operator = by((await link(http, url, "operator"))[1]["token"])
            for name, found in (("hall", 1), ("attic", 0)):
                status, told, _ = await ask(http, "GET", f"{url}/api/rooms/{name}/recordings", headers=BEARER)
                assert (status, len(told["recordings"])) == (200, found)
            status, told, _ = await ask(http, "GET", f"{url}/api/rooms/hall/recordings", headers=operator)
            (kept,) = told["recordings"]
            status, film, _ = await ask(http, "GET", url + kept["url"], headers=operator)
            assert (status, film[4:8]) == (200, b"ftyp")
            assert (await ask(http, "DELETE", url + kept["url"], headers=operator))[0] == 204
            status, told, _ = await ask(http, "GET", f"{url}/api/rooms/hall/recordings", headers=operator)
            assert told == {"recordings": []}
            assert await sender.delete() == 204

    asyncio.run(test())


def test_without_a_token_nobody_is_told_of_recordings() -> None:
    async def test() -> None:
        async with serving() as (_, http, url):
            status, told, _ = await ask(http, "GET", f"{url}/api/rooms/hall/recordings")
            assert (status, told["error"]["do"]) == (403, "Start the server with --token.")

    asyncio.run(test())


def test_a_link_has_a_code_for_a_camera_and_is_revoked() -> None:
    async def test() -> None:
        async with serving(token=TOKEN) as (_, http, url):
            status, told = await link(http, url, "viewer", address="https://dub.example/")
            assert status == 201
            assert read_qr(told["qr"]) == f"https://dub.example/?{told['query']}#token={told['token']}"
            assert (await ask(http, "GET", f"{url}/api/rooms/hall", headers=by(told["token"])))[0] == 200
            assert (await ask(http, "DELETE", f"{url}/api/rooms/hall/links/viewer", headers=BEARER))[0] == 204
            assert (await ask(http, "GET", f"{url}/api/rooms/hall", headers=by(told["token"])))[0] == 401
            for address in ("javascript:alert(1)", "https://dub.example/#x", "dub.example"):
                assert (await link(http, url, "viewer", address=address))[0] == 400

    asyncio.run(test())


def read_qr(rows: list[str]) -> str:
    image = np.array([[255 * (module == "0") for module in row] for row in rows], np.uint8)
    large = cv2.resize(image, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    return str(cv2.QRCodeDetectorAruco().detectAndDecode(large)[0])


def test_a_code_is_read_back() -> None:
    text = "http://192.0.2.1:8080/?role=viewer&room=hall"
    assert read_qr(_qr(text)) == text
