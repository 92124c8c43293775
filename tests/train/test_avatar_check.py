"""Every kind of bad recording gets its own sentence, a good one none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from avatars import make_film
from faces import portrait
from films import steady, write_film
from stage_runs import execute

from engines.avatar import check
from engines.avatar.check import Finding
from engines.avatar.cutting import MATTE, PICTURES, Cut, _save
from engines.avatar.mattes import write_exact
from engines.common.dataset import INDEX, Dataset, Entry, Track
from realtime_dub import cli
from realtime_dub.face.alignment import LOWER, TEMPLATE
from realtime_dub.face.landmarks import LIPS_INNER
from realtime_dub.mouth.avatar.folder import About, Recording

pytestmark = pytest.mark.computes

FRAMES, SIDE, RATE = 250, 240, 16_000
ABOUT = About(
    recording=Recording(name="me.mp4", sha256="0" * 64, width=SIDE, height=SIDE), square=(0, 0, SIDE), stored=SIDE
)


def talking() -> tuple[np.ndarray, np.ndarray]:
    """Whether somebody speaks (FRAMES,), in words of half a second, and how far the mouth opens."""
    at = np.arange(FRAMES)
    spoken = at // 12 % 2 == 0
    return spoken, np.where(spoken, 0.06 + 0.05 * np.sin(at * 1.3), 0.0).astype(np.float32)


def track(entry: Entry | None = None, scale: float = 40.0) -> Track:
    spoken, opening = talking()
    canonical = np.tile(TEMPLATE, (FRAMES, 1, 1))
    canonical[:, LIPS_INNER[11:], 1] += opening[:, None]
    rng = np.random.default_rng(0)
    loud = np.repeat(np.where(spoken, 0.1, 0.001), RATE // 25)
    return Track(
        entry or Entry("take", "me", "train", FRAMES),
        canonical,
        np.tile(np.eye(3, dtype=np.float32), (FRAMES, 1, 1)),
        np.full(FRAMES, scale, np.float32),
        np.tile(np.array([120, 110, 0], np.float32), (FRAMES, 1)),
        np.ones(FRAMES, bool),
        (loud * rng.standard_normal(len(loud))).astype(np.float32),
        np.repeat(spoken, 4),
    )


def stored(root: Path, picture: np.ndarray, sure: float = 0.9, hand: bool = False) -> Dataset:
    """A data set of one track, each of whose pictures is ``picture``."""
    root.mkdir()
    (root / INDEX).write_text('{"track": "take", "speaker": "me", "part": "train", "frames": 10}\n')
    jpeg, png = (cv2.imencode(kind, each)[1].tobytes() for kind, each in ((".jpg", picture), (".png", picture[..., 0])))
    joints = np.tile(np.array([60, 200, sure], np.float32), (4, 1))
    numbers = list(range(10))
    _save(root, "take", Cut(numbers, [jpeg] * 10, [png] * 10, numbers, [joints] * 10, [hand] * 10))
    return Dataset(root)


def lit_face(level: int, spread: int = 40, right: float = 1.0) -> np.ndarray:
    """A picture of stripes about ``level``, its right half ``right`` times as light."""
    image = np.full((SIDE, SIDE, 3), level, np.float32)
    image[::2] += spread
    image[1::2] -= spread
    image[:, 120:] *= right
    return np.clip(image, 0, 255).astype(np.uint8)


def faults(*findings: Finding) -> str:
    return "; ".join(each.fault for each in findings if each.fault)


def test_a_good_recording_has_no_fault(tmp_path: Path) -> None:
    good, dataset = track(), stored(tmp_path / "data", lit_face(130))
    findings = [check.frontal([good]), *check.sound([good]), *check.light([good], dataset, ABOUT), check.hands(dataset)]
    findings += check.framed([track()], ABOUT, dataset)
    assert faults(*findings) == ""
    assert check.length([replace(good, seen=np.ones(5_000, bool))]).fault == ""


def test_a_short_one(tmp_path: Path) -> None:
    assert "the recording is short: a face is seen for 10 s" in str(check.length([track()]))
    assert "record 3 minutes and more" in str(check.length([track()]))


def test_a_turned_or_a_nodding_head() -> None:
    for axis, way in ((1, "aside"), (0, "up or down")):
        turn = np.zeros(3)
        turn[axis] = np.radians(30)
        turned = replace(track(), rotation=np.tile(cv2.Rodrigues(turn)[0].astype(np.float32), (FRAMES, 1, 1)))
        assert f"the head is turned {way} by 30 degrees; look into the camera" in str(check.frontal([turned]))


def test_a_small_face_and_one_without_shoulders(tmp_path: Path) -> None:
    dataset = stored(tmp_path / "data", lit_face(130))
    assert "the face is small" in faults(*check.framed([track(scale=15.0)], ABOUT, dataset))
    assert "shoulders are not in the picture" in faults(*check.framed([track(scale=120.0)], ABOUT, dataset))
    unseen = stored(tmp_path / "unseen", lit_face(130), sure=0.1)
    assert "shoulders are not in the picture" in faults(*check.framed([track()], ABOUT, unseen))


def test_hands(tmp_path: Path) -> None:
    assert "hands are in the picture" in str(check.hands(stored(tmp_path / "data", lit_face(130), hand=True)))


@pytest.mark.parametrize(
    ("picture", "fault"),
    [
        (lit_face(40, 20), "the face is dark"),
        (lit_face(230, 20), "the face is overexposed"),
        (lit_face(130, 5), "hardly any contrast"),
        (lit_face(130, 40, right=0.4), "lit from one side"),
    ],
)
def test_light(tmp_path: Path, picture: np.ndarray, fault: str) -> None:
    assert fault in faults(*check.light([track()], stored(tmp_path / "data", picture), ABOUT))


def test_sound() -> None:
    good = track()
    assert "the voice is quiet" in faults(*check.sound([replace(good, audio=good.audio * 0.03)]))
    assert "the voice is cut off" in faults(*check.sound([replace(good, audio=np.clip(good.audio * 40, -1, 1))]))
    noise = 0.03 * np.random.default_rng(1).standard_normal(len(good.audio)).astype(np.float32)
    assert "there is noise" in faults(*check.sound([replace(good, audio=good.audio + noise)]))


def test_a_second_speaker() -> None:
    """Somebody speaks where these lips rest."""
    good = track()
    always = replace(good, speech=np.ones_like(good.speech))
    canonical = good.canonical.copy()
    canonical[:180, LOWER] = TEMPLATE[LOWER]
    assert "somebody else is heard" in faults(*check.sound([replace(always, canonical=canonical)]))


def test_two_faces(tmp_path: Path) -> None:
    face = portrait(240)[:, 40:240]
    both = np.ascontiguousarray(np.concatenate([face, face], 1))
    for picture, wrong in ((face, False), (both, True)):
        film = write_film(tmp_path / f"{wrong}.mp4", steady(60), lambda _, shown=picture: shown)
        assert bool(check.faces(film).fault) == wrong


def test_the_page_has_all_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "me.avatar"
    folder.mkdir()
    dataset = stored(folder / "data", lit_face(130))
    (folder / "avatar.json").write_text(ABOUT.model_dump_json())
    plate = cv2.imencode(".png", lit_face(130))[1].tobytes()
    (folder / "plate.png").write_bytes(plate)
    write_exact(folder, ["take"])
    found = [check.length([track()]), check.frontal([track()])]
    text = check.report(folder, found, dataset).read_text()
    assert "1 thing to mend." in text
    assert "| length | 10 s with a face | the recording is short: a face is seen for 10 s; record 3 minutes" in text
    assert "| view | 0 degrees aside, 0 up or down | good |" in text
    assert cv2.imread(str(folder / "pictures" / "recording.png")).shape == (384, 6 * 192, 3)
    assert (folder / "data" / PICTURES / "take.npz").exists()
    assert (folder / "data" / MATTE / "take.npz").exists()


@pytest.mark.slow
def test_what_cannot_work_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody in it, nothing said, no sound, no film: one line each, and what to do."""
    grey, face = np.full((240, 240, 3), 90, np.uint8), portrait(240)[:, :240]
    films = {
        "nobody": (
            write_film(tmp_path / "nobody.mkv", steady(50), lambda _: grey, sound_ms=2000),
            "give a film of one",
        ),
        "silent": (
            write_film(tmp_path / "silent.mkv", steady(50), lambda _: face, sound_ms=2000),
            "only silence",
        ),
        "mute": (write_film(tmp_path / "mute.mkv", steady(50), lambda _: face), "no audio in"),
        "text": (tmp_path / "text.mkv", "cannot"),
    }
    films["text"][0].write_text("no film")
    for name, (film, told) in films.items():
        folder = tmp_path / f"{name}.avatar"
        assert execute(monkeypatch, "train-engine", "avatar", "--video", film, "-o", folder) == 2
        error = capsys.readouterr().err
        assert told in error, error
        assert error.count("\n") == 1, error
        assert not (folder / "picture").exists()


@pytest.mark.slow
def test_an_avatar_that_is_absent_is_made_and_what_hinders_it_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The command starts the training kit; a film of a moment is refused there, before anything is trained."""
    film = make_film(tmp_path / "me.mkv", 2.0)
    arguments = ["avatar", "--video", str(film), "--mic", "demo", "-o", str(tmp_path / "o.mp4")]
    assert cli.run(arguments) == 2
    error = capfd.readouterr().err
    assert "a face is seen for 2.0 s of it; give a film with 5 s and more" in error
    assert "no avatar was made of" in error
    assert (tmp_path / "me.avatar" / "avatar.json").is_file()
