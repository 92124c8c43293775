"""The server sends to addresses where visitors may be, and to few of them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections import Counter
from collections.abc import Iterator

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack
from aiortc.sdp import SessionDescription
from hostile_peers import CodedTrack, Taken, coded, until

from realtime_dub.web.config import ServeConfig
from realtime_dub.web.limits import MOST_TARGETS
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.rtc import aiortc_access
from realtime_dub.web.rtc.candidates import Targets, own_addresses, scope_of
from realtime_dub.web.rtc.peer import Peer

OWN = next(str(each) for each in own_addresses() if each.version == 4)


def line(host: str, port: int = 50_000, kind: str = "host", component: int = 1, protocol: str = "udp") -> str:
    return f"candidate:1 {component} {protocol} 2113937151 {host} {port} typ {kind}"


def targets(**config: object) -> Targets:
    return Targets(ServeConfig(**config), Counter())


LOOPBACK, LAN, PUBLIC = "127.0.0.1", "192.168.77.5", "9.9.9.9"


@pytest.mark.parametrize(
    ("config", "taken"),
    [
        ({}, {LOOPBACK, OWN}),
        ({"host": "::1"}, {LOOPBACK, OWN}),
        ({"host": "192.168.77.1"}, {LOOPBACK, OWN, LAN, PUBLIC}),
        ({"public_ip": "203.0.113.7"}, {PUBLIC}),
        ({"host": "0.0.0.0", "public_ip": "203.0.113.7"}, {PUBLIC}),
        ({"host": "9.9.9.1"}, {PUBLIC}),
        ({"stun": "stun:stun.example"}, {LOOPBACK, OWN, PUBLIC}),
        ({"host": "192.168.77.1", "media_to": "internet"}, {PUBLIC}),
        ({"public_ip": "203.0.113.7", "media_to": "lan"}, {LOOPBACK, OWN, LAN, PUBLIC}),
        ({"host": "192.168.77.1", "media_to": "machine"}, {LOOPBACK, OWN}),
    ],
)
def test_where_the_server_listens_says_where_visitors_are(config: dict[str, str], taken: set[str]) -> None:
    found = {host for host in (LOOPBACK, OWN, LAN, PUBLIC) if targets(**config).takes(line(host))}
    assert found == taken


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "224.0.0.251",
        "255.255.255.255",
        "0.0.0.0",
        "240.0.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "::",
    ],
)
def test_nobodys_addresses_are_never_sent_to(host: str) -> None:
    for media_to in ("machine", "lan", "internet"):
        assert not targets(media_to=media_to).takes(line(host))


@pytest.mark.parametrize("host", ["::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1", "::ffff:127.0.0.1"])
def test_an_address_within_an_address_is_the_inner_one(host: str) -> None:
    assert not targets(media_to="internet").takes(line(host))
    inner = "machine" if "127" in host else "lan"
    assert scope_of(ipaddress.ip_address(host), frozenset()) == inner


def test_names_are_not_looked_up_but_those_of_browsers() -> None:
    mdns = "0b1c2d3e-1111-2222-3333-444455556666.local"
    for host in ("metadata.google.internal", "localhost", "example.com", "evil.local.example.com", ""):
        assert not targets(media_to="lan").takes(line(host or "-"))
    assert targets().takes(line(mdns))
    assert not targets(public_ip="203.0.113.7").takes(line(mdns))


def test_services_other_protocols_and_other_components_are_left_alone() -> None:
    for given in (line(OWN, 53), line(OWN, protocol="tcp"), line(OWN, component=2), line(OWN, 0), line(OWN, 70_000)):
        assert not targets().takes(given)


def test_as_many_as_a_visitor_may_have() -> None:
    some = targets()
    assert sum(some.takes(line(OWN, 50_000 + k)) for k in range(60)) == MOST_TARGETS
    assert some.takes(line(OWN, 50_000))  # said again
    for k in range(39):
        assert not some.takes(line(OWN, 51_000 + k))
    with pytest.raises(Refusal):
        some.takes(line(OWN))


@contextlib.contextmanager
def listening(count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
        for each in sockets:
            each.bind((OWN, 0))
            each.setblocking(False)
        yield sockets


def reached(sockets: list[socket.socket]) -> int:
    """How many of them got anything."""
    count = 0
    for each in sockets:
        with contextlib.suppress(BlockingIOError):
            count += bool(each.recv(2_000))
    return count


async def offer() -> tuple[RTCPeerConnection, str]:
    visitor = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    visitor.addTrack(AudioStreamTrack())
    visitor.addTrack(CodedTrack(coded(160, 96)))
    await visitor.setLocalDescription(await visitor.createOffer())
    return visitor, visitor.localDescription.sdp


def without_candidates(sdp: str) -> list[str]:
    return [each for each in sdp.splitlines() if not each.startswith(("a=candidate", "a=end-of"))]


@pytest.mark.parametrize(("media_to", "most"), [("auto", MOST_TARGETS), ("internet", 0)])
def test_few_of_many_addresses_are_tried_and_none_that_is_not_allowed(media_to: str, most: int) -> None:
    async def test() -> int:
        visitor, sdp = await offer()
        await aiortc_access.close(visitor)
        peer = Peer(ServeConfig(media_to=media_to), Taken(), None, lambda: None)
        with listening(60) as sockets:
            lines = ["a=" + line(*each.getsockname()) for each in sockets[:40]]
            await peer.answer("\r\n".join([*without_candidates(sdp), *lines]) + "\r\n")
            for each in sockets[40:]:
                await peer.add_candidate(line(*each.getsockname()), None, 0)
            await asyncio.sleep(0.02 * MOST_TARGETS + 1.0)
            await peer.close()
            return reached(sockets)

    assert asyncio.run(test()) == most


def test_nine_hundred_are_refused() -> None:
    async def test() -> None:
        visitor, sdp = await offer()
        await aiortc_access.close(visitor)
        peer = Peer(ServeConfig(), Taken(), None, lambda: None)
        many = ["a=" + line(f"127.0.{k % 250}.{k // 250 + 1}") for k in range(900)]
        with pytest.raises(Refusal):
            await peer.answer("\r\n".join([*without_candidates(sdp), *many]) + "\r\n")
        await peer.close()

    asyncio.run(test())


@pytest.mark.parametrize("where", ["first", "last", "every", "none"])
def test_candidates_count_in_whatever_section_they_stand(where: str) -> None:
    """``none``: the visitor's own packets tell where it is."""

    async def test() -> None:
        visitor, sdp = await offer()
        peer = Peer(ServeConfig(), Taken(), None, lambda: None)
        real = next(each for each in sdp.splitlines() if each.startswith("a=candidate") and f" {OWN} " in each)
        useless = "a=" + line(OWN, 40_000)
        sections = "\r\n".join(without_candidates(sdp)).split("m=")
        put = {"first": (1,), "last": (2,), "every": (1, 2), "none": ()}[where]
        for number in (1, 2):
            said = real if number in put else useless if put else None
            sections[number] = sections[number].rstrip() + ("\r\n" + said if said else "") + "\r\n"
        offered = "m=".join(sections)
        found = SessionDescription.parse(Targets(ServeConfig(), Counter()).offer(offered)).media[-1].ice_candidates
        assert (real.split()[5] in {str(each.port) for each in found}) == bool(put)
        answer = await peer.answer(offered)
        await visitor.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await until(lambda: peer.state == visitor.connectionState == "connected")
        await aiortc_access.close(visitor)
        await peer.close()

    asyncio.run(test())
