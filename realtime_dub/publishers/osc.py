"""Blendshape weights over the network, as programs for animated characters read them: the VMC protocol, OSC over UDP.

Each tick is one bundle: ``/VMC/Ext/Blend/Val`` with name and weight for every blendshape, then
``/VMC/Ext/Blend/Apply``. Names are ARKit's with a capital letter, as avatars made for "perfect sync" have them.
"""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from typing import Any, Literal

from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from realtime_dub.errors import ConfigError, DeviceError
from realtime_dub.media import BLENDSHAPES, MS, Blendshapes, OutputFormat, Tick
from realtime_dub.paths import reason

PORT = 39539  # where a VMC performance receiver listens
ADDRESS = re.compile(r"osc://(?P<host>\[[^]]+\]|[^:/?#@\[\]]+)(:(?P<port>\d{1,5}))?/?", re.IGNORECASE)
SEND_NS = 1 * MS


class OscPublisher:
    """Sends to ``osc://HOST[:PORT]``. Nobody needs to listen: UDP asks no one."""

    policy: Literal["latest", "every"] = "latest"
    latency_ns = SEND_NS

    def __init__(self, address: str) -> None:
        parts = ADDRESS.fullmatch(address)
        port = int(parts["port"] or PORT) if parts else 0
        if parts is None or not 0 < port < 65_536:
            raise ConfigError("cannot send to", repr(address), f"give an address such as osc://127.0.0.1:{PORT}")
        self.name = address
        self._host, self._port = parts["host"].strip("[]"), port
        self._socket: socket.socket | None = None
        self._to: Any = None

    def open(self, fmt: OutputFormat) -> None:
        """Raises DeviceError where the host has no address."""
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
        except OSError as error:
            what = f"{self.name}: {reason(error)}"
            raise DeviceError("cannot send to", what, "check the host's name") from error
        family, kind, protocol, _, self._to = found[0]
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setblocking(False)

    def publish(self, tick: Tick) -> None:
        """Send the weights; a tick without any leaves the character as it is."""
        assert self._socket is not None, "publish comes after open"
        if tick.blendshapes is None:
            return
        # A full buffer, a network that is down: the next tick says it all again.
        with suppress(OSError):
            self._socket.sendto(bundle(tick.blendshapes), self._to)

    def close(self) -> None:
        """Let the character's mouth rest, then release the socket."""
        opened, self._socket = self._socket, None
        if opened is None:
            return
        with suppress(OSError):
            opened.sendto(bundle(dict.fromkeys(BLENDSHAPES, 0.0)), self._to)
        opened.close()


def bundle(weights: Blendshapes) -> bytes:
    """One OSC bundle with all weights."""
    builder = OscBundleBuilder(IMMEDIATELY)
    for name, weight in weights.items():
        message = OscMessageBuilder("/VMC/Ext/Blend/Val")
        message.add_arg(name[0].upper() + name[1:], OscMessageBuilder.ARG_TYPE_STRING)
        message.add_arg(float(weight), OscMessageBuilder.ARG_TYPE_FLOAT)
        builder.add_content(message.build())
    builder.add_content(OscMessageBuilder("/VMC/Ext/Blend/Apply").build())
    return bytes(builder.build().dgram)
