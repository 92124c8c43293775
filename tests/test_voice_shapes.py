"""Sound of every shape: formats, rates, channels, what is no sound, and changes in the middle."""

from __future__ import annotations

import itertools
from pathlib import Path

import av
import numpy as np
import pytest
from sound_files import bursts, buzz, frames, read_all, wav, write

from realtime_dub.audio.mono import MonoMixer
from realtime_dub.errors import EndOfStream, MediaError
from realtime_dub.media import NS, Frame
from realtime_dub.sources.audio_file import AudioFileSource
from realtime_dub.sources.sound_frames import SoundFrames
from realtime_dub.sources.video_file import VideoFileSource

pytestmark = pytest.mark.computes


def load(path: Path) -> tuple[np.ndarray, int, list[str]]:
    source = AudioFileSource(path)
    info = source.open()
    blocks = read_all(source)
    source.close()
    assert all(abs(a.end_ns - b.pts_ns) <= 1 for a, b in itertools.pairwise(blocks))
    samples = np.concatenate([block.samples for block in blocks])
    assert samples.dtype == np.float32
    assert samples.shape[1] == info.channels
    assert np.isfinite(samples).all()
    return samples, info.rate, source.notes


def likeness(heard: np.ndarray, voice: np.ndarray) -> float:
    """The part of ``voice`` that is in ``heard``, wherever a codec has moved it to."""
    heard, voice = heard.astype(np.float64), voice[: len(heard)].astype(np.float64)
    size = 1 << (len(heard) + len(voice)).bit_length()
    found = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(voice, size)))
    return float(found.max() / (voice @ voice))


CODED = [
    *(
        ("a.wav", codec, 16_000)
        for codec in ("pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le")
    ),
    *(("a.wav", codec, 8_000) for codec in ("pcm_alaw", "pcm_mulaw", "adpcm_ms", "adpcm_ima_wav")),
    *(("a.wav", "pcm_s24le", rate) for rate in (8_000, 22_050, 88_200, 176_400, 192_000)),
    *(("a.flac", "flac", 192_000), ("a.mp3", "libmp3lame", 16_000), ("a.ogg", "libopus", 48_000)),
    *(("a.ogg", "flac", 44_100), ("a.opus", "libopus", 24_000), ("a.m4a", "aac", 44_100), ("a.m4a", "alac", 48_000)),
    *(("a.mka", "aac", 48_000), ("a.mka", "pcm_f64le", 48_000), ("a.aiff", "pcm_s24be", 48_000)),
    *(("a.caf", "pcm_s16be", 44_100), ("a.au", "pcm_mulaw", 8_000), ("a.w64", "pcm_s16le", 48_000)),
    *(("a.ts", "aac", 48_000), ("a.ts", "mp2", 32_000), ("a.ac3", "ac3", 48_000), ("a.aac", "aac", 32_000)),
]


@pytest.mark.parametrize(("name", "codec", "rate"), CODED, ids=lambda each: str(each))
def test_every_kind_of_file_is_heard_as_it_was_written(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    voice = buzz(rate, 0.6)
    samples, read_rate, notes = load(write(tmp_path / name, voice[:, None], rate, codec))
    assert read_rate == (48_000 if codec == "libopus" else rate)
    assert not notes
    assert 0.55 < len(samples) / read_rate < 0.8  # ADPCM has long blocks
    assert likeness(samples[:, 0], voice if read_rate == rate else buzz(read_rate, 0.6)) > 0.85


@pytest.mark.parametrize(
    ("channels", "mask"), [*((count, None) for count in (3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 24, 33, 64)), (6, 0x3F)]
)
def test_a_voice_on_any_one_channel_is_heard(tmp_path: Path, channels: int, mask: int | None) -> None:
    voice = buzz(16_000, 0.4)
    for place in {0, channels // 2, channels - 1} if mask is None else range(6):
        samples = np.zeros((len(voice), channels), np.float32)
        samples[:, place] = voice
        (tmp_path / "a.wav").write_bytes(wav(samples, 16_000, mask))
        heard, _, _ = load(tmp_path / "a.wav")
        mixed = MonoMixer(16_000)(heard)
        assert likeness(mixed, voice) > (0.75 if mask is None else 0.2)


@pytest.mark.parametrize("layout", ["ambisonic 1", "ambisonic 3", "7.1", "22.2"])
def test_layouts_of_many_planes(tmp_path: Path, layout: str) -> None:
    channels = av.AudioLayout(layout).nb_channels
    sound = np.repeat(buzz(48_000, 0.4)[:, None], channels, axis=1)
    sound[:, 1] = 0
    first = frames(sound, 48_000, layout, len(sound))[0]
    planar = av.AudioResampler("fltp", layout, 48_000).resample(first)[0]
    made = SoundFrames(planar)
    made.turn_to(planar)
    heard = made(planar)
    assert heard.shape[1] == (1 if "ambisonic" in layout else 2)
    assert likeness(MonoMixer(48_000)(heard), buzz(48_000, 0.4)) > 0.5


BAD = {"not a number": np.nan, "infinite": -np.inf, "absurd": 1e20}


@pytest.mark.parametrize("wrong", BAD.values(), ids=list(BAD))
@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_what_is_no_sound_is_silence_and_is_said_once(tmp_path: Path, wrong: float, dtype: str) -> None:
    samples = buzz(16_000, 0.5)[:, None].astype(dtype)
    samples[2_000:2_100] = wrong
    samples[5_000:5_010] = wrong
    (tmp_path / "a.wav").write_bytes(wav(samples, 16_000))
    heard, _, notes = load(tmp_path / "a.wav")
    assert not heard[2_000:2_100].any()
    assert np.array_equal(heard[2_100:5_000], samples[2_100:5_000].astype(np.float32))
    assert [note.partition(" samples")[0] for note in notes] == ["a.wav has 110"]


@pytest.mark.parametrize(("rate", "channels"), [(4, 1), (2**31 - 1, 1), (1_000_000, 2), (16_000, 65), (16_000, 200)])
def test_shapes_that_cannot_be_are_refused(tmp_path: Path, rate: int, channels: int) -> None:
    (tmp_path / "a.wav").write_bytes(wav(np.zeros((2_000, channels), "<i2"), rate))
    source = AudioFileSource(tmp_path / "a.wav")
    with pytest.raises(MediaError, match=r"a\.wav: it has .*; choose 4000 to 384000 Hz and up to 64 channels"):
        source.open()
    source.close()


def test_a_change_of_rate_and_channels_is_not_heard() -> None:
    """Of a tone through three shapes there is neither a sample missing nor an edge."""
    parts, made, out, phase = [(48_000, "stereo"), (44_100, "mono"), (32_000, "5.1"), (48_000, "mono")], None, [], 0.0
    for rate, layout in parts:
        count = rate // 2
        times = phase + np.arange(count) / rate
        phase += count / rate
        channels = av.AudioLayout(layout).nb_channels
        sound = np.repeat(0.4 * np.sin(2 * np.pi * 437 * times)[:, None], channels, axis=1).astype(np.float32)
        if layout == "5.1":
            sound[:, 2:] = 0
            sound /= 0.71
        for frame in frames(sound, rate, layout, 1_000):
            made = made or SoundFrames(frame)
            out += [made.turn_to(frame), made(frame)]
    out.append(made.flush())
    heard = np.concatenate(out)
    assert heard.shape == (96_000, 2)
    expected = 0.4 * np.sin(2 * np.pi * 437 * np.arange(96_000) / 48_000)
    assert np.abs(heard - expected[:, None]).max() < 2e-3


def film(path: Path) -> list[Frame]:
    video, got = VideoFileSource(path), []
    video.open()
    try:
        while True:
            got.append(video.read())
    except EndOfStream:
        video.close()
        return got


def flash(index: int) -> np.ndarray:
    return np.full((48, 64, 3), 250 if index == 30 else 20, np.uint8)


@pytest.mark.parametrize(
    "parts",
    [
        [(48_000, "stereo", 2.0), (44_100, "mono", 2.0), (48_000, "stereo", 2.0)],
        [(48_000, "stereo", 2.3)] * 3,
        [(48_000, "stereo", 1.6), (32_000, "mono", 1.6), (32_000, "mono", 1.6)],
    ],
    ids=["other rates and channels", "sound longer than the picture", "sound that goes away and comes back"],
)
def test_films_strung_together_stay_in_step(tmp_path: Path, parts: list[tuple[int, str, float]]) -> None:
    data = b""
    for rate, layout, seconds in parts:
        sound = np.zeros((round(rate * seconds), av.AudioLayout(layout).nb_channels), np.float32)
        sound[round(rate * 1.2) : round(rate * 1.21)] = np.random.default_rng(1).uniform(-0.9, 0.9, (rate // 100, 1))
        data += write(tmp_path / "part.ts", sound, rate, "mp2", layout, flash, 2.0).read_bytes()
    (tmp_path / "a.ts").write_bytes(data)
    heard, rate, _ = load(tmp_path / "a.ts")
    flashes = [frame.pts_ns / NS for frame in film(tmp_path / "a.ts") if frame.image.mean() > 120]
    np.testing.assert_allclose(bursts(heard, rate), flashes, atol=0.025)
    assert len(flashes) == 3


@pytest.mark.parametrize(
    ("name", "codec", "rates"),
    [
        ("a.aac", "aac", (48_000, 44_100)),
        ("a.ogg", "flac", (48_000, 32_000)),
        ("a.mp2", "mp2", (48_000, 32_000)),
        ("a.ts", "aac", (48_000, 44_100)),
    ],
)
@pytest.mark.parametrize("seconds", [0.8, 2.0])
def test_sounds_strung_together_follow_each_other(
    tmp_path: Path, name: str, codec: str, rates: tuple[int, ...], seconds: float
) -> None:
    data = b""
    for rate in rates:
        data += write(tmp_path / f"part_{name}", buzz(rate, seconds)[:, None], rate, codec).read_bytes()
    (tmp_path / name).write_bytes(data)
    heard, rate, notes = load(tmp_path / name)
    assert not notes
    assert abs(len(heard) / rate - 2 * seconds) < 0.12
    tenths = np.sqrt((heard[: len(heard) // 4_800 * 4_800, 0].reshape(-1, 4_800) ** 2).mean(axis=1))
    assert tenths[1:-1].min() > 0.7 * np.median(tenths)


@pytest.mark.parametrize("seconds", [1.5, 2.0, 2.3], ids=["a hole", "a small hole", "an overlap"])
def test_where_films_are_strung_together_there_is_no_click(tmp_path: Path, seconds: float) -> None:
    data = b""
    for rate in (48_000, 44_100):
        tone = 0.5 * np.sin(2 * np.pi * 150 * np.arange(round(rate * seconds)) / rate)[:, None].astype(np.float32)
        data += write(tmp_path / "part.ts", tone, rate, "mp2", "mono", flash, 2.0).read_bytes()
    (tmp_path / "a.ts").write_bytes(data)
    heard, rate, _ = load(tmp_path / "a.ts")
    inner = heard[rate // 10 : -rate // 10, 0]
    ordinary = 2 * np.pi * 150 / rate * 0.5
    assert np.abs(np.diff(inner)).max() < 2.5 * ordinary
    assert len(heard) / rate > 2 + seconds - 0.1
