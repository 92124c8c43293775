"""Visitors' video and audio are decoded in processes of their own: what comes out is the same, and whatever becomes of
such a process costs its visitor a key frame, and nobody else anything.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import AudioStreamTrack
from hostile_peers import CodedTrack, coded, connected, until
from patience import PATIENCE_S
from test_web_decoding import H264, OPUS, VP8, Decoded
from web_peers import FaceTrack, Visitor, VoiceTrack, serving

from benchmarks.usage import children
from realtime_dub.web.limits import DECODER_FRAMES, DECODERS_BURST
from realtime_dub.web.rtc.apart import wire
from realtime_dub.web.rtc.apart.decoders import ApartDecoder, ApartDecoders, decoders
from realtime_dub.web.rtc.decoding import Damaged, DecoderEnded, Decoders, Within, WithinDecoder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="decoders have processes of their own on Linux alone")

HD = 1_280 * 720


@pytest.fixture
def apart() -> Iterator[ApartDecoders]:
    """None of its processes outlives the test."""
    made = ApartDecoders()
    yield made
    made.close()
    assert ours() == []


def ours(pid: int | None = None) -> list[int]:
    """The processes of decoders below a process, and the one that they come from."""
    found = []
    for each in children(pid or os.getpid()):
        words = status(each, "cmdline").split("\0")
        if any("rtc.apart.process" in word for word in words) and status(each, "stat").rpartition(")")[2][1] != "Z":
            found.append(each)
    return found


def shared(pid: int) -> bool:
    """It has the network of this process, or sees its processes."""
    return any(os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "pid"))


def status(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ")  Z" if name == "stat" else ""


def decoding(pid: int | None = None) -> list[int]:
    """The decoders alone: they have pictures."""
    return [each for each in ours(pid) if "memfd:pictures" in status(each, "maps")]


def children_of_ours(pid: int | None) -> set[int]:
    """Those that others come from."""
    found = ours(pid)
    return {each for each in found if int(status(each, "stat").rpartition(")")[2].split()[1] or 0) not in found}


def made(apart: Decoders, codec: Any = VP8, most_pixels: int = HD) -> Any:
    return apart.make(codec, lambda: most_pixels)


def frames(decoder: Any, *pictures: bytes) -> list[Any]:
    return [image for k, data in enumerate(pictures) for image in decoder.decode(JitterFrame(data, k * 3_600))]


def same(found: list[Any], wanted: list[Any]) -> None:
    assert [each.pts for each in found] == [each.pts for each in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert (one.format.name, one.width, one.height) == (other.format.name, other.width, other.height)
        assert (one.color_range, one.colorspace, one.time_base) == (
            other.color_range,
            other.colorspace,
            other.time_base,
        )
        for mine, theirs in zip(one.planes, other.planes, strict=True):
            assert np.array_equal(rows(mine), rows(theirs))


def rows(plane: Any) -> np.ndarray:
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]


@pytest.mark.parametrize("size", [(640, 480), (322, 182), (321, 181), (176, 144)])
@pytest.mark.parametrize("codec", [VP8, H264], ids=["vp8", "h264"])
def test_pictures_are_the_same_as_within(codec: Any, size: tuple[int, int], apart: ApartDecoders) -> None:
    if codec is H264 and size[0] % 2:
        pytest.skip("no encoder makes these of 4:2:0")
    kind = {"codec": "libx264", "tune": "zerolatency"} if codec is H264 else {}
    pictures = coded(*size, frames=3 * DECODER_FRAMES, **kind)
    found = frames(made(apart, codec), *pictures)  # all are held: more than there are places
    same(found, frames(WithinDecoder(codec), *pictures))
    assert len(found) == 3 * DECODER_FRAMES


def test_frames_that_come_late_and_together_are_all_there(apart: ApartDecoders) -> None:
    pictures = coded(160, 96, "libx264", frames=12, preset="medium", bf="2")
    same(frames(made(apart, H264), *pictures), frames(WithinDecoder(H264), *pictures))


def test_a_large_picture_is_made_smaller_there(apart: ApartDecoders) -> None:
    decoder = made(apart)
    assert [(each.width, each.height) for each in frames(decoder, *coded(1_920, 1_080))] == [(1_280, 720)]
    assert decoder.spent_s > 0


def test_sound_is_the_same_as_within(apart: ApartDecoders) -> None:
    packets = [b"\xfc\xff\xfe", bytes((0x78, *range(40))), b"\xfc" + bytes(range(120))]
    found, wanted = frames(made(apart, OPUS), *packets), frames(WithinDecoder(OPUS), *packets)
    assert [(each.pts, each.samples, each.rate) for each in found] == [
        (each.pts, each.samples, each.rate) for each in wanted
    ]
    for one, other in zip(found, wanted, strict=True):
        assert np.array_equal(one.to_ndarray(), other.to_ndarray())


def test_a_picture_stays_what_it_was_when_its_decoder_is_gone(apart: ApartDecoders) -> None:
    pictures = coded(640, 480, frames=3)
    decoder = made(apart)
    found = frames(decoder, *pictures)
    decoder.close()
    del decoder
    same(found, frames(WithinDecoder(VP8), *pictures))


def test_a_decoder_reaches_nothing(apart: ApartDecoders) -> None:
    decoder = made(apart)
    frames(decoder, *coded(160, 96))
    (pid,) = decoding()
    limits = {line[:26].strip(): line[26:].split() for line in status(pid, "limits").splitlines()}
    assert limits["Max open files"][:2] == limits["Max file size"][:2] == limits["Max core file size"][:2] == ["0", "0"]
    assert int(limits["Max address space"][0]) < 2 << 30
    assert len(os.listdir(f"/proc/{pid}/fd")) == 5  # its channel, its memory, and three that lead nowhere
    if shared(pid):
        pytest.skip("this system lets no process leave the network, or other processes")


def test_one_that_is_killed_hangs_or_eats_memory_has_ended_for_its_visitor_alone(apart: ApartDecoders) -> None:
    one, other = made(apart), made(apart)
    pictures = coded(160, 96, frames=4)
    frames(one, pictures[0])
    frames(other, pictures[0])
    first, second = sorted(decoding())
    os.kill(first, signal.SIGKILL)
    with pytest.raises(DecoderEnded):
        frames(one, pictures[1])
    with pytest.raises(DecoderEnded):
        frames(one, pictures[1])
    os.kill(second, signal.SIGSTOP)
    began_s = time.monotonic()
    with pytest.raises(DecoderEnded, match="no answer within 1 s"):
        frames(other, pictures[1])
    assert 0.9 < time.monotonic() - began_s < PATIENCE_S
    assert len(frames(made(apart), *pictures)) == 4


def test_what_a_decoder_says_is_bounded() -> None:
    import socket

    for told, why in (
        (wire.Told(wire.PICTURE, width=60_000, height=60_000), "no place"),
        (wire.Told(wire.PICTURE), "no place"),
        (wire.Told(wire.SOUND, size=1 << 30), "no answer"),
        (wire.Told(wire.PICTURE, format=9, width=16, height=16), "no answer"),
        (wire.Told(77), "no answer"),
    ):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            wire.tell(theirs, told)
            with pytest.raises(ValueError, match=why):
                wire.told(ours)


def test_it_has_no_more_memory_than_it_may(apart: ApartDecoders, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures of the largest size fit; a table of a gigabyte does not."""
    decoder = made(apart, H264, 640 * 480)
    assert len(frames(decoder, *coded(4_096, 2_304, "libx264", frames=3, tune="zerolatency"))) == 3
    (pid,) = decoding()
    limit = next(line for line in status(pid, "limits").splitlines() if line.startswith("Max address space"))
    mapped = int(status(pid, "statm").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    assert mapped < int(limit[26:].split()[0]) < mapped + (300 << 20)


def test_those_that_come_after_the_process_they_come_from_was_killed(apart: ApartDecoders) -> None:
    decoder, pictures = made(apart), coded(160, 96, frames=2)
    frames(decoder, pictures[0])
    for pid in children_of_ours(None):
        os.kill(pid, signal.SIGKILL)
    end_s = time.monotonic() + PATIENCE_S
    while decoding():  # those that it began end with it
        assert time.monotonic() < end_s
        time.sleep(0.02)
    with pytest.raises(DecoderEnded):
        frames(decoder, pictures[1])
    assert len(frames(made(apart), *pictures)) == 2


def test_whose_frames_end_one_after_another_waits(apart: ApartDecoders) -> None:
    class Ends(ApartDecoder):
        def decode(self, encoded_frame: Any) -> list[Any]:
            os.kill(decoding()[-1], signal.SIGKILL)
            return super().decode(encoded_frame)

    def make(codec: Any) -> Any:
        return Ends(apart.begin, codec.name.lower(), lambda: HD)

    async def test() -> None:
        async with Decoded(make=make) as decoded:
            whole = coded(160, 96)[0]
            for _ in range(20):
                decoded.put(whole)
                await asyncio.sleep(0.02)
            await until(lambda: sum(decoded.dropped.values()) == 20)
            assert DECODERS_BURST <= decoded.dropped["decoders"] <= DECODERS_BURST + 2
            assert decoded.dropped["too costly"] >= 10
            assert decoded.asked >= 1

    asyncio.run(test())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_visitor_whose_decoder_ends_is_live_again(
    how: signal.Signals, apart: ApartDecoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime_dub.web.rtc.decoding.RESUME_S", 1000.0)  # a key frame is asked for, and comes

    async def test() -> None:
        async with connected(FaceTrack(), VoiceTrack(), apart=apart) as (_, peer, taken):
            await until(lambda: len(taken.sizes) > 10 and taken.sounds > 10)
            pids = decoding()
            assert len(pids) == 2
            for pid in pids:
                os.kill(pid, how)
            await until(lambda: peer.dropped["decoders"] == 2)
            count, sounds = len(taken.sizes), taken.sounds
            await until(lambda: len(taken.sizes) > count + 5 and taken.sounds > sounds + 5)
            assert not set(pids) & set(decoding())
            assert peer.state == "connected"
        await until(lambda: not decoding())

    asyncio.run(test())


def test_damaged_pictures_after_the_handshake_do_no_harm(apart: ApartDecoders) -> None:
    dice, whole = random.Random(3), coded(320, 180, frames=8)
    bad = []
    for k in range(120):
        data = bytearray(whole[k % len(whole)])
        for _ in range(dice.randrange(1, 9)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        bad.append(bytes(data[: dice.randrange(1, len(data) + 1)]))

    async def test() -> None:
        track = CodedTrack(bad, fps=120)
        async with connected(track, AudioStreamTrack(), apart=apart) as (_, peer, taken):
            await until(lambda: peer.dropped["damaged"] > 20 and taken.sounds > 20)
            track.pictures = whole
            count = len(taken.sizes)
            await until(lambda: len(taken.sizes) > count + 10 and taken.sizes[-1] == (320, 180))
            assert peer.dropped["decoders"] == 0

    asyncio.run(test())


def test_nothing_is_left_of_many_sessions(apart: ApartDecoders) -> None:
    async def test() -> None:
        await asyncio.to_thread(apart.start)
        files = len(os.listdir("/proc/self/fd"))
        for _ in range(2):
            async with asyncio.TaskGroup() as group:
                for _ in range(4):
                    group.create_task(visit())
            await until(lambda: not decoding())
        assert len(os.listdir("/proc/self/fd")) <= files + 6  # of libraries that were used for the first time
        await until(lambda: gc.collect() >= 0 and "pictures" not in "".join(links()))

    async def visit() -> None:
        async with connected(FaceTrack(120), VoiceTrack(), apart=apart) as (_, _, taken):
            await until(lambda: len(taken.sizes) > 5 and taken.sounds > 5)

    asyncio.run(test())


def links() -> list[str]:
    """What the descriptors and the memory of this process are of."""
    there = [Path(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd")]
    return [Path("/proc/self/maps").read_text(), *(os.readlink(each) for each in there if each.is_symlink())]


WORKER = """
import sys, time
sys.path[:0] = {path!r}
from hostile_peers import coded
from test_web_apart import VP8, frames, made
from realtime_dub.web.rtc.apart.decoders import ApartDecoders
apart = ApartDecoders()
kept = [made(apart) for _ in range(3)]
for each in kept:
    frames(each, *coded(160, 96))
print("ready", flush=True)
time.sleep(60)
"""


def test_a_worker_that_is_killed_leaves_none_of_its_decoders_not_even_one_that_hangs() -> None:
    process = subprocess.Popen([sys.executable, "-c", WORKER.format(path=sys.path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "ready\n"
        there = ours(process.pid)
        assert len(decoding(process.pid)) == 3
        os.kill(decoding(process.pid)[-1], signal.SIGSTOP)
        process.kill()
        process.wait()
    end_s = time.monotonic() + PATIENCE_S
    while any("apart" in status(pid, "cmdline") for pid in there):
        assert time.monotonic() < end_s
        time.sleep(0.05)


async def metrics(http: ClientSession, url: str) -> str:
    async with http.get(url + "/metrics") as answer:
        return await answer.text()


@pytest.mark.slow
def test_a_server_counts_a_decoder_that_ended_and_its_visitor_is_live_again() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url):
            visitor = Visitor(http, url)
            await visitor.connect()
            try:
                await visitor.until(lambda: len(visitor.got.pictures) > 20)
                for pid in decoding():
                    os.kill(pid, signal.SIGKILL)
                count = len(visitor.got.pictures)
                await visitor.until(lambda: len(visitor.got.pictures) > count + 30)
                (session,) = studio.sessions.values()
                await visitor.until(lambda: session._dropped["decoders"] == 2)
                came = session.input.last_ns
                await visitor.until(lambda: session.input.last_ns > came and session.input.moves)
                async with asyncio.timeout(PATIENCE_S):
                    counted = 'realtime_dub_dropped_total{kind="decoders"} 2.0'
                    while counted not in await metrics(http, url):  # noqa: ASYNC110  (they are told once a second)
                        await asyncio.sleep(0.1)
            finally:
                await visitor.close()
        assert ours() == []

    asyncio.run(test())


def test_where_they_decode_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(decoders("within"), Within)
    assert isinstance(decoders("apart"), ApartDecoders)
    monkeypatch.delattr(os, "memfd_create")
    assert isinstance(decoders("apart"), Within)


def test_a_packet_that_is_none_ends_no_decoder(apart: ApartDecoders) -> None:
    decoder = made(apart)
    for data in (b"\0", b"\xff" * 40, bytes(3_000)):
        with pytest.raises(Damaged):
            frames(decoder, data)
    assert len(frames(decoder, *coded(160, 96))) == 1
    assert Counter(map(bool, decoding())) == {True: 1}


DOES = (
    "from realtime_dub.web.confinement import leave_network; left = leave_network()\n"
    "import os, sys; from pathlib import Path; from realtime_dub.web.rtc import codecs\n"
    "decode = codecs.CodedDecoder.decode\n"
    "def does(self, data, timestamp):\n"
    "    {}\n"
    "    return decode(self, data, timestamp)\n"
    "codecs.CodedDecoder.decode = does\n"
    "from realtime_dub.web.rtc.apart.process import main; main(int(sys.argv[1]), left)"
)


@pytest.mark.parametrize(
    ("does", "ends"),
    [
        ("bytearray(1 << 30)", True),
        ("[b'x' * k for k in range(1 << 20)]", True),
        ("os.abort()", True),
        ("while True: pass", True),
        ("Path('/etc/hostname').read_text()", True),  # no file is opened, and the error is none of FFmpeg's
        ("__import__('subprocess').run(['true'])", True),
        (f"os.kill({os.getpid()}, 0)", True),  # it sees nobody
        ("None", False),
    ],
)
def test_whatever_a_decoder_that_was_taken_over_does(
    does: str, ends: bool, apart: ApartDecoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frames of another one, begun before, go on."""
    pictures = coded(160, 96, frames=3)
    other = ApartDecoders()
    try:
        bystander = made(other)
        frames(bystander, pictures[0])
        monkeypatch.setattr("realtime_dub.web.rtc.apart.decoders.START", DOES.format(does))
        decoder, began_s = made(apart), time.monotonic()
        if "kill" in does and shared(decoding()[-1]):
            pytest.skip("this system lets no process leave others")
        if ends:
            with pytest.raises(DecoderEnded):
                frames(decoder, *pictures)
        else:
            assert len(frames(decoder, *pictures)) == 3
        assert time.monotonic() - began_s < PATIENCE_S
        assert len(frames(bystander, *pictures[1:])) == 2
    finally:
        other.close()
