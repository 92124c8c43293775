"""What the muxer writes, decoded again."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_files import clicks, grid, output_format, picture, publish, sound_of, ticks, video_images, video_times

from realtime_dub.clock import VirtualClock
from realtime_dub.media import MS, NS, AudioBlock, Tick, ns_to_ticks, rescale, ticks_to_ns
from realtime_dub.publishers.encoding import AAC_RATES, aac_rate, video_time_base
from realtime_dub.publishers.muxer import MuxPublisher
from realtime_dub.sources.registry import open_video
from tests.faces import portrait

pytestmark = pytest.mark.computes


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30_000, 1001), Fraction(24_000, 1001), Fraction(60)])
def test_frame_times_of_a_constant_rate_are_exact(tmp_path: Path, fps: Fraction) -> None:
    fmt, target = output_format(fps=fps, rate=0), tmp_path / "a.mp4"
    publish(MuxPublisher(target), fmt, ticks(fmt, grid(40, fps)))
    assert video_times(target) == [k / fps for k in range(40)]


def test_frame_times_of_a_variable_rate_are_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    times = [0, *np.cumsum(rng.integers(8 * MS, 180 * MS, 40)).tolist()]
    fmt = output_format(rate=0)
    for name, tolerance in (("a.mp4", 6e-6), ("a.mkv", 5.1e-4)):
        publish(MuxPublisher(tmp_path / name), fmt, ticks(fmt, times))
        written = video_times(tmp_path / name)
        assert len(written) == len(times)
        assert np.abs(np.array(written, float) - np.array(times) / NS).max() <= tolerance


def test_the_last_frame_lasts_as_long_as_its_tick(tmp_path: Path) -> None:
    fmt, target = output_format(rate=0), tmp_path / "a.mp4"
    times = [0, 40 * MS, 300 * MS]
    publisher = MuxPublisher(target)
    publish(publisher, fmt, iter([Tick(picture(fmt, k), at, 500 * MS, k, None) for k, at in enumerate(times)]))
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(0.8, abs=0.001)


@given(st.integers(1, 240_000), st.sampled_from([1, 1001]), st.integers(0, 100_000))
def test_video_time_base_holds_every_frame_of_its_rate(numerator: int, denominator: int, k: int) -> None:
    fps = Fraction(numerator, denominator)
    base = video_time_base(fps)
    assert base <= Fraction(1, 90_000)
    assert (k / fps / base).denominator == 1
    pts_ns = rescale(k, NS * fps.denominator, fps.numerator)
    assert abs(ticks_to_ns(ns_to_ticks(pts_ns, base), base) - pts_ns) <= 1


@given(st.integers(1_000, 400_000))
def test_every_rate_of_sound_has_a_rate_that_aac_takes(rate: int) -> None:
    assert aac_rate(rate) in AAC_RATES
    assert rate not in AAC_RATES or aac_rate(rate) == rate


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".ts", ".flv"])
def test_a_click_sounds_where_its_picture_flashes(tmp_path: Path, suffix: str) -> None:
    fmt = output_format()
    times, flash = grid(60, fmt.fps), 30
    sound = clicks(2.4, fmt.rate, 1, [flash / 25])

    def flashes(fmt, k):
        return np.full((fmt.height, fmt.width, 3), 230 if k == flash else 20, np.uint8)

    target = tmp_path / f"a{suffix}"
    publish(MuxPublisher(target), fmt, ticks(fmt, times, sound, flashes))
    heard, rate, first_s = sound_of(target)
    lag = np.argmax(np.correlate(heard[:, 0], clicks(0.01, rate, 1, [0])[:, 0], "valid"))
    bright = [image.mean() for image in video_images(target)]
    seen_s = float(video_times(target)[int(np.argmax(bright))])
    assert len(bright) == 60
    assert first_s + lag / rate == pytest.approx(seen_s, abs=0.0015)


@pytest.mark.parametrize(
    ("rate", "channels"), [(48_000, 2), (44_100, 1), (16_000, 1), (22_050, 2), (8_000, 1), (192_000, 1), (37_800, 6)]
)
def test_sound_keeps_its_length_place_and_channels(tmp_path: Path, rate: int, channels: int) -> None:
    fmt = output_format(rate=rate, channels=channels, fps=Fraction(30_000, 1001))
    sound = clicks(45 * 1001 / 30_000, rate, channels, [0.25, 1.0])
    target = tmp_path / "a.mp4"
    publish(MuxPublisher(target), fmt, ticks(fmt, grid(45, fmt.fps), sound))
    heard, out_rate, first_s = sound_of(target)
    assert heard.shape[1] == channels
    assert first_s == 0
    assert len(heard) / out_rate == pytest.approx(len(sound) / rate, abs=0.020)
    expected = clicks(len(heard) / out_rate, out_rate, 1, [0.25, 1.0])[:, 0]
    near = np.correlate(np.pad(heard[:, 0], 200), expected, "valid")
    assert abs(int(np.argmax(near)) - 200) <= out_rate * 0.001
    with av.open(str(target)) as container:
        stream = container.streams.audio[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(len(sound) / rate, abs=0.005)


def test_sound_is_near_what_it_was(tmp_path: Path) -> None:
    """A gliding tone with overtones in soft noise: more than 40 dB above what coding adds."""
    fmt, target = output_format(width=16, height=16), tmp_path / "a.mp4"
    at = np.arange(2 * fmt.rate) / fmt.rate
    tones = sum(0.2 / n * np.sin(2 * np.pi * n * (120 * at + 20 * at * at)) for n in range(1, 8))
    sound = (tones + 1e-4 * np.random.default_rng(0).standard_normal(len(at))).astype(np.float32)[:, None]
    publish(MuxPublisher(target), fmt, ticks(fmt, grid(50, fmt.fps), sound))
    heard, inner = sound_of(target)[0], slice(2_048, len(sound) - 2_048)
    off = heard[inner] - sound[inner]
    assert 10 * np.log10(np.square(sound[inner]).mean() / np.square(off).mean()) > 40


@settings(max_examples=30, deadline=None)
@given(rest=st.integers(0, 1023))
def test_the_end_of_the_sound_is_near_whatever_its_length(rest: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    fmt, target = output_format(width=16, height=16), tmp_path_factory.mktemp("mux") / "a.mp4"
    count = 4 * 1024 + rest
    audio = AudioBlock(np.zeros((count, 1), np.float32), 48_000, 0)
    publish(MuxPublisher(target), fmt, iter([Tick(picture(fmt, 0), 0, 100 * MS, 0, audio)]))
    assert abs(len(sound_of(target)[0]) - count) <= 0.020 * 48_000


def test_holes_in_the_sound_are_silence_and_overlaps_are_dropped(tmp_path: Path) -> None:
    fmt, target = output_format(), tmp_path / "a.mp4"
    tone = (0.5 * np.sin(np.arange(96_000) * 2 * np.pi * 440 / 48_000)).astype(np.float32)[:, None]

    def tick(k: int, start: int, end: int) -> Tick:
        block = AudioBlock(tone[start:end], 48_000, start * NS // 48_000)
        return Tick(picture(fmt, k), k * 40 * MS, 40 * MS, k, block)

    silent = Tick(picture(fmt, 1), 40 * MS, 40 * MS, 1, None)
    publish(
        MuxPublisher(target), fmt, iter([tick(0, 0, 20_000), silent, tick(2, 40_000, 60_000), tick(3, 50_000, 80_000)])
    )
    heard = sound_of(target)[0][:, 0]
    assert abs(len(heard) - 80_000) <= 960
    assert np.abs(heard[21_100:38_900]).max() < 0.02
    for part in (slice(2_000, 19_000), slice(42_000, 79_000)):
        assert np.abs(heard[part] - tone[part, 0]).max() < 0.05


def test_without_a_voice_there_is_no_sound_stream(tmp_path: Path) -> None:
    fmt, target = output_format(rate=0, channels=0), tmp_path / "a.mp4"
    publish(MuxPublisher(target), fmt, ticks(fmt, grid(5, fmt.fps)))
    with av.open(str(target)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


@pytest.mark.parametrize("live", [False, True])
def test_every_run_gives_identical_pictures_whatever_lay_in_memory(tmp_path: Path, live: bool) -> None:
    fmt, target = output_format(width=320, height=240, live=live), tmp_path / "a.mp4"
    sound = clicks(1, fmt.rate, 1, [0.5])
    runs = []
    for _ in range(6):
        publisher = MuxPublisher(target)
        publisher.open(fmt)
        for tick in ticks(fmt, grid(20, fmt.fps), sound):
            publisher.publish(tick)
            tick.image[:] = 255
        publisher.close()
        runs.append(np.stack(video_images(target)))
    assert len(runs[0]) == 20
    assert all(np.array_equal(runs[0], run) for run in runs[1:])


def test_crf_and_preset_reach_the_encoder(tmp_path: Path) -> None:
    fmt = output_format(width=320, height=240, rate=0)
    sizes = {}
    for crf in (0, 20, 45):
        target = tmp_path / f"{crf}.mp4"
        publish(MuxPublisher(target, crf=crf, preset="ultrafast"), fmt, ticks(fmt, grid(10, fmt.fps)))
        sizes[crf] = target.stat().st_size
    assert sizes[0] > sizes[20] > sizes[45]


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("size", [(320, 240), (1280, 720)])
def test_colours_survive_writing_and_reading(tmp_path: Path, size: tuple[int, int], full_range: bool) -> None:
    colours = [(0, 0, 0), (255, 255, 255), (40, 60, 200), (30, 200, 60), (210, 60, 40), (128, 128, 128), (90, 140, 190)]
    fmt = output_format(*size, rate=0, full_range=full_range)
    bar = size[0] // len(colours)

    def bars(fmt, k):
        row = np.repeat(np.array(colours, np.uint8), bar, axis=0)
        row = np.pad(row, ((0, size[0] - len(row)), (0, 0)), mode="edge")
        return np.broadcast_to(row, (size[1], size[0], 3)).copy()

    target = tmp_path / "a.mp4"
    publish(MuxPublisher(target, crf=1), fmt, ticks(fmt, grid(3, fmt.fps), pictures=bars))
    image = video_images(target)[1].astype(int)
    for k, colour in enumerate(colours):
        seen = image[size[1] // 2, k * bar + bar // 2]
        assert np.abs(seen - colour).max() <= 3, (colour, seen)
    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        assert context.color_range == (2 if full_range else 1)
        assert context.colorspace == (1 if size[0] == 1280 else 6)


def test_a_picture_written_and_read_again_is_as_bright(tmp_path: Path) -> None:
    # A real face: chroma that is not whole made every picture a level darker, and another one each time it was dubbed.
    image = portrait()[: portrait().shape[0] // 2 * 2, : portrait().shape[1] // 2 * 2]
    fmt = output_format(width=image.shape[1], height=image.shape[0], rate=0)
    target = tmp_path / "a.mp4"
    publish(MuxPublisher(target, crf=1), fmt, ticks(fmt, grid(3, fmt.fps), pictures=lambda fmt, k: image))
    video = open_video(str(target), clock=VirtualClock(), live=False)
    video.open()
    try:
        off = video.read().image.astype(float) - image
    finally:
        video.close()
    assert np.abs(off.mean((0, 1))).max() < 0.3
    assert np.sqrt((off**2).mean()) < 2.0


@pytest.mark.parametrize("size", [(161, 119), (160, 121), (63, 64), (1, 1)])
def test_odd_sizes_are_made_even_by_repeating_the_edge(tmp_path: Path, size: tuple[int, int]) -> None:
    fmt, target = output_format(*size, rate=0), tmp_path / "a.mp4"
    publish(MuxPublisher(target, crf=1), fmt, ticks(fmt, grid(3, fmt.fps)))
    image = video_images(target)[0].astype(int)
    assert image.shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)
    assert np.abs(image[: size[1], : size[0]] - picture(fmt, 0)).mean() < 4
    if size[1] % 2:
        assert np.abs(image[-1] - image[-2]).max() <= 6
    if size[0] % 2:
        assert np.abs(image[:, -1] - image[:, -2]).max() <= 6


@pytest.mark.parametrize("live", [False, True])
def test_no_frame_is_lost_whatever_their_number(tmp_path: Path, live: bool) -> None:
    fmt, target = output_format(width=32, height=32, rate=0, live=live), tmp_path / "a.mp4"
    for count in (1, 2, 12, 13, 14, 25, 26, 39, 40, 51, 63, 250, 251):
        publish(MuxPublisher(target), fmt, ticks(fmt, grid(count, fmt.fps)))
        assert len(video_times(target)) == count


def test_the_picture_is_not_needed_after_publish(tmp_path: Path) -> None:
    fmt = output_format(width=320, height=240, rate=0)
    for name, spoil in (("a.mp4", False), ("b.mp4", True)):
        publisher = MuxPublisher(tmp_path / name)
        publisher.open(fmt)
        for tick in ticks(fmt, grid(20, fmt.fps)):
            publisher.publish(tick)
            if spoil:
                tick.image[:] = 255
        publisher.close()
    assert np.array_equal(video_images(tmp_path / "a.mp4"), video_images(tmp_path / "b.mp4"))
