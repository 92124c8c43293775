"""An avatar's drawing, its recorded motion, its folder: what needs no trained network."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from realtime_dub.cli import run
from realtime_dub.clock import VirtualClock
from realtime_dub.config import FileConfig, build
from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.face.landmarks import LIPS_INNER, mean_lip_opening
from realtime_dub.face.types import Pose
from realtime_dub.media import Image
from realtime_dub.mouth import registry
from realtime_dub.mouth.avatar.body import FEATURES, Body
from realtime_dub.mouth.avatar.canvas import covering
from realtime_dub.mouth.avatar.edges import INSIDE_COLOUR, Square, edges
from realtime_dub.mouth.avatar.folder import ABOUT, PERSON, About, Person, Recording, read_about, read_person
from realtime_dub.mouth.avatar.painter import laid, scaled
from realtime_dub.mouth.avatar.pose import AvatarPose
from realtime_dub.mouth.avatar.recorded import RecordedMotion, swung
from realtime_dub.pipeline import assembly
from realtime_dub.pipeline.file import avatars
from realtime_dub.sources.demo_voice import DemoVoiceSource
from realtime_dub.sources.registry import kind_of, open_video

pytestmark = pytest.mark.computes

SIZE, FRAMES = 192, 50
STRAIGHT = Pose(np.eye(3, dtype=np.float32), 60.0, np.array([144, 130, 0], np.float32))
SQUARE = Square(0, 0, 288)
# Of one drawing: it is the same on every machine, or a net sees what it did not learn.
DRAWN = "4f9029d506bd9634254e6807efcfee67997677b0f1f695ccd2a586fc6c420a00"


def body() -> Body:
    middle = np.array([60, 280, 230, 280, 80, 560, 210, 560], np.float32)
    weights = np.zeros((FEATURES, 8), np.float32)
    weights[0, ::2] = 0.5  # it goes half of the head's way
    return Body(np.array([144, 130, 60, 0, 0, 0], np.float32), weights, middle)


def picture_of(pose: Pose, canonical: np.ndarray = TEMPLATE) -> Image:
    return edges(AvatarPose(canonical, pose), body().places(pose), SQUARE, SIZE)


def moved(x: float) -> Pose:
    return Pose(STRAIGHT.rotation, STRAIGHT.scale, STRAIGHT.shift + np.array([x, 0, 0], np.float32))


def arrays() -> dict[str, np.ndarray]:
    """A person whose head goes from left to right, and who blinks once."""
    upper = np.zeros((FRAMES, 478, 3), np.float32)
    upper[20:23, 159, 1] = 0.05
    shift = np.tile(STRAIGHT.shift, (FRAMES, 1))
    shift[:, 0] += np.linspace(-8, 8, FRAMES)
    known = body()
    return {
        "neutral": TEMPLATE,
        "body_mean": known.mean,
        "body_weights": known.weights,
        "body_middle": known.middle,
        "rotation": np.tile(STRAIGHT.rotation, (FRAMES, 1, 1)),
        "scale": np.full(FRAMES, STRAIGHT.scale, np.float32),
        "shift": shift.astype(np.float32),
        "upper": upper,
    }


def write_avatar(folder: Path) -> Path:
    """All of an avatar but its network."""
    folder.mkdir()
    recording = Recording(name="me.mp4", sha256="0" * 64, width=288, height=288)
    about = About(recording=recording, square=(0, 0, 288), stored=288, prepared=True)
    (folder / ABOUT).write_text(about.model_dump_json())
    np.savez(folder / PERSON, **arrays())
    for name in ("plate.png", "rest.png"):
        cv2.imwrite(str(folder / name), np.full((288, 288, 3), 90, np.uint8))
    return folder


def test_the_same_pose_gives_the_same_bits() -> None:
    one = picture_of(STRAIGHT)
    assert one.shape == (SIZE, SIZE, 3)
    assert hashlib.sha256(one.tobytes()).hexdigest() == DRAWN


def test_a_tenth_of_a_pixel_is_drawn() -> None:
    """Lines are anti-aliased: a head that moves by less than a pixel does not stand still and then jump."""
    steps = [picture_of(moved(x)).astype(int) for x in (0.0, 0.15, 0.3, 0.45)]
    changes = [np.abs(after - before).sum() for before, after in itertools.pairwise(steps)]
    assert min(changes) > 0.3 * max(changes) > 0


def test_an_open_mouth_is_filled_and_a_body_follows_the_head() -> None:
    wide = TEMPLATE.copy()
    wide[LIPS_INNER[11:], 1] += 0.3
    shut, opened = (int((picture_of(STRAIGHT, each) == INSIDE_COLOUR).all(-1).sum()) for each in (TEMPLATE, wide))
    assert opened > shut + 100
    first, second = (body().places(moved(x))[:, 0] for x in (0.0, 20.0))
    assert np.allclose(second - first, 10)


def test_points_that_are_no_numbers_draw_something() -> None:
    broken = TEMPLATE.copy()
    broken[:50] = np.nan
    assert picture_of(STRAIGHT, broken).any()


def test_a_person_is_laid_over_what_is_behind() -> None:
    painted = np.zeros((4, 2, 2), np.float32)
    painted[0], painted[3, 0] = 1, 1  # blue; of the upper row alone the person's
    found = laid(*scaled(painted, 2), np.full((2, 2, 3), 40, np.uint8))
    assert found[0, 0].tolist() == [255, 0, 0]
    assert found[1, 1].tolist() == [40, 40, 40]


def test_recorded_motion_swings_and_the_mouth_speaks() -> None:
    motion = RecordedMotion(Person(arrays()), 25)
    assert mean_lip_opening(motion.at(0).canonical) == pytest.approx(mean_lip_opening(TEMPLATE))
    source = DemoVoiceSource()
    rate = source.open().rate
    voice = np.concatenate([source.read().samples[:, 0] for _ in range(400)])
    source.close()
    spoken = np.interp(np.arange(0, len(voice) / rate, 1 / 16_000), np.arange(len(voice)) / rate, voice)
    motion.hear(spoken.astype(np.float32), 0)
    poses = [motion.at(k * 40_000_000) for k in range(min(90, motion.heard_until_ns() // 40_000_000))]
    openings = mean_lip_opening(np.stack([each.canonical for each in poses]))
    assert np.ptp(openings) > 0.05
    at = np.array([each.pose.shift[0] for each in poses])
    assert at.min() >= 136 - 1e-3
    assert at.max() <= 152 + 1e-3
    assert np.abs(np.diff(at)).max() < 0.4  # no jump where it turns
    assert swung(49.5, 50)[:2] == (49, 48)


def test_an_avatar_is_a_picture_source(tmp_path: Path) -> None:
    folder = str(write_avatar(tmp_path / "me.avatar"))
    assert kind_of(folder) == "avatar"
    assert kind_of(str(tmp_path)) == "file"
    source = open_video(folder, clock=VirtualClock(), live=False)
    info = source.open()
    frames = [source.read() for _ in range(3)]
    source.close()
    assert (info.width, info.height, info.name) == (288, 288, "me.avatar")
    assert [frame.pts_ns for frame in frames] == [0, 40_000_000, 80_000_000]


def test_it_brings_its_engine(tmp_path: Path) -> None:
    folder = write_avatar(tmp_path / "me.avatar")
    config = build(FileConfig, input=str(folder), output=tmp_path / "o.mp4", mic="demo")
    chosen = assembly.with_avatar(config, config.input)
    assert (chosen.engine, chosen.bundle) == ("avatar", folder)
    with pytest.raises(ConfigError, match="cannot use --engine lipgan with the avatar"):
        assembly.with_avatar(config.model_copy(update={"engine": "lipgan"}), config.input)
    other = build(FileConfig, input="demo", output=tmp_path / "o.mp4", mic="demo")
    assert assembly.with_avatar(other, other.input) is other


def test_what_is_wrong_with_a_folder_is_one_line(tmp_path: Path) -> None:
    folder = write_avatar(tmp_path / "me.avatar")
    with pytest.raises(BundleError, match=r"cannot read bundle .*picture/spec\.json"):
        registry.create("avatar", bundle=folder)
    with pytest.raises(ConfigError, match="no avatar for engine avatar"):
        registry.create("avatar")
    with pytest.raises(BundleError, match="no avatar in"):
        read_about(tmp_path)
    np.savez(folder / PERSON, **(arrays() | {"scale": np.zeros(3, np.float32)}))
    with pytest.raises(BundleError, match="its numbers do not fit"):
        read_person(folder)
    (folder / PERSON).write_bytes(b"no archive")
    with pytest.raises(BundleError, match="damaged avatar"):
        read_person(folder)
    (folder / ABOUT).write_text(json.dumps({"version": 2}))
    with pytest.raises(BundleError, match="damaged avatar"):
        read_about(folder)


def test_another_recording_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, film = write_avatar(tmp_path / "me.avatar"), tmp_path / "me.mp4"
    film.write_bytes(b"a film")
    arguments = ["avatar", "--video", str(film), "--mic", "demo", "-o", str(tmp_path / "out.mp4")]
    assert run([*arguments, "--avatar", str(folder)]) == 2
    assert "it is of another recording" in capsys.readouterr().err
    film.unlink()
    assert run(arguments) == 2
    assert "cannot read" in capsys.readouterr().err


def test_what_is_behind_may_be_a_colour_or_a_picture(tmp_path: Path) -> None:
    assert assembly.backdrop_of("white").tolist() == [[[255, 255, 255]]]
    cv2.imwrite(str(tmp_path / "b.png"), np.full((40, 60, 3), 7, np.uint8))
    picture = assembly.backdrop_of(str(tmp_path / "b.png"))
    assert covering(picture, (32, 32)).shape == (32, 32, 3)
    assert (covering(assembly.backdrop_of("#010203"), (8, 8)) == (3, 2, 1)).all()
    with pytest.raises(ConfigError, match="cannot use --backdrop 'nowhere"):
        assembly.backdrop_of("nowhere.png")


@pytest.mark.parametrize(
    ("needs", "arguments", "message"),
    [
        ("no_such_module", "--mic demo -o out.mp4", "cannot train an avatar: no_such_module is missing; run: pip"),
        ("av", "--mic nobody.wav -o out.mp4", "no such file: 'nobody.wav'; name a file with the voice"),
        ("av", "--mic demo -o nowhere/out.mp4", "cannot write nowhere/out.mp4: there is no folder"),
        ("av", "--mic demo -o out", "unknown output 'out'; choose a file name that ends in"),
    ],
)
def test_what_would_fail_behind_an_hour_of_training_fails_before_it(
    needs: str, arguments: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(avatars, "NEEDS", needs)
    Path("me.mp4").write_bytes(b"a film")
    assert run(["avatar", "--video", "me.mp4", *arguments.split()]) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
    assert [path.name for path in tmp_path.iterdir()] == ["me.mp4"]
