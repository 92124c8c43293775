"""Links for a role in a room: what they open, what they do not, for how long, and what ends them."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from hypothesis import given
from hypothesis import strategies as st
from test_web_safety import ask
from web_peers import HEADERS, Visitor, serving

from realtime_dub.web.invites import Invite, Invites

TOKEN = "a-token-of-some-length"
NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
BEARER = {**HEADERS, "Authorization": f"Bearer {TOKEN}"}


def made(invites: Invites, role: Any = "viewer", room: str = "hall", channel: str = "", now_ms: int = NOW_MS) -> str:
    found = invites.make(role, room, channel, now_ms)
    assert found is not None
    return found[0]


@pytest.mark.computes
def test_a_link_says_what_it_allows_until_its_time_is_over() -> None:
    invites = Invites(TOKEN, hours=2)
    token = made(invites, "interpreter", "Saal-Größe", "es")
    told = Invite(role="interpreter", room="Saal-Größe", channel="es", made_ms=NOW_MS, until_ms=NOW_MS + 2 * HOUR_MS)
    assert invites.read(token, NOW_MS) == told
    assert Invites(TOKEN, hours=2).read(token, NOW_MS) == told  # after a restart
    assert invites.read(token, told.until_ms - 1) == told
    assert invites.read(token, told.until_ms) is None
    assert Invites("another-token-of-length", hours=2).read(token, NOW_MS) is None
    assert Invites(None, hours=2).read(token, NOW_MS) is None
    assert Invites(None, hours=2).make("viewer", "hall", "", NOW_MS) is None


@pytest.mark.computes
@given(st.integers(0, 200), st.integers(1, 255))
def test_a_link_that_was_changed_anywhere_opens_nothing(at: int, by: int) -> None:
    invites = Invites(TOKEN, hours=2)
    token = made(invites).encode()
    at %= len(token)
    changed = token[:at] + bytes([token[at] ^ by]) + token[at + 1 :]
    last_bits = at in (token.index(b".") - 1, len(token) - 1)  # of which base64 may not need all
    assert last_bits or invites.read(changed.decode("latin-1"), NOW_MS) is None


@pytest.mark.computes
@given(st.text(max_size=300))
def test_what_is_no_link_is_none(text: str) -> None:
    assert Invites(TOKEN, hours=2).read(text, NOW_MS) is None


@pytest.mark.computes
def test_another_role_cannot_be_written_into_it() -> None:
    invites = Invites(TOKEN, hours=2)
    body, _, mac = made(invites).partition(".")
    fields = json.loads(base64.urlsafe_b64decode(body + "=="))
    assert fields[:2] == ["viewer", "hall"]
    better = base64.urlsafe_b64encode(json.dumps(["operator", *fields[1:]]).encode()).rstrip(b"=").decode()
    assert invites.read(f"{better}.{mac}", NOW_MS) is None


@pytest.mark.computes
def test_what_is_revoked_stays_so_after_a_restart_and_new_links_open(tmp_path: Path) -> None:
    invites = Invites(TOKEN, hours=2)
    invites.revoked.keep(tmp_path / "revoked.json")
    old, other = made(invites), made(invites, "interpreter")
    invites.revoked.add("hall", "viewer", NOW_MS)
    for server in (invites, Invites(TOKEN, hours=2)):
        server.revoked.keep(tmp_path / "revoked.json")
        assert server.read(old, NOW_MS) is None
        assert server.read(other, NOW_MS) is not None
        assert server.read(made(server), NOW_MS) is not None  # in the same millisecond
    invites.revoked.add("attic", "viewer", NOW_MS + 3 * HOUR_MS)  # what nobody could use any more is forgotten
    assert set(json.loads((tmp_path / "revoked.json").read_text())) == {"attic/viewer"}
    assert [path.name for path in tmp_path.iterdir()] == ["revoked.json"]
    (tmp_path / "revoked.json").write_text("nonsense")
    Invites(TOKEN, hours=2).revoked.keep(tmp_path / "revoked.json")


async def link(http: ClientSession, url: str, role: str, room: str = "hall", **more: Any) -> tuple[int, dict[str, Any]]:
    headers = more.pop("headers", BEARER)
    status, told, _ = await ask(
        http, "POST", f"{url}/api/rooms/{room}/links", json={"role": role, **more}, headers=headers
    )
    return status, told


def by(token: str) -> dict[str, str]:
    return {**HEADERS, "Authorization": f"Bearer {token}"}


def test_a_link_opens_its_role_in_its_room_and_nothing_else() -> None:
    async def test() -> None:
        async with serving(token=TOKEN) as (studio, http, url):
            tokens = {
                role: (await link(http, url, role))[1]["token"]
                for role in ("studio", "interpreter", "viewer", "operator")
            }
            visitor = Visitor(http, url, sends=False)
            await visitor.pc.setLocalDescription(await visitor.pc.createOffer())
            offer = {"sdp": visitor.pc.localDescription.sdp, "type": "offer"}
            asked: list[tuple[str, dict[str, Any], int]] = [
                ("viewer", {"role": "viewer", "room": "hall"}, 201),
                ("viewer", {"role": "viewer", "room": "attic"}, 403),
                ("viewer", {"role": "interpreter", "room": "hall"}, 403),
                ("viewer", {"role": "studio", "room": "hall"}, 403),
                ("viewer", {"role": "viewer"}, 403),
                ("interpreter", {"role": "viewer", "room": "hall"}, 403),
                ("studio", {"role": "studio", "room": "hall", "voice": "room:attic"}, 403),
                ("operator", {"role": "viewer", "room": "hall"}, 403),
            ]
            for role, options, wanted in asked:
                body = {**offer, "options": options}
                status, told, _ = await ask(http, "POST", f"{url}/api/sessions", json=body, headers=by(tokens[role]))
                assert status == wanted, (role, options, told)
            allowed = {
                "/api/config": set(tokens), "/api/rooms/hall": set(tokens), "/api/rooms/attic": set(),
                "/metrics": set(), "/api/recordings?ids=x": {"studio", "operator"},
            }  # fmt: skip
            for path, roles in allowed.items():
                for role, token in tokens.items():
                    status, told, _ = await ask(http, "GET", url + path, headers=by(token))
                    assert (status == 200) == (role in roles), (path, role, status)
                    assert TOKEN not in json.dumps(told if isinstance(told, dict) else "")
            given = {("studio", "viewer"): 201, ("studio", "operator"): 403, ("operator", "studio"): 201,
                     ("viewer", "viewer"): 403, ("interpreter", "interpreter"): 403}  # fmt: skip
            for (maker, role), wanted in given.items():
                status, told = await link(http, url, role, headers=by(tokens[maker]))
                assert status == wanted, (maker, role, told)
            assert (await link(http, url, "viewer", "attic", headers=by(tokens["operator"])))[0] == 403
            await visitor.close()
            for id in tuple(studio.sessions):
                await studio.end(id, "test")

    asyncio.run(test())


def test_a_link_in_the_address_gives_nobody_the_servers_own_token() -> None:
    async def test() -> None:
        async with serving(token=TOKEN) as (_, http, url):
            told = (await link(http, url, "interpreter", channel="es"))[1]
            assert told["query"] == "role=interpreter&room=hall&channel=es"
            status, _, headers = await ask(http, "GET", f"{url}/?{told['query']}&token={told['token']}")
            assert (status, headers["Location"]) == (302, f"/?{told['query']}")
            cookie = {"Cookie": headers["Set-Cookie"].split(";")[0]}
            assert TOKEN not in headers["Set-Cookie"]
            assert (await ask(http, "GET", f"{url}/api/rooms/hall", headers=cookie))[0] == 200
            assert (await ask(http, "GET", f"{url}/metrics", headers=cookie))[0] == 403

    asyncio.run(test())


def test_where_there_is_no_token_links_need_none() -> None:
    async def test() -> None:
        async with serving() as (_, http, url):
            status, told = await link(http, url, "viewer", headers=HEADERS)
            assert (status, told) == (201, {"query": "role=viewer&room=hall", "token": None, "until": None})

    asyncio.run(test())
