"""The built-in face and speech through the real program: tracker, net, drawing and files, judged by the pixels."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from realtime_dub.blend.masks import lower_face, polygon
from realtime_dub.config import FileConfig, LiveConfig, build
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.media import Image
from realtime_dub.pipeline.file.run import run_file
from realtime_dub.pipeline.live.run import run_live
from realtime_dub.sources.demo import DemoSource
from tests.faces import openings_in, portrait

SECONDS = 6


@pytest.fixture(scope="module")
def dubbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dubbed") / "demo.mkv"
    run_file(build(FileConfig, input="demo", mic="demo", output=out, seconds=SECONDS, crf=10))
    return out


def pictures_of(path: Path) -> list[Image]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def sound_of(path: Path) -> tuple[np.ndarray, int]:
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        return np.concatenate([block.to_ndarray()[0] for block in container.decode(audio=0)]), rate


def openings_of(pictures: list[Image]) -> np.ndarray:
    openings = openings_in(pictures)
    assert len(openings) == len(pictures)
    return openings


def loudness(path: Path, ticks: int) -> np.ndarray:
    sound, rate = sound_of(path)
    step = rate // 25
    return np.array([np.sqrt((sound[k * step : (k + 1) * step] ** 2).mean()) for k in range(ticks)])


@pytest.mark.computes
def test_the_portrait_speaks_when_there_is_speech_and_rests_when_there_is_none(dubbed: Path) -> None:
    pictures = pictures_of(dubbed)
    assert len(pictures) == SECONDS * 25
    lips, loud = openings_of(pictures), loudness(dubbed, len(pictures))
    # Ten ticks of silence on both sides: neither a mouth that opens ahead of its sound nor one that is handed back.
    silent = np.convolve(loud > 0.01, np.ones(21), "same") == 0
    if silent.any():
        assert lips[silent].max() < 0.06
    speaking = np.convolve(loud > 0.03, np.ones(5), "same") == 5
    assert speaking.sum() > 20
    assert np.percentile(lips[speaking], 90) > 0.12
    assert lips[speaking].std() > 0.04
    # Lips meet often in English: nobody speaks with the mouth open all the time.
    assert lips.min() < 0.04


@pytest.mark.computes
def test_nothing_but_the_lower_face_changes(dubbed: Path) -> None:
    source, tracker = DemoSource(640, 480, 25), MediaPipeTracker(smooth=False)
    source.open()
    try:
        for n, picture in enumerate(pictures_of(dubbed)[:60]):
            frame = source.read()
            face = tracker.track(frame).face
            assert face is not None
            inside = polygon(lower_face(face.points, face.pose.scale), (0, 0, 640, 480))
            inside = cv2.dilate(inside, np.ones((9, 9), np.uint8))  # the encoder's blocks
            inside[:40, :104] = 255  # the badge
            difference = np.abs(picture.astype(np.int16) - frame.image)[inside == 0]
            assert difference.mean() < 3, n
            assert np.percentile(difference, 99.9) < 40, n
    finally:
        tracker.close()
        source.close()


@pytest.mark.computes
def test_a_still_becomes_a_talking_picture_as_long_as_the_voice(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "me.png"), portrait())
    out = tmp_path / "talking.mp4"
    report = run_file(build(FileConfig, input=str(tmp_path / "me.png"), mic="demo", output=out, seconds=3))
    pictures = pictures_of(out)
    sound, rate = sound_of(out)
    assert len(pictures) == report.frames["total"] == 75
    assert abs(len(sound) / rate - 3) < 0.02
    assert openings_of(pictures).max() > 0.1


@pytest.mark.computes
def test_strength_nought_leaves_the_mouth_at_rest(tmp_path: Path) -> None:
    out = tmp_path / "still.mkv"
    run_file(build(FileConfig, input="demo", mic="demo", output=out, seconds=2, strength=0))
    assert openings_of(pictures_of(out)).max() < 0.06


def test_live_for_a_few_seconds(tmp_path: Path) -> None:
    out, sheet = tmp_path / "live.mp4", tmp_path / "sheet.png"
    config = build(
        LiveConfig,
        webcam="demo",
        mic="demo",
        to=(str(out), "null"),
        seconds=4,
        budget_ms=300,
        contact_sheet=sheet,
        stats_json=tmp_path / "stats.json",
        quiet=True,
    )
    report = run_live(config)
    frames = report.frames
    assert frames["total"] == frames["fresh"] + frames["reused"] + frames["passthrough"] == 100
    assert report.latency_ms["max"] <= 300
    sound, rate = sound_of(out)
    assert abs(len(sound) / rate - 4) < 0.1
    assert np.abs(sound).max() > 0.1
    assert 100 - frames["skipped"] - 2 <= len(pictures_of(out)) <= 100
    assert cv2.imread(str(sheet)) is not None
    assert (tmp_path / "stats.json").exists()
