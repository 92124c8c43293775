"""``--to whip://``: what the program does towards a media server, against ours and against one made here."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from feeds import Aside, publishing
from patience import PATIENCE_S
from test_web_reach import relay
from web_peers import serving

from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.web.publish import push
from realtime_dub.web.publish.whip_client import ice_servers
from realtime_dub.web.publish.whip_publisher import parse
from realtime_dub.web.rtc import aiortc_access

TOKEN = "a-secret-token"
SDP = "application/sdp"


class MediaServer:
    """A WHIP endpoint after RFC 9725, at /live; ``says`` are the statuses and headers of the next answers."""

    def __init__(self) -> None:
        self.says: list[tuple[int, dict[str, str]]] = []
        self.location = "../made/1"
        self.links: dict[str, list[str]] = {"OPTIONS": [], "POST": []}
        self.deaf = False  # answers without a candidate
        self.offers: list[str] = []
        self.asked: list[tuple[str, str, str]] = []  # method, path, authorization
        self.frames = {"video": 0, "audio": 0}
        self._answering = asyncio.Lock()
        self._peers: list[RTCPeerConnection] = []
        self._readers: set[asyncio.Task[None]] = set()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._any)
        app.on_shutdown.append(lambda app: self.drop())
        return app

    async def drop(self) -> None:
        """Forget all sessions, as a server that is started again."""
        async with self._answering:
            for peer in self._peers:
                await aiortc_access.close(peer)
            self._peers.clear()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    async def _any(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path, request.headers.get("Authorization", "")))
        links = [("Link", link) for link in self.links.get(request.method, [])]
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=links)
        if request.method == "DELETE":
            await self.drop()
            return web.Response(status=200)
        if self.says:
            status, headers = self.says.pop(0)
            return web.Response(status=status, headers=headers)
        assert request.content_type == SDP
        offer = await request.text()
        async with self._answering:
            answer = await self._answer(offer)
        headers = [("Location", self.location), ("ETag", '"1"'), *links]
        return web.Response(status=201, text=answer, content_type=SDP, headers=headers)

    async def _answer(self, offer: str) -> str:
        self.offers.append(offer)
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.append(peer)
        peer.on("track", self._take)
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        sdp = peer.localDescription.sdp
        return re.sub(r"a=candidate.*\r\n", "", sdp) if self.deaf else sdp

    def _take(self, track: Any) -> None:
        async def read() -> None:
            with contextlib.suppress(MediaStreamError):
                while True:
                    await track.recv()
                    self.frames[track.kind] += 1

        reader = asyncio.create_task(read())
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)


@contextlib.asynccontextmanager
async def media_server() -> AsyncIterator[tuple[MediaServer, int]]:
    made = MediaServer()
    server = TestServer(made.app(), host="127.0.0.1")
    await server.start_server()
    try:
        yield made, server.port or 0
    finally:
        await server.close()


def test_the_studio_takes_what_is_pushed() -> None:
    with Aside(serving(token=TOKEN)) as (aside, (studio, _, url)):
        spec = f"whip://{url.partition('://')[2]}/whip/stage?token={TOKEN}"
        with publishing(spec) as (publisher, took):
            aside.until(lambda: any(each.output.sent > 5 for each in studio.sessions.values()))
            assert publisher.notes == []
            assert TOKEN not in publisher.name
        aside.until(lambda: studio.sessions == {})
        assert max(took) < 1


@pytest.mark.parametrize("location", ["../made/1", "/made/1", "absolute"])
def test_the_sequence_of_the_rfc(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALTIME_DUB_WHIP_TOKEN", TOKEN)
    with Aside(media_server()) as (aside, (server, port)):
        server.location = f"http://127.0.0.1:{port}/made/1" if location == "absolute" else location
        server.says = [(307, {"Location": "/other/live"}), (308, {"Location": f"http://127.0.0.1:{port}/here/live"})]
        with publishing(f"whip://127.0.0.1:{port}/live?key=1"):
            aside.until(lambda: min(server.frames.values()) > 5)
        methods = [(method, path) for method, path, _ in server.asked]
        assert methods == [
            ("OPTIONS", "/live"),
            ("POST", "/live"),
            ("POST", "/other/live"),
            ("POST", "/here/live"),
            ("DELETE", "/made/1"),
        ]
        assert {given for *_, given in server.asked} == {f"Bearer {TOKEN}"}
        (offer,) = server.offers
        assert offer.count("a=sendonly") == 2
        assert "a=group:BUNDLE" in offer
        assert offer.index("H264") < offer.index("VP8")


@pytest.mark.parametrize(
    ("status", "headers", "says"),
    [
        (401, {}, "401 Unauthorized; give the token"),
        (403, {}, "403 Forbidden; check the token"),
        (404, {}, "404 Not Found; check the path"),
        (409, {}, "409 Conflict; somebody sends there already"),
        (503, {"Retry-After": "5"}, "503 Service Unavailable; the server is full"),
        (500, {}, "500 Internal Server Error; its log"),
        (302, {"Location": "/x"}, "302 Found"),
        (200, {}, "200 OK"),
        (201, {"Content-Type": SDP}, "none of WHIP"),
        (307, {"Location": "ftp://127.0.0.1/"}, "not safe"),
    ],
)
def test_a_refusal_is_one_line(status: int, headers: dict[str, str], says: str) -> None:
    with Aside(media_server()) as (_, (server, port)):
        server.says = [(status, headers)]
        with (
            pytest.raises(MediaError, match=says) as refused,
            publishing(f"whip://127.0.0.1:{port}/secret-path?token={TOKEN}"),
        ):
            pass
        assert str(refused.value).startswith(f"cannot publish to whip://127.0.0.1:{port}: ")
        assert TOKEN not in str(refused.value)
        assert "secret" not in str(refused.value)


def test_other_failures_are_one_line_too() -> None:
    with Aside(media_server()) as (_, (server, port)):
        server.says = [(307, {"Location": "/live"})] * 6
        with pytest.raises(MediaError, match="redirects in a circle"), publishing(f"whip://127.0.0.1:{port}/live"):
            pass
        with pytest.raises(MediaError, match="cannot publish to whips://"), publishing(f"whips://127.0.0.1:{port}/l"):
            pass
    with pytest.raises(MediaError, match="; check the address"), publishing("whip://nowhere.invalid/live"):
        pass
    with pytest.raises(MediaError, match="Connection refused; check"), publishing(f"whip://127.0.0.1:{port}/live"):
        pass


def test_a_server_that_goes_is_connected_to_again() -> None:
    with Aside(media_server()) as (aside, (server, port)), publishing(f"whip://127.0.0.1:{port}/live") as (ours, took):
        aside.until(lambda: min(server.frames.values()) > 5)
        server.says = [(503, {})]
        aside.run(server.drop())
        before = server.frames["video"]
        aside.until(lambda: server.frames["video"] > before + 10)
        said = " / ".join(ours.notes)
        assert re.search("closed the connection; connecting again.*503.*connected again after", said), said
        assert len(server.offers) == 2
        assert max(took) < 1


def test_one_that_falls_silent_is_connected_to_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "SILENT_S", 3.0)
    with Aside(media_server()) as (aside, (server, port)), publishing(f"whip://127.0.0.1:{port}/live") as (ours, _):
        aside.until(lambda: min(server.frames.values()) > 5)
        peer = server._peers[0]
        peer.getTransceivers()[0].receiver.transport.transport._send = lost
        aside.until(lambda: len(server.offers) == 2)
        assert "nothing has come from the server" in ours.notes[0]


async def lost(data: bytes) -> None:
    """What becomes of a packet on a dead line."""


@pytest.mark.parametrize("when", ["OPTIONS", "POST"])
def test_ice_servers_that_the_server_names_are_used(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named before the offer, in the first; named in an answer that leads nowhere, in a second."""
    monkeypatch.setattr(push, "CONNECT_S", 1.0)
    with relay() as stun_port, Aside(media_server()) as (_, (server, port)):
        server.links[when] = [f'<stun:127.0.0.1:{stun_port}>; rel="ice-server"']
        server.deaf = True
        with pytest.raises(MediaError, match="no path"), publishing(f"whip://127.0.0.1:{port}/live"):
            pass
        seen = ["203.0.113.7" in offer for offer in server.offers]
        assert seen == ([True] if when == "OPTIONS" else [False, True])
        assert [method for method, *_ in server.asked].count("DELETE") == len(seen)


def test_links_are_read() -> None:
    links = [
        '<stun:a.example>; rel="ice-server", <turn:b.example:3478?transport=tcp>; rel=ice-server; '
        'username="me, \\"too\\""; credential="x;y"; credential-type="password"',
        '<https://c.example>; rel="ice-server"',
        '<stun:d.example>; rel="next"',
        "nonsense",
    ]
    first, second = ice_servers(links)
    assert (first.urls, first.username) == ("stun:a.example", None)
    assert (second.urls, second.credential) == ("turn:b.example:3478?transport=tcp", "x;y")


def test_addresses_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REALTIME_DUB_WHIP_TOKEN", raising=False)
    assert [str(each) for each in parse("whip://host/a?key=1&token=t")] == ["http://host/a?key=1", "t"]
    assert str(parse("WHIPS://host:8443/a")[0]) == "https://host:8443/a"
    assert parse("whip://host/a")[1] is None
    monkeypatch.setenv("REALTIME_DUB_WHIP_TOKEN", "u")
    assert parse("whip://host/a")[1] == "u"
    for wrong in ("whip://", "whip:x", "whip://u:p@host/a", "whip://host:99999/a", "whip://host/a?token=%0a"):
        with pytest.raises(ConfigError, match="whip://"):
            parse(wrong)


def test_ctrl_c_ends_the_session_on_the_server() -> None:
    code = "import sys; from realtime_dub.cli import run; sys.exit(run(sys.argv[1:]))"
    with Aside(media_server()) as (aside, (server, port)):
        given = [
            "--webcam",
            "demo",
            "--mic",
            "demo",
            "--to",
            f"whip://127.0.0.1:{port}/live?token={TOKEN}",
            "--to",
            "null",
        ]
        process = subprocess.Popen([sys.executable, "-c", code, *given], stderr=subprocess.PIPE, text=True)
        try:
            aside.until(lambda: min(server.frames.values()) > 5)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
            process.communicate()
        assert process.returncode == 0, err
        assert TOKEN not in err
        assert server.asked[-1][:2] == ("DELETE", "/made/1")
