"""The microphone on a sound system that the test drives, in virtual time."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from fake_sound import FakeHost

from realtime_dub.audio.callback_ring import CallbackRing
from realtime_dub.audio.device_contract import Device
from realtime_dub.audio.sound_host import find_device
from realtime_dub.clock import MonotonicClock, VirtualClock
from realtime_dub.errors import DeviceError, EndOfStream
from realtime_dub.losses import Lost
from realtime_dub.media import MS, NS, AudioBlock
from realtime_dub.sources.microphone import MicrophoneSource

BUILT_IN = Device(0, "Built-in Analog", 2, 48_000)
HEADSET = Device(3, "USB Headset Mono", 1, 16_000)


@pytest.fixture
def host() -> FakeHost:
    return FakeHost({"input": [BUILT_IN, HEADSET], "output": []})


def feed(host: FakeHost, clock: VirtualClock, blocks: int, lost: bool = False, age_ns: int = 12 * MS) -> None:
    """Blocks of 10 ms as they come live; the value counts samples, for their place to be seen."""
    stream = host.streams[-1]
    size = stream.rate // 100
    for index in range(blocks):
        clock.advance_to(clock.now_ns() + 10 * MS)
        samples = np.full((size, stream.device.channels), 0.5, np.float32)
        stream.feed(samples, age_ns, lost and index == 0)


def read_all(source: MicrophoneSource, until_ns: int) -> list[AudioBlock]:
    blocks = [source.read()]
    while blocks[-1].end_ns < until_ns:
        blocks.append(source.read())
    return blocks


def test_sound_is_stamped_with_its_capture(host: FakeHost) -> None:
    clock = VirtualClock(5 * NS)
    source = MicrophoneSource("default", clock, host)
    info = source.open()
    assert (info.rate, info.channels, info.live, info.name) == (48_000, 2, True, "Built-in Analog")
    assert 20 * MS <= info.block_ns <= 21 * MS
    feed(host, clock, 20)
    blocks = read_all(source, 5 * NS + 190 * MS)
    assert blocks[0].pts_ns == 5 * NS + 10 * MS - 12 * MS
    assert all(abs(a.end_ns - b.pts_ns) <= 1 for a, b in itertools.pairwise(blocks))
    assert not any(block.gap for block in blocks)
    assert np.abs(blocks[-1].samples - 0.5).max() < 1e-3
    source.close()


@pytest.mark.parametrize("late_ns", [130 * MS, 200 * MS])
def test_what_comes_late_only_at_the_start_is_not_heard(host: FakeHost, late_ns: int) -> None:
    clock = VirtualClock(5 * NS)
    source = MicrophoneSource("default", clock, host)
    source.open()
    feed(host, clock, 30, age_ns=late_ns)
    came_ns = clock.now_ns()
    feed(host, clock, 20)
    assert source.read().pts_ns == came_ns + 10 * MS - 12 * MS
    source.close()


def test_a_device_that_is_always_late_is_heard_all_the_same(host: FakeHost) -> None:
    clock = VirtualClock(5 * NS)
    source = MicrophoneSource("default", clock, host)
    source.open()
    feed(host, clock, 130, age_ns=180 * MS)
    first = source.read()
    assert first.pts_ns == 5 * NS + 10 * MS + NS - 180 * MS  # a second after its first buffer
    source.close()


def test_overflow_is_counted_and_becomes_a_marked_gap(host: FakeHost) -> None:
    clock = VirtualClock()
    source = MicrophoneSource("default", clock, host)
    source.open()
    feed(host, clock, 20)
    clock.advance_to(clock.now_ns() + 100 * MS)
    feed(host, clock, 20, lost=True)
    blocks = read_all(source, clock.now_ns() - 20 * MS)
    gap_ns = sum(block.duration_ns for block in blocks if block.gap)
    assert abs(gap_ns - 100 * MS) < 1 * MS
    assert source.overflows == 1
    source.close()


def test_a_reader_that_sleeps_loses_sound_but_not_the_time_line(host: FakeHost) -> None:
    clock = VirtualClock()
    source = MicrophoneSource("default", clock, host)
    source.open()
    feed(host, clock, 250)  # the ring holds 200
    kept = read_all(source, clock.now_ns() - 520 * MS)
    feed(host, clock, 10)
    kept += read_all(source, clock.now_ns() - 30 * MS)
    assert source.lost() == Lost(overflows=1)
    assert abs(sum(block.duration_ns for block in kept if block.gap) - 500 * MS) < 2 * MS
    source.close()


@pytest.mark.parametrize("how", ["dead", "silent"])
def test_unplugged_and_back(host: FakeHost, how: str) -> None:
    clock = VirtualClock()
    source = MicrophoneSource("headset", clock, host)
    info = source.open()
    assert (info.rate, info.channels) == (16_000, 1)
    feed(host, clock, 50)
    before = read_all(source, 490 * MS)  # all
    assert not any(block.gap for block in before)
    host.plugged["input"].remove(HEADSET)
    if how == "dead":
        host.streams[-1].alive = False
    else:
        clock.advance_to(clock.now_ns() + 600 * MS)
    gone = read_all(source, 2 * NS)  # virtual time goes on by the source's own pacing
    assert gone[-1].gap
    assert not gone[-1].samples.any()
    assert gone[-1].end_ns <= clock.now_ns()
    assert clock.now_ns() - gone[-1].end_ns < 20 * MS
    assert source.losses == 1

    host.plugged["input"].append(Device(7, HEADSET.name, 1, 16_000))  # another number, the same name
    while len(host.streams) == 1:
        gone.append(source.read())
        time.sleep(0.001)  # real time, for the reopener's thread
    assert host.streams[0].closed
    gone.append(source.read())
    feed(host, clock, 30)
    back = read_all(source, clock.now_ns() - 20 * MS)
    line = before + gone + back
    assert all(abs(a.end_ns - b.pts_ns) <= 1 for a, b in itertools.pairwise(line))
    assert not back[-1].gap
    assert np.abs(back[-1].samples - 0.5).max() < 1e-3
    source.close()
    assert not any(stream.alive for stream in host.streams)


def reopened(source: MicrophoneSource, host: FakeHost, times: int = 1) -> None:
    """The device ends by itself; read on until the source has asked for it so many times."""
    host.streams[-1].alive = False
    until = len(host.streams) + times
    while len(host.streams) < until or (times == 1 and source._stream is None):
        source.read()
        time.sleep(0.001)


def heard_on_the_stage(host: FakeHost, clock: VirtualClock, name: str) -> MicrophoneSource:
    """A source that has heard the stage; now the sound server would put it into the hall."""
    host.place = "stage"
    source = MicrophoneSource(name, clock, host)
    source.open()
    feed(host, clock, 20)
    read_all(source, 180 * MS)
    host.place = "hall"
    return source


def test_a_microphone_chosen_by_name_never_hears_another_device(host: FakeHost) -> None:
    clock = VirtualClock()
    source = heard_on_the_stage(host, clock, "built-in")
    reopened(source, host, times=3)
    host.streams[-1].feed(np.ones((480, 2), np.float32), 12 * MS)
    assert source.read().gap
    host.place = "stage"
    reopened(source, host)
    feed(host, clock, 30)
    back = read_all(source, clock.now_ns() - 20 * MS)
    assert np.abs(back[-1].samples - 0.5).max() < 1e-3
    assert max(np.abs(block.samples).max() for block in back) < 0.7
    assert source.notes == ["microphone Built-in Analog was lost once"]
    source.close()


def test_the_default_microphone_follows_the_default_and_says_so(host: FakeHost) -> None:
    clock = VirtualClock()
    source = heard_on_the_stage(host, clock, "default")
    reopened(source, host)
    feed(host, clock, 30)
    assert not read_all(source, clock.now_ns() - 20 * MS)[-1].gap
    assert source.notes == ["microphone Built-in Analog is hall now, was stage"]
    source.close()


@pytest.mark.parametrize("jump_ms", [100, 300, -150])
def test_a_latency_that_jumps_is_followed(host: FakeHost, jump_ms: int) -> None:
    """The device says from now on that its sound is older, or younger; a ramp tells each sample's place."""
    clock = VirtualClock()
    source = MicrophoneSource("default", clock, host)
    source.open()
    blocks: list[AudioBlock] = []
    for age_ms in (200, 200 + jump_ms):
        for _ in range(150):
            clock.advance_to(clock.now_ns() + 10 * MS)
            ramp = (clock.now_ns() - age_ms * MS) / NS / 10 + np.arange(480) / 48_000 / 10
            host.streams[-1].feed(np.tile(ramp[:, None].astype(np.float32), 2), age_ms * MS)
        blocks += read_all(source, clock.now_ns() - (age_ms + 20) * MS)
    assert source.lost() == Lost(slips=1)
    settled_ns = blocks[-1].end_ns - 900 * MS
    for block in blocks:
        if not block.gap and block.pts_ns > settled_ns:
            assert abs(float(block.samples[0, 0]) * 10 - block.pts_ns / NS) < 0.02
    breaks = sum(abs(a.end_ns - b.pts_ns) > 1 for a, b in itertools.pairwise(blocks))
    assert breaks <= 1  # time goes back with a device that does
    source.close()


def test_a_device_that_never_speaks_is_lost_too(host: FakeHost) -> None:
    clock = VirtualClock()
    source = MicrophoneSource("default", clock, host)
    source.open()
    clock.advance_to(4 * NS)
    gap = source.read()
    assert gap.gap
    while len(host.streams) == 1:
        gap = source.read()
        time.sleep(0.001)
    gap = source.read()
    feed(host, clock, 5)
    assert not read_all(source, clock.now_ns() - 20 * MS)[-1].gap
    source.close()


def test_close_ends_a_waiting_read(host: FakeHost) -> None:
    source = MicrophoneSource("default", MonotonicClock(), host)
    source.open()
    timer = threading.Timer(0.1, source.close)
    timer.start()
    with pytest.raises(EndOfStream):
        source.read()
    timer.join()
    source.close()


def test_devices_by_index_name_and_part(host: FakeHost) -> None:
    assert find_device(host, "3", "input") == HEADSET
    assert find_device(host, "usb headset mono", "input") == HEADSET
    assert find_device(host, "analog", "input") == BUILT_IN


def test_no_such_device_lists_what_there_is(host: FakeHost) -> None:
    with pytest.raises(DeviceError, match=r"no microphone 'webcam'; choose one of 0 'Built-in Analog', 3 'USB Headset"):
        MicrophoneSource("webcam", MonotonicClock(), host).open()
    with pytest.raises(DeviceError, match="no microphone 'default'; connect a microphone"):
        MicrophoneSource("default", MonotonicClock(), FakeHost()).open()


def test_the_callback_keeps_nothing() -> None:
    """What the ring needs is allocated when it is made."""
    import tracemalloc

    ring = CallbackRing(200, 480, 2)
    samples = np.ones((480, 2), np.float32)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for index in range(180):
        ring.put(samples, index, False)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 2_000


def test_a_full_ring_drops_and_says_so() -> None:
    ring = CallbackRing(2, 4, 1)
    for index in range(3):
        ring.put(np.full((4, 1), index, np.float32), index, False)
    taken = [ring.take(0), ring.take(0), ring.take(0)]
    assert [block and block.time_ns for block in taken] == [0, 1, None]
    ring.put(np.zeros((4, 1), np.float32), 9, False)
    block = ring.take(0)
    assert block is not None
    assert block.lost
    assert ring.dropped == 1


def test_without_portaudio_the_package_is_named() -> None:
    script = (
        "import ctypes.util; ctypes.util.find_library = lambda name: None\n"
        "from realtime_dub.sources.voices import list_microphones\n"
        "from realtime_dub.errors import DependencyError\n"
        "try: list_microphones()\n"
        "except DependencyError as error: print(error)\n"
    )
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert "libportaudio2" in done.stdout, done.stderr


def test_what_a_card_gives_that_is_no_sound_is_silence(host: FakeHost) -> None:
    clock = VirtualClock(5 * NS)
    source = MicrophoneSource("default", clock, host)
    source.open()
    feed(host, clock, 10)
    for wrong in (np.nan, np.inf, 1e20):
        clock.advance_to(clock.now_ns() + 10 * MS)
        host.streams[-1].feed(np.full((480, 2), wrong, np.float32), 12 * MS)
    feed(host, clock, 10)
    blocks = read_all(source, 5 * NS + 200 * MS)
    source.close()
    heard = np.concatenate([block.samples for block in blocks])
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() < 0.7
    assert [note.partition(" samples")[0] for note in source.notes] == ["microphone 'default' has 2880"]
