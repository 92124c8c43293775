"""A recording becomes an avatar by the command: its data, its picture net, and films of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from avatars import SIZE, make_film, recipe  # noqa: E402
from stage_runs import execute  # noqa: E402

from engines.avatar.cutting import MATTE, PICTURES, joints_path  # noqa: E402
from engines.avatar.frames import read as read_frames  # noqa: E402
from engines.avatar.mattes import ALPHA, exact  # noqa: E402
from engines.avatar.network import (  # noqa: E402
    PUBLISHED,
    RandomFeatures,
    alike,
    believed,
    picture_net,
    told_apart,
)
from engines.avatar.person import eased_by  # noqa: E402
from engines.avatar.picture import Gan, GanShape, _judged  # noqa: E402
from engines.avatar.stored import Stored  # noqa: E402
from engines.common.dataset import Dataset  # noqa: E402
from engines.common.loop import Plan, Trainer  # noqa: E402
from engines.common.prepare import finish  # noqa: E402
from engines.common.results import read_net, ready, shaped  # noqa: E402
from realtime_dub import cli  # noqa: E402
from realtime_dub.face.types import TrackedFrame  # noqa: E402
from realtime_dub.inference.bundle import load  # noqa: E402
from realtime_dub.media import NS, Frame  # noqa: E402
from realtime_dub.mouth import registry  # noqa: E402
from realtime_dub.mouth.avatar.folder import read_about  # noqa: E402
from realtime_dub.mouth.contract import WholeFrame, landmarks_of  # noqa: E402

SECONDS = 5.6


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("film") / "me.mkv", SECONDS)


@pytest.fixture(scope="module")
def avatar(film: Path) -> Path:
    """Made by the command."""
    config, folder = recipe(film.with_name("small.toml")), film.with_suffix(".avatar")
    with pytest.MonkeyPatch.context() as patch:
        assert execute(patch, "train-engine", "avatar", "--video", film, "--config", config, "-o", folder) == 0
    return folder


@pytest.mark.slow
def test_a_recording_becomes_data(avatar: Path) -> None:
    about, dataset = read_about(avatar), Dataset(avatar / "data")
    assert about.prepared
    entry = dataset.entries[0]
    assert entry.part == "train"
    assert entry.frames >= 24 * SECONDS
    track, pictures = dataset.load(entry), Stored(avatar / "data", PICTURES, entry.track)
    assert len(track.audio) == entry.frames * 640
    assert len(pictures) >= 0.95 * entry.frames
    frames, held = read_frames(dataset, SIZE, 4.0, 1.0)
    assert len(frames) > 5 * len(held) > 0
    batch = frames.batch([0, 1])
    middle = batch.mattes[0, 0, SIZE // 2, SIZE // 2]
    assert middle > 0.95  # the face is the person
    assert batch.mattes[0, 0, 1, 1] < 0.2  # a corner is not
    assert batch.drawings.any()


@pytest.mark.slow
def test_it_learns_and_its_bundle_paints_the_same(avatar: Path) -> None:
    rows = [json.loads(line) for line in (avatar / "picture" / "log.jsonl").read_text().splitlines()]
    assert [row for row in rows if "believed" in row], "nobody judged"
    checked = [row for row in rows if "closer" in row]
    assert checked[-1]["levels"] < 12
    assert checked[-1]["flicker"] < 1.5
    assert len(list((avatar / "pictures").glob("preview-*.png"))) >= 2
    tensors, shape = read_net(avatar / "picture" / "net.safetensors")
    net = ready(Gan(shaped(GanShape, shape)), tensors).picture
    drawing = np.random.default_rng(0).random((2, 3, SIZE, SIZE), np.float32)
    with torch.inference_mode():
        expected = net(torch.from_numpy(drawing)).numpy()
    found = load(avatar / "picture").session().run({"drawing": drawing})["painted"]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.slow
def test_the_engine_paints_whole_frames(avatar: Path) -> None:
    generator, side = registry.create("avatar", bundle=avatar), read_about(avatar).stored
    live = TrackedFrame(Frame(np.zeros((SIZE, SIZE, 3), np.uint8), 0, 0), None)
    generator.hear(np.zeros(16_000, np.float32), 0)
    made = [generator.generate(live, at) for at in (NS // 5, 2 * NS // 5)]
    generator.close()
    assert all(isinstance(each, WholeFrame) and each.image.shape == (side, side, 3) for each in made)
    true = Stored(avatar / "data", PICTURES, Dataset(avatar / "data").entries[0].track).read(0)
    assert made[0].image.mean() == pytest.approx(true.mean(), abs=12)
    assert (made[0].image != made[1].image).any()  # the head moves where nobody speaks
    black = np.zeros((1, 1, 3), np.uint8)
    crisp = registry.create("avatar", bundle=avatar, enhance=True, size=(320, 180), backdrop=black)
    crisp.hear(np.zeros(16_000, np.float32), 0)
    shown, points = crisp.generate(live, NS // 5), landmarks_of(crisp)
    crisp.close()
    assert isinstance(shown, WholeFrame)
    assert shown.image.shape == (180, 320, 3)
    assert not shown.image[:, :60].any()
    assert points is not None
    assert points[:, 0].min() > 70  # of the whole picture


@pytest.mark.slow
def test_the_command_shows_it_without_training_again(avatar: Path, film: Path, tmp_path: Path) -> None:
    before, out = (avatar / "picture" / "net.safetensors").stat().st_mtime_ns, tmp_path / "out.mp4"
    arguments = ["avatar", "--video", str(film), "--mic", "demo", "--seconds", "1", "-o", str(out), "--quiet"]
    assert cli.run(arguments) == 0
    assert (avatar / "picture" / "net.safetensors").stat().st_mtime_ns == before
    with av.open(str(out)) as container:
        pictures = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
        assert container.streams.audio
    assert len(pictures) == 25
    assert pictures[0].shape[0] == read_about(avatar).stored // 2 * 2
    assert np.abs(pictures[5].astype(int) - pictures[20]).max() > 4


@pytest.mark.slow
def test_a_moved_folder_goes_on_and_another_recording_does_not(
    avatar: Path, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = Path(shutil.copytree(avatar, tmp_path / "moved.avatar"))
    (moved / "picture" / "net.safetensors").unlink()  # as one that was killed behind its last checkpoint
    assert execute(monkeypatch, "train-engine", "avatar", "--out", moved, "--resume") == 0
    log = (moved / "picture" / "log.jsonl").read_text()
    assert json.loads(log.splitlines()[-2])["resumed"] is True
    other = tmp_path / "other.mkv"
    other.write_bytes(film.read_bytes() + b"x")
    assert execute(monkeypatch, "train-engine", "avatar", "--video", other, "--out", moved, "--resume") == 2
    assert "it is of another recording, me.mkv, or" in capsys.readouterr().err


@pytest.mark.slow
def test_preparation_that_was_killed_goes_on(
    avatar: Path, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Path(shutil.copytree(avatar, tmp_path / "me.avatar"))
    about = json.loads((broken / "avatar.json").read_text()) | {"prepared": False}
    (broken / "avatar.json").write_text(json.dumps(about))
    track = Dataset(broken / "data").entries[0].track
    joints_path(broken / "data", track).unlink()
    for kind in (MATTE, ALPHA):
        (broken / "data" / kind / f"{track}.npz").unlink()
    (broken / "person.npz").unlink()
    from engines.avatar.recording import of_film

    of_film(film, broken / "data")
    for name in (f"{kind}/{track}.npz" for kind in (MATTE, ALPHA, PICTURES)):
        ours, theirs = (np.load(root / "data" / name)["data"] for root in (broken, avatar))
        assert np.array_equal(ours, theirs)
    assert read_about(broken).prepared
    with np.load(broken / "person.npz") as ours, np.load(avatar / "person.npz") as theirs:
        assert all(np.allclose(ours[name], theirs[name], atol=1e-5) for name in theirs)


def test_a_matte_gets_the_hair_that_stands_up_and_halves_what_is_half_background() -> None:
    """Dark hair before a bright wall: a head, with one tip of two pixels beyond what the segmentation found."""
    plate = np.full((120, 120, 3), (200, 180, 60), np.uint8)
    hair, true = np.array((20, 30, 40), np.float32), np.zeros((120, 120), np.float32)
    cv2.circle(true, (60, 70), 30, 1.0, -1)
    true[37:42, 70:72] = 1  # the tip
    true[:, :31] = 0
    true[60:80, 31] = 0.5
    picture = np.rint(hair * true[..., None] + plate * (1 - true[..., None])).astype(np.uint8)
    picture[5, 5] = 0  # a speck far away
    segmented = np.zeros((120, 120), np.uint8)
    cv2.circle(segmented, (60, 70), 31, 255, -1)
    found = exact(segmented, picture, plate) / 255
    np.testing.assert_allclose(found, true, atol=0.06)
    like = np.full_like(plate, 40)  # a wall like the hair: nothing is told, the matte stays
    picture[:] = 45
    assert np.array_equal(exact(segmented, picture, like), segmented)


def test_tracks_of_one_recording_are_held_out() -> None:
    for count, held in ((1, []), (3, ["take.002"]), (16, ["take.000", "take.010"])):
        rows = [finish.Row(f"take.{k:03}", "take", "me", 500, "", []) for k in range(count)]
        finish._divide(rows, ["take"])
        assert [row.track for row in rows if row.part != "train"] == held


def test_the_published_size() -> None:
    """54.414 million with three channels out; the fourth is the share of the person."""
    count = sum(each.numel() for each in picture_net(PUBLISHED).parameters())
    assert count == 54_413_955 + 128 * 16 + 1


def test_random_features_tell_a_blurred_picture_from_a_shifted_light() -> None:
    rng = torch.Generator().manual_seed(0)
    sharp = torch.rand(1, 3, 64, 64, generator=rng)
    blurred = torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)
    light = sharp + (blurred - sharp).abs().mean()
    features = RandomFeatures()
    assert features(sharp, sharp) == 0
    assert features(blurred, sharp) > 2 * features(light, sharp)


def test_judges_look_most_at_what_counts_most() -> None:
    """Equal counts are the plain mean; else a map's places count as the pixels behind them."""
    rng = torch.Generator().manual_seed(0)
    real, made = ([[torch.rand(2, 3, 8, 8, generator=rng), torch.rand(2, 1, 4, 4, generator=rng)]] for _ in range(2))
    even, uneven = torch.full((2, 1, 16, 16), 3.0), torch.ones(2, 1, 16, 16)
    corner = (made[0][-1][:, 0, 0, 0] - 1).square().mean(), (real[0][0] - made[0][0])[:, :, :2, :2].abs().mean()
    plain = ((real[0][-1] - 1).square().mean() + made[0][-1].square().mean()) / 2
    torch.testing.assert_close(believed(made, [even]), (made[0][-1] - 1).square().mean())
    torch.testing.assert_close(told_apart(real, made, [even]), plain)
    uneven[:, :, :4, :4] = 1e6  # one place of the opinions
    torch.testing.assert_close(believed(made, [uneven]), corner[0], rtol=1e-3, atol=0)
    torch.testing.assert_close(alike(real, made, [uneven]), corner[1], rtol=1e-3, atol=0)


def test_judges_look_at_nothing_behind_the_person() -> None:
    mattes = torch.zeros(6, 1, 96, 96)
    mattes[:, :, 40:60, 40:60] = 1
    counts = _judged(torch.ones_like(mattes), mattes)
    assert [len(each) for each in counts] == [6, 6, 2]  # two rows of three
    assert counts[0][0, 0, 50, 50] == 1
    assert counts[0][0, 0, 50, 61] == 1  # the edge, too
    assert counts[0][0, 0, 50, 70] == 0


def test_a_cut_in_the_head_motion_is_spread() -> None:
    moved = np.concatenate([np.zeros(10), np.full(40, 5.0)])[:, None]
    cuts = np.zeros(50, bool)
    cuts[10] = True
    found = eased_by(moved, cuts)[:, 0]
    assert np.abs(np.diff(found)).max() < 0.5
    assert found[0] == 0
    assert found[-1] == 5


def test_training_ends_when_its_time_is_over(tmp_path: Path) -> None:
    class Net(torch.nn.Linear):
        shape = None

    plan = Plan(steps=10_000, minutes=0.001, check_every=5_000)
    trainer = Trainer(Net(2, 1), plan, tmp_path)
    trainer.run(lambda net, rng: {"loss": net(torch.ones(1, 2)).square().sum()}, lambda net: {})
    assert 0 < trainer.step < 10_000
    again = Trainer(Net(2, 1), plan, tmp_path)
    assert again.resume()
    assert again.ended
    assert plan.rate_at(500, 0.06) < 0.02 * plan.rate_at(500)
