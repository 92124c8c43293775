"""Which addresses of a visitor the server sends to, to find a path for video and audio.

An offer names them, and a server tries whatever is named: without a look at them it is a tool for reaching into its own
network. A visitor who can reach the server needs none of them: its own packets tell where it is.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from aioice.ice import get_host_addresses
from aiortc.sdp import candidate_from_sdp

from realtime_dub.web.config import ServeConfig
from realtime_dub.web.limits import MOST_CANDIDATE_LINES, MOST_TARGETS
from realtime_dub.web.refusals import Refusal

Scope = Literal["machine", "lan", "internet"]
Address = IPv4Address | IPv6Address
LEAST_PORT = 1_024  # below are services, not browsers
_SHARED = ipaddress.ip_network("100.64.0.0/10")  # of providers and of overlay networks
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_CANDIDATE, _COMPLETE, _UFRAG = "a=candidate:", "a=end-of-candidates", re.compile(r"a=ice-ufrag:(\S+)")


def own_addresses() -> frozenset[Address]:
    """Of this machine."""
    return frozenset(ipaddress.ip_address(each) for each in get_host_addresses(use_ipv4=True, use_ipv6=True))


def scopes_of(config: ServeConfig, own: Iterable[Address]) -> frozenset[Scope]:
    """Where visitors may be: said by ``media_to``, or told by where the server listens."""
    where = config.media_to
    if where == "auto":
        where = _likely(config, own)
        if where == "machine" and config.ice_servers:  # behind a proxy, for visitors from elsewhere
            return frozenset({"machine", "internet"})
    every: tuple[Scope, ...] = ("machine", "lan", "internet")
    return frozenset(every if where == "lan" else (where,))


def _likely(config: ServeConfig, own: Iterable[Address]) -> Scope:
    if config.public_ip is not None:
        return "internet"
    if config.local:
        return "machine"
    try:
        listens = ipaddress.ip_address(config.host)
    except ValueError:
        return "lan"
    here = [each for each in own if each.version == 4] if listens.is_unspecified else [listens]
    return "internet" if any(each.is_global for each in here) else "lan"


def scope_of(address: Address, own: Iterable[Address]) -> Scope | None:
    """None: nobody's own, or for one wire only (clouds tell their secrets at a link-local one)."""
    address = _inner(address)
    if address.is_loopback or address in own:
        return "machine"
    if address.is_unspecified or address.is_multicast or address.is_reserved or address.is_link_local:
        return None
    if address.version == 4 and address in _SHARED:
        return "lan"
    return "internet" if address.is_global else "lan"


def _inner(address: Address) -> Address:
    """The IPv4 address that one of IPv6 stands for."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, address))[1]


class Targets:
    """Of one connection: what is not allowed, or too much, is left out and counted."""

    def __init__(self, config: ServeConfig, dropped: Counter[str]) -> None:
        self._own = own_addresses()
        self._scopes = scopes_of(config, self._own)
        self._dropped = dropped
        self._taken: set[tuple[str, int]] = set()
        self._lines = 0
        self.refused = 0  # so far

    def allows(self, host: str) -> bool:
        """An address as text; a name is refused."""
        try:
            return scope_of(ipaddress.ip_address(host), self._own) in self._scopes
        except ValueError:
            return False

    def takes(self, line: str) -> bool:
        """A candidate as it stands in a description. Raises Refusal after too many of them."""
        self._lines += 1
        if self._lines > MOST_CANDIDATE_LINES:
            raise Refusal(429, "There are too many candidates.", "Connect again.")
        found = candidate_from_sdp(line.removeprefix("a=").removeprefix("candidate:"))
        if found.protocol.lower() != "udp" or found.component != 1:
            return False
        target = found.ip.lower(), found.port
        fits = LEAST_PORT <= found.port <= 65_535 and (len(self._taken) < MOST_TARGETS or target in self._taken)
        if not fits or not (self._resolves(target[0]) or self.allows(target[0])):
            self.refused += 1
            self._dropped["candidates"] += 1
            return False
        self._taken.add(target)
        return True

    def offer(self, sdp: str) -> str:
        """An offer with the candidates that are taken. Raises Refusal, ValueError.

        All are in its last section: of sections on one transport, as they are here, aiortc hears that one's alone.
        """
        head, *sections = _sections(sdp)
        if not sections:
            return sdp
        first = _ufrag(sections[0]) or _ufrag(head)
        ours = [each for each in sections if (_ufrag(each) or _ufrag(head)) == first]  # the others' transports go
        lines = [line for each in ours for line in each if line.startswith(_CANDIDATE)]
        taken = list(dict.fromkeys(line for line in lines if self.takes(line)))
        if any(_COMPLETE in each for each in ours) and not self.refused:
            taken.append(_COMPLETE)
        kept = [line for each in (head, *sections) for line in each if not line.startswith((_CANDIDATE, _COMPLETE))]
        return "\r\n".join([*kept, *taken]) + "\r\n"

    def _resolves(self, host: str) -> bool:
        """A name that a browser made up, to be asked for on this wire."""
        return host.endswith(".local") and not {"machine", "lan"}.isdisjoint(self._scopes)


def _sections(sdp: str) -> list[list[str]]:
    """What is said of the session, then of each medium."""
    sections: list[list[str]] = [[]]
    for line in sdp.splitlines():
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    return sections


def _ufrag(section: Iterable[str]) -> str | None:
    return next((found[1] for line in section if (found := _UFRAG.match(line))), None)
