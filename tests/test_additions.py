"""What other packages add: engines, a backend and a voice, each by one file and one line, used by the program as is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import toys

from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.mouth import registry

PROGRAM = [sys.executable, "-m", "realtime_dub"]


def run(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="bgr24") for frame in film.decode(video=0)]


def dubbed(environment: dict[str, str], folder: Path, *options: object, source: str = "demo") -> tuple[Path, dict]:
    out, stats = folder / "out.mp4", folder / "stats.json"
    usual = ("--seconds", 2, "--crf", 10, "--badge", "off")
    done = run(environment, "file", source, "-o", out, "--stats-json", stats, *usual, *options)
    assert done.returncode == 0, done.stderr
    return out, json.loads(stats.read_text()) | {"said": done.stdout}


@pytest.mark.computes
def test_an_engine_that_paints_crops(tmp_path: Path) -> None:
    source = toys.CROP_ENGINE.format(module="toy_painter")
    environment = toys.install(tmp_path / "site", "toy_painter", source, registry.GROUP, "toy-painter", "ENGINE")
    bundle = toys.crop_bundle(tmp_path / "crops")
    out, stats = dubbed(environment, tmp_path, "--mic", "demo", "--engine", "toy-painter", "--bundle", bundle)
    assert stats["engine"] == "toy-painter"
    assert stats["bundle"] == "toy-crops 1"
    assert stats["said"].count("together 4") == 12  # frames of a file go to it four at a time
    plain, _ = dubbed(environment, tmp_path / "site", "--mic", "demo", "--engine", "passthrough")
    before, after = frames(plain)[25].astype(int), frames(out)[25].astype(int)
    changed = np.abs(before - after).max(-1) > 40
    green = np.abs(after - toys.GREEN).max(-1) < 30
    rows, columns = np.nonzero(green)
    assert 0.005 < green.mean() < 0.2
    assert (changed & ~green).mean() < 0.01  # the seam
    assert rows.min() > 0.4 * len(before)  # the lower face, not the forehead
    assert np.ptp(columns) < 0.5 * before.shape[1]


@pytest.mark.computes
def test_an_engine_that_gives_whole_frames_needs_no_face(tmp_path: Path) -> None:
    source = toys.FRAME_ENGINE.format(module="toy_avatar", green=toys.GREEN)
    environment = toys.install(tmp_path / "site", "toy_avatar", source, registry.GROUP, "toy-avatar", "ENGINE")
    grey = tmp_path / "grey.mp4"
    with av.open(str(grey), "w") as film:
        stream = film.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for _ in range(50):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((120, 160, 3), 128, np.uint8), format="bgr24")))
        film.mux(stream.encode(None))
    out, stats = dubbed(environment, tmp_path, "--mic", "demo", "--engine", "toy-avatar", source=str(grey))
    image = frames(out)[30]
    assert image.shape == (120, 160, 3)
    assert np.abs(image[60, 80].astype(int) - toys.GREEN).max() < 25
    assert image[3, 80].max() < 40  # 90 rows in 120: bars above and below, nothing stretched
    assert stats["frames"]["total"] == 50
    listed = run(environment, "engines")
    assert "toy-avatar" in listed.stdout
    assert "a green frame" in listed.stdout


@pytest.mark.slow
def test_whole_frames_live(tmp_path: Path) -> None:
    source = toys.FRAME_ENGINE.format(module="toy_avatar", green=toys.GREEN)
    environment = toys.install(tmp_path / "site", "toy_avatar", source, registry.GROUP, "toy-avatar", "ENGINE")
    out, stats = tmp_path / "live.mp4", tmp_path / "live.json"
    command = ["--webcam", "demo", "--mic", "demo", "--engine", "toy-avatar", "--to", out, "--seconds", 3]
    done = run(environment, *command, "--budget-ms", 800, "--stats-json", stats, "-q")
    assert done.returncode == 0, done.stderr
    assert json.loads(stats.read_text())["frames"]["fresh"] > 50
    assert np.abs(frames(out)[40][120, 160].astype(int) - toys.GREEN).max() < 40


@pytest.mark.computes
def test_a_backend(tmp_path: Path) -> None:
    environment = toys.install(
        tmp_path / "site", "toy_backend", toys.BACKEND, "realtime_dub.backends", "toy-backend", "open_counted"
    )
    _, stats = dubbed(environment, tmp_path, "--mic", "demo", "--backend", "toy-backend")
    assert stats["backend"] == "toy-backend"
    _, stats = dubbed(environment, tmp_path, "--mic", "demo")
    assert stats["backend"] == "cpu"  # auto takes nobody's unless asked
    done = run(environment, "file", "demo", "-o", tmp_path / "b.mp4", "--mic", "demo", "--backend", "none-such")
    assert done.returncode == 2
    assert "unknown backend 'none-such'; choose auto or one of " in done.stderr
    assert {"toy-backend", "cpu"} <= set(done.stderr.strip().rpartition("one of ")[2].split(", "))


@pytest.mark.computes
def test_a_voice_made_of_the_picture(tmp_path: Path) -> None:
    environment = toys.install(tmp_path / "site", "toy_voice", toys.VOICE, "realtime_dub.voices", "hum", "Hum")
    out, stats = dubbed(environment, tmp_path, "--mic", "from-video:hum:500")
    assert stats["frames"]["total"] == 50
    with av.open(str(out)) as film:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])
        rate = film.streams.audio[0].rate
    spectrum = np.abs(np.fft.rfft(heard[rate // 2 : rate // 2 + rate]))
    assert abs(int(spectrum.argmax()) - 500) <= 1  # of one second
    done = run(environment, "file", "demo", "-o", tmp_path / "b.mp4", "--mic", "from-video:sing")
    assert done.returncode == 2
    assert "no such voice from video: 'sing'; choose one of hpm, hum" in done.stderr


@pytest.mark.slow
def test_a_voice_made_of_the_picture_live(tmp_path: Path) -> None:
    """Its latency is in the budget: no frame lacks its sound."""
    environment = toys.install(tmp_path / "site", "toy_voice", toys.VOICE, "realtime_dub.voices", "hum", "Hum")
    out, stats = tmp_path / "live.mp4", tmp_path / "live.json"
    live = ["--webcam", "demo", "--mic", "from-video:hum:500", "--to", out, "--seconds", 4, "--stats-json", stats]
    done = run(environment, *live, "--budget-ms", 200)
    assert done.returncode == 2
    assert "a budget of 200 ms cannot hold" in done.stderr
    done = run(environment, *live, "--budget-ms", 900)
    assert done.returncode == 0, done.stderr
    report = json.loads(stats.read_text())
    assert report["frames"]["fresh"] > 0.9 * report["frames"]["total"]
    with av.open(str(out)) as film:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])
    loud = np.abs(heard).reshape(-1)[: len(heard) // 160 * 160].reshape(-1, 160).max(1) > 0.1
    assert loud[100:-20].mean() > 0.95


@pytest.mark.computes
def test_a_package_whose_engine_is_broken_is_one_line(tmp_path: Path) -> None:
    environment = toys.install(tmp_path / "site", "broken", "1 / 0\n", registry.GROUP, "broken", "ENGINE")
    done = run(environment, "file", "demo", "-o", tmp_path / "b.mp4", "--mic", "demo", "--engine", "broken")
    assert done.returncode == 2
    assert "cannot load engine broken of broken:ENGINE: ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_takes_the_name_of_an_engine_that_is_there(tmp_path: Path) -> None:
    environment = toys.install(tmp_path / "site", "thief", "1 / 0\n", registry.GROUP, "mouthbank", "ENGINE")
    done = run(environment, "engines")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("mouthbank") == 1


def test_an_engine_takes_its_own_options_only() -> None:
    with pytest.raises(ConfigError, match="engine passthrough takes no --strength"):
        registry.create("passthrough", strength=1.5)
    with pytest.raises(BundleError, match="unknown engine 'dreams'; choose one of mouthbank, passthrough"):
        registry.create("dreams")
    registry.create_with_known("passthrough", strength=1.5).close()
    with pytest.raises(ConfigError, match="cannot learn a person for engine passthrough"):
        registry.identity_kind("passthrough")


@pytest.mark.parametrize("name", [name for name in registry.ENGINES if not registry.engine(name).needs_bundle])
def test_what_an_engine_says_of_itself_is_true(name: str) -> None:
    from realtime_dub.mouth import contract

    engine, generator = registry.engine(name), registry.create(name)
    assert generator.name == engine.name == name
    assert isinstance(generator, contract.GivesBlendshapes) == engine.blendshapes
    assert isinstance(generator, contract.LearnsIdentity) == engine.learns_identity
    assert isinstance(generator, contract.HasStrength) == ("strength" in engine.options)
    assert isinstance(generator, contract.RestsInSilence) == ("silence" in engine.options)
    assert isinstance(generator, contract.GeneratesBatches) == (engine.file_batch > 1)
    assert engine.options <= set(registry.OPTIONS)
    generator.close()
