"""landmark-dub as it runs: the shipped net's stream, its mouth on a face, and what a bundle must be."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from faces import opening_of, portrait, tracked_portrait
from hypothesis import given, settings
from hypothesis import strategies as st
from test_motion import opening_change, syllables

from realtime_dub.audio.frontends.mfcc import Mfcc
from realtime_dub.blend.composite import Compositor
from realtime_dub.config import FileConfig, build
from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.face.alignment import LOWER, TEMPLATE
from realtime_dub.face.landmark_files import read
from realtime_dub.face.scheme68 import AROUND, openness, scheme68
from realtime_dub.face.sparse_lips import lower_face
from realtime_dub.inference.bundle import load_default
from realtime_dub.media import MS, NS
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import GivesBlendshapes, GivesLandmarks
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.landmark_dub import LandmarkDubGenerator
from realtime_dub.mouth.mouthbank.landmarks import LandmarkStream
from realtime_dub.pipeline.file.run import run_file

pytestmark = pytest.mark.computes

RATE = 16_000
ORIGIN_NS = 7_123_456_789
HOP_NS = 40 * MS
BUNDLE = load_default("landmark-dub")
DELAY = BUNDLE.look_ahead_ms // 40


def heard(sound: np.ndarray, sizes: list[int], neutral: np.ndarray | None = None) -> LandmarkStream:
    stream = LandmarkStream(BUNDLE)
    stream.meet(neutral)
    at, turn = 0, 0
    while at < len(sound):
        part = sound[at : at + sizes[turn % len(sizes)]]
        stream.hear(part, ORIGIN_NS + at * NS // RATE)
        at, turn = at + len(part), turn + 1
    return stream


def trace(stream: LandmarkStream, seconds: float) -> np.ndarray:
    """Every 10 ms: any rate of frames, and none."""
    return np.stack([stream.at(ORIGIN_NS + k * 10 * MS).displacement for k in range(round(100 * seconds))])


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 4000), min_size=1, max_size=4))
def test_chunks_of_any_size_give_the_same_mouth(sizes: list[int]) -> None:
    sound = syllables(2)
    assert np.abs(trace(heard(sound, sizes), 1.6) - trace(heard(sound, [len(sound)]), 1.6)).max() < 1e-5


def test_a_mouth_is_the_nets_lips_less_those_of_silence() -> None:
    """Against the network run by hand: what it gives after frame n + delay is the mouth at ``origin + n`` hops."""
    sound, session = syllables(2), BUNDLE.session()
    cepstra = Mfcc(BUNDLE.spec.audio).process(sound)
    state = {each.before: np.zeros(each.shape, np.float32) for each in BUNDLE.spec.states}
    face = np.repeat(TEMPLATE[AROUND, :2][None], len(cepstra), 0)
    silence = {"cepstra": np.zeros((1, 50, 12), np.float32), "face": face[None, :1].repeat(50, 1), **state}
    rested = session.run(silence)
    rest, state = rested["lips"][0, -1], {each.before: rested[each.after] for each in BUNDLE.spec.states}
    lips = session.run({"cepstra": cepstra[None], "face": face[None], **state})["lips"][0]
    wanted = lower_face((lips - rest) / np.linalg.norm(rest[6] - rest[0]))
    stream = heard(sound, [777])
    for k in (5, 20, 33):
        assert np.abs(stream.at(ORIGIN_NS + k * HOP_NS).displacement - wanted[k + DELAY]).max() < 1e-5
    between = (wanted[20 + DELAY] + wanted[21 + DELAY]) / 2
    assert np.abs(stream.at(ORIGIN_NS + 20 * HOP_NS + HOP_NS // 2).displacement - between).max() < 1e-5


def test_silence_is_rest_and_syllables_open() -> None:
    assert np.abs(trace(heard(np.zeros(2 * RATE, np.float32), [1600]), 1.8)).max() < 0.02
    opened = opening_change(trace(heard(syllables(3), [1600]), 2.0))
    assert opened.max() > 0.05
    assert np.abs(opened[:30]).max() < 0.03


def test_another_face_is_another_mouth_and_one_that_trembles_is_not() -> None:
    sound = syllables(2)
    long = TEMPLATE * np.float32([0.9, 1.15, 1])
    trembling = TEMPLATE + np.float32(0.005)
    moved, other, same = (trace(heard(sound, [1600], face), 1.6) for face in (TEMPLATE, long, trembling))
    assert np.array_equal(moved, same)
    assert np.abs(moved - other).max() > 1e-4
    assert np.corrcoef(opening_change(moved), opening_change(other))[0, 1] > 0.8


def test_what_is_known_lags_by_half_a_window_and_the_look_ahead() -> None:
    stream = heard(np.zeros(RATE, np.float32), [331])
    lag = ORIGIN_NS + NS - stream.heard_until_ns()
    declared = LandmarkDubGenerator().latency()
    assert lag <= declared.look_ahead_ns + declared.front_end_ns + 1
    assert (declared.look_ahead_ns, declared.front_end_ns) == (BUNDLE.look_ahead_ms * MS, 100 * MS)


def test_a_hole_in_the_sound_begins_anew() -> None:
    stream = heard(syllables(2), [1600])
    stream.hear(np.zeros(RATE, np.float32), ORIGIN_NS + 60 * NS)
    assert np.abs(stream.at(ORIGIN_NS + 60 * NS + 500 * MS).displacement).max() < 0.02


def test_a_face_speaks_and_its_landmarks_are_those_of_the_drawing() -> None:
    generator, seen = LandmarkDubGenerator(), tracked_portrait()
    assert isinstance(generator, GivesLandmarks)
    assert isinstance(generator, GivesBlendshapes)
    sound = syllables(4)
    generator.hear(sound, 0)
    opened, told = [], []
    for k in range(45):
        tracked = replace(seen, frame=replace(seen.frame, pts_ns=k * HOP_NS, seq=k))
        patch = generator.generate(tracked, k * HOP_NS)
        landmarks = generator.landmarks()
        assert landmarks is not None
        assert landmarks.shape == (68, 2)
        assert np.array_equal(landmarks[:17], scheme68(seen.face.points)[:17, :2]) or patch is not None
        told.append(float(openness(landmarks[48:])))
        if k in (2, 17, 18, 19, 20):
            image = seen.frame.image if patch is None else Compositor().compose(tracked, patch, 1.0)
            opened.append(opening_of(image))
    assert max(opened[1:]) > opened[0] + 0.04
    assert max(told) > told[2] + 1.0
    assert generator.generate(replace(seen, face=None), 0) is None
    assert generator.landmarks() is None


def test_the_registry_knows_it_and_rooms_take_each_others_bundles_for_what_they_are() -> None:
    assert "landmark-dub" in registry.names()
    assert registry.engine("landmark-dub").learns_identity
    assert not registry.engine("landmark-dub").needs_bundle
    with pytest.raises(BundleError, match="it is for the engine landmark-dub; give --engine landmark-dub"):
        MouthbankGenerator(BUNDLE.folder)
    with pytest.raises(BundleError, match="it is for the engine mouthbank"):
        LandmarkDubGenerator(load_default("mouthbank").folder)


@pytest.mark.parametrize(
    "change",
    [
        {"points": list(range(20))},
        {"shown": []},
        {"inputs": [{"name": "cepstra", "shape": [1, "time", 12]}]},
        {"outputs": [{"name": "lips", "shape": [1, "time", 19, 2]}]},
    ],
)
def test_a_bundle_of_other_landmarks_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(BUNDLE.folder, tmp_path / "bundle"))
    spec = json.loads((folder / "spec.json").read_text())
    (folder / "spec.json").write_text(json.dumps(spec | change))
    with pytest.raises(BundleError, match="its tensors or points do not fit"):
        LandmarkDubGenerator(folder)


def test_the_shipped_bundle_is_small_and_says_what_it_was_learnt_from() -> None:
    spec = BUNDLE.spec
    assert spec.points == tuple(scheme68(np.arange(478)[:, None])[48:, 0].astype(int))
    assert len(LOWER) == 168
    licences = {data.licence for data in spec.training_data}
    assert licences == {"CC BY 4.0", "CC0", "free for commercial and other use (OpenSLR 101)"}
    assert sum(path.stat().st_size for path in BUNDLE.folder.iterdir()) < 8_000_000


# A film, and what is kept of it.


def test_a_still_is_dubbed_and_its_landmarks_are_kept(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    cv2.imwrite(str(source), portrait(360))
    kept = {
        "save_landmarks": tmp_path / "all.npz",
        "preview": tmp_path / "lines.mkv",
        "openness": tmp_path / "plot.png",
    }
    config = build(
        FileConfig, input=str(source), mic="demo", output=tmp_path / "a.mkv", engine="landmark-dub", seconds=2, **kept
    )
    report = run_file(config)
    assert report.frames["fresh"] == report.frames["total"] == 50
    found = read(tmp_path / "all.npz")
    assert found.source == {
        "video": str(source),
        "voice": "demo",
        "engine": "landmark-dub",
        "weights": BUNDLE.label,
    }
    assert found.points.shape == (50, 68, 2)
    assert np.allclose(np.diff(found.times_s), 0.04)
    assert np.ptp(found.openness) > 0.04
    shown, lines = (_frames(tmp_path / name) for name in ("a.mkv", "lines.mkv"))
    assert shown.shape == lines.shape
    widest, narrowest = int(found.openness.argmax()), int(found.openness.argmin())
    assert opening_of(shown[widest]) > opening_of(shown[narrowest]) + 0.03
    assert np.abs(lines[widest].astype(int) - lines[narrowest]).max() > 60
    assert cv2.imread(str(tmp_path / "plot.png")) is not None


def _frames(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"engine": "passthrough", "save_landmarks": "a.npz"}, "no landmarks come from engine passthrough"),
        ({"engine": "landmark-dub", "save_landmarks": "a.txt"}, "cannot write landmarks into"),
        ({"engine": "landmark-dub", "openness": "a.csv"}, "a plot is an image"),
        ({"engine": "landmark-dub", "preview": "o.mkv"}, "cannot write two outputs to one file"),
        ({"engine": "landmark-dub", "openness": "in.png"}, "cannot overwrite an input file"),
    ],
)
def test_what_cannot_be_kept_is_said_before_the_run(changes: dict[str, str], says: str, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "in.png"), portrait(64))
    places = {name: tmp_path / each if name != "engine" else each for name, each in changes.items()}
    config = build(FileConfig, input=str(tmp_path / "in.png"), mic="demo", output=tmp_path / "o.mkv", **places)
    with pytest.raises(ConfigError, match=says):
        run_file(config)
