"""A link that is revoked: who came by it is told and goes, whichever process has them; nobody else does."""

from __future__ import annotations

import asyncio
import json

from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from test_crew import crew
from test_web_invites import BEARER, TOKEN, by, link
from test_web_safety import ask
from test_web_sessions import visiting
from web_peers import HEADERS, Visitor, serving

from realtime_dub.web.config import ServeConfig
from realtime_dub.web.invites import Invite
from realtime_dub.web.studio.keeping import OwnKeeping
from realtime_dub.web.studio.studio import Studio
from realtime_dub.web.workers.crew import Crew
from realtime_dub.web.workers.hosting import Hosting
from realtime_dub.web.workers.wire import INVITED, Order

__all__ = ["crew"]  # fixture
VIEWER = {"role": "viewer", "room": "hall"}


async def revoke(http: ClientSession, url: str, role: str) -> None:
    status, told, _ = await ask(http, "DELETE", f"{url}/api/rooms/hall/links/{role}", headers=BEARER)
    assert status == 204, told


async def connected(visitor: Visitor, token: str) -> None:
    """By a link, until the server has told its page of the room."""
    visitor.http.headers.update({"Authorization": f"Bearer {token}"})
    await visitor.connect(**VIEWER)
    await visitor.until(lambda: visitor.rooms)


def test_who_came_by_a_link_that_is_revoked_goes_and_nobody_else() -> None:
    async def test() -> None:
        async with serving(token=TOKEN) as (studio, http, url), ClientSession() as mine, ClientSession() as another:
            token = (await link(http, url, "viewer"))[1]["token"]
            here, there = Visitor(mine, url, sends=False), Visitor(another, url, sends=False)
            async with visiting(here) as guest, visiting(there) as host:
                await connected(guest, token)
                await connected(host, TOKEN)
                await revoke(http, url, "viewer")
                await guest.until(lambda: guest.id not in studio.sessions)
                assert [each["error"]["what"] for each in guest.ended] == ["The link that you came by was revoked."]
                assert host.id in studio.sessions
                assert host.ended == []
            status, told, _ = await ask(http, "GET", f"{url}/api/config", headers=by(token))
            assert (status, told["error"]["what"]) == (401, "This link was revoked.")
            status, told, _ = await ask(http, "GET", f"{url}/api/config", headers=by("nonsense"))
            assert told["error"]["what"] == "The token is missing, wrong or too old."
            new = (await link(http, url, "viewer"))[1]["token"]
            assert (await ask(http, "GET", f"{url}/api/config", headers=by(new)))[0] == 200

    asyncio.run(test())


def test_an_operators_stream_ends_with_their_link() -> None:
    async def test() -> None:
        async with serving(token=TOKEN) as (_, http, url):
            token = (await link(http, url, "operator"))[1]["token"]
            async with http.get(f"{url}/api/rooms/hall/events", headers=by(token)) as stream:
                assert (await stream.content.readuntil(b"\n\n")).startswith(b"id: ")
                await revoke(http, url, "operator")
                async with asyncio.timeout(5):
                    last = (await stream.content.read()).split(b"\n\n")[-2].decode()
            name, data = last.split("\n")
            assert name == "event: end"
            assert "revoked" in json.loads(data.removeprefix("data: "))["error"]["what"]

    asyncio.run(test())


def test_one_who_comes_while_the_link_is_revoked_does_not_stay() -> None:
    async def test() -> None:
        async with serving(token=TOKEN) as (studio, http, url):
            token = (await link(http, url, "viewer"))[1]["token"]
            opened = studio.open

            async def slowly(*asked: object) -> object:
                """As long as the answer takes, anything may happen."""
                made = await opened(*asked)  # type: ignore[arg-type]
                await revoke(http, url, "viewer")
                return made

            studio.open = slowly  # type: ignore[method-assign, assignment]
            visitor = Visitor(http, url, sends=False)
            http.headers.update({"Authorization": f"Bearer {token}"})
            status, told = await visitor.offer("/api/sessions", {"options": VIEWER})
            assert (status, "revoked" in told["error"]["what"]) == (403, True)
            assert studio.sessions == {}
            await visitor.close()

    asyncio.run(test())


def test_every_worker_is_told_what_is_revoked(crew: Crew) -> None:
    asyncio.run(crew.revoke("hall", "viewer", 7))
    assert [worker.told for worker in crew.workers] == [[Order(revoked=("hall", "viewer", 7))]] * 2  # type: ignore[attr-defined]
    assert Order.model_validate_json(Order(revoked=("Saal", "viewer", 7)).model_dump_json()).revoked == (
        "Saal", "viewer", 7,
    )  # fmt: skip


def test_a_worker_knows_by_which_link_the_front_has_let_somebody_in() -> None:
    async def test() -> None:
        config = ServeConfig(port=0)
        studio = Studio(config, keeping=await asyncio.to_thread(OwnKeeping, config))
        invite = Invite(role="viewer", room="hall", made_ms=5, until_ms=10)
        async with TestServer(Hosting(studio, None).app) as server, ClientSession() as http:
            http.headers.update({INVITED: json.dumps(invite.model_dump())})
            url = str(server.make_url("")).rstrip("/")
            async with visiting(Visitor(http, url, sends=False)) as visitor:
                await visitor.connect(**VIEWER)
                await studio.links.revoke("hall", "interpreter", 6)
                await studio.links.revoke("hall", "viewer", 4)
                assert visitor.id in studio.sessions
                await studio.links.revoke("hall", "viewer", 6)
                assert studio.sessions == {}
            status, _, _ = await ask(http, "GET", f"{url}/api/rooms/hall", headers=HEADERS)
            assert status == 200
        await studio.close()

    asyncio.run(test())
