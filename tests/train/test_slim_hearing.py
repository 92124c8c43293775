"""What the slim painter learns to hear from, how faces are disturbed with their points, and nets out of bundles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tiny  # noqa: E402

from engines.common.dataset import Dataset, as_clip, of_each  # noqa: E402
from engines.lipgan import heard, voices  # noqa: E402
from engines.lipgan.disturbing import ROOM, Amounts, disturbed, middle  # noqa: E402
from engines.lipgan.draws import Batch  # noqa: E402
from engines.lipgan.from_bundle import slim_net  # noqa: E402
from engines.lipgan.slim import FIRST_ROW, SIZE, Listener, Shape, SlimNet  # noqa: E402
from engines.lipgan.slim_losses import brought_apart, opening_of, told_apart  # noqa: E402
from engines.lipgan.slim_stage import export_slim  # noqa: E402
from realtime_dub.audio.frontends import PainterMel, PainterMelSpec  # noqa: E402
from realtime_dub.errors import BundleError  # noqa: E402
from realtime_dub.inference.bundle import load, load_default  # noqa: E402
from realtime_dub.media import NS  # noqa: E402
from realtime_dub.mouth.mouthbank.motion import MotionStream  # noqa: E402

pytestmark = pytest.mark.computes

SMALL = Shape((4, 4, 6, 6, 8), (4, 4, 4, 4), 8)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(int(16_000 * seconds))).astype(np.float32)


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    """Eight tracks filmed and ten that are only heard."""
    root = tmp_path_factory.mktemp("hearing")
    tiny.filmed(root / "filmed")
    tiny.heard(root / "heard")
    dataset = Dataset(root / "filmed", root / "heard")
    others = [entry for entry in dataset.entries if entry.part == "train" and not entry.filmed]
    heard.gathered(dataset, dataset.part("train"), others[:6], 4, 1, root / "heard-train.npz")
    return dataset, root / "heard-train.npz"


def test_powers_and_mel_are_each_others_way_back() -> None:
    mel = PainterMel().process(noise(0.5))
    np.testing.assert_allclose(voices.mel_of(voices.power_of(mel)), mel, atol=1e-4)
    louder = PainterMel().process(2 * noise(0.5))
    np.testing.assert_allclose(voices.mel_of(4 * voices.power_of(mel)), louder, atol=1e-3)


def test_voices_are_disturbed_within_what_the_front_end_gives() -> None:
    rng = np.random.default_rng(0)
    mel = PainterMel().process(noise(1.5))
    disturb = voices.Voices(PainterMelSpec(), rng, [mel])
    found = [disturb(mel, rng) for _ in range(12)]
    assert all(each.shape == mel.shape and each.dtype == np.float32 for each in found)
    assert all(each.min() >= -4 and each.max() <= 4 for each in found)
    assert min(float(np.abs(each - mel).mean()) for each in found) > 0.01


def test_the_teacher_says_what_the_program_shows() -> None:
    """Whole sounds in long blocks give what is heard live, 40 ms at a time; the second begins anew."""
    teacher, sound = heard.Teacher(), noise(1.2)
    first, again = teacher.motion(sound), teacher.motion(sound)
    np.testing.assert_array_equal(first, again)
    stream = MotionStream(load_default("mouthbank", 160))
    for at in range(0, 2 * 16_000, 640):
        stream.hear(np.concatenate([sound, np.zeros(32_000, np.float32)])[at : at + 640], at * NS // 16_000)
    live = np.stack([stream.at(k * NS // 25).displacement for k in range(len(first))])
    assert len(first) == 30
    np.testing.assert_allclose(first, live, atol=1e-4)


def test_who_is_filmed_tells_the_filmed_motion(gathered: tuple[Dataset, Path]) -> None:
    dataset, path = gathered
    found = heard.Heard(path, 1)
    index = found.index
    assert index.filmed.sum() == 8
    assert len(index.filmed) == 14
    clip = as_clip(dataset.load(dataset.part("train")[1]))
    wanted = (clip.motion.reshape(-1, 504) - index.mean) @ index.lines
    np.testing.assert_allclose(index.told[int(index.ends[0]) : int(index.ends[1])], wanted, atol=1e-4)
    assert np.isfinite(found.opening(1)).all()
    assert np.isnan(found.opening(9)).all()
    assert index.chances[:8].sum() == pytest.approx(1)
    assert index.chances[8:].sum() == pytest.approx(1)


def test_windows_lie_around_their_pictures(gathered: tuple[Dataset, Path]) -> None:
    """Many at once are those that are asked for alone; disturbed, they change together."""
    found = heard.Heard(gathered[1], 1)
    together = found.windows(2, np.array([0, 3, 20, 49]))
    alone = np.concatenate([found.windows(2, np.array([each])) for each in (0, 3, 20, 49)])
    np.testing.assert_array_equal(together, alone)
    middle_of = np.asarray(found.mel(2)[20 * 40 * 80 // 1000], np.float32)
    np.testing.assert_allclose(together[2, 13], middle_of, atol=1e-6)
    mel, told = found.draw(np.random.default_rng(0), 3, 4, filmed=0.5)
    assert mel.shape == (12, 27, 80)
    assert told.shape == (12, 4)


def test_of_each_person_as_many_tracks(gathered: tuple[Dataset, Path]) -> None:
    entries = gathered[0].part("train")
    assert [entry.track for entry in of_each(entries, 2)] == ["t0", "t3", "t4", "t7"]
    assert of_each(entries, 9) == entries


def test_directions_have_a_spread_of_one() -> None:
    motion = np.random.default_rng(0).normal(0, 1, (400, 168, 3)) * np.linspace(2, 0.1, 504).reshape(168, 3)
    mean, lines = heard.directions(motion, 5)
    told = (motion.reshape(-1, 504) - mean) @ lines
    np.testing.assert_allclose(told.std(0), 1, atol=0.02)


def listener(motion: np.ndarray) -> Listener:
    torch.manual_seed(0)
    net = Listener(SMALL).eval()
    net.directed(*(torch.from_numpy(np.asarray(each, np.float32)) for each in heard.directions(motion, 16)))
    return net


def test_what_is_told_is_measured_by_directions_and_by_the_opening() -> None:
    from engines.common.metrics import OPENING_AT

    rng = np.random.default_rng(1)
    motion = rng.normal(0, 0.01, (300, 168, 3)).astype(np.float32)
    opened = np.zeros((168, 3), np.float32)
    opened[OPENING_AT[:, 1], 1] = 1
    motion += rng.normal(0, 1, (300, 1, 1)).astype(np.float32) * opened
    net = listener(motion)
    wanted = net.to_tell(torch.from_numpy(motion))
    gaps = (motion[:, OPENING_AT[:, 1], 1] - motion[:, OPENING_AT[:, 0], 1]).mean(1)
    assert np.corrcoef((wanted @ opening_of(net)).numpy(), gaps)[0, 1] > 0.99
    heard_now = net.hear(torch.randn(300, 27, 80))
    with torch.inference_mode():
        assert told_apart(net, heard_now, net.told(heard_now)) == 0
        assert told_apart(net, heard_now, wanted) > 0.1


def test_points_go_with_the_face() -> None:
    """A bright spot at a point is there after the face was moved, bent and mirrored."""
    side, count = SIZE + 2 * ROOM, 8
    rng = np.random.default_rng(0)
    points = rng.uniform(40, 70, (count, 2, 168, 2)).astype(np.float32)
    points[:, :, 1:] = points[:, :, :1]
    at = np.arange(side)
    spots = np.exp(-((at[:, None] - points[:, :, :1, 1:2]) ** 2 + (at - points[:, :, :1, :1]) ** 2) / 8)
    faces = torch.from_numpy(np.repeat(spots.reshape(count, 2, 1, side, side), 3, 2).astype(np.float32))
    batch = Batch(np.arange(count), torch.zeros(count, 27, 80), faces[:, 0], faces[:, 1], torch.from_numpy(points))
    for found in (disturbed(batch, rng, Amounts(0.0, 1.0)), middle(batch)):
        for place, images in enumerate((found.face, found.reference)):
            grey = images.mean(1).numpy() ** 2
            total = grey.sum((1, 2))
            x, y = ((grey * each).sum((1, 2)) / total for each in (np.arange(SIZE), np.arange(SIZE)[:, None]))
            np.testing.assert_allclose(np.stack([x, y], 1), found.points[:, place, 0].numpy(), atol=0.4)


def test_pixels_that_come_from_where_the_points_were_are_not_apart() -> None:
    here = torch.rand(2, 168, 2) * 40 + 46
    there = here + torch.tensor([1.5, -3.0])
    brought = torch.tensor([1.5, -3.0]).reshape(1, 2, 1, 1).expand(2, 2, SIZE - FIRST_ROW, SIZE) * (2 / SIZE)
    points = torch.stack([here, there], 1)
    assert brought_apart(brought, points) == pytest.approx(0, abs=1e-5)
    assert brought_apart(torch.zeros_like(brought), points) > 2
    points[:, :, 5] = float("nan")  # nobody knows
    assert brought_apart(brought, points) == pytest.approx(0, abs=1e-5)
    assert brought_apart(brought, torch.full_like(points, float("nan"))) == 0


def test_a_net_out_of_a_bundle_gives_what_the_bundle_gives(tmp_path: Path) -> None:
    """In training, too, for what its norms were made of."""
    torch.manual_seed(0)
    net = SlimNet(SMALL)
    for each in net.modules():
        if isinstance(each, torch.nn.BatchNorm2d):
            each.running_mean.normal_(0, 0.2)
            each.weight.data.uniform_(0.5, 1.5)
            each.bias.data.normal_(0, 0.2)
    bundle = export_slim(net.eval(), tmp_path / "bundle", "1")
    feeds = {"mel": torch.randn(6, 27, 80), "face": torch.rand(6, 3, 96, 96), "reference": torch.rand(6, 3, 96, 96)}
    batch = Batch(np.arange(6), feeds["mel"], feeds["face"], feeds["reference"], torch.zeros(6, 2, 168, 2))
    found = slim_net(bundle, batch)
    assert found.shape == SMALL
    painted = load(bundle, known=True).session("cpu").run({name: each.numpy() for name, each in feeds.items()})
    with torch.inference_mode():
        for mode in (False, True):
            given = found.train(mode)(*feeds.values())
            np.testing.assert_allclose(given.numpy(), painted["painted"], atol=1e-4)
    with pytest.raises(BundleError, match="no slim painter"):
        slim_net(_other_bundle(tmp_path), batch)


def _other_bundle(root: Path) -> Path:
    import onnx
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [])
    (root / "other").mkdir()
    onnx.save(helper.make_model(graph), str(root / "other" / "painter.onnx"))
    return root / "other"
