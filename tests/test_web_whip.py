"""WHIP and WHEP: the RFC's sequence, by a client that follows it."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientSession
from aiortc import RTCSessionDescription
from multidict import CIMultiDictProxy
from test_web_sessions import visiting
from web_peers import Visitor, serving

from realtime_dub.web.http.whip import FRAGMENT, SDP, _link, parse_fragment
from realtime_dub.web.refusals import Refusal


async def post(http: ClientSession, url: str, visitor: Visitor, **more: str) -> tuple[int, str, CIMultiDictProxy[str]]:
    await visitor.pc.setLocalDescription(await visitor.pc.createOffer())
    headers = {"Content-Type": SDP, **more}
    async with http.post(url, data=visitor.pc.localDescription.sdp.encode(), headers=headers) as response:
        return response.status, await response.text(), response.headers


async def status_of(http: ClientSession, method: str, url: str, **more: object) -> int:
    async with http.request(method, url, **more) as response:
        return response.status


def test_what_is_pushed_is_played_dubbed() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url), visiting(Visitor(http, url)) as sender:
            status, answer, headers = await post(http, f"{url}/whip/stage", sender)
            assert status == 201, answer
            assert headers["Content-Type"].startswith(SDP)
            assert headers["Location"].startswith("/whip/stage/")
            await sender.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            session = next(iter(studio.sessions.values()))
            await sender.until(lambda: session.output.sent > 5)
            async with visiting(Visitor(http, url, sends=False)) as player:
                status, answer, told = await post(http, f"{url}/whep/stage", player)
                assert status == 201, answer
                assert "a=sendonly" in answer
                await player.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
                await player.until(lambda: len(player.got.pictures) > 10 and len(player.got.sounds) > 10)
                assert await status_of(http, "DELETE", url + told["Location"]) == 200
            async with visiting(Visitor(http, url)) as other:
                assert (await post(http, f"{url}/whip/stage", other))[0] == 409
            assert await status_of(http, "DELETE", url + headers["Location"]) == 200
            assert await status_of(http, "DELETE", url + headers["Location"]) == 404
            assert studio.sessions == {}

    asyncio.run(test())


def test_every_other_step_has_its_status() -> None:
    async def test() -> None:
        async with serving(token="a-long-token") as (_, http, url), visiting(Visitor(http, url)) as sender:
            bearer = {"Authorization": "Bearer a-long-token"}
            assert (await post(http, f"{url}/whip/stage", sender))[0] == 401
            assert (await post(http, f"{url}/whep/stage", sender, **bearer))[0] == 404
            assert (await post(http, f"{url}/whip/no%20name", sender, **bearer))[0] == 404
            json = {**bearer, "Content-Type": "application/json"}
            assert await status_of(http, "POST", f"{url}/whip/stage", data=b"{}", headers=json) == 415
            sdp = {**bearer, "Content-Type": SDP}
            assert await status_of(http, "POST", f"{url}/whip/stage", data=b"v=0 nonsense", headers=sdp) == 400
            assert await status_of(http, "GET", f"{url}/whip/stage", headers=bearer) == 405
            async with http.options(f"{url}/whip/stage", headers=bearer) as response:
                assert (response.status, response.headers["Accept-Post"]) == (204, SDP)

            status, answer, headers = await post(http, f"{url}/whip/stage", sender, **bearer)
            assert status == 201
            await sender.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            resource, etag = url + headers["Location"], headers["ETag"]
            candidate = "a=mid:0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 40000 typ host\r\n"
            cases = [
                ({}, candidate, 428),
                ({"If-Match": '"other"'}, candidate, 412),
                ({"If-Match": etag}, candidate, 204),
                ({"If-Match": etag}, "a=ice-ufrag:new\r\na=ice-pwd:x\r\n", 422),
                ({"If-Match": "*"}, "a=ice-ufrag:new\r\na=ice-pwd:x\r\n", 422),
                ({"If-Match": etag}, "no fragment", 400),
                ({"If-Match": etag, "Content-Type": SDP}, candidate, 415),
            ]
            for more, body, expected in cases:
                patch = {**bearer, "Content-Type": FRAGMENT, **more}
                assert await status_of(http, "PATCH", resource, data=body.encode(), headers=patch) == expected, more
            assert await status_of(http, "POST", resource, headers=bearer) == 405
            assert await status_of(http, "DELETE", resource, headers=bearer) == 200

    asyncio.run(test())


def test_ice_servers_are_linked() -> None:
    server = {"urls": "turn:relay.example:3478", "username": "me", "credential": "secret"}
    assert _link({"urls": "stun:s.example"}) == '<stun:s.example>; rel="ice-server"'
    assert _link(server).endswith('username="me"; credential="secret"; credential-type="password"')


def test_fragments_are_read() -> None:
    text = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
    text += "a=candidate:1 x\r\na=end-of-candidates\r\n"
    fragment = parse_fragment(text)
    assert fragment.ufrag == "EsAw"
    assert fragment.candidates == (("candidate:1 x", "0"), (None, "0"))
    with pytest.raises(Refusal):
        parse_fragment("<html>")
