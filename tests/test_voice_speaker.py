"""The speaker: virtual sound cards whose crystals are off, times that jitter, buffers that run dry."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
from fake_sound import FakeHost

from realtime_dub.audio.device_contract import Device
from realtime_dub.clock import VirtualClock
from realtime_dub.errors import DeviceError
from realtime_dub.media import MS, NS, OutputFormat, Samples, Tick
from realtime_dub.publishers.speaker import SpeakerPublisher, VoicePlayer

RATE = 8_000
BLOCK = 80
PHASE_HZ = 0.5
FORMAT = OutputFormat(64, 64, Fraction(25), RATE, 2, live=True)
TICK = Tick(np.zeros((64, 64, 3), np.uint8), 0, 40 * MS, 0, None)
CABLE = Device(1, "Virtual Cable", 2, RATE)


def phase_voice(start_ns: int, count: int) -> Samples:
    """A voice whose every sample says the instant that it is of."""
    phase = 2 * np.pi * PHASE_HZ * (start_ns / NS + np.arange(count) / RATE)
    return np.stack([np.sin(phase), np.cos(phase)], axis=1).astype(np.float32)


def instants_s(sound: Samples) -> np.ndarray:
    return np.arctan2(sound[:, 0], sound[:, 1]) / (2 * np.pi * PHASE_HZ)


def play(player: VoicePlayer, ppm: float, jitter_ns: float, seconds: int, device_rate: int = RATE) -> np.ndarray:
    """Errors in ms: what instant each block's ends are of, less when they sound."""
    random = np.random.default_rng(4)
    size = device_rate // 100
    errors = []
    for block in range(seconds * 100):
        true_s = 3.0 + block * size / device_rate * (1 + ppm * 1e-6)
        out = np.zeros((size, 2), np.float32)
        player.play(out, round(true_s * NS + random.normal() * jitter_ns), broken=False)
        times = true_s + np.arange(size) / device_rate * (1 + ppm * 1e-6)
        errors.append(((instants_s(out) - times + 1) % 2 - 1) * 1e3)
    return np.array(errors)


@pytest.mark.parametrize(("ppm", "device_rate"), [(300.0, RATE), (-300.0, RATE), (120.0, 11_025)])
def test_each_instant_sounds_when_it_should(ppm: float, device_rate: int) -> None:
    errors = play(VoicePlayer(phase_voice, RATE, device_rate), ppm, 1.5 * MS, 120, device_rate)
    assert np.abs(errors[:500]).max() < 5.0
    assert np.abs(errors[1000:]).max() < 1.0


def test_no_clicks_between_blocks() -> None:
    player = VoicePlayer(phase_voice, RATE, RATE)
    errors = play(player, -250.0, 2.0 * MS, 30).ravel()
    assert np.abs(np.diff(errors)).max() < 1e3 / RATE * 0.006  # never more than the slow bend of the pitch


def test_a_jump_of_the_device_is_faded_into() -> None:
    tone = lambda start_ns, count: (  # noqa: E731
        np.sin(2 * np.pi * 440 * (start_ns / NS + np.arange(count) / RATE))[:, None].astype(np.float32).repeat(2, 1)
    )
    player = VoicePlayer(tone, RATE, RATE)
    sound, slips = [], 0
    for block in range(200):
        out = np.zeros((BLOCK, 2), np.float32)
        at_ns = NS + block * 10 * MS + (83 * MS if block >= 100 else 0)
        slips += player.play(out, at_ns, broken=block == 100)
        sound.append(out)
    steps = np.abs(np.diff(np.concatenate(sound)[:, 0]))
    assert slips == 1
    assert steps.max() < 1.1 * 2 * np.pi * 440 / RATE
    assert abs(player._wanted(NS + 200 * 10 * MS + 83 * MS, False) - player._place) < 2


def test_opens_attaches_and_ignores_pictures() -> None:
    host, clock = FakeHost({"input": [], "output": [CABLE]}), VirtualClock(NS)
    speaker = SpeakerPublisher("cable", clock, host)
    speaker.attach(phase_voice)
    speaker.open(FORMAT)
    speaker.publish(TICK)
    sound = host.streams[0].drain(BLOCK, 25 * MS)
    assert np.abs((instants_s(sound) - (1.025 + np.arange(BLOCK) / RATE) + 1) % 2 - 1).max() < 1e-3
    host.streams[0].drain(BLOCK, 25 * MS, dry=True)
    assert speaker.underflows == 1
    assert speaker.latency_ns == 20 * MS
    assert (speaker.name, speaker.policy) == ("speaker Virtual Cable", "latest")
    speaker.close()
    speaker.close()
    assert host.streams[0].closed


def test_mono_voice_on_two_channels_and_two_on_one() -> None:
    mono = lambda start_ns, count: np.full((count, 1), 0.25, np.float32)  # noqa: E731
    out = np.zeros((BLOCK, 2), np.float32)
    VoicePlayer(mono, RATE, RATE).play(out, NS, False)
    np.testing.assert_allclose(out, 0.25, atol=1e-4)
    both = lambda start_ns, count: np.tile(np.array([[1.0, 0.0]], np.float32), (count, 1))  # noqa: E731
    out = np.zeros((BLOCK, 1), np.float32)
    VoicePlayer(both, RATE, RATE).play(out, NS, False)
    np.testing.assert_allclose(out, 0.5, atol=1e-4)


def test_unplugged_and_back() -> None:
    host, clock = FakeHost({"input": [], "output": [CABLE]}), VirtualClock(NS)
    speaker = SpeakerPublisher("1", clock, host)
    speaker.attach(phase_voice)
    speaker.open(FORMAT)
    host.streams[0].drain(BLOCK, 25 * MS)
    host.plugged["output"].clear()
    clock.advance_to(2 * NS)
    speaker.publish(TICK)
    assert speaker.losses == 0  # it has only just begun
    clock.advance_to(5 * NS)
    speaker.publish(TICK)
    assert speaker.losses == 1
    for _ in range(20):
        clock.advance_to(clock.now_ns() + 40 * MS)
        speaker.publish(TICK)
        time.sleep(0.001)
    host.plugged["output"].append(Device(5, CABLE.name, 2, RATE))
    while speaker._stream is None:
        clock.advance_to(clock.now_ns() + 40 * MS)
        speaker.publish(TICK)
        time.sleep(0.001)
    run(host, clock, 30)
    assert_in_step(host.streams[1].drain(BLOCK, 25 * MS), clock, 25 * MS)
    speaker.close()
    assert not any(stream.alive for stream in host.streams)


def run(host: FakeHost, clock: VirtualClock, blocks: int, ahead_ns: int = 25 * MS) -> np.ndarray:
    """What the device takes, block by block, as time goes on."""
    sound = []
    for _ in range(blocks):
        sound.append(host.streams[-1].drain(BLOCK, ahead_ns))
        clock.advance_to(clock.now_ns() + 10 * MS)
    return np.concatenate(sound)


def assert_in_step(sound: np.ndarray, clock: VirtualClock, ahead_ns: int, most_s: float = 0.03) -> None:
    sounds_s = (clock.now_ns() + ahead_ns) / NS + np.arange(BLOCK) / RATE
    assert np.abs((instants_s(sound) - sounds_s + 1) % 2 - 1).max() < most_s


def opened(spec: str, host: FakeHost, clock: VirtualClock) -> SpeakerPublisher:
    speaker = SpeakerPublisher(spec, clock, host)
    speaker.attach(phase_voice)
    speaker.open(FORMAT)
    return speaker


def reopen(speaker: SpeakerPublisher, host: FakeHost, clock: VirtualClock, times: int = 1) -> None:
    """The device ends by itself; until the speaker has asked for it so many times, and has what it got."""
    host.streams[-1].alive = False
    until = len(host.streams) + times
    for _ in range(1000):
        clock.advance_to(clock.now_ns() + 40 * MS)
        speaker.publish(TICK)
        time.sleep(0.001)
        if len(host.streams) >= until and (speaker._stream is not None or times > 1):
            return
    raise AssertionError("it was not opened again")


def test_a_speaker_chosen_by_name_never_plays_on_another_device() -> None:
    host, clock = FakeHost({"input": [], "output": [CABLE]}, place="cable"), VirtualClock(NS)
    speaker = opened("virtual cable", host, clock)
    assert run(host, clock, 10).any()
    host.place = "kitchen"
    reopen(speaker, host, clock, times=3)
    assert all(stream.closed for stream in host.streams[:3])
    assert not host.streams[-1].drain(BLOCK, 25 * MS).any()
    host.place = "cable"
    reopen(speaker, host, clock)
    run(host, clock, 30)
    assert_in_step(host.streams[-1].drain(BLOCK, 25 * MS), clock, 25 * MS)
    assert speaker.notes == ["speaker Virtual Cable was lost once"]
    assert speaker.lost().devices == 1
    speaker.close()


def test_a_name_that_leaves_the_choice_to_the_server_follows_too() -> None:
    """The device that it was on is there, and yet the server puts it on another."""
    host, clock = FakeHost({"input": [], "output": [CABLE]}, place="cable"), VirtualClock(NS)
    speaker = opened("virtual cable", host, clock)
    host.place, host.offered = "kitchen", frozenset({"cable", "kitchen"})
    reopen(speaker, host, clock)
    assert speaker.notes == ["speaker Virtual Cable is kitchen now, was cable"]
    speaker.close()


def test_the_default_speaker_follows_the_default_and_says_so() -> None:
    host, clock = FakeHost({"input": [], "output": [CABLE]}, place="cable"), VirtualClock(NS)
    speaker = opened("default", host, clock)
    run(host, clock, 10)
    host.place = "kitchen"
    reopen(speaker, host, clock)
    run(host, clock, 30)
    assert_in_step(host.streams[-1].drain(BLOCK, 25 * MS), clock, 25 * MS)
    assert speaker.notes == ["speaker Virtual Cable is kitchen now, was cable"]
    speaker.close()


def test_a_device_that_comes_back_is_silent_until_its_times_agree() -> None:
    """It takes a buffer full at once, stands still, and only then plays it."""
    host, clock = FakeHost({"input": [], "output": [CABLE]}), VirtualClock(NS)
    speaker = opened("cable", host, clock)
    run(host, clock, 10)
    reopen(speaker, host, clock)
    burst = np.concatenate([host.streams[-1].drain(BLOCK, block * 8 * MS) for block in range(5)])
    clock.advance_to(clock.now_ns() + 770 * MS)
    assert not burst.any()
    errors = []
    for _ in range(100):
        sounds_s = (clock.now_ns() + 50 * MS) / NS + np.arange(BLOCK) / RATE
        sound = run(host, clock, 1, 50 * MS)
        if sound.any():
            errors.append(np.abs((instants_s(sound) - sounds_s + 1) % 2 - 1).max())
    assert len(errors) > 80
    assert max(errors) < 0.005
    speaker.close()


@pytest.mark.parametrize("jump_ms", [100, 300, -150])
def test_a_latency_that_jumps_is_followed(jump_ms: int) -> None:
    host, clock = FakeHost({"input": [], "output": [CABLE]}), VirtualClock(NS)
    speaker = opened("cable", host, clock)
    run(host, clock, 300, 200 * MS)
    run(host, clock, 30, (200 + jump_ms) * MS)
    for _ in range(50):
        assert_in_step(host.streams[-1].drain(BLOCK, (200 + jump_ms) * MS), clock, (200 + jump_ms) * MS, 0.02)
        clock.advance_to(clock.now_ns() + 10 * MS)
    assert speaker.slips == 1
    speaker.close()


def test_no_sound_and_no_device() -> None:
    host = FakeHost({"input": [], "output": [CABLE]})
    silent = SpeakerPublisher("cable", VirtualClock(), host)
    silent.attach(phase_voice)
    silent.open(OutputFormat(64, 64, Fraction(25), 0, 0, live=True))
    silent.publish(TICK)
    silent.close()
    assert not host.streams
    speaker = SpeakerPublisher("kitchen", VirtualClock(), host)
    speaker.attach(phase_voice)
    with pytest.raises(DeviceError, match="no speaker 'kitchen'; choose one of 1 'Virtual Cable'"):
        speaker.open(FORMAT)
    speaker.close()
