"""Where the other side is to send packets: a range of UDP ports, an address behind a router."""

from __future__ import annotations

import asyncio
import errno
import random
import re
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address
from typing import Any

from realtime_dub.web.config import ServeConfig

_HOST = re.compile(r"^a=candidate:(\S+) (\d+) udp (\d+) (\d+\.\d+\.\d+\.\d+) (\d+) typ host", re.MULTILINE)


class PortRangeLoop(asyncio.SelectorEventLoop):
    """An event loop whose UDP sockets, where any port would do, take one of ``ports``: aioice knows no range."""

    def __init__(self, ports: range) -> None:
        super().__init__()
        self._range = ports

    async def create_datagram_endpoint(  # type: ignore[override]
        self, protocol_factory: Any, local_addr: tuple[str, int] | None = None, **options: Any
    ) -> Any:
        if local_addr is None or local_addr[1] != 0:
            return await super().create_datagram_endpoint(protocol_factory, local_addr, **options)
        for port in random.sample(self._range, len(self._range)):
            try:
                return await super().create_datagram_endpoint(protocol_factory, (local_addr[0], port), **options)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        raise OSError(errno.EADDRINUSE, "no UDP port of the range is free")


def with_public_ip(sdp: str, address: IPv4Address | None) -> str:
    """Beside every IPv4 address of this machine the one under which the world sees it: same port, a little lower."""
    if address is None:
        return sdp

    def both(found: re.Match[str]) -> str:
        line, (foundation, component, priority, _, port) = found[0], found.groups()
        return f"{line}\r\na=candidate:{foundation}p {component} udp {int(priority) - 1} {address} {port} typ host"

    return _HOST.sub(both, sdp)


def loop_factory(config: ServeConfig) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The event loop that keeps to the range of ports; None where any port will do."""
    return partial(PortRangeLoop, config.port_range) if config.port_range is not None else None
