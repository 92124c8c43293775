"""Raw samples from a pipe, files played as if live, and what a --mic means."""

from __future__ import annotations

import io
import itertools
import os
import threading
import wave
from pathlib import Path

import numpy as np
import pytest
from fake_sound import FakeHost
from films import numbered, steady, write_film
from sound_files import read_all, wav

from realtime_dub.audio.device_contract import Device
from realtime_dub.clock import MonotonicClock, VirtualClock
from realtime_dub.errors import ConfigError, DeviceError, EndOfStream, MediaError
from realtime_dub.media import MS, NS
from realtime_dub.sources.audio_file import AudioFileSource
from realtime_dub.sources.base import VoiceSource
from realtime_dub.sources.demo_voice import DemoVoiceSource
from realtime_dub.sources.microphone import MicrophoneSource
from realtime_dub.sources.paced_voice import PacedVoice
from realtime_dub.sources.pcm_stdin import PcmFormat, PcmSource
from realtime_dub.sources.standard_input import StandardInput
from realtime_dub.sources.voices import list_microphones, list_speakers, open_voice


@pytest.fixture
def ramp_file(tmp_path: Path) -> str:
    """Half a second of 44.1 kHz stereo whose samples count up."""
    path = tmp_path / "ramp.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(np.repeat(np.arange(22_050, dtype="<i2"), 2).tobytes())
    return str(path)


@pytest.mark.parametrize("sample_format", ["s16le", "f32le"])
def test_pulled_pcm_is_exact(sample_format: str) -> None:
    values = np.array([[0.5, -1.0], [0.25, 0.0]] * 300, np.float32)
    data = (values * 32768).clip(-32768, 32767).astype("<i2") if sample_format == "s16le" else values.astype("<f4")
    source = PcmSource(io.BytesIO(data.tobytes() + b"\x01"), PcmFormat(22_050, 2, sample_format))  # type: ignore[arg-type]
    info = source.open()
    assert (info.rate, info.channels, info.live) == (22_050, 2, False)
    blocks = read_all(source)
    np.testing.assert_array_equal(np.concatenate([block.samples for block in blocks]), values)
    assert blocks[0].pts_ns == 0
    assert all(abs(a.end_ns - b.pts_ns) <= 1 for a, b in itertools.pairwise(blocks))


def test_a_file_through_the_pipe_is_held_to_real_time() -> None:
    clock = VirtualClock(9 * NS)
    source = PcmSource(io.BytesIO(np.zeros(5 * 8_000, "<i2").tobytes()), PcmFormat(8_000), clock)
    assert source.open().live
    blocks = read_all(source)
    assert abs(clock.now_ns() - 14 * NS) < 15 * MS
    assert abs(blocks[-1].end_ns - 14 * NS) < 20 * MS
    assert not any(block.gap for block in blocks)
    assert all(abs(a.end_ns - b.pts_ns) <= 1 for a, b in itertools.pairwise(blocks))


@pytest.mark.parametrize("ppm", [-300, 300])
def test_a_live_producer_that_drifts_is_followed(ppm: int) -> None:
    clock = VirtualClock()

    class Producer(io.RawIOBase):
        """Gives each block when its own clock has recorded it."""

        blocks = 0

        def read(self, count: int = -1) -> bytes:
            self.blocks += 1
            clock.advance_to(round(self.blocks * 10 * MS * (1 - ppm * 1e-6)))
            return bytes(count) if self.blocks < 20_000 else b""

    source = PcmSource(Producer(), PcmFormat(8_000), clock)  # type: ignore[arg-type]
    source.open()
    worst = 0
    for block in iter(lambda: source.read(), None):
        assert not block.gap
        worst = max(worst, abs(clock.now_ns() - block.end_ns))
        if clock.now_ns() > 190 * NS:
            break
    assert worst < 20 * MS


def test_close_ends_a_read_on_a_silent_pipe() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb"):
        source = PcmSource(stream, PcmFormat(16_000), MonotonicClock())
        source.open()
        timer = threading.Timer(0.1, source.close)
        timer.start()
        with pytest.raises(EndOfStream):
            source.read()
        timer.join()


def test_pcm_shapes_that_cannot_be() -> None:
    for wrong in ({"rate": 0}, {"rate": 8_000, "channels": 0}, {"rate": 8_000, "sample_format": "u8"}):
        with pytest.raises(ConfigError, match="raw audio"):
            PcmFormat(**wrong)  # type: ignore[arg-type]


def test_paced_blocks_come_when_their_last_sample_is_due(ramp_file: str) -> None:
    clock = VirtualClock(NS)
    paced = PacedVoice(AudioFileSource(ramp_file), clock)
    info = paced.open()
    assert (info.live, info.rate, info.block_ns) == (True, 44_100, 10 * MS)
    samples, next_ns = 0, NS
    while samples < 22_050:
        block = paced.read()
        assert clock.now_ns() == block.end_ns
        assert block.pts_ns == next_ns
        assert len(block.samples) <= 441
        samples += len(block.samples)
        next_ns = NS + round(samples * NS / 44_100)
    with pytest.raises(EndOfStream):
        paced.read()
    paced.close()


def test_paced_from_a_shared_start(ramp_file: str) -> None:
    clock = VirtualClock(NS)
    paced = PacedVoice(AudioFileSource(ramp_file), clock, start_ns=3 * NS)
    paced.open()
    assert paced.read().pts_ns == 3 * NS
    assert clock.now_ns() == 3 * NS + 10 * MS
    clock.advance_to(60 * NS)  # a late reader gets the true stamps at once
    assert paced.read().pts_ns == 3 * NS + 10 * MS
    paced.close()
    with pytest.raises(EndOfStream):
        paced.read()


HOST = FakeHost({"input": [Device(0, "Desk mic", 1, 48_000)], "output": [Device(1, "Headphones", 2, 48_000)]})


def test_what_a_mic_means(ramp_file: str) -> None:
    clock = VirtualClock()

    def meant(spec: str, live: bool = True, video: str | None = None) -> VoiceSource:
        voice = open_voice(spec, clock=clock, video_path=video, live=live, host=HOST, pcm=PcmFormat(8_000))
        return voice.source if isinstance(voice, PacedVoice) else voice

    assert isinstance(meant("demo"), DemoVoiceSource)
    assert isinstance(meant("-"), StandardInput)
    assert isinstance(meant(ramp_file), AudioFileSource)
    assert isinstance(meant("video", video=ramp_file), AudioFileSource)
    for spec in ("default", "0", "desk"):
        assert isinstance(meant(spec), MicrophoneSource)
    assert isinstance(open_voice(ramp_file, clock=clock, video_path=None, live=True), PacedVoice)
    assert isinstance(open_voice(ramp_file, clock=clock, video_path=None, live=False), AudioFileSource)


@pytest.mark.parametrize(
    ("spec", "live", "error", "words"),
    [
        (
            "nobody.wav",
            True,
            DeviceError,
            r"no file or microphone is called 'nobody.wav'; check the name, or choose one of 0",
        ),
        ("9", True, DeviceError, r"no microphone '9'; choose one of 0 'Desk mic'"),
        ("desk", False, ConfigError, "with the live microphone 'desk'"),
        ("default", False, ConfigError, "with the live microphone 'default'"),
        ("nobody.wav", False, MediaError, "no such file: 'nobody.wav'; name a file with the voice"),
        ("video", True, ConfigError, "--mic video needs a video file"),
        ("-", True, ConfigError, "give rate, channels"),
    ],
)
def test_what_a_mic_cannot_mean(spec: str, live: bool, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        open_voice(spec, clock=VirtualClock(), video_path=None, live=live, host=HOST)


def test_without_a_microphone_a_file_is_offered() -> None:
    silent = FakeHost({"input": [], "output": []})
    for spec in ("default", "0", "nobody.wav"):
        with pytest.raises(DeviceError, match="use a file with the voice, or demo, or connect one"):
            open_voice(spec, clock=VirtualClock(), video_path=None, live=True, host=silent)
    for spec, error in (("default", ConfigError), ("0", ConfigError), ("nobody.wav", MediaError)):
        with pytest.raises(error, match="name a file with the voice"):  # to connect one would be no help
            open_voice(spec, clock=VirtualClock(), video_path=None, live=False, host=silent)


def test_a_film_without_sound_asks_for_a_voice_where_it_was_to_be_its_own(tmp_path: Path) -> None:
    film = str(write_film(tmp_path / "silent.mp4", steady(3), numbered(64, 64)))
    for spec, do in (("video", "give the voice with --mic"), (film, "choose a file with audio")):
        with pytest.raises(MediaError, match=f"no audio in {film}; {do}"):
            open_voice(spec, clock=VirtualClock(), video_path=film, live=False).open()


def test_lists() -> None:
    assert list_microphones(HOST) == ["Desk mic"]
    assert list_speakers(HOST) == ["Headphones"]


@pytest.mark.parametrize("channels", [3, 8, 11, 64])
def test_pcm_of_many_channels_keeps_a_voice_that_few_carry(channels: int) -> None:
    voice = (0.5 * np.sin(2 * np.pi * 300 * np.arange(8_000) / 16_000)).astype("<f4")
    for signs in ((1,), (1, -1)):
        samples = np.zeros((len(voice), channels), "<f4")
        for place, sign in enumerate(signs, channels - len(signs)):
            samples[:, place] = voice * sign
        source = PcmSource(io.BytesIO(samples.tobytes()), PcmFormat(16_000, channels, "f32le"))
        assert source.open().channels == 1
        heard = np.concatenate([block.samples for block in read_all(source)])[:, 0]
        np.testing.assert_allclose(np.abs(heard[1_600:]), np.abs(voice[1_600:]), atol=1e-5)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1e20])
@pytest.mark.parametrize("live", [False, True])
def test_pcm_that_is_no_sound_is_silence_and_is_said_once(wrong: float, live: bool) -> None:
    samples = np.full(16_000, 0.25, "<f4")
    samples[4_000:4_010] = samples[9_000:9_010] = wrong
    clock = VirtualClock(NS) if live else None
    source = PcmSource(io.BytesIO(samples.tobytes()), PcmFormat(16_000, 1, "f32le"), clock)
    source.open()
    heard = np.concatenate([block.samples for block in read_all(source)])
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() < 0.4
    assert [note.partition(" samples")[0] for note in source.notes] == ["standard input has 20"]


def test_notes_of_a_voice_are_kept_when_it_is_paced(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(np.full((4_000, 1), np.nan, "<f4"), 16_000))
    paced = PacedVoice(AudioFileSource(tmp_path / "a.wav"), VirtualClock())
    paced.open()
    read_all(paced)
    assert len(paced.notes) == 1
