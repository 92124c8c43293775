"""own-texture on files: all at once and step by step, re-timed, with the lips drawn; bad requests are one line."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from realtime_dub.config import FileConfig, build
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.mouth.steps import Steps
from realtime_dub.pipeline.file.run import run_file
from realtime_dub.pipeline.statistics import Report
from tests.sound_files import wav
from tests.talkers import RATE, write_talker

pytestmark = pytest.mark.computes

SECONDS = 1.6


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "talker.mkv"
    write_talker(path, SECONDS)
    return path


def dub(film: Path, output: Path, **values: object) -> Report:
    values = {"engine": "own-texture", "silence": "live", "quiet": True, "preset": "ultrafast"} | values
    return run_file(build(FileConfig, input=str(film), output=output, **values))


def pictures(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)])


def test_steps_one_by_one_make_the_film_that_all_at_once_make(film: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.mp4", tmp_path / "parts.mp4"
    dub(film, whole, preview=tmp_path / "lips.mp4")
    for steps in ("features", "shape", "texture", "composite"):
        dub(film, parts, steps=steps)
        assert parts.exists() == (steps == "composite")
    assert {each.name for each in (tmp_path / "parts.steps").iterdir()} == {"features.npz", "shape.npz", "texture.npz"}
    one, other = pictures(whole), pictures(parts)
    source = pictures(film)
    assert one.shape == other.shape
    assert np.abs(one.astype(int) - other).mean() < 0.05
    assert np.abs(one.astype(int) - source[: len(one), : one.shape[1], : one.shape[2]]).mean() > 0.1
    drawn = pictures(tmp_path / "lips.mp4")
    assert len(drawn) == len(one)
    assert np.abs(np.diff(drawn.astype(int), axis=0)).max() > 50
    with np.load(tmp_path / "parts.steps" / "shape.npz") as shape:
        assert shape["landmarks"].shape == (len(shape["displacement"]), 20, 2)


def test_a_film_that_is_shorter_than_the_voice_plays_back_and_forth(film: Path, tmp_path: Path) -> None:
    voice = (0.2 * np.random.default_rng(0).standard_normal(int(2.4 * RATE))).astype(np.float32)
    (tmp_path / "voice.wav").write_bytes(wav(voice[:, None], RATE))
    report = dub(
        film, tmp_path / "out.mp4", mic=str(tmp_path / "voice.wav"), steps="retime,features,shape,composite,texture"
    )
    assert len(pictures(tmp_path / "out.mp4")) == 60
    assert any("back and forth" in note for note in report.notes)
    with np.load(tmp_path / "out.steps" / "retime.npz") as kept:
        assert len(kept["places"]) == 60


def test_bad_requests_are_one_line(film: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown step 'teeth'"):
        dub(film, tmp_path / "out.mp4", steps="features,teeth")
    with pytest.raises(ConfigError, match=r"run the step first: --steps texture"):
        dub(film, tmp_path / "out.mp4", steps="composite")
    with pytest.raises(ConfigError, match="engine mouthbank takes no --steps"):
        dub(film, tmp_path / "out.mp4", steps="shape", engine="mouthbank")
    with pytest.raises(ConfigError, match="no landmarks come from engine passthrough"):
        dub(film, tmp_path / "out.mp4", preview=tmp_path / "d.mp4", engine="passthrough", silence="auto")
    with pytest.raises(ConfigError, match="--retime"):
        dub(film, tmp_path / "out.mp4", retime=True, mic="-")
    with pytest.raises(ConfigError):
        dub(film, tmp_path / "out.mp4", preview=film)


def test_files_of_steps_are_looked_at(tmp_path: Path) -> None:
    steps = Steps.of("shape", tmp_path / "out.mp4")
    steps.write("features", {"features": np.zeros((4, 28)), "speech": np.zeros(4)})
    assert steps.read("features", features=(None, 28))["features"].shape == (4, 28)
    for wanted in ({"features": (None, 27)}, {"other": (None,)}):
        with pytest.raises(MediaError, match="run --steps features again"):
            steps.read("features", **wanted)
    steps.path("features").write_bytes(b"no archive")
    with pytest.raises(MediaError, match="cannot read"):
        steps.read("features", features=(None, 28))
