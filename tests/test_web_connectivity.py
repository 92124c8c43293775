"""Reaching the server from elsewhere, and the command that starts it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import urllib.request
from ipaddress import IPv4Address
from pathlib import Path
from types import SimpleNamespace

import pytest
from patience import PATIENCE_S
from test_web_whip import post
from web_peers import Visitor, serving

from realtime_dub.errors import ConfigError
from realtime_dub.losses import Lost
from realtime_dub.pipeline.statistics import Recorder
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.http.connectivity import address, greeting, tls_context
from realtime_dub.web.http.whip import _link
from realtime_dub.web.rtc.ports import PortRangeLoop, with_public_ip
from realtime_dub.web.studio.metrics import Metrics

CANDIDATE = "a=candidate:ab 1 udp 2130706431 10.0.0.5 40000 typ host"


def test_the_public_address_stands_beside_the_own() -> None:
    sdp = f"v=0\r\nm=video 9\r\n{CANDIDATE}\r\na=candidate:cd 1 udp 5 fe80::1 40000 typ host\r\na=end-of-candidates\r\n"
    assert with_public_ip(sdp, None) == sdp
    lines = with_public_ip(sdp, IPv4Address("203.0.113.7")).split("\r\n")
    assert lines[2:4] == [CANDIDATE, "a=candidate:abp 1 udp 2130706430 203.0.113.7 40000 typ host"]
    assert len(lines) == len(sdp.split("\r\n")) + 1


def test_sockets_take_ports_of_the_range() -> None:
    async def two() -> list[int]:
        loop = asyncio.get_running_loop()
        made = [await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0)) for _ in range(2)]
        ports = [transport.get_extra_info("sockname")[1] for transport, _ in made]
        with pytest.raises(OSError, match="no UDP port"):
            await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0))
        for transport, _ in made:
            transport.close()
        await asyncio.sleep(0)
        return ports

    with asyncio.Runner(loop_factory=lambda: PortRangeLoop(range(47_311, 47_313))) as runner:
        assert sorted(runner.run(two())) == [47_311, 47_312]


def test_players_are_told_of_ice_servers() -> None:
    async def test() -> None:
        turn = {"turn": "turn:relay.example:3478", "turn_user": "me", "turn_password": "secret"}
        async with serving(**turn) as (_, http, url):
            async with http.get(f"{url}/api/config") as response:
                servers = (await response.json())["ice_servers"]
            assert servers == [{"urls": "turn:relay.example:3478", "username": "me", "credential": "secret"}]
            async with http.options(f"{url}/whip/stage") as response:
                assert response.headers.getall("Link") == [_link(servers[0])]
        async with serving(max_sessions=1) as (_, http, url):
            visitor = Visitor(http, url)
            try:
                assert "Link" not in (await post(http, f"{url}/whip/stage", visitor))[2]
            finally:
                await visitor.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    "wrong",
    [{"tls_cert": "a.pem"}, {"turn": "turn:x"}, {"stun": "http://x"}, {"udp_ports": "5-1"}, {"udp_ports": "x"},
     {"public_ip": "here"}, {"token": "short"}, {"max_sessions": 0}, {"codec": "av1"}],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        ServeConfig(**wrong)


def test_certificates(tmp_path: Path) -> None:
    assert tls_context(ServeConfig()) is None
    assert isinstance(tls_context(ServeConfig(self_signed=True)), ssl.SSLContext)
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    with pytest.raises(ConfigError, match="certificate"):
        tls_context(ServeConfig(tls_cert=broken, tls_key=broken))


def test_the_command_serves_over_https_and_ends_with_ctrl_c() -> None:
    command = [sys.executable, "-m", "realtime_dub.cli", "serve", "--port", "0", "--self-signed"]
    code = "import sys; from realtime_dub.cli import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *command[3:]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        found = re.search(r"https://127\.0\.0\.1:\d+/", process.stdout.readline())
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with urllib.request.urlopen(f"{found[0]}healthz", context=context) as response:
            assert response.status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def looked(metrics: Metrics) -> None:
    metrics.update([])


class Leaky:
    def lost(self) -> Lost:
        return Lost(gaps=3, packets=7)


def test_the_metrics_tell_what_the_open_sessions_have_lost() -> None:
    async def text() -> str:
        recorder, metrics = Recorder(), Metrics()
        recorder.collect(Leaky())
        session = SimpleNamespace(present_run=SimpleNamespace(recorder=recorder))
        metrics.update([session, session, SimpleNamespace(present_run=None)])
        return metrics.text().decode()

    told = asyncio.run(text())
    assert 'realtime_dub_losses{kind="gaps"} 6.0' in told
    assert 'realtime_dub_losses{kind="packets"} 14.0' in told
    assert 'realtime_dub_losses{kind="devices"} 0.0' in told


def test_the_dashboard_asks_for_what_there_is() -> None:
    board = json.loads((Path(__file__).parents[1] / "docs" / "grafana.json").read_text())
    asked = {name for panel in board["panels"] for target in panel["targets"]
             for name in re.findall(r"realtime_dub_\w+", target["expr"])}  # fmt: skip
    metrics = Metrics()
    metrics.opened.labels("studio").inc()
    metrics.refused.labels("full").inc()
    asyncio.run(looked(metrics))
    told = set(re.findall(r"^(realtime_dub_\w+)", metrics.text().decode(), re.MULTILINE))
    assert asked <= told


def opened(url: str) -> bool:
    with urllib.request.urlopen(f"{url.partition('?')[0]}healthz", timeout=PATIENCE_S) as response:
        return response.status == 200


def test_a_server_for_all_prints_what_others_can_open() -> None:
    """Also where this machine has no network: then it can be opened here at least."""
    config = ServeConfig(host="0.0.0.0", token="a-long-token")

    async def test() -> None:
        async with serving(host="0.0.0.0", token="a-long-token") as (_, http, url):
            port = int(url.rpartition(":")[2])
            first, here, camera = greeting(config, port).split("\n")
            assert first == address(config, port)
            assert "//0.0.0.0" not in first
            assert first.endswith(f":{port}/?token=a-long-token")
            assert await asyncio.to_thread(opened, first)
            assert here == f"On this machine: http://127.0.0.1:{port}/?token=a-long-token"
            assert "--self-signed" in camera
            bearer = {"Authorization": "Bearer a-long-token"}
            async with http.get(f"{url}/api/config", headers=bearer) as response:
                share = (await response.json())["share"]
            assert share == {"address": first.partition("?")[0]}  # links carry tokens of their own

    asyncio.run(test())


def test_who_needs_no_advice_gets_the_address_alone() -> None:
    assert greeting(ServeConfig(), 80) == "http://127.0.0.1:80/"
    assert greeting(ServeConfig(host="studio.example", self_signed=True), 80) == "https://studio.example:80/"
    public = ServeConfig(host="0.0.0.0", public_ip="203.0.113.7", self_signed=True)
    assert greeting(public, 80).split("\n") == ["https://203.0.113.7:80/", "On this machine: https://127.0.0.1:80/"]
    assert address(ServeConfig(host="::"), 80) != "http://[::]:80/"
