"""A process that sends to many: real connections, and what becomes of them when it is killed, hangs or cannot."""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from aioice.ice import CandidatePair
from aiortc.rtp import RtpPacket
from patience import PATIENCE_S
from pylibsrtp import Error, Policy, Session
from test_web_forwarding import AUDIO, VIDEO, Hall, Viewer, gapless, watching
from test_web_sessions import serving
from web_peers import Visitor

from realtime_dub.web.rtc.forwarder import forwarder as forwarders
from realtime_dub.web.rtc.forwarder import wire
from realtime_dub.web.rtc.forwarder.forwarder import Forwarder
from realtime_dub.web.rtc.forwarder.group import Counts, Group, Member
from realtime_dub.web.rtc.forwarder.process import Forwarding, Run, Way
from realtime_dub.web.rtc.packets import Packet
from realtime_dub.web.rtc.rollover import STEP, caught_up

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker sends to all")
PROFILE, KEY = Policy.SRTP_PROFILE_AEAD_AES_256_GCM, bytes(range(44))
SOURCE = 7


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not so():  # noqa: ASYNC110  (there is no event for all that is waited for)
            await asyncio.sleep(0.02)


def senders(viewer: Viewer) -> list[Any]:
    return [pair.sender for pair in viewer.server._pc.getTransceivers()]


def is_apart(viewer: Viewer) -> bool:
    return all(each._member is not None for each in senders(viewer))


def process(hall: Hall) -> int:
    assert hall.forwarder is not None
    assert hall.forwarder.pid is not None
    return hall.forwarder.pid


def lives(pid: int) -> bool:
    """It is there, and is not one that ended and that nobody asked about."""
    try:
        return b"forwarder" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def files(pid: int | str = "self") -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def misses_nothing(viewer: Viewer) -> bool:
    """Of its video, what came again put in its place."""
    again = {int.from_bytes(each.payload[:2], "big") for each in viewer.again}
    there = [packet.sequence_number for _, packet in viewer.packets[VIDEO]]
    steps = ((a, b - a & 0xFFFF) for a, b in itertools.pairwise(there))
    missing = {number & 0xFFFF for a, step in steps for number in range(a + 1, a + step)}
    return missing <= again


def test_viewers_come_and_go_and_leave_no_descriptor_and_the_process_ends_with_the_last() -> None:
    async def test() -> None:
        async with watching(True, apart=True) as (hall, (lasting,)):
            pid = process(hall)
            here, there = files(), files(pid)
            for _ in range(3):
                more = [Viewer(hall) for _ in range(2)]
                for each in more:
                    await each.connect()
                for each in more:
                    await each.has(2)
                    assert is_apart(each)
                assert files(pid) == there + 4  # a socket for the video and for the audio of each
                await asyncio.gather(*(each.close() for each in more))
                await until(lambda: files(pid) == there)
            assert files() <= here + 2  # of libraries that were used for the first time
            assert gapless(lasting.packets[VIDEO])
            assert gapless(lasting.packets[AUDIO])
            hall.forwarder.leave()  # who had it begun before anybody came
        assert hall.forwarder.pid is None
        assert not lives(pid)

    asyncio.run(test())


def test_few_are_served_by_the_worker_and_all_go_over_when_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """In mid-stream, and after their numbers have begun anew: what a receiver's encryption counts stays right."""

    async def test() -> None:
        hall = Hall(Forwarder(3))
        task = asyncio.create_task(hall.play())
        first, second = Viewer(hall), Viewer(hall)
        try:
            await first.connect()
            for sender in senders(first):
                sender._index = sender._seen = (1 << 16) - 5
            await first.has(5)
            assert not is_apart(first)
            assert min(sender._index for sender in senders(first)) > 1 << 16
            await second.connect()
            await until(lambda: is_apart(first) and is_apart(second))
            pid = process(hall)
            await first.has(5)
            os.kill(pid, signal.SIGKILL)
            await until(lambda: hall.forwarder.pid not in (pid, None) and is_apart(first))
            await first.has(5)
            await until(lambda: misses_nothing(first))
            assert {len({packet.ssrc for _, packet in first.packets[kind]}) for kind in (VIDEO, AUDIO)} == {1}
        finally:
            await asyncio.gather(first.close(), second.close())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await hall.forwarder.close()
        assert hall.forwarder.pid is None

    asyncio.run(test())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_viewers_go_on_without_a_forwarder_that_was_killed_or_hangs(
    how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the worker, until there is another one; what was on its way is sent again."""
    monkeypatch.setattr(forwarders, "REST_S", 60.0)

    async def test() -> None:
        async with watching(True, True, apart=True) as (hall, viewers):
            pid = process(hall)
            os.kill(pid, how)
            await until(lambda: hall.forwarder.pid is None)
            for each in viewers:
                await each.has(10)
                assert not is_apart(each)
            await until(lambda: not lives(pid))
            if how == signal.SIGKILL:
                await until(lambda: all(map(misses_nothing, viewers)))

    asyncio.run(test())


def test_one_that_hangs_for_a_moment_goes_on() -> None:
    async def test() -> None:
        async with watching(True, apart=True) as (hall, (viewer,)):
            pid = process(hall)
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(0.5)
            os.kill(pid, signal.SIGCONT)
            await viewer.has(10)
            assert process(hall) == pid
            assert gapless(viewer.packets[AUDIO])
            assert gapless(viewer.packets[VIDEO])

    asyncio.run(test())


def test_whom_it_cannot_serve_the_worker_does() -> None:
    """It may open no more files."""

    async def test() -> None:
        async with watching(True, apart=True) as (hall, (first,)):
            pid = process(hall)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, 1))
            other = Viewer(hall)
            try:
                await other.connect()
                await other.has(5)
                assert [each._member for each in senders(other)] == [None, None]
                assert is_apart(first)
                await first.has(5)
                assert gapless(first.packets[VIDEO])
            finally:
                await other.close()

    asyncio.run(test())


def test_another_way_to_a_viewer_is_another_place_and_behind_a_relay_it_has_none() -> None:
    async def test() -> None:
        async with watching(True, apart=True) as (hall, (viewer,)):
            (sender, audio), pid = senders(viewer), process(hall)
            before, there = sender._member.place, files(pid)
            ice = sender.transport.transport._connection
            pair = ice._nominated[1]
            ice._nominated[1] = CandidatePair(pair.protocol, pair.remote_candidate)
            await until(lambda: sender._member is not None and sender._member.place > before)
            await until(lambda: files(pid) == there)
            for each in (sender, audio):
                each._line.socket, each._line._cuts = None, False  # as of aioice's transport behind a relay
                each.exit()
            await viewer.has(3)
            assert not is_apart(viewer)
            await until(lambda: files(pid) == there - 2)
            assert gapless(viewer.packets[VIDEO])
            assert gapless(viewer.packets[AUDIO])

    asyncio.run(test())


WORKER = """
import asyncio, sys
sys.path[:0] = {path!r}
from realtime_dub.web.rtc.forwarder.forwarder import Forwarder
async def live():
    forwarder = Forwarder(1)
    forwarder.come()
    while forwarder.pid is None:
        await asyncio.sleep(0.02)
    print(forwarder.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(live())
"""


def test_it_ends_with_its_worker() -> None:
    process = subprocess.Popen([sys.executable, "-c", WORKER.format(path=sys.path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        pid = int(process.stdout.readline())
        process.kill()
        process.wait()
    end_s = time.monotonic() + PATIENCE_S
    while lives(pid):
        assert time.monotonic() < end_s
        time.sleep(0.05)


@pytest.mark.slow
def test_a_viewer_of_a_server_is_served_by_it_and_it_is_gone_when_all_have_left() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url), ClientSession() as apart:
            studio.forwarder._least = 1
            speaker, viewer = Visitor(http, url), Visitor(apart, url, sends=False)
            try:
                await speaker.connect(room="hall")
                await viewer.connect(room="hall", role="viewer")
                await viewer.until(lambda: len(viewer.got.pictures) > 20 and len(viewer.got.sounds) > 20)
                (watching,) = (each for each in studio.sessions.values() if each.role == "viewer")
                peer = watching._connection._peer
                assert all(pair.sender._member is not None for pair in peer._pc.getTransceivers())
            finally:
                await asyncio.gather(viewer.pc.close(), speaker.pc.close())
            await until(lambda: studio.forwarder.pid is None)

    asyncio.run(test())


def test_a_forwarder_that_does_not_keep_up_is_given_whole_frames_first() -> None:
    """What is left out has no number: nobody asks for it."""
    asked: list[int] = []
    forwarder = Forwarder(1)
    group = Group(forwarder, lambda: asked.append(1))
    whole, part = (Packet(((b"\x90\x80", b"a"),) * 3, number, 0, number == 5, True) for number in (5, 6))
    group.give(part)
    member = Member(group, 1)
    assert (member.gained, member.newest, member.kept) == (Counts(), None, [])
    forwarder.is_full = True
    group.give(part)
    forwarder.is_full = False
    group.give(part)
    assert (asked, member.gained) == ([1], Counts())
    for each in (whole, part):
        group.give(each)
    assert (member.gained, member.newest) == (Counts(6, 2 * whole.size, 2), part)
    assert [(since.packets, given.packet) for since, given in member.kept] == [(0, whole), (3, part)]


# What the process does, within this one.


def place(number: int, port: int = 9, next_index: int = 5, key: bytes = KEY) -> wire.Place:
    return wire.Place(
        number, 1, SOURCE, 1_000, next_index, 0, 0x80, 96, PROFILE, port, False, b"", b"", key, b"127.0.0.1"
    )


def run_of(packet: Packet) -> bytes:
    """As a worker says it of a frame in one run, of group 1."""
    told: list[bytes] = []
    forwarder = Forwarder(1)
    forwarder._put = lambda message: told.append(message)  # type: ignore[method-assign, assignment]
    forwarder.give(1, packet, b"now")
    (message,) = told
    return message


@contextmanager
def forwarding() -> Iterator[tuple[Forwarding, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.setblocking(False)
        yield Forwarding(theirs), ours


def datagrams() -> int:
    """A descriptor of a socket for them."""
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()


def opened(packets: list[bytes]) -> list[RtpPacket]:
    srtp = Session(Policy(KEY, Policy.SSRC_ANY_INBOUND, srtp_profile=PROFILE))
    return [RtpPacket.parse(srtp.unprotect(each)) for each in packets]


class Full(socket.socket):
    """One that takes ``left`` more packets, and none together."""

    left = 0

    def sendmsg(self, *_: Any) -> int:
        raise (BlockingIOError if not self.left else OSError)

    def sendto(self, *_: Any) -> int:
        if not self.left:
            raise BlockingIOError
        self.left -= 1
        return 0


@pytest.mark.parametrize("taken", [0, 1])
def test_what_the_system_does_not_take_comes_back_encrypted(taken: int) -> None:
    packet = Packet(((b"\x90\x80", b"a" * 50), (b"\x80\x80", b"b" * 50), (b"\x80\x80", b"c")), 0, 90, True, True)
    with forwarding() as (made, channel), Full(socket.AF_INET, socket.SOCK_DGRAM) as full:
        full.left = taken
        made._ways[3] = made._groups[1][3] = Way(place(3), full)
        made._forward(Run(memoryview(run_of(packet))))
        message = channel.recv(wire.MOST_MESSAGE)
        number, size = wire.BACK.unpack_from(message)
        rest = message[wire.BACK.size :]
        back = opened([rest[at : at + size] for at in range(0, len(rest), size)])
        assert number == 3
        wanted = [b"\x90\x80\x80\x01" + b"a" * 50, b"\x80\x80\x80\x01" + b"b" * 50, b"\x80\x80\x80\x01c"]
        assert [each.payload for each in back] == wanted[taken:]
        assert [(each.sequence_number, each.marker, each.timestamp) for each in back] == [
            (5 + number, int(number == 2), 1_090) for number in range(taken, 3)
        ]
        with pytest.raises(BlockingIOError):
            channel.recv(1)


def test_a_sender_that_cannot_be_served_is_told_of() -> None:
    packet = Packet(((b"", b"a" * 50),), 0, 90)
    with forwarding() as (made, channel):
        made._take(place(4, key=b"short"), [datagrams()])
        assert channel.recv(100) == wire.BACK.pack(4, 0)
        made._take(place(5), [])  # there was no descriptor left for it
        assert channel.recv(100) == wire.BACK.pack(5, 0)
        made._take(place(6), [datagrams()])
        way = made._ways[6]
        made._forward(Run(memoryview(run_of(packet))))
        way.index = 2_000
        made._forward(Run(memoryview(run_of(packet))))
        way.index = 100  # encryption does not go back so far: its receiver would not take it
        made._forward(Run(memoryview(run_of(packet))))
        assert channel.recv(100) == wire.BACK.pack(6, 0)
        assert (made._ways, made._groups) == ({}, {})
        with pytest.raises(BlockingIOError):
            channel.recv(1)


def test_a_place_is_read_as_it_was_told_and_none_that_does_not_fit_is() -> None:
    given = place(9, next_index=1 << 40, key=bytes(44))._replace(before=b"\xbe\xde\0\1", after=b"\0", has_time=True)
    assert wire.Place.read(memoryview(given.packed() + b"more")) == given
    assert given.fits
    assert not given._replace(before=bytes(256)).fits


@pytest.mark.parametrize("start", [0, 1, 1_000, 32_767])
@pytest.mark.parametrize("index", [40_000, 65_535, 65_536, 98_304, 131_071, 1_000_003])
def test_a_context_that_saw_nothing_counts_on_where_the_other_one_is(start: int, index: int) -> None:
    def context() -> Session:
        policy = Policy(KEY, Policy.SSRC_ANY_OUTBOUND, srtp_profile=PROFILE)
        policy.allow_repeat_tx, policy.window_size = True, 1_024
        return Session(policy)

    def packet(at: int) -> bytes:
        return bytes(RtpPacket(payload_type=96, sequence_number=at & 0xFFFF, ssrc=SOURCE, payload=b"text").serialize())

    all_along, other = context(), context()
    for at in range(start, index, 97):
        all_along.protect(packet(at))
    assert caught_up(other.protect, SOURCE, start, index) == index
    assert other.protect(packet(index)) == all_along.protect(packet(index))
    assert context().protect(packet(index)) != all_along.protect(packet(index)) or index < 1 << 16
    fresh = context()
    fresh.protect(packet(start))
    for at in (start + STEP, index):
        if at < index:
            caught_up(fresh.protect, SOURCE, start, index)
    assert fresh.protect(packet(index)) == all_along.protect(packet(index))


def test_an_old_number_is_not_encrypted_again() -> None:
    policy = Policy(KEY, Policy.SSRC_ANY_OUTBOUND, srtp_profile=PROFILE)
    policy.allow_repeat_tx, policy.window_size = True, 1_024
    session = Session(policy)
    caught_up(session.protect, SOURCE, 0, 70_000)
    with pytest.raises(Error):
        session.protect(bytes(RtpPacket(payload_type=96, sequence_number=60_000, ssrc=SOURCE).serialize()))
