"""Marks in picture and sound: found where they are, nowhere else, whatever was done to the film."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from realtime_dub.errors import MediaError
from realtime_dub.media import NS, AudioBlock, Coded, Frame, Image, samples_to_ns
from realtime_dub.pipeline.marking import Marks, payload_of_today
from realtime_dub.trust.marks import hearing, noise, odds, seeing, tile
from realtime_dub.trust.marks.found import PictureTrack, SoundTrack, Track, found, stretches_in
from realtime_dub.trust.marks.payload import CODED, SIZE, Payload, decode, encode
from realtime_dub.trust.marks.picture import MOST, PictureMarker
from realtime_dub.trust.marks.sound import SoundMarker

pytestmark = pytest.mark.computes

PAYLOAD = Payload(0xABCDEF, 0x123)
FPS, RATE = 12, 16_000
Floats = npt.NDArray[np.float32]


def room(seed: int = 1) -> Image:
    """A wall with things on it, (180, 240)."""
    random = np.random.default_rng(seed)
    image = np.full((180, 240, 3), 120, np.uint8)
    for left, top, wide, high, level in random.integers((0, 0, 8, 8, 30), (220, 160, 60, 50, 220), (25, 5)):
        image[top : top + high, left : left + wide] = level
    return image


def film(seconds: float = 5.25) -> list[Image]:
    """The room with a camera's noise."""
    random, still = np.random.default_rng(2), room().astype(np.int16)
    noises = random.integers(-2, 3, (8, *still.shape), np.int16)
    return [np.clip(still + noises[n % 8], 0, 255).astype(np.uint8) for n in range(round(seconds * FPS))]


def marked(frames: list[Image]) -> list[Image]:
    marker, out = PictureMarker(PAYLOAD), []
    for n, frame in enumerate(frames):
        marker.begin(n * NS // FPS, frame)
        out.append(marker.image(frame))
    return out


def watched(frames: list[Image], late_ns: int = 0) -> Track:
    track = PictureTrack()
    for n, frame in enumerate(frames):
        track.add(np.ascontiguousarray(frame[..., 1]), n * NS // FPS + late_ns)
    return track.end()


@pytest.fixture(scope="module")
def frames() -> list[Image]:
    return film()


@pytest.fixture(scope="module")
def marks(frames: list[Image]) -> list[Image]:
    return marked(frames)


def voice(seconds: float = 5.0, rate: int = RATE) -> Floats:
    """Noise with a speaker's spectrum and syllables."""
    random = np.random.default_rng(3)
    white = np.fft.rfft(random.standard_normal(round(seconds * rate)))
    hertz = np.fft.rfftfreq(round(seconds * rate), 1 / rate)
    coloured = np.fft.irfft(white / np.maximum(hertz, 200), round(seconds * rate))
    syllables = np.abs(np.sin(np.pi * 4 * np.arange(len(coloured)) / rate))
    return np.asarray(coloured / coloured.std() * 0.1 * syllables, np.float32)


def spoken(samples: Floats, rate: int = RATE, sizes: tuple[int, ...] = (320,)) -> Floats:
    marker, parts, at, n = SoundMarker(PAYLOAD, rate), [], 0, 0
    while at < len(samples):
        part = samples[at : at + sizes[n % len(sizes)], None]
        parts.append(marker.block(AudioBlock(part, rate, samples_to_ns(at, rate))).samples[:, 0])
        at, n = at + len(part), n + 1
    return np.concatenate(parts)


def heard(samples: Floats, rate: int = RATE) -> Track:
    track = SoundTrack(rate)
    track.hear(samples)
    return track.end()


def test_a_payload_comes_through_many_wrong_bits() -> None:
    soft = 1.0 - 2.0 * encode(PAYLOAD)
    soft += np.random.default_rng(4).normal(0, 0.9, CODED)
    assert 10 < np.count_nonzero((soft < 0) != encode(PAYLOAD)) < 30
    assert decode(soft) == PAYLOAD
    assert Payload.of(PAYLOAD.bits()) == PAYLOAD
    assert len(PAYLOAD.bits()) == SIZE


def test_what_knows_no_payload_is_not_read() -> None:
    random = np.random.default_rng(5)
    waves = tile.waves()
    assert waves.read(np.exp(2j * np.pi * random.random(len(waves.bit)))) is None


def test_the_bound_on_false_alarms_holds() -> None:
    """z of waves of any loudness against phases by chance is no larger more often than the bound says."""
    random = np.random.default_rng(6)
    loud = random.pareto(2.5, 300) + 0.1
    z = [odds.surety(float(loud @ np.cos(t)), loud) for t in random.uniform(0, 2 * np.pi, (20_000, 300))]
    for least in (1.0, 2.0, 3.0):
        assert np.mean(np.array(z) >= least) <= np.exp(-(least**2) / 2)
    for tests in (seeing.TESTS, hearing.TESTS):
        assert odds.false_per_minute(odds.threshold(tests), tests) == pytest.approx(odds.FALSE_PER_MINUTE / 2)


def test_a_marked_film_is_found_and_read(marks: list[Image]) -> None:
    track = watched(marks, 70_000_000)
    assert [each.marked for each in track.windows] == [True]
    assert track.payload == PAYLOAD
    stretch = track.stretches()[0]
    assert stretch.confidence > 1 - 1e-12
    assert stretch.end_s - stretch.start_s == 5
    assert stretch.says == f"version 1, issuer {0x123}, serial {0xABCDEF}"


def test_an_unmarked_film_is_not(frames: list[Image]) -> None:
    track = watched(frames)
    assert [each.marked for each in track.windows] == [False]
    assert not track.stretches()


def test_another_key_finds_nothing(marks: list[Image]) -> None:
    track = PictureTrack("another")
    for n, frame in enumerate(marks):
        track.add(np.ascontiguousarray(frame[..., 1]), n * NS // FPS)
    assert not track.end().stretches()


def test_a_film_is_found_cut_and_mirrored(marks: list[Image]) -> None:
    cut = [frame[11:155, 31:223][:, ::-1] for frame in marks]
    assert watched(cut).stretches()


def test_the_mark_is_small_and_the_same_in_planes(frames: list[Image]) -> None:
    marker, luma = PictureMarker(PAYLOAD), frames[0][..., 1]
    chroma = np.full((90, 120), 128, np.uint8)
    marker.begin(NS // 2, frames[0])
    for _ in range(5):
        marker.begin(NS // 2, frames[0])
    change = marker.image(frames[0]).astype(int) - frames[0]
    assert 0.4 < change.std() < MOST
    assert abs(change).max() < 5 * MOST
    assert (change == change[..., :1]).all()
    coded = marker.coded(Coded((luma, chroma, chroma), False, False))
    assert (coded.planes[0].astype(int) - luma == change[..., 1]).all()
    assert coded.planes[1] is chroma


def test_no_more_than_two_levels_change_between_frames() -> None:
    still = [room()] * (3 * FPS)
    out = np.array([frame[..., 0] for frame in marked(still)], int)
    steps = np.abs(np.diff(out, axis=0))
    assert steps[np.r_[6 : len(steps)]].mean() < 0.5
    assert np.percentile(steps, 99.5) <= 3


def test_a_voice_is_found_and_read() -> None:
    plain = voice()
    out = spoken(plain)
    assert 10 * np.log10(((out - plain) ** 2).mean() / (plain**2).mean()) <= -36
    track = heard(out[4_321:])
    assert [each.marked for each in track.windows] == [True]
    assert track.payload == PAYLOAD
    assert not heard(plain).stretches()


def test_a_voice_is_found_where_a_clock_was_fast() -> None:
    out = spoken(voice())
    fast = np.interp(np.arange(0, len(out) - 1, 1 + 60e-6), np.arange(len(out)), out)
    assert heard(np.asarray(fast, np.float32)).stretches()


@pytest.mark.parametrize("sizes", [(1, 7, 1_000), (5_000,), (441, 160)])
def test_a_voice_is_marked_alike_in_any_blocks(sizes: tuple[int, ...]) -> None:
    plain = voice(1.0)
    np.testing.assert_allclose(spoken(plain, sizes=sizes), spoken(plain), atol=1e-6)


def test_silence_stays_silent_and_no_sample_jumps() -> None:
    plain = np.concatenate([voice(1.0), np.zeros(RATE, np.float32)])
    change = spoken(plain) - plain
    assert not change[RATE + 3 * RATE // 100 :].any()
    assert np.abs(np.diff(change)).max() < 0.02


def test_bands_are_where_they_say_at_every_rate() -> None:
    for rate in (8_000, 22_050, 44_100, 48_000):
        for low, made in zip(noise.BORDERS[:-1], noise.bands(PAYLOAD, rate), strict=True):
            power = np.abs(np.fft.rfft(made)) ** 2
            above = np.fft.rfftfreq(len(made), 1 / rate) >= low - 1
            assert power[~above].sum() <= 1e-6 * max(power.sum(), 1e-9)


def test_only_what_was_dubbed_is_marked() -> None:
    marks, frame = Marks(PAYLOAD), Frame(room(), NS // 2, 0)
    block = AudioBlock(voice(0.1)[:, None], RATE, 0)
    assert marks.frame(frame, frame.image, None) == (frame.image, None)
    assert marks.sound(block, frame.pts_ns) is block
    image, coded = marks.frame(frame, frame.image.copy(), None)
    assert coded is None
    assert (image != frame.image).any()
    assert marks.sound(block, frame.pts_ns) is not block
    assert marks.sound(block, frame.pts_ns + 2 * NS) is block


@pytest.mark.slow
def test_marks_of_a_film_are_found_in_its_file(tmp_path: Path, marks: list[Image]) -> None:
    """Coded by H.264 and AAC as any film is."""
    path, sound = tmp_path / "film.mp4", spoken(voice(5.25, 48_000), 48_000)
    with av.open(str(path), "w") as out:
        pictures = out.add_stream("libx264", FPS, {"crf": "23", "preset": "ultrafast"}, width=240, height=180)
        pictures.pix_fmt = "yuv420p"
        audio = out.add_stream("aac", 48_000, layout="mono")
        audio.bit_rate = 96_000
        for image in marks:
            out.mux(pictures.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
        frame = av.AudioFrame.from_ndarray(sound[None], "fltp", "mono")
        frame.sample_rate = 48_000
        cutter = av.AudioResampler("fltp", "mono", 48_000, frame_size=1_024)
        for part in cutter.resample(frame):
            out.mux(audio.encode(part))
        out.mux(pictures.encode(None))
        out.mux(audio.encode(None))
    seen = found(path)
    assert {each.where for each in stretches_in(path)} == {"picture", "sound"}
    assert json.loads(json.dumps(seen.as_json()))["payloads"]["picture"]["serial"] == PAYLOAD.serial


def test_what_cannot_be_looked_at_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film")
    for name in ("text.mp4", "none.mp4"):
        with pytest.raises(MediaError) as told:
            found(tmp_path / name)
        assert "\n" not in str(told.value)


def test_a_speaker_gets_the_marked_voice() -> None:
    marks, frame, plain = Marks(payload_of_today()), Frame(room(), 0, 0), voice(1.0)

    def read(instant_ns: int, count: int) -> npt.NDArray[np.float32]:
        first = round(instant_ns * RATE / NS)
        return plain[first : first + count, None]

    reader = marks.reader(read, RATE)
    assert (reader(0, 160)[:, 0] == plain[:160]).all()
    marks.frame(frame, frame.image.copy(), None)
    parts = [reader(samples_to_ns(n * 160, RATE), 160)[:, 0] for n in range(100)]
    change = np.concatenate(parts) - plain
    assert change.any()
    assert 10 * np.log10((change**2).mean() / (plain**2).mean()) < -36


def change_of(image: Image) -> npt.NDArray[np.int64]:
    """What the mark adds to ``image``, in one channel."""
    marker = PictureMarker(PAYLOAD)
    for _ in range(4):  # a stretch begins with half of the mark
        marker.begin(NS // 2, image)
    return np.asarray(marker.image(image)[..., 1].astype(int) - image[..., 1])


def test_of_a_frame_larger_than_720p_half_is_marked_in_the_middle() -> None:
    rows = np.flatnonzero(change_of(np.full((900, 1600, 3), 128, np.uint8)).any(1))
    assert 225 <= rows.min() < 235
    assert 665 < rows.max() < 675
    assert change_of(np.full((720, 1280, 3), 128, np.uint8))[:20].any()


def test_what_is_plain_has_less_of_the_mark() -> None:
    """Beside what is full of detail, up to its edge."""
    image = np.full((288, 360, 3), 128, np.uint8)
    image[:, :120] = np.random.default_rng(8).integers(0, 255, (72, 30, 1)).repeat(4, 0).repeat(4, 1)
    change = change_of(image)
    assert change[:, :120].std() > 3 * change[:, 150:].std()
    assert 0 < change[:, 150:].std() < 0.5
    assert abs(change[:, 150:]).max() <= 2


def test_a_film_that_says_nothing_is_looked_at_without_a_warning() -> None:
    with np.errstate(all="raise"):
        track = watched([np.full((180, 240, 3), 90, np.uint8)] * (5 * FPS + 3))
    assert not track.stretches()
