"""An avatar's motion as ``train-engine`` makes it: expression, head, and what they do together."""

from __future__ import annotations

import json
import shutil
import sys
import wave
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from avatars import SMALL, SMALL_HEAD, recorded  # noqa: E402
from stage_runs import execute  # noqa: E402
from tiny import work  # noqa: E402

from engines.avatar_expression import network as expression  # noqa: E402
from engines.avatar_expression.data import Windows, make_basis  # noqa: E402
from engines.avatar_expression.stage import own_map_of  # noqa: E402
from engines.avatar_head import network as head  # noqa: E402
from engines.avatar_head import stage  # noqa: E402
from engines.avatar_head.recording import eye_opening, person_of, places_of  # noqa: E402
from engines.common import avatar_figures, avatar_preview, command  # noqa: E402
from engines.common import engine as engines  # noqa: E402
from engines.common.avatar import Heard, neutral_of, run_of  # noqa: E402
from engines.common.results import NET, read_net, ready, shaped  # noqa: E402
from realtime_dub.errors import BundleError, ConfigError  # noqa: E402
from realtime_dub.face.alignment import LOWER  # noqa: E402
from realtime_dub.inference import made_here  # noqa: E402
from realtime_dub.inference.bundle import load  # noqa: E402
from realtime_dub.inference.state import HostStream  # noqa: E402
from realtime_dub.media import MS, NS, samples_to_ns  # noqa: E402
from realtime_dub.mouth.avatar.motion import AvatarMotion  # noqa: E402
from realtime_dub.mouth.avatar.person import IDLE, Person  # noqa: E402

pytestmark = pytest.mark.computes

BEGIN_NS = 5 * NS


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for a few steps."""
    root = tmp_path_factory.mktemp("made")
    folder = root / "me.avatar"
    recorded(folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        patch.setattr(stage, "ROUNDS", 2)
        patch.setattr(stage, "LISTENED", 60)
        for name, text in (("avatar-expression", SMALL), ("avatar-head", SMALL_HEAD)):
            config = root / f"{name}.toml"
            config.write_text(text)
            engines.load(name).train(folder, config=config)
        assert made_here.was_made_here(load(folder / "head").spec.sha256["head.onnx"])
    return folder


def voice(seconds: float = 2.0) -> np.ndarray:
    """A noise that comes and goes."""
    rng = np.random.default_rng(1)
    count = int(seconds * 16_000)
    return (0.1 * np.sin(np.arange(count) / 3000).clip(0) * rng.standard_normal(count)).astype(np.float32)


def played(folder: Path, sound: np.ndarray, size: int, seed: int = 0) -> list:
    """The poses at 30 frames a second, the voice in pieces of ``size``."""
    motion = AvatarMotion(folder, seed=seed)
    for start in range(0, len(sound), size):
        motion.hear(sound[start : start + size], BEGIN_NS + samples_to_ns(start, 16_000))
    last = motion.heard_until_ns()
    return [motion.at(at) for at in range(BEGIN_NS, last, NS // 30)]


def test_sizes_are_the_published_ones() -> None:
    mouth, moves = expression.ExpressionNet(expression.PUBLISHED), head.HeadNet(head.PUBLISHED)
    assert sum(each.numel() for each in mouth.parameters()) == 327_397  # 0.33 million
    assert sum(each.numel() for each in moves.parameters()) == 4_266_608  # 4.27 million
    assert (head.PUBLISHED.channels, head.PUBLISHED.skip, head.PUBLISHED.receptive_field) == (128, 256, 255)


def test_an_expression_frame_by_frame_is_that_of_the_whole() -> None:
    torch.manual_seed(0)
    net = expression.ExpressionNet(expression.Shape(features=6)).eval()
    net.basis.normal_()
    windows = torch.randn(1, 30, 16, 6)
    past, frames = net.initial_state(), []
    with torch.no_grad():
        latents = torch.cat([past, net.read(windows[0])[None]], 1)
        whole = net.of_latents(latents)[0]
        for window in windows[0]:
            frame, past = net(window[None], past)
            frames.append(frame[0])
        assert torch.allclose(torch.stack(frames), whole, atol=1e-5)
        assert torch.allclose(net.sequence(windows)[0], whole[7:], atol=1e-5)


def test_a_head_frame_by_frame_is_that_of_the_whole() -> None:
    torch.manual_seed(0)
    net = head.HeadNet(head.Shape(features=6, told=8, channels=8, skip=8)).eval()
    windows, before = torch.randn(2, 150, 2, 6), torch.randn(2, 150, 12)
    with torch.no_grad():
        mean, spread, _ = net.sequence(windows, before, net.initial_state(2))
        past, found = net.initial_state(2), []
        for frame in range(150):
            own, wide, *past = net(windows[:, frame], before[:, frame], *past)
            found.append(torch.cat([own, wide.log()], 1))
    assert torch.allclose(torch.stack(found, 1), torch.cat([mean, spread], 2), atol=1e-5)


@pytest.mark.parametrize("name", ["expression", "head"])
def test_a_bundle_gives_what_its_net_gives(avatar: Path, name: str) -> None:
    kind, shape = {
        "expression": (expression.ExpressionNet, expression.Shape),
        "head": (head.HeadNet, head.Shape),
    }[name]
    tensors, values = read_net(run_of(avatar, name) / name / NET)
    net, bundle = ready(kind(shaped(shape, values)), tensors), load(avatar / name)
    past = net.initial_state()
    past = past if isinstance(past, list) else [past]
    stream = HostStream(bundle.session("cpu"), bundle.spec.states)
    rng = np.random.default_rng(0)
    for _ in range(12):
        feeds = {each.name: rng.normal(0, 1, (1, *each.shape[1:])).astype(np.float32) for each in bundle.spec.inputs}
        found = stream.run(feeds)
        stream.keep()
        with torch.no_grad():
            given = net(*(torch.from_numpy(each) for each in feeds.values()), *past)
        past = list(given[len(bundle.spec.outputs) :])
        for tensor, wanted in zip(bundle.spec.outputs, given, strict=False):
            np.testing.assert_allclose(found[tensor.name], wanted.numpy(), atol=1e-4)


def test_the_pieces_in_which_a_voice_comes_change_nothing(avatar: Path) -> None:
    sound = voice(4.5)  # longer than what the features remember
    whole = played(avatar, sound, len(sound))
    assert len(whole) > 45
    for size in (160, 1601):
        for one, other in zip(whole, played(avatar, sound, size), strict=True):
            np.testing.assert_allclose(one.canonical, other.canonical, atol=1e-5)
            np.testing.assert_allclose(one.pose.rotation, other.pose.rotation, atol=1e-5)
            np.testing.assert_allclose(one.pose.shift, other.pose.shift, atol=1e-3)  # pixels


def test_a_seed_is_another_head_and_the_same_mouth(avatar: Path) -> None:
    one, other = (played(avatar, voice(1.0), 1600, seed) for seed in (0, 1))
    assert any(np.abs(a.pose.rotation - b.pose.rotation).max() > 1e-4 for a, b in zip(one, other, strict=True))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.canonical[LOWER], b.canonical[LOWER])


def test_an_avatar_lives_where_nothing_is_heard(avatar: Path) -> None:
    motion = AvatarMotion(avatar)
    poses = [motion.at(BEGIN_NS + at * 40 * MS) for at in range(400)]
    assert np.std([each.pose.shift[1] for each in poses]) > 0
    opened = eye_opening(np.stack([each.canonical for each in poses]))
    assert opened.min() < 0.5 * np.median(opened)
    motion.hear(np.zeros(1600, np.float32), BEGIN_NS + 3600 * NS)  # an hour later
    assert np.isfinite(motion.at(BEGIN_NS + 3600 * NS).canonical).all()


def test_what_is_declared_is_enough(avatar: Path) -> None:
    """So much of the voice behind an instant, and its pose is known."""
    motion = AvatarMotion(avatar)
    latency, sound = motion.latency(), voice(1.0)
    motion.hear(sound, BEGIN_NS)
    end_ns = BEGIN_NS + samples_to_ns(len(sound), 16_000)
    assert motion.heard_until_ns() >= end_ns - latency.look_ahead_ns - latency.front_end_ns
    assert latency.look_ahead_ns == 160 * MS


def test_the_recording_tells_range_and_blinks(avatar: Path) -> None:
    dataset = work(avatar / "data", avatar).dataset
    entries = dataset.part("train")
    tracks = [dataset.load(entry) for entry in entries]
    person, blinking = person_of(tracks, neutral_of(dataset, entries))
    assert blinking.seen == len(tracks)
    assert blinking.per_minute == pytest.approx(30, rel=0.01)  # one in two seconds
    assert person.gaps_s.mean() == pytest.approx(2, rel=0.05)
    open_, shut = eye_opening(np.stack([person.neutral, person.neutral + person.lids]))
    assert shut < 0.4 * open_
    places = np.concatenate(places_of(person, tracks))
    assert places[:, 0].std() == pytest.approx(0.07, abs=0.02)
    pose = person.pose(places[3])
    np.testing.assert_allclose(pose.rotation, tracks[0].rotation[3], atol=0.02)
    np.testing.assert_allclose(pose.shift[:2], tracks[0].shift[3, :2], atol=0.5)


def test_a_persons_map_moves_the_face_as_before() -> None:
    rng = np.random.default_rng(0)
    motion = (rng.normal(0, 1, (300, 4)) @ rng.normal(0, 0.05, (4, 504))).reshape(-1, 168, 3).astype(np.float32)
    own = make_basis(motion, 8)
    assert own.explained == pytest.approx(1, abs=1e-4)
    earlier = torch.from_numpy(make_basis(motion[:50], 4).components)
    maps = torch.randn(3, 32, 4)
    moved = own_map_of(maps, earlier, own)[0] @ torch.from_numpy(own.components)
    np.testing.assert_allclose(moved.numpy(), (maps.mean(0) @ earlier).numpy(), atol=1e-3)


def test_windows_end_as_far_behind_a_frame_as_was_said() -> None:
    rows = np.arange(200, dtype=np.float32)[:, None]
    found = Windows(16, 8, 4).of(rows, np.array([-1.0], np.float32), 0, 10)
    assert found.shape == (17, 16, 1)
    assert found[7, -1] == 4  # frame 0
    assert found[16, -1] == 22  # frame 9: 360 ms and 80 more
    assert found[0].max() == -1  # before the sound


def test_lips_that_follow_the_voice_are_learnt(avatar: Path, tmp_path: Path) -> None:
    general = engines.stages_of("avatar-expression")["general"]
    settings = general.settings(batch=8, components=4, validation_tracks=2, noise=0.0)
    built = general.make(settings, work(avatar / "data", tmp_path / "general"))
    assert isinstance(built, engines.Engine)
    net = built.network().train()
    adam = torch.optim.Adam(net.parameters(), 3e-3)
    for step in range(60):
        loss = sum(built.losses(net, np.random.default_rng(step)).values())
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert built.check(net)["r"] > 0.8


def test_a_run_goes_on_and_says_when_it_may_not(avatar: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    with pytest.raises(ConfigError, match="--resume"):
        engines.load("avatar-head").train(avatar)
    bundle = run_of(avatar, "head") / "head" / "bundle"
    before = (bundle / "head.onnx").read_bytes()
    assert engines.load("avatar-head").train(avatar, resume=True) == avatar / "head"
    assert (avatar / "head" / "head.onnx").read_bytes() == before
    assert list((run_of(avatar, "expression") / "expression" / "tensorboard").glob("events*"))


def test_two_people_are_no_avatar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: object) -> None:
    recorded(tmp_path / "data", 2, 1)
    (tmp_path / "data" / "tracks.jsonl").write_text(
        (tmp_path / "data" / "tracks.jsonl").read_text().replace('"validation"', '"train"', 1)
    )
    root = recorded(tmp_path / "two", 3, 1)
    text = (root / "tracks.jsonl").read_text()
    (root / "tracks.jsonl").write_text(text.replace('"speaker": "ann"', '"speaker": "bob"', 1))
    for name in ("avatar-expression", "avatar-head"):
        code = execute(monkeypatch, "train-engine", name, "--data", root, "--out", tmp_path / name)
        assert code == 2
        assert "cannot make one avatar of" in capfd.readouterr().err  # type: ignore[attr-defined]


def test_a_folder_that_is_no_avatar_is_refused(avatar: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other.avatar"
    with pytest.raises(BundleError, match=r"idle\.npz"):
        AvatarMotion(folder)
    shutil.copytree(avatar, folder, ignore=shutil.ignore_patterns("data", "runs"))
    shutil.rmtree(folder / "head")
    with pytest.raises(BundleError, match="has no head/"):
        AvatarMotion(folder)
    shutil.copytree(folder / "expression", folder / "head")
    with pytest.raises(BundleError, match="not an avatar's head"):
        AvatarMotion(folder)
    spec = folder / "expression" / "spec.json"
    spec.write_text(spec.read_text().replace('"mouthbank-motion', '"another-motion'))
    with pytest.raises(BundleError, match="taught with another-motion"):
        AvatarMotion(folder)
    replace(Person.read(folder), spread=np.zeros(6, np.float32)).write(folder)
    with pytest.raises(BundleError, match="spread is not above zero"):
        AvatarMotion(folder)
    (folder / IDLE).write_bytes(b"no archive")
    with pytest.raises(BundleError, match=r"cannot read avatar.*idle"):
        AvatarMotion(folder)


def test_what_is_heard_is_kept(avatar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = work(avatar / "data", tmp_path).dataset
    entry = dataset.part("train")[0]
    heard = Heard(dataset, tmp_path)
    first = heard(entry)
    assert first.shape == (100, heard.hearing.features)
    monkeypatch.setattr(Heard, "of", None)
    np.testing.assert_array_equal(Heard(dataset, tmp_path)(entry), first)


def test_a_voice_is_drawn(avatar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: object) -> None:
    mic, film, some = tmp_path / "voice.wav", tmp_path / "lines.mp4", tmp_path / "lines.png"
    write_wav(mic, voice(1.0))
    arguments = avatar, "--mic", mic, "--draw", film, "--sheet", some
    assert called(monkeypatch, avatar_preview.app, *arguments) == 0
    with av.open(str(film)) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert len(frames) == 25
    assert 0.01 < (frames[10] < 200).mean() < 0.4
    assert cv2.imread(str(some)).shape[1] == avatar_preview.SIZE * avatar_preview.SHEET[1]
    assert called(monkeypatch, avatar_preview.app, avatar, "--mic", mic, "--draw", mic) == 2
    assert "cannot overwrite" in capfd.readouterr().err  # type: ignore[attr-defined]


@pytest.mark.slow
def test_an_avatar_is_measured(avatar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to, plot = tmp_path / "figures.json", tmp_path / "head.png"
    options = (
        "--part",
        "validation",
        "--clips",
        "2",
        "--minutes",
        "0.1",
        "--plot",
        plot,
        "--json",
        to,
        "--others",
        avatar / "data",
    )
    assert called(monkeypatch, avatar_figures.app, avatar, *options) == 0
    found = json.loads(to.read_text())
    assert found["own"]["clips"] == 2
    assert -1 <= found["own"]["r"] <= 1
    assert found["head"]["pitch"]["beyond"] == 0
    assert cv2.imread(str(plot)).shape == (4 * avatar_figures.HEIGHT, 3 * avatar_figures.WIDTH, 3)


def called(monkeypatch: pytest.MonkeyPatch, app: object, *arguments: object) -> int:
    """A module's command as the shell runs it; its exit code."""
    name = next(each for each in (avatar_preview, avatar_figures) if each.app is app).__name__
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        command.run(name, "it", "stopped")
    return int(ended.value.code or 0)


def write_wav(path: Path, sound: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.round(sound * 32767).astype("<i2").tobytes())
