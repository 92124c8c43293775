"""``--to whip://`` into Janus, by Meetecho's WHIP server before it: a media server that others wrote.

Left out, with the reason, where one of the two is not there: Debian's ``janus``, and ``simple-whip-server`` with what
it needs in its folder (``npm install async express@4 cors colors debug@4 body-parser websocket``); SIMPLE_WHIP_SERVER
names the folder where it is not /usr/share/simple-whip-server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from test_web_real_programs import free_port, listening, listens, program, running

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

FRONT = Path(os.environ.get("SIMPLE_WHIP_SERVER", "/usr/share/simple-whip-server"))
TOKEN = "a-secret-token"
PACKET = b"MEET"  # before each packet of a recording of Janus
OTHERS = "libjanus_http.so,libjanus_pfunix.so,libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_rabbitmq.so"
GENERAL = f"""general: {{ debug_level = 4 }}
nat: {{ ice_lite = false }}
transports: {{ disable = "{OTHERS}" }}
"""
SOCKETS = 'general: {{ ws = true ws_port = {port} ws_interface = "lo" }}\n'
ROOM = 'room-1234: {{ description = "a" publishers = 3 record = true rec_dir = "{folder}" }}\n'
CONFIG = """module.exports = {{ janus: {{ address: "ws://127.0.0.1:{janus}" }}, port: {port}, rest: "/whip",
    allowTrickle: true, strictETags: false, iceServers: [] }};
"""


@contextmanager
def janus(folder: Path) -> Iterator[int]:
    """Its port for websockets. What is published in room 1234 it records in ``folder``."""
    port = free_port()
    config = folder / "janus"
    config.mkdir()
    (config / "janus.jcfg").write_text(GENERAL)
    (config / "janus.transport.websockets.jcfg").write_text(SOCKETS.format(port=port))
    (config / "janus.plugin.videoroom.jcfg").write_text(ROOM.format(folder=folder))
    command = program("janus"), "-C", str(config / "janus.jcfg"), "-F", str(config)
    with listening(command, folder / "janus.log", port):
        yield port


@contextmanager
def whip_front(folder: Path, janus_port: int) -> Iterator[str]:
    """Where it takes offers."""
    if not (FRONT / "node_modules").is_dir():
        pytest.skip(f"{FRONT} has no simple-whip-server with its node_modules")
    source, port = folder / "src", free_port()
    source.mkdir()
    for name in ("server.js", "whip-janus.js"):
        (source / name).write_bytes((FRONT / "src" / name).read_bytes())
    (source / "config.js").write_text(CONFIG.format(janus=janus_port, port=port))
    (folder / "node_modules").symlink_to(FRONT / "node_modules")
    with running(program("node"), source / "server.js"):
        listens(port)
        body = json.dumps({"id": "live", "room": 1234, "token": TOKEN}).encode()
        asked = Request(f"http://127.0.0.1:{port}/whip/create", body, {"Content-Type": "application/json"})
        end_s = time.monotonic() + 10
        while urlopen(asked, timeout=10).status != 200:
            assert time.monotonic() < end_s
        yield f"whip://127.0.0.1:{port}/whip/endpoint/live"


def test_picture_and_voice_arrive_in_janus_and_the_session_is_ended(tmp_path: Path) -> None:
    with janus(tmp_path) as port, whip_front(tmp_path, port) as to:
        sent = (sys.executable, "-c", "from realtime_dub.cli import main; main()", "--webcam", "demo", "--mic", "demo",
                "--engine", "passthrough", "--size", "480p", "--to", to, "--seconds", "8", "--quiet")  # fmt: skip
        done = subprocess.run(sent, env={**os.environ, "REALTIME_DUB_WHIP_TOKEN": TOKEN}, timeout=120, check=False)
        assert done.returncode == 0
        time.sleep(1.0)
    by_kind = {each.name: each.read_bytes().count(PACKET) for each in tmp_path.rglob("*.mjr")}
    assert len(by_kind) == 2, by_kind
    assert min(by_kind.values()) > 100, by_kind
    assert "WebRTC resources freed" in (tmp_path / "janus.log").read_text()
