"""What programs call: the Dubber, a file, a live run, and the programs in ``examples``."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
import wave
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
from av import VideoFrame
from media_files import video_images
from web_peers import FaceTrack, VoiceTrack

import realtime_dub
from realtime_dub.api import DubbedFrame, Dubber
from realtime_dub.clock import VirtualClock
from realtime_dub.errors import ConfigError
from realtime_dub.media import Image
from realtime_dub.sources.base import read_all
from realtime_dub.sources.demo import DemoSource
from realtime_dub.sources.voices import open_voice
from realtime_dub.web.rtc import aiortc_access

pytestmark = pytest.mark.computes

ROOT = Path(__file__).parent.parent
FPS, SECONDS = 25, 2


@cache
def portrait() -> list[Image]:
    source = DemoSource(320, 240)
    source.open()
    return [frame.image for frame in islice(read_all(source.read), FPS * SECONDS)]


@cache
def voice() -> tuple[np.ndarray, int]:
    source = open_voice("demo", clock=VirtualClock(), video_path=None, live=False)
    rate = source.open().rate
    return np.concatenate([block.samples for block in read_all(source.read)])[: rate * SECONDS], rate


def run(chunk_s: float, **options: object) -> list[DubbedFrame]:
    """All frames, the audio fed in chunks of that length, each frame as soon as its time has come."""
    samples, rate = voice()
    size, got, waiting = round(chunk_s * rate), [], list(enumerate(portrait()))
    with Dubber(rate=rate, fps=FPS, marks=False, **options) as dubber:
        for at in range(0, len(samples), size):
            dubber.feed_audio(samples[at : at + size], at / rate)
            while waiting and waiting[0][0] / FPS <= (at + size) / rate:
                k, image = waiting.pop(0)
                dubber.feed_frame(image, k / FPS)
            got += dubber.read()
        return got + dubber.flush()


def test_frames_come_back_dubbed_with_the_whole_voice() -> None:
    frames, samples = run(0.1), voice()[0]
    assert [round(frame.time_s * FPS) for frame in frames] == list(range(FPS * SECONDS))
    assert all(frame.face for frame in frames)
    drawn = [frame.dubbed for frame in frames]
    assert sum(drawn) > len(frames) // 2
    for frame, image in zip(frames, portrait(), strict=True):
        assert (frame.image is image) is not frame.dubbed
        assert np.array_equal(frame.image[:80], image[:80])  # above the mouth nothing changes
    np.testing.assert_array_equal(np.concatenate([frame.audio for frame in frames]), samples)


def test_the_pieces_that_the_voice_comes_in_change_nothing() -> None:
    small, large = run(0.013), run(0.7)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(small, large, strict=True))
    assert all(np.array_equal(a.audio, b.audio) for a, b in zip(small, large, strict=True))


def test_a_frame_waits_for_as_much_audio_as_was_said() -> None:
    samples, rate = voice()
    with Dubber(rate=rate, fps=FPS) as dubber:
        dubber.feed_frame(portrait()[0], 10.0)
        enough = round((dubber.latency_s + 0.02) * rate)
        dubber.feed_audio(samples[: round((dubber.latency_s - 0.02) * rate)], 10.0)
        assert dubber.read() == []
        dubber.feed_audio(samples[round((dubber.latency_s - 0.02) * rate) : enough])  # follows on
        (frame,) = dubber.read()
        assert frame.time_s == 10.0
        np.testing.assert_array_equal(frame.audio, samples[: rate // FPS])


def test_whole_numbers_are_audio_too_and_a_hole_is_silence() -> None:
    samples, rate = voice()
    whole = (samples * 32767).astype(np.int16)
    with Dubber(rate=rate, fps=FPS, engine="passthrough") as dubber:
        dubber.feed_audio(whole[: rate // 10])
        dubber.feed_audio(whole[: rate // 10], 0.05)  # half of it was heard
        dubber.feed_audio(whole[: rate // 10], 0.3)
        for k in range(10):
            dubber.feed_frame(portrait()[k], k / FPS)
        audio = np.concatenate([frame.audio for frame in dubber.flush()])
    expected = np.zeros((round(0.4 * rate), 1), np.float32)
    expected[: rate // 10] = whole[: rate // 10] / np.float32(32768)
    expected[rate // 10 : 3 * rate // 20] = whole[rate // 20 : rate // 10] / np.float32(32768)
    expected[3 * rate // 10 :] = whole[: rate // 10] / np.float32(32768)
    np.testing.assert_allclose(audio, expected, atol=1e-6)


def test_what_cannot_be_used_is_said() -> None:
    with pytest.raises(ConfigError, match="of 10 Hz and 1 channels"):
        Dubber(rate=10)
    with pytest.raises(ConfigError, match="passthrough takes no --strength"):
        Dubber(rate=16_000, engine="passthrough", strength=0.5)
    with Dubber(rate=16_000, channels=2) as dubber:
        for samples in (np.zeros(10), np.zeros((10, 3)), ["a"], np.zeros((2, 2, 2))):
            with pytest.raises(ConfigError, match="cannot use audio"):
                dubber.feed_audio(samples)
        for image in (np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), None):
            with pytest.raises(ConfigError, match="cannot use a frame"):
                dubber.feed_frame(image, 0)
        dubber.feed_frame(np.zeros((64, 64, 3), np.uint8), 1.0)
        with pytest.raises(ConfigError, match="does not rise"):
            dubber.feed_frame(np.zeros((64, 64, 3), np.uint8), 1.0)
        with pytest.raises(ConfigError, match="cannot use a time"):
            dubber.feed_frame(np.zeros((64, 64, 3), np.uint8), float("nan"))
        assert [(frame.face, frame.dubbed) for frame in dubber.flush()] == [(False, False)]


def test_a_file_and_a_live_run_are_called_by_name(tmp_path: Path) -> None:
    done = []
    out = tmp_path / "a.mp4"
    report = realtime_dub.dub_file("demo", out, mic="demo", seconds=1, progress=lambda *at: done.append(at))
    assert report.frames["total"] == len(video_images(out)) == len(done) == 25
    live = realtime_dub.run_live(webcam="demo", mic="demo", to="null", engine="passthrough", seconds=1)
    assert live.frames["total"] == 25
    stop = threading.Event()
    stop.set()
    assert realtime_dub.run_live(webcam="demo", mic="demo", to="null", engine="passthrough", stop=stop).frames
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        realtime_dub.nothing  # noqa: B018


def example(name: str, *arguments: object) -> str:
    command = [sys.executable, str(ROOT / "examples" / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=True, cwd=ROOT).stdout


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A film and a voice."""
    folder = tmp_path_factory.mktemp("given")
    realtime_dub.dub_file("demo", folder / "film.mp4", mic="demo", engine="passthrough", seconds=1)
    samples, rate = voice()
    with wave.open(str(folder / "voice.wav"), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((samples[:rate] * 32767).astype("<i2").tobytes())
    return folder / "film.mp4", folder / "voice.wav"


def test_the_example_with_a_file(given: tuple[Path, Path], tmp_path: Path) -> None:
    assert "dubbed.mp4: 25 frames" in example("dub_a_file.py", *given, tmp_path / "dubbed.mp4")
    assert len(video_images(tmp_path / "dubbed.mp4")) == 25


def test_the_example_with_a_loop(given: tuple[Path, Path], tmp_path: Path) -> None:
    example("opencv_loop.py", *given, tmp_path)
    assert len(list(tmp_path.glob("*.png"))) == 25


def test_the_example_with_a_track() -> None:
    """Two peers: one sends a face and a voice, the other one dubs them."""
    sys.path.insert(0, str(ROOT / "examples"))
    from aiortc_track import RATE, DubbedTrack

    async def test() -> list[VideoFrame]:
        sender, receiver = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
        tracks: dict[str, MediaStreamTrack] = {}
        receiver.on("track", lambda track: tracks.update({track.kind: track}))
        for track in (FaceTrack(240, 15), VoiceTrack()):
            sender.addTrack(track)
        await sender.setLocalDescription(await sender.createOffer())
        await receiver.setRemoteDescription(sender.localDescription)
        await receiver.setLocalDescription(await receiver.createAnswer())
        await sender.setRemoteDescription(receiver.localDescription)
        dubber = await asyncio.to_thread(Dubber, rate=RATE, engine="passthrough")
        dubbed = DubbedTrack(tracks["video"], tracks["audio"], dubber)
        frames = [await asyncio.wait_for(dubbed.recv(), 60) for _ in range(10)]
        dubbed.stop()
        for peer in (sender, receiver):
            await aiortc_access.close(peer)
        return frames

    frames = asyncio.run(test())
    times = [float(frame.pts * frame.time_base) for frame in frames]
    assert times == sorted(set(times))
    assert frames[-1].height == 240


def test_the_readmes_program_runs(given: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for name, path in zip(("talk.mp4", "voice.wav"), given, strict=True):
        (tmp_path / name).symlink_to(path)
    seen: list[DubbedFrame] = []
    names = {"samples": np.zeros(9600, np.float32), "image": portrait()[0], "seen": seen}
    exec(code.replace("...  #", "seen.append(frame)  #"), names)
    assert len(video_images(tmp_path / "dubbed.mp4")) == 25
    assert [frame.image.shape for frame in seen] == [(240, 320, 3)]
