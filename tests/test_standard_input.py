"""``--mic -``: sound files of every kind through a real pipe, and raw samples."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sound_files import buzz, pitch, read_all, wav, write, write_tracks

from realtime_dub.cli import run
from realtime_dub.clock import Clock, MonotonicClock
from realtime_dub.errors import EndOfStream, MediaError
from realtime_dub.media import MS
from realtime_dub.sources.pcm_stdin import PcmFormat
from realtime_dub.sources.sniff import ENOUGH, MORE, RAW, kind_of
from realtime_dub.sources.standard_input import StandardInput
from realtime_dub.sources.stream_choice import SoundChoice

RAW_FORMAT = PcmFormat(16_000)


@contextlib.contextmanager
def piped(data: bytes, step: int = 1 << 16, pause_s: float = 0.0, first_s: float = 0.0) -> Iterator[BinaryIO]:
    """A pipe through which ``data`` comes, ``step`` bytes at a time."""
    reading, writing = os.pipe()

    def send() -> None:
        time.sleep(first_s)
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb", buffering=0) as out:
            for at in range(0, len(data), step):
                out.write(data[at : at + step])
                time.sleep(pause_s)

    thread = threading.Thread(target=send)
    thread.start()
    with os.fdopen(reading, "rb") as stream:
        yield stream
    thread.join()


def heard(source: StandardInput) -> tuple[np.ndarray, int]:
    info = source.open()
    blocks = read_all(source)
    source.close()
    return np.concatenate([block.samples for block in blocks]), info.rate


KINDS = [
    *(("a.wav", codec, {}) for codec in ("pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_f64le", "pcm_alaw", "adpcm_ms")),
    *(("a.wav", "pcm_s16le", {"rf64": "always"}), ("a.w64", "pcm_s16le", {}), ("a.aiff", "pcm_s16be", {})),
    *(("a.flac", "flac", {}), ("a.mp3", "libmp3lame", {}), ("a.mp3", "libmp3lame", {"id3v2_version": "0"})),
    *(("a.ogg", "libopus", {}), ("a.ogg", "flac", {}), ("a.mka", "aac", {}), ("a.aac", "aac", {}), ("a.ts", "aac", {})),
    *(("a.mp2", "mp2", {}), ("a.au", "pcm_s16be", {}), ("a.caf", "pcm_s16be", {}), ("a.webm", "libopus", {})),
    ("a.m4a", "aac", {"movflags": "faststart"}),
]


@pytest.mark.parametrize(("name", "codec", "options"), KINDS, ids=lambda each: str(each))
def test_a_file_through_the_pipe_is_the_sound_in_it(tmp_path: Path, name: str, codec: str, options: dict) -> None:
    rate = 48_000
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)[:, None].astype(np.float32)
    data = write(tmp_path / name, tone, rate, codec, options=options).read_bytes()
    with piped(data) as stream:
        source = StandardInput(stream, RAW_FORMAT)
        samples, read_rate = heard(source)
    assert read_rate == rate
    assert abs(len(samples) / rate - 1) < 0.1
    assert abs(pitch(samples[:, 0], rate) - 440) < 3
    assert abs(np.sqrt((samples[rate // 4 : -rate // 4] ** 2).mean()) - 0.5 / np.sqrt(2)) < 0.03
    assert source.notes == []


@pytest.mark.parametrize("announced", [0, 0xFFFF_FFFF, 0x7FFF_FFFF])
def test_a_wav_that_was_written_into_a_pipe(announced: int) -> None:
    """Its writer could not go back to say how long it has become."""
    voice = buzz(22_050, 0.5)[:, None]
    with piped(wav(voice, 22_050, announced=announced)) as stream:
        samples, rate = heard(StandardInput(stream, RAW_FORMAT))
    assert rate == 22_050
    np.testing.assert_array_equal(samples, voice)


def tones(folder: Path, name: str, codec: str, pitches: dict[float, int]) -> bytes:
    """Files of half a second, one after the other; the rate of each."""
    files = []
    for hertz, rate in pitches.items():
        tone = 0.5 * np.sin(2 * np.pi * hertz * np.arange(rate // 2) / rate)[:, None].astype(np.float32)
        files.append(write(folder / name, tone, rate, codec).read_bytes())
    return b"".join(files)


@pytest.mark.parametrize("step", [1 << 16, 997])
@pytest.mark.parametrize(
    ("name", "codec", "rates"),
    [
        ("a.wav", "pcm_s16le", (48_000, 48_000, 48_000)),
        ("a.wav", "pcm_f32le", (22_050, 48_000, 16_000)),
        ("a.aiff", "pcm_s16be", (48_000, 44_100, 48_000)),
        ("a.w64", "pcm_s16le", (48_000, 48_000, 48_000)),
        ("a.au", "pcm_s16be", (48_000, 48_000, 48_000)),
        ("a.ogg", "libopus", (48_000, 48_000, 48_000)),
        ("a.flac", "flac", (48_000, 48_000, 48_000)),
    ],
)
def test_a_file_for_each_sentence_is_heard_to_the_last_one(
    tmp_path: Path, name: str, codec: str, rates: tuple[int, ...], step: int
) -> None:
    pitches = dict(zip((440.0, 880.0, 660.0), rates, strict=True))
    with piped(tones(tmp_path, name, codec, pitches), step=step) as stream:
        source = StandardInput(stream, RAW_FORMAT)
        samples, rate = heard(source)
    assert rate == rates[0]
    assert abs(len(samples) / rate - 1.5) < 0.05
    half = rate // 2
    for number, hertz in enumerate(pitches):
        assert abs(pitch(samples[number * half : (number + 1) * half, 0], rate) - hertz) < 4
    assert source.notes == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "announced", [None, *(pytest.param(each, marks=pytest.mark.long) for each in (0, 0xFFFF_FFFF))]
)
def test_the_next_sentence_comes_whole_though_its_file_begins_after_a_pause(announced: int | None) -> None:
    """No sample of the first waits for the second, and its header is no sound."""
    first, second = buzz(22_050, 0.5), buzz(22_050, 0.4)[::-1]
    files = [wav((each[:, None] * 32_767).astype("<i2"), 22_050, announced=announced) for each in (first, second)]
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as out:
        out.write(files[0])
        source = StandardInput(stream, RAW_FORMAT)
        source.open()
        got = source.read().samples
        while len(got) < len(first) - 200:  # a packet may wait where the file does not say its length
            got = np.concatenate([got, source.read().samples])
        out.write(files[1][:7])  # in the middle of its mark
        time.sleep(0.1)
        out.write(files[1][7:])
        out.close()
        got = np.concatenate([got, *(block.samples for block in read_all(source))])
        source.close()
    np.testing.assert_allclose(got[:, 0], np.concatenate([first, second]), atol=1e-4)


def test_what_is_no_sound_file_after_the_first_is_said(tmp_path: Path) -> None:
    voice = buzz(16_000, 0.5)[:, None].astype("<f4")
    nonsense = wav(np.zeros((2_000, 1), "<i2"), 2**31 - 1)
    with piped(wav(voice, 16_000) + nonsense) as stream:
        source = StandardInput(stream, RAW_FORMAT)
        samples, _ = heard(source)
    np.testing.assert_array_equal(samples, voice)
    assert len(source.notes) == 1
    assert source.notes[0].startswith("standard input is damaged: ")


def test_raw_samples_stay_raw_to_the_last_one() -> None:
    values = np.random.default_rng(5).integers(-3, 3, 20_000).astype("<i2")  # much of it looks like a frame of MPEG
    for data in (values, values[1:], values[:3], values[:8_000]):
        with piped(data.tobytes(), step=777) as stream:
            samples, rate = heard(StandardInput(stream, RAW_FORMAT))
        assert rate == 16_000
        np.testing.assert_array_equal(samples[:, 0] * 32_768, data)


@given(st.integers(0, 1 << 32), st.sampled_from([1, 3, 300, 20_000]), st.sampled_from(["<i2", "<f4"]))
@settings(max_examples=200)
def test_nothing_that_is_raw_is_taken_for_a_file(seed: int, loud: int, dtype: str) -> None:
    values = np.random.default_rng(seed).normal(0, loud, ENOUGH).astype(dtype)
    assert kind_of(values.tobytes()[:ENOUGH]) == RAW
    assert kind_of(values.tobytes()[:10]) == MORE


def test_a_file_that_cannot_be_read_from_a_pipe_is_refused_with_a_sentence(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (48_000 * 20, 1)).astype(np.float32)
    whole = write(tmp_path / "a.m4a", noise, 48_000, "aac").read_bytes()  # how to read it stands at its end
    for data in (whole, b"RIFF" + bytes(4) + b"WAVEfmt " + bytes(100), b"OggS" + bytes(2_000), b"fLaC"):
        with piped(data + bytes(16)) as stream:
            source = StandardInput(stream, RAW_FORMAT)
            with pytest.raises(MediaError, match=r"file on standard input.*; send WAV, FLAC, Ogg or MP3, or give"):
                source.open()
            source.close()


def test_nothing_at_all_is_said_to_be_nothing() -> None:
    with piped(b"") as stream, pytest.raises(MediaError, match="no audio came on standard input; send raw"):
        StandardInput(stream, RAW_FORMAT).open()


def test_a_nonsense_rate_in_a_header_is_refused() -> None:
    with piped(wav(np.zeros((2_000, 1), "<i2"), 2**31 - 1)) as stream:
        source = StandardInput(stream, RAW_FORMAT)
        with pytest.raises(MediaError, match="the audio of standard input: it has 2147483647 Hz"):
            source.open()
        source.close()


def test_what_is_no_sound_in_a_file_through_the_pipe_is_silence() -> None:
    voice = buzz(16_000, 0.5)[:, None].astype("<f4")
    voice[100:200] = np.nan
    with piped(wav(voice, 16_000)) as stream:
        source = StandardInput(stream, RAW_FORMAT)
        samples, _ = heard(source)
    assert np.isfinite(samples).all()
    assert len(source.notes) == 1


def test_one_of_several_sounds(tmp_path: Path) -> None:
    data = write_tracks(tmp_path / "a.mkv", {"eng": 300.0, "ger": 500.0}).read_bytes()
    with piped(data) as stream:
        samples, rate = heard(StandardInput(stream, RAW_FORMAT, None, SoundChoice(language="de")))
    assert abs(pitch(samples[:, 0], rate) - 500) < 3


def live(stream: BinaryIO, clock: Clock) -> tuple[np.ndarray, list[int], int]:
    """Samples, and by how much each block came after its end."""
    source, samples, late = StandardInput(stream, RAW_FORMAT, clock), [], []
    rate = source.open().rate
    try:
        while True:
            block = source.read()
            late.append(clock.now_ns() - block.end_ns)
            samples.append(block.samples)
    except EndOfStream:
        source.close()
    return np.concatenate(samples), late, rate


def test_live_a_file_is_held_to_real_time() -> None:
    clock = MonotonicClock()
    with piped(wav(buzz(48_000, 0.8)[:, None].astype("<f4"), 48_000)) as stream:
        began_ns = clock.now_ns()
        samples, _, rate = live(stream, clock)
    assert rate == 48_000
    assert abs(len(samples) / rate - 0.8) < 0.02
    assert clock.now_ns() - began_ns > 700 * MS


@pytest.mark.alone
def test_live_a_file_that_is_being_recorded_comes_as_it_is_recorded() -> None:
    """Not in the tenths of a second that FFmpeg would make of it."""
    data = wav((buzz(48_000, 1)[:, None] * 32_767).astype("<i2"), 48_000, announced=0xFFFF_FFFF)
    with piped(data, step=960, pause_s=0.01) as stream:  # 10 ms each
        _, late, rate = live(stream, MonotonicClock())
    assert rate == 48_000
    assert np.median(late) < 60 * MS


def test_live_raw_samples_may_begin_late() -> None:
    with piped(np.full(3_200, 8_192, "<i2").tobytes(), first_s=1.2) as stream:
        samples, _, _ = live(stream, MonotonicClock())
    assert abs(len(samples) - 3_200) < 40
    assert abs(np.median(samples) - 0.25) < 0.01


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (8_000, 1), (16_000, 1)])
def test_live_a_file_may_begin_late_too(rate: int, channels: int) -> None:
    """A speech program that thinks for a while: the outputs have begun, at the rate that raw samples would have."""
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate // 2) / rate)[:, None].repeat(channels, 1).astype(np.float32)
    with piped(wav((tone * 32_767).astype("<i2"), rate), first_s=1.2) as stream:
        source = StandardInput(stream, RAW_FORMAT, MonotonicClock())
        info = source.open()
        blocks = read_all(source)
        source.close()
    samples = np.concatenate([block.samples for block in blocks])
    assert (info.rate, info.channels, samples.shape[1]) == (16_000, 1, 1)
    assert {block.rate for block in blocks} == {16_000}
    assert abs(len(samples) / 16_000 - 0.5) < 0.02
    assert abs(pitch(samples[:, 0], 16_000) - 440) < 4
    start = "the wav file on standard input began more than 1 s after the start: it was brought to --pcm-rate 16000"
    assert source.notes == [f"{start} and 1 channel"]


def test_close_ends_it_at_once() -> None:
    voice = wav(buzz(48_000, 30)[:, None], 48_000)
    with piped(voice) as stream:
        source = StandardInput(stream, RAW_FORMAT)
        source.open()
        source.read()
        began = time.monotonic()
        source.close()
        assert time.monotonic() - began < 10  # of the thirty seconds that it has


def test_cat_x_wav_into_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(22_050) / 44_100)[:, None].astype(np.float32)
    output = tmp_path / "out.mp4"
    with piped(wav(tone, 44_100)) as stream:
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": stream}))
        assert run(["file", "demo", "--mic", "-", "-o", str(output), "--engine", "passthrough", "--quiet"]) == 0
    with av.open(str(output)) as container:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        assert container.streams.audio[0].rate == 44_100
    assert abs(len(samples) / 44_100 - 0.5) < 0.1
    assert abs(pitch(samples, 44_100) - 440) < 4
