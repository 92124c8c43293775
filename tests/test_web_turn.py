"""coturn between a page and the server, with passes that run out (Debian's coturn; left out where there is none)."""

from __future__ import annotations

import asyncio
import hmac
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection
from aiortc.rtcconfiguration import RTCIceTransportPolicy
from test_web_real_programs import free_port, listening, program
from web_peers import ROOMY_MS, Visitor, serving

from realtime_dub.web.rtc import aiortc_access
from realtime_dub.web.turn import turn_pass

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]

SECRET = "shared-with-the-relay"


@contextmanager
def coturn(folder: Path) -> Iterator[int]:
    """Its port. It relays on loopback, which it does not do unless it is told to."""
    port = free_port()
    command = [
        program("turnserver"), "-n", "--use-auth-secret", f"--static-auth-secret={SECRET}", "--realm=studio",
        "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}", "--no-tls", "--no-dtls",
        "--no-cli", "--allow-loopback-peers", "--log-file=stdout", f"--pidfile={folder / 'pid'}",
        f"--userdb={folder / 'db'}",
    ]  # fmt: skip
    with listening(command, folder / "said", port):
        yield port


def ways(pc: RTCPeerConnection) -> set[str]:
    """Kinds of the page's own ends of the connections that are in use."""
    ice = pc.getTransceivers()[0].receiver.transport.transport._connection
    return {pair.local_candidate.type for pair in ice._nominated.values()}


def test_a_page_comes_through_the_relay_with_the_pass_that_the_server_gave_it(tmp_path: Path) -> None:
    async def test(port: int) -> None:
        turn: dict[str, Any] = {"turn": f"turn:127.0.0.1:{port}?transport=udp", "turn_secret": SECRET}
        async with serving(**turn) as (_, http, url):
            async with http.get(f"{url}/api/config") as answer:
                (server,) = [each for each in (await answer.json())["ice_servers"] if "username" in each]
            assert (
                server["credential"]
                == b64encode(hmac.digest(SECRET.encode(), server["username"].encode(), "sha1")).decode()
            )
            assert 0 < int(server["username"].partition(":")[0]) - time.time() <= 24 * 3600
            visitor = relayed(http, url, server)
            try:
                await visitor.connect(engine="passthrough", budget_ms=ROOMY_MS)
                await visitor.until(lambda: len(visitor.got.pictures) > 20 and len(visitor.got.sounds) > 20)
                assert ways(visitor.pc) == {"relay"}
            finally:
                await visitor.close()

    with coturn(tmp_path) as port:
        asyncio.run(test(port))


def relayed(http: Any, url: str, server: dict[str, str]) -> Visitor:
    """A page whose only way is the relay: what a browser has as ``iceTransportPolicy: "relay"``."""
    given = RTCIceServer(server["urls"], server["username"], server["credential"])
    made = RTCConfiguration(iceServers=[given], iceTransportPolicy=RTCIceTransportPolicy.RELAY)
    return Visitor(http, url, configuration=made)


def test_a_pass_that_has_run_out_and_one_of_another_secret_open_nothing(tmp_path: Path) -> None:
    async def candidates(port: int, name: str, password: str) -> list[str]:
        server = RTCIceServer(f"turn:127.0.0.1:{port}?transport=udp", name, password)
        made = RTCConfiguration(iceServers=[server], iceTransportPolicy=RTCIceTransportPolicy.RELAY)
        pc = RTCPeerConnection(made)
        pc.createDataChannel("control")
        await pc.setLocalDescription(await pc.createOffer())
        found = [line for line in pc.localDescription.sdp.splitlines() if line.startswith("a=candidate")]
        await aiortc_access.close(pc)
        return found

    with coturn(tmp_path) as port:
        now_s = time.time()
        assert any("typ relay" in each for each in asyncio.run(candidates(port, *turn_pass(SECRET, now_s))))
        assert not asyncio.run(candidates(port, *turn_pass(SECRET, now_s, lasts_s=-60)))
        assert not asyncio.run(candidates(port, *turn_pass("another-secret", now_s)))
