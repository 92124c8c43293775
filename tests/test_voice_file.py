"""Sound files of many kinds through PyAV, made here."""

from __future__ import annotations

import itertools
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from sound_files import read_all

from realtime_dub.errors import EndOfStream, MediaError
from realtime_dub.media import MS, NS, AudioBlock
from realtime_dub.sources.audio_file import AudioFileSource
from realtime_dub.sources.demo_voice import DemoVoiceSource

pytestmark = pytest.mark.computes


def tone(rate: int, seconds: float, channels: int = 1) -> np.ndarray:
    """(channels, n) float32: 440 Hz at half scale."""
    wave_form = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(rate * seconds)) / rate)
    return np.repeat(wave_form[None, :].astype(np.float32), channels, axis=0)


def click_at(rate: int, seconds: float, click_s: float) -> np.ndarray:
    """(1, n): silence with 2 ms of noise from ``click_s`` on."""
    sound = np.zeros((1, round(rate * seconds)), np.float32)
    at, length = round(rate * click_s), rate // 500
    sound[0, at : at + length] = np.random.default_rng(5).uniform(-0.9, 0.9, length)
    return sound


def write(
    path: Path,
    sound: np.ndarray,
    rate: int,
    codec: str,
    layout: str = "mono",
    offset_s: float = 0.0,
    picture: bool = False,
    skip_s: tuple[float, float] = (0.0, 0.0),
) -> Path:
    """``offset_s``: when the sound begins; ``picture``: 25 fps from 0 on; ``skip_s``: what of the sound is left out."""
    with av.open(str(path), "w") as container:
        audio = container.add_stream(codec, rate=rate, layout=layout)
        video = container.add_stream("mpeg4", rate=25) if picture else None
        if video is not None:
            video.width = video.height = 64
            for index in range(25):
                frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), index * 9, np.uint8), "bgr24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        size = audio.codec_context.frame_size or 1024
        for at in range(0, sound.shape[1] - sound.shape[1] % size, size):
            if skip_s[0] <= at / rate < skip_s[1]:
                continue
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[:, at : at + size]), "fltp", layout)
            frame.rate, frame.time_base, frame.pts = rate, Fraction(1, rate), at + round(offset_s * rate)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


def whole(blocks: list[AudioBlock]) -> np.ndarray:
    assert blocks[0].pts_ns == 0
    assert all(abs(a.end_ns - b.pts_ns) <= 1 for a, b in itertools.pairwise(blocks))
    return np.concatenate([block.samples for block in blocks])


def load(path: Path) -> tuple[np.ndarray, int, list[AudioBlock]]:
    source = AudioFileSource(path)
    info = source.open()
    blocks = read_all(source)
    source.close()
    assert not source.notes
    samples = whole(blocks)
    assert samples.shape[1] == info.channels
    assert samples.dtype == np.float32
    return samples, info.rate, blocks


@pytest.mark.parametrize(
    ("name", "codec", "rate", "tolerance_s"),
    [
        ("a.wav", "pcm_s16le", 44_100, 0.03),
        ("a.flac", "flac", 22_050, 0.3),
        ("a.mp3", "libmp3lame", 44_100, 0.1),
        ("a.m4a", "aac", 48_000, 0.05),
        ("a.opus", "libopus", 48_000, 0.05),
        ("a.mkv", "pcm_f32le", 96_000, 0.03),
    ],
)
def test_formats_keep_their_rate_and_level(
    tmp_path: Path, name: str, codec: str, rate: int, tolerance_s: float
) -> None:
    layout = "stereo"
    samples, read_rate, _ = load(write(tmp_path / name, tone(rate, 1.0, 2), rate, codec, layout))
    assert read_rate == rate
    assert samples.shape[1] == 2
    assert abs(len(samples) / rate - 1.0) < tolerance_s
    middle = samples[rate // 4 : rate // 2]
    assert abs(np.sqrt((middle**2).mean()) - 0.5 / np.sqrt(2)) < 0.02  # LAME takes 5 % off


def test_eight_bit(tmp_path: Path) -> None:
    path = tmp_path / "old.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(11_025)
        file.writeframes((128 + 127 * tone(11_025, 0.5)[0]).astype(np.uint8).tobytes())
    samples, rate, _ = load(path)
    assert (rate, len(samples)) == (11_025, 5512)
    assert abs(samples.max() - 0.5) < 0.01
    assert abs(samples.mean()) < 0.01


@pytest.mark.parametrize(("channels", "layout"), [(3, "2.1"), (6, "5.1")])
def test_many_channels_become_two(tmp_path: Path, channels: int, layout: str) -> None:
    samples, _, _ = load(write(tmp_path / "a.flac", tone(48_000, 0.5, channels), 48_000, "flac", layout))
    assert samples.shape[1] == 2
    assert np.abs(samples).max() > 0.1


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "pcm_s16le"), ("a.mov", "pcm_s16le")])
def test_sound_that_begins_after_the_picture(tmp_path: Path, name: str, codec: str) -> None:
    path = write(tmp_path / name, click_at(48_000, 1.0, 0.5), 48_000, codec, offset_s=0.2, picture=True)
    samples, rate, blocks = load(path)
    click = np.flatnonzero(np.abs(samples[:, 0]) > 0.2)[0] / rate
    assert abs(click - 0.7) < 0.003
    assert not blocks[0].gap
    assert not blocks[0].samples.any()


def test_aac_priming_moves_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", click_at(48_000, 1.0, 0.5), 48_000, "aac", picture=True)
    samples, rate, _ = load(path)
    assert abs(np.flatnonzero(np.abs(samples[:, 0]) > 0.2)[0] / rate - 0.5) < 0.003


def test_a_hole_is_silence_that_is_marked(tmp_path: Path) -> None:
    sound = click_at(48_000, 1.2, 0.9) + 0.1
    path = write(tmp_path / "a.mkv", sound, 48_000, "pcm_s16le", skip_s=(0.3, 0.6))
    samples, rate, blocks = load(path)
    gaps = [block for block in blocks if block.gap]
    assert abs(sum(block.duration_ns for block in gaps) - 300 * MS) < 25 * MS
    assert 0.29 < gaps[0].pts_ns / NS < 0.33
    assert abs(np.flatnonzero(np.abs(samples[:, 0]) > 0.4)[0] / rate - 0.9) < 0.002


def test_loop_goes_on_at_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", click_at(8_000, 0.512, 0.25), 8_000, "pcm_s16le")
    source = AudioFileSource(path, loop=True)
    source.open()
    blocks = []
    while not blocks or blocks[-1].end_ns < 3 * 512 * MS:
        blocks.append(source.read())
    source.close()
    loud = np.flatnonzero(np.abs(whole(blocks)[:, 0]) > 0.1)
    starts = loud[np.diff(loud, prepend=-999) > 100]
    assert np.abs(np.diff(starts) - 4096).max() <= 1
    with pytest.raises(EndOfStream):
        source.read()


@pytest.mark.parametrize("seconds", [0.6, 1.5])
def test_the_loop_of_a_film_is_as_long_as_its_picture(tmp_path: Path, seconds: float) -> None:
    path = write(tmp_path / "a.mov", click_at(48_000, seconds, 0.3), 48_000, "pcm_s16le", picture=True)
    source = AudioFileSource(path, loop=True)
    source.open()
    blocks = []
    while not blocks or blocks[-1].end_ns < 3 * NS:
        blocks.append(source.read())
    source.close()
    loud = np.flatnonzero(np.abs(whole(blocks)[:, 0]) > 0.2)
    starts = loud[np.diff(loud, prepend=-9999) > 1000] / 48_000
    np.testing.assert_allclose(starts[:3], [0.3, 1.3, 2.3], atol=0.002)


def test_cut_short_keeps_what_there_is_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(16_000, 2.0), 16_000, "pcm_s16le")
    path.write_bytes(path.read_bytes()[:32_044])
    source = AudioFileSource(path)
    source.open()
    assert abs(len(whole(read_all(source))) - 16_000) < 200
    assert source.notes == ["a.wav is damaged or cut short: 1.00 of 1.98 s of audio were decoded"]
    source.close()


def test_damaged_in_the_middle(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", tone(44_100, 2.0), 44_100, "libmp3lame")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(np.random.default_rng(6).integers(0, 255, 3000, np.uint8))
    path.write_bytes(data)
    source = AudioFileSource(path)
    source.open()
    assert len(whole(read_all(source))) > 44_100
    source.close()


def test_what_has_no_sound(tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    empty.write_bytes(b"")
    text = tmp_path / "text.wav"
    text.write_text("this is no sound")
    headed = tmp_path / "headed.wav"
    with wave.open(str(headed), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
    silent_film = tmp_path / "film.mp4"
    with av.open(str(silent_film), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width = video.height = 64
        container.mux(video.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(video.encode(None))
    for path, words in [
        (empty, "cannot read .*empty.wav: it is empty; choose"),
        (text, "cannot read .*text.wav: .*; choose"),
        (headed, "no audio in .*headed.wav.*; choose"),
        (silent_film, "no audio in .*film.mp4; choose"),
        (tmp_path / "nowhere.wav", "no such file: .*nowhere.wav"),
        (tmp_path, "cannot read"),
    ]:
        source = AudioFileSource(path)
        with pytest.raises(MediaError, match=words):
            source.open()
        source.close()


def test_the_demo_voice_is_speech() -> None:
    source = DemoVoiceSource()
    info = source.open()
    samples = whole(read_all(source))[:, 0]
    source.close()
    assert (info.rate, info.channels) == (48_000, 1)
    assert 10 < len(samples) / 48_000 < 14
    assert 0.5 < np.abs(samples).max() < 0.95
    loudness = np.sqrt((samples[: len(samples) // 480 * 480].reshape(-1, 480) ** 2).mean(axis=1))
    quiet = "".join("q" if level < 0.01 else "s" for level in loudness)
    pauses = [len(run) for run in quiet.split("s") if len(run) > 30]
    assert len(pauses) == 5  # before, after and between four sentences
    assert quiet.count("s") > 700
