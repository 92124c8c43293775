"""Which of several pictures and sounds of a file is used."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from sound_files import buzz, pitch, read_all, write_tracks

from realtime_dub.clock import VirtualClock
from realtime_dub.config import FileConfig, build
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.pipeline.file.run import run_file
from realtime_dub.sources.audio_file import AudioFileSource
from realtime_dub.sources.registry import open_video
from realtime_dub.sources.stream_choice import SoundChoice
from realtime_dub.sources.video_file import VideoFileSource
from realtime_dub.sources.voices import open_voice

pytestmark = pytest.mark.computes

TONES = {"eng": 300.0, "ger": 500.0, "fra": 700.0}


def heard(path: Path, *choice: SoundChoice) -> float:
    source = AudioFileSource(path, False, *choice)
    info = source.open()
    samples = np.concatenate([block.samples for block in read_all(source)])
    source.close()
    return round(pitch(samples[:, 0], info.rate), -1)


def seen(path: Path, stream: int | None = None) -> int:
    source = VideoFileSource(path, stream=stream)
    source.open()
    level = source.read().image.mean()
    source.close()
    return round(level / 10) * 10


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_the_one_that_the_file_calls_default(tmp_path: Path, suffix: str) -> None:
    path = write_tracks(tmp_path / f"a{suffix}", TONES, (60, 120, 180), default=(2, 1))
    assert (heard(path), seen(path)) == (500, 180)


def test_the_first_where_none_is_marked(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "a.ts", TONES, (60, 120))
    assert (heard(path), seen(path)) == (300, 60)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
def test_the_one_that_is_asked_for(tmp_path: Path, suffix: str) -> None:
    path = write_tracks(tmp_path / f"a{suffix}", TONES, (60, 120))
    assert [heard(path, SoundChoice(number)) for number in (1, 2, 3)] == [300, 500, 700]
    assert [seen(path, number) for number in (1, 2)] == [60, 120]
    for language, tone in {"eng": 300, "EN": 300, "en-GB": 300, "de": 500, "deu": 500, "fr": 700, "fre": 700}.items():
        assert heard(path, SoundChoice(language=language)) == tone


def test_what_there_is_instead(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "a.mkv", TONES, (60, 120))
    listed = r"a\.mkv; choose one of 1 \(eng, aac, 48000 Hz, mono\), 2 \(ger, .*\), 3 \(fra, .*\)"
    with pytest.raises(MediaError, match=f"no audio stream 4 in .*{listed}"):
        AudioFileSource(path, False, SoundChoice(4)).open()
    with pytest.raises(MediaError, match=f"no audio in the language 'ita' in .*{listed}"):
        AudioFileSource(path, False, SoundChoice(language="ita")).open()
    with pytest.raises(MediaError, match=r"no video stream 3 in .*; choose one of 1 \(.*64x48\), 2 \(.*64x48\)"):
        VideoFileSource(path, stream=3).open()


def test_a_choice_where_there_is_none(tmp_path: Path) -> None:
    clock = VirtualClock()
    for spec in ("demo", "default"):
        with pytest.raises(ConfigError, match="--audio-stream and --language need a file with audio, not"):
            open_voice(spec, clock=clock, video_path=None, live=True, choice=SoundChoice(2))
    with pytest.raises(ConfigError, match="--video-stream needs a video file or an address, not"):
        open_video("demo", clock=clock, live=False, stream=2)
    both = build(FileConfig, input="demo", output=tmp_path / "a.mp4", audio_stream=1, language="eng")
    with pytest.raises(ConfigError, match="--audio-stream and --language; give one of them"):
        run_file(both)


def test_a_cover_is_no_film(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", rate=48_000, layout="mono")
        cover = container.add_stream("mjpeg", rate=25, width=64, height=64, pix_fmt="yuvj420p")
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), "bgr24")
        container.mux(cover.encode(frame))
        container.mux(cover.encode(None))
        size = sound.codec_context.frame_size
        for at in range(0, 20 * size, size):
            planes = buzz(48_000, 1)[None, at : at + size]
            part = av.AudioFrame.from_ndarray(np.ascontiguousarray(planes), "fltp", "mono")
            part.rate, part.pts = 48_000, at
            container.mux(sound.encode(part))
        container.mux(sound.encode(None))
    with pytest.raises(MediaError, match=r"no video in .*song\.mp3"):
        VideoFileSource(path).open()
    assert AudioFileSource(path).open() is not None


def test_a_file_is_dubbed_with_the_chosen_picture_and_sound(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "a.mkv", TONES, (60, 120), seconds=0.6)
    output = tmp_path / "b.mkv"
    run_file(
        build(
            FileConfig, input=str(path), output=output, engine="passthrough", video_stream=2, language="de", quiet=True
        )
    )
    assert (heard(output), seen(output)) == (500, 120)
