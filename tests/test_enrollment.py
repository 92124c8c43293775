"""Enrolment from a picture and from a video, through the real sources and the real tracker."""

from __future__ import annotations

import contextlib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from films import steady, write_film
from test_file_ends import largest_file

from realtime_dub.clock import VirtualClock
from realtime_dub.errors import ConfigError, EndOfStream, MediaError
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.paths import WholeFile
from realtime_dub.pipeline.file.enrolment import enroll
from realtime_dub.sources.registry import open_video
from tests.faces import portrait
from tests.test_calibration import open_mouth

pytestmark = pytest.mark.computes


def write_video(path: Path, pictures: list[np.ndarray]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for k, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "bgr24")
            frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_still_is_looked_at_once(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "me.png"), portrait())
    steps: list[int] = []
    said = enroll(str(tmp_path / "me.png"), tmp_path / "me.bank", progress=lambda done, _: steps.append(done))
    assert steps == [1]
    assert len(Bank.load(tmp_path / "me.bank").mouths) == 1
    assert "hardly open" in said


def test_a_video_is_looked_at_to_its_end(tmp_path: Path) -> None:
    picture = portrait()[:, : portrait().shape[1] // 2 * 2]
    video = write_video(tmp_path / "me.mp4", [picture] * 12)
    said = enroll(str(video), tmp_path / "me.bank")
    bank = Bank.load(tmp_path / "me.bank")
    assert bank.frozen
    assert bank.neutral is not None
    assert "from 12 frames" in said


def test_mouths_of_a_video_are_drawn_and_read_again(tmp_path: Path) -> None:
    opened = open_mouth().frame.image
    pictures = [picture[:, : picture.shape[1] // 2 * 2] for picture in (portrait(), opened)]
    video = write_video(tmp_path / "me.mp4", [pictures[0]] * 8 + [pictures[1]] * 8)
    observed, tracker = Bank(), MediaPipeTracker()
    source = open_video(str(video), clock=VirtualClock(), live=False)
    source.open()
    with contextlib.suppress(EndOfStream):
        while True:
            observed.observe(tracker.track(source.read()))
    source.close()
    tracker.close()
    enroll(str(video), tmp_path / "me.bank")
    bank = Bank.load(tmp_path / "me.bank")
    assert len(bank.mouths) == len(observed.mouths) >= 2
    moved = [np.abs(a.shape - b.shape).max() for a, b in zip(bank.mouths, observed.mouths, strict=True)]
    assert max(moved) > 1e-4
    assert max(moved) < 0.15
    assert (
        max(mouth.max_lip_opening for mouth in bank.mouths) - min(mouth.max_lip_opening for mouth in bank.mouths) > 0.1
    )


def test_without_a_face_nothing_is_written(tmp_path: Path) -> None:
    video = write_video(tmp_path / "wall.mp4", [np.full((120, 160, 3), 90, np.uint8)] * 5)
    with pytest.raises(MediaError, match="no face was found"):
        enroll(str(video), tmp_path / "me.bank")
    assert not (tmp_path / "me.bank").exists()


@pytest.mark.parametrize("sound_ms", [0, 400])
def test_a_film_in_which_nobody_is_heard_for_long_says_what_the_bank_lacks(sound_ms: int, tmp_path: Path) -> None:
    film = write_film(tmp_path / "me.mp4", steady(10), lambda k: portrait(), sound_ms=sound_ms)
    why = "too little of their voice was heard" if sound_ms else "no voice of theirs was heard"
    assert f"; not how the person talks: {why}" in enroll(str(film), tmp_path / "me.bank")


def test_a_camera_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="record a minute"):
        enroll("0", tmp_path / "me.bank")


def test_a_bank_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "me.png"), portrait())
    with pytest.raises(MediaError, match=r"cannot write .*there is no folder .*; choose a folder"):
        enroll(str(tmp_path / "me.png"), tmp_path / "nowhere" / "me.bank")


@pytest.mark.parametrize("size", [100, 70_000])  # there is no room to try, or only that
def test_a_full_disk_leaves_the_bank_from_before(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2.imwrite(str(tmp_path / "me.png"), portrait())
    monkeypatch.setattr(Bank, "save", lambda bank, path: WholeFile(path).write(bytes(100_000)))
    bank = tmp_path / "me.bank"
    bank.write_bytes(b"mine")
    with largest_file(size), pytest.raises(MediaError, match=r"cannot write .*me\.bank: file too large"):
        enroll(str(tmp_path / "me.png"), bank)
    assert bank.read_bytes() == b"mine"
    assert {path.name for path in tmp_path.iterdir()} == {"me.png", "me.bank"}
