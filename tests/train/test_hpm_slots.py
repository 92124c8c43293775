"""Slots for voice, face and scene: files of other nets, or what the program makes itself, in training as in use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from stage_runs import prepared_film
from tiny import filmed, work

from engines.common.dataset import Dataset
from engines.hpm import data, stage
from engines.hpm.shapes import SMALL, VECTOR
from engines.hpm.slots import Slots, found_in, scene_of
from realtime_dub.errors import ConfigError
from realtime_dub.face.types import Face, Pose
from realtime_dub.inference.bundle import load
from realtime_dub.voice.contract import Line, SeenFilm, Wish
from realtime_dub.voice.hpm.features import VOICE_SCALE, net_voice
from realtime_dub.voice.hpm.film import say
from realtime_dub.voice.hpm.order import speaker_in
from realtime_dub.voice.hpm.rules import LOOK
from realtime_dub.voice.hpm.speaking import MelMaker, shown
from realtime_dub.voice.speaker import own_speakers

pytestmark = pytest.mark.computes
TINY = replace(SMALL, text_layers=1, lip_layers=1, decoder_layers=1, inner=16, prosody=16, postnet=16)


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(stage.PROFILES, "small", TINY)
    torch.set_num_threads(1)


def test_files_of_other_nets_come_first_and_have_to_be_whole(tmp_path: Path) -> None:
    dataset = Dataset(filmed(tmp_path, 3, 1, phones=True))
    wanted = Slots("net", "rule", "rule")
    assert found_in(dataset.entries, wanted) == wanted
    (tmp_path / "scene").mkdir()
    for entry in dataset.entries:
        np.save(entry.file("scene", ".npy"), np.full(VECTOR, 0.5, np.float32))
    slots = found_in(dataset.entries, wanted)
    assert slots == Slots("net", "rule", "other")
    assert (data.read_clips(dataset, "train", data.Reading(slots=replace(slots, voice="bands")))[0].scene == 0.5).all()
    np.save(dataset.entries[0].file("scene", ".npy"), np.zeros(9))
    with pytest.raises(ConfigError, match=r"cannot use the features of the scene: .*\(9,\); make them \(256,\)"):
        data.read_clips(dataset, "train", data.Reading(slots=slots))
    dataset.entries[2].file("scene", ".npy").unlink()
    with pytest.raises(ConfigError, match=r"scene for a part of the clips alone: no .*t2.npy"):
        found_in(dataset.entries, wanted)


def test_what_was_learnt_from_is_shown_in_use(tmp_path: Path) -> None:
    root = filmed(tmp_path / "data", 3, 1, phones=True)
    settings = stage.Settings(batch=2, voice="net", face="rule")
    engine = stage.HpmEngine(settings, work(root, tmp_path))
    maker = MelMaker(load(engine.export(engine.network(), tmp_path)))
    assert (maker.spec.voice, maker.spec.face, maker.spec.scene) == ("net", "rule", "none")
    dataset = Dataset(root)
    entry = dataset.entries[0]
    clip = data.read_clips(dataset, "train", data.Reading(slots=Slots("net", "rule")))[0]
    track = dataset.load(entry)
    times = np.arange(len(track.canonical)) / track.fps
    seen = shown(maker.spec, times, track.canonical, times[: len(clip.lips)], clip.voice, None)
    assert seen.face is not None
    assert np.abs(seen.face - clip.face).max() < 1e-3
    assert seen.scene is None
    sound = dataset.audio(entry)
    heard = speaker_in(sound, 16_000, maker.spec)
    assert np.linalg.norm(heard) == pytest.approx(VOICE_SCALE, rel=1e-3)
    own = [own_speakers().of(dataset.audio(each), 16_000) for each in dataset.entries if each.part == "train"]
    assert np.abs(clip.voice - net_voice(own)).max() < 1e-3
    with pytest.raises(ConfigError, match=r"it knows vectors of another net; give a .npy of it"):
        speaker_in(sound, 16_000, maker.spec.model_copy(update={"voice": "other"}))


def test_a_film_is_said_by_what_its_frames_look_like(tmp_path: Path) -> None:
    root = filmed(tmp_path / "data", 3, 1, phones=True)
    engine = stage.HpmEngine(stage.Settings(batch=2), work(root, tmp_path))
    maker = MelMaker(load(engine.export(engine.network(), tmp_path)))
    maker.spec = maker.spec.model_copy(update={"scene": "rule"})
    track = Dataset(root).load(Dataset(root).entries[0])
    pose = Pose(np.eye(3, dtype=np.float32), 60.0, np.zeros(3, np.float32))
    faces = [Face(points, points, pose) for points in track.canonical]
    times = np.arange(len(faces)) / 25

    def said(looks: np.ndarray | None) -> np.ndarray:
        film = SeenFilm(times, faces, 2.0, looks)
        return say([Line("blue")], film, Wish("en"), maker, None).samples

    plain, dark, light = (said(each) for each in (None, np.zeros((50, LOOK)), np.ones((50, LOOK))))
    assert len(plain) == 32_000
    assert np.abs(dark - light).max() > 1e-6
    assert np.array_equal(dark, said(np.zeros((50, LOOK))))


@pytest.mark.slow
def test_the_scene_of_a_track_is_that_of_its_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = prepared_film(monkeypatch, tmp_path)
    entries = Dataset(root).entries
    scenes = [scene_of(entry, Slots(scene="rule")) for entry in entries]
    assert all(each.shape == (VECTOR,) and each[:LOOK].any() for each in scenes)
    assert not scene_of(entries[0], Slots()).any()
    for video in (tmp_path / "film").rglob("*.mkv"):
        video.unlink()
    with pytest.raises(ConfigError, match="no video of track"):
        scene_of(entries[0], Slots(scene="rule"))
