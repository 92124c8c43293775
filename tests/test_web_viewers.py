"""``--to webrtc``: several watch what a pipeline publishes, and none of them holds it or another."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import numpy as np
import pytest
from aiohttp import ClientSession, CookieJar
from aiortc import RTCSessionDescription
from feeds import FPS, publishing
from media_files import output_format
from test_web_sessions import onsets, visiting
from test_web_whip import post, status_of
from web_peers import Visitor

from realtime_dub.errors import ConfigError
from realtime_dub.publishers.registry import open_publisher
from realtime_dub.web.publish.webrtc_publisher import WebRtcPublisher, parse


def address(publisher: WebRtcPublisher) -> str:
    assert publisher.address is not None
    return publisher.address.partition("?")[0].rstrip("/")


@pytest.mark.slow
def test_several_watch_and_hear_in_step() -> None:
    async def test(url: str) -> None:
        async with ClientSession() as http:
            visitors = [Visitor(http, url, sends=False) for _ in range(2)]
            async with visiting(visitors[0]), visiting(visitors[1]):
                for visitor in visitors:
                    await visitor.connect(role="viewer", room="live")
                for visitor in visitors:
                    await visitor.until(lambda visitor=visitor: len(visitor.got.pictures) > 4 * FPS)
                    flashes, clicks = onsets(visitor)
                    apart = [min((click - flash for click in clicks), key=abs) for flash in flashes[1:-1]]
                    assert abs(float(np.median(apart))) < 0.05, (flashes, clicks)
                    assert visitor.got.stats[-1]["fps"] > 5
                async with visiting(Visitor(http, url, sends=False)) as third:
                    status, told = await third.offer("/api/sessions", {"options": {"role": "viewer"}})
                    assert (status, "no room for more" in told["error"]["what"]) == (503, True)
                assert await visitors[0].delete() == 204
                async with visiting(Visitor(http, url, sends=False)) as player:
                    assert (await post(http, f"{url}/whep/other", player))[0] == 404
                    status, answer, headers = await post(http, f"{url}/whep/live", player)
                    assert status == 201, answer
                    await player.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
                    await player.until(lambda: len(player.got.pictures) > 10 and len(player.got.sounds) > 10)
                    assert await status_of(http, "DELETE", url + headers["Location"]) == 200

    with publishing("webrtc://127.0.0.1:0?viewers=2") as (publisher, _):
        asyncio.run(test(address(publisher)))


def test_viewers_leave_nothing_behind() -> None:
    """Neither those that watched and left, nor those that never connected."""

    async def test(url: str) -> None:
        async with ClientSession() as http:
            for number in range(6):
                async with visiting(Visitor(http, url, sends=False)) as visitor:
                    if number % 2:
                        await visitor.connect(role="viewer")
                        await visitor.until(lambda visitor=visitor: visitor.pc.connectionState == "connected")
                    else:
                        status, told = await visitor.offer("/api/sessions", {"options": {"role": "viewer"}})
                        assert status == 201
                        visitor.id = told["id"]
                    assert await visitor.delete() == 204

    with publishing("webrtc:0") as (publisher, _):
        asyncio.run(test(address(publisher)))
        assert (publisher._viewers.sessions, publisher._viewers._timeline.watched) == ({}, 0)


def test_a_mistyped_room_leads_to_the_one_that_there_is() -> None:
    async def test(url: str) -> None:
        async with ClientSession() as http:
            for query in ("", "?role=viewr", "?role=viewer&room=other", "?role=viewer&room=a%20b"):
                async with http.get(f"{url}/{query}") as answer:
                    assert (answer.status, dict(answer.url.query)) == (200, {"role": "viewer", "room": "live"})

    with publishing("webrtc:0") as (publisher, _):
        asyncio.run(test(address(publisher).partition("?")[0].rstrip("/")))


async def lost(data: bytes) -> None:
    """What becomes of a packet on a dead line."""


@pytest.mark.alone
def test_one_that_takes_nothing_holds_nobody() -> None:
    """The first viewer's line is dead from the moment it is connected; the second sees every picture."""

    async def test(url: str) -> None:
        async with ClientSession() as http, visiting(Visitor(http, url, sends=False)) as stuck:
            await stuck.connect(role="viewer")
            await stuck.until(lambda: len(stuck.got.pictures) > 3)
            stuck.pc.getTransceivers()[0].receiver.transport.transport._send = lost
            async with visiting(Visitor(http, url, sends=False)) as other:
                await other.connect(role="viewer")
                await other.until(lambda: len(other.got.pictures) > 3 * FPS)
                stamps = np.array([pts for _, pts, _ in other.got.pictures])
                assert np.diff(stamps).max() < 0.4

    with publishing("webrtc:0") as (publisher, took):
        asyncio.run(test(address(publisher)))
    assert float(np.percentile(took, 95)) < 0.04


def test_only_watching_is_to_be_had_and_only_with_the_token() -> None:
    async def test(url: str) -> None:
        jar = CookieJar(unsafe=True)  # also for addresses that are numbers, as browsers
        async with ClientSession(cookie_jar=jar) as http, visiting(Visitor(http, url)) as visitor:
            assert (await visitor.offer("/api/sessions", {"options": {}}))[0] == 401
            assert await status_of(http, "GET", f"{url}/?token=wrong-token") == 401
            async with http.get(f"{url}/?token=a-long-token") as page:
                assert page.status == 200
                assert dict(page.url.query) == {"role": "viewer", "room": "live"}
                assert "default-src 'none'" in page.headers["Content-Security-Policy"]
            async with ClientSession(headers={"Authorization": "Bearer a-long-token"}) as known:
                visitor.http = known
                assert (await visitor.offer("/api/sessions", {"options": {}}))[0] == 403
                assert (await post(known, f"{url}/whip/live", visitor))[0] == 404
                assert await status_of(known, "GET", f"{url}/", headers={"Host": "evil.example"}) == 403
                assert await status_of(known, "GET", f"{url}/", headers={"Origin": "http://evil.example"}) == 403
                assert await status_of(known, "GET", f"{url}/static/main.js") == 200

    with publishing("webrtc://127.0.0.1:0?token=a-long-token") as (publisher, _):
        assert publisher.address.endswith("?token=a-long-token")
        asyncio.run(test(address(publisher)))


@pytest.mark.parametrize(
    ("spec", "host", "port"),
    [
        ("webrtc", "127.0.0.1", 8090),
        ("webrtc:9000", "127.0.0.1", 9000),
        ("webrtc://localhost", "localhost", 8090),
        ("webrtc://[::1]:9000", "::1", 9000),
        ("WEBRTC://0.0.0.0:9000/?viewers=3&udp-ports=50000-50010", "0.0.0.0", 9000),
    ],
)
def test_addresses_are_read(spec: str, host: str, port: int) -> None:
    config = parse(spec)
    assert (config.host, config.port) == (host, port)
    assert config.max_sessions == (3 if "viewers" in spec else 8)


@pytest.mark.parametrize(
    "spec",
    ["webrtc:", "webrtc:x", "webrtc:99999", "webrtc://", "webrtc://h:99999", "webrtc://h/path", "webrtc://h?nothing=1",
     "webrtc://u:p@h", "webrtc://h?token=short", "webrtc://h?token", "webrtc://h?upload-mb=3", "webrtc://h?tls-cert=x"],
)  # fmt: skip
def test_others_are_refused_in_one_line(spec: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(spec)
    assert "short" not in str(refused.value)


def test_another_host_makes_a_token() -> None:
    with publishing("webrtc://0.0.0.0:0", 1) as (publisher, _):
        assert len(publisher.address.partition("?token=")[2]) > 20


def test_a_port_that_is_taken_is_one_line() -> None:
    with publishing("webrtc:0", 1) as (publisher, _):
        other = open_publisher(f"webrtc:{address(publisher).rpartition(':')[2]}")
        with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1"):
            other.open(output_format(live=True))
        other.close()


@pytest.mark.parametrize("spec", ["webrtc", "whip://127.0.0.1/x"])
def test_without_the_extra_it_says_what_to_install(spec: str) -> None:
    code = "import sys; sys.modules['aiortc'] = None\nfrom realtime_dub.cli import run\nsys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "--webcam", "demo", "--mic", "demo", "--to", spec]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'realtime-dub[web]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_program_prints_the_address_and_ends() -> None:
    code = "import sys; from realtime_dub.cli import run; sys.exit(run(sys.argv[1:]))"
    given = ["--webcam", "demo", "--mic", "demo", "--to", "webrtc:0", "--seconds", "1", "--quiet"]
    done = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("watch at http://127.0.0.1:")
