"""The training command on a tiny synthetic talker: steps, resumes exactly, exports what it computes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tiny import FRAMES, filmed, work  # noqa: E402

from engines.common import augment, grid  # noqa: E402  (they need torch's extra)
from engines.common.bundle_files import rounded  # noqa: E402
from engines.common.dataset import Dataset  # noqa: E402
from engines.common.distributed import DistributedContext  # noqa: E402
from engines.common.loop import Plan, Trainer  # noqa: E402
from engines.common.metrics import lagged_correlation  # noqa: E402
from engines.common.results import NET, read_net  # noqa: E402
from engines.common.runs import train  # noqa: E402
from engines.mouthbank.align import aligned, best_offset  # noqa: E402
from engines.mouthbank.data import make_basis  # noqa: E402
from engines.mouthbank.direct import OFFSETS, DirectEngine, Settings  # noqa: E402
from engines.mouthbank.evaluate import evaluate  # noqa: E402
from engines.mouthbank.export import MODEL, export_bundle  # noqa: E402
from engines.mouthbank.network import LOOK_AHEAD, MotionNet, Shape  # noqa: E402
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec  # noqa: E402
from realtime_dub.face.alignment import LOWER, TEMPLATE  # noqa: E402
from realtime_dub.face.landmarks import LIPS  # noqa: E402
from realtime_dub.inference.bundle import load  # noqa: E402
from realtime_dub.mouth.mouthbank.motion import MotionStream  # noqa: E402

pytestmark = pytest.mark.usefixtures("few_sounds")

SHAPE = Shape(width=8, dilations=(1, 4), components=3)
SMALL = Settings(batch=3, frames=120, width=8, dilations=(1, 4), components=3, align_at=3)


def weights(path: Path) -> np.ndarray:
    return np.concatenate([tensor.numpy().ravel() for tensor in read_net(path)[0].values()])


def test_trains_resumes_after_putting_clips_right_and_exports(tmp_path: Path) -> None:
    root, plan = filmed(tmp_path / "data", 12), Plan(steps=4, warm_up=1, check_every=2)
    train(DirectEngine(SMALL, work(root, tmp_path / "a")), plan, tmp_path / "a", DistributedContext())
    assert [json.loads(line)["step"] for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()] == [
        0, 2, 3, 4, 4,
    ]  # fmt: skip
    made = DirectEngine(SMALL, work(root, tmp_path / "b"))
    Trainer(made.network(), plan, tmp_path / "b").run(made.losses, made.check, until=3)
    train(DirectEngine(SMALL, work(root, tmp_path / "b")), plan, tmp_path / "b", DistributedContext())
    assert '"resumed": true' in (tmp_path / "b" / "log.jsonl").read_text()
    assert (tmp_path / "a" / OFFSETS).read_text() == (tmp_path / "b" / OFFSETS).read_text()
    assert np.allclose(weights(tmp_path / "a" / NET), weights(tmp_path / "b" / NET), atol=1e-6)
    bundle = load(tmp_path / "a" / "bundle")
    dataset = Dataset(root)
    figures = evaluate(bundle, [dataset.clip(dataset.part("validation")[0])])
    assert figures["clips"] == 1
    assert -1 <= float(str(figures["r"])) <= 1


@pytest.mark.parametrize("short", [False, True])
def test_the_exported_net_streams_what_torch_computes(tmp_path: Path, short: bool) -> None:
    torch.manual_seed(0)
    net = MotionNet(SHAPE).eval()
    net.basis.copy_(torch.randn_like(net.basis) * 0.1)
    net.band_mean.copy_(torch.randn_like(net.band_mean))
    before = (export_bundle(net, LogMelSpec(), tmp_path / "before") / MODEL).stat().st_size
    if short:
        rounded(net)
    sound = (0.1 * np.random.default_rng(1).standard_normal(16_001)).astype(np.float32)
    mel = LogMel().process(sound)
    with torch.no_grad():
        displacement, speech, _ = net(torch.from_numpy(mel)[None], net.initial_state())
    folder = export_bundle(net, LogMelSpec(), tmp_path / "bundle")
    assert ((folder / MODEL).stat().st_size < 0.85 * before) == short  # of a tiny net much is graph
    stream = MotionStream(load(folder))
    for at in range(0, len(sound), 777):
        stream.hear(sound[at : at + 777], at * 62_500)
    for frame in range(0, len(mel) - LOOK_AHEAD, 7):
        motion = stream.at(frame * 10_000_000)
        assert np.abs(motion.displacement - displacement[0, frame + LOOK_AHEAD].numpy()).max() < 1e-5
        assert abs(motion.speech - float(speech[0, frame + LOOK_AHEAD])) < 1e-5


def test_learns_in_a_few_steps(tmp_path: Path) -> None:
    plan = Plan(steps=60, warm_up=5, check_every=60, rate=1e-2)
    settings = SMALL.model_copy(update={"batch": 4, "frames": 150, "align_at": 0})
    made = DirectEngine(settings, work(filmed(tmp_path / "data", 12), tmp_path / "a"))
    assert train(made, plan, tmp_path / "a", DistributedContext()).step == 60
    rows = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert next(row["r"] for row in rows if "r" in row) > 0.5


def test_lag_is_found_with_its_sign() -> None:
    real = np.random.default_rng(0).standard_normal(100)
    early = [(np.roll(real, -2), real)]  # a prediction that comes two frames before the truth
    assert lagged_correlation(early, 2) > 0.99
    assert lagged_correlation(early, -2) < 0.5


def test_a_clip_off_its_sound_is_found_and_put_right() -> None:
    curve = np.sin(np.arange(300) / 9) + np.sin(np.arange(300) / 23)
    for late in (-5, 0, 3):  # what is heard at t is seen at t - late: the picture k shows k * 4 + late
        real = np.interp(np.arange(75) * 4 + late, np.arange(300), curve)
        offset, r = best_offset(curve, real, 4)
        assert offset == late
        assert r > 0.999
    motion = np.zeros((FRAMES, len(LOWER), 3), np.float32)
    motion[20:] = 1
    clip = grid.Clip("x", np.zeros(FRAMES * 640, np.float32), motion, 25.0, TEMPLATE, None)
    late_clip = aligned([clip], {"x": 0.05})[0]
    for given, instant in ((clip, 0.78), (late_clip, 0.83)):
        example = grid.make_example(given, LogMelSpec())
        assert np.flatnonzero(example.motion[:, 0, 0] > 0.49)[0] == round(instant * 100)
    assert aligned([clip, clip, clip], {"x": 0.05})[0].offset_s == 0
    assert aligned([clip], {}) == [clip]


def test_held_out_clips_are_apart_and_regular() -> None:
    names = [f"n{index:04}" for index in range(1000)]
    parts = grid.split(names[::-1])
    assert parts["test"] == names[::20]
    assert parts["validation"] == names[10::20]
    assert len(parts["train"]) == 900
    assert not set(parts["train"]) & (set(parts["test"]) | set(parts["validation"]))


def test_motion_is_sampled_at_its_frames_exactly() -> None:
    motion = np.random.default_rng(0).standard_normal((20, 4, 3)).astype(np.float32)
    hundred = grid.sample_motion(motion, 25.0, np.arange(80) / 100)
    assert np.allclose(hundred[::4], motion, atol=1e-5)
    line = np.linspace(0, 1, 20, dtype=np.float32)[:, None]
    between = grid.sample_motion(line, 25.0, np.array([0.06, 0.1]))
    assert np.allclose(between[:, 0], [1.5 / 19, 2.5 / 19], atol=1e-6)


def test_speed_moves_sound_and_mouth_together() -> None:
    loud = np.zeros(FRAMES, np.float32)
    loud[30:] = 1
    sound = np.repeat(loud, 640) * np.random.default_rng(0).standard_normal(FRAMES * 640)
    motion = np.zeros((FRAMES, len(LOWER), 3), np.float32)
    motion[30:] = 0.1
    clip = grid.Clip("x", (0.1 * sound).astype(np.float32), motion, 25.0, TEMPLATE, [(0, 2000, "bin")])
    for speed in (0.8, 1.0, 1.25):
        example = grid.make_example(clip, LogMelSpec(), speed)
        heard = np.flatnonzero(example.power.mean(1) > 1e-3)[0]
        moved = np.flatnonzero(example.motion[:, 0, 0] > 0.05)[0]
        assert abs(heard - 120 / speed) <= 2
        assert abs(moved - 118 / speed) <= 2


def test_words_give_speech_and_rest() -> None:
    words = [(0, 1000, "sil"), (1000, 1400, "bin"), (1400, 3000, "sil")]
    times = np.array([0.05, 0.999, 1.0, 1.399, 1.4, 2.4])
    assert grid.speech_at(words, times).tolist() == [0, 0, 1, 1, 0, 0]
    weight = grid.rest_weight(words, times)
    assert weight[0] == 0
    assert weight[-1] == 0
    assert weight[1:5].tolist() == [1, 1, 1, 1]


def test_the_basis_gives_back_what_it_was_made_of() -> None:
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((3, len(LOWER), 3))
    motion = np.einsum("nk,kpd->npd", rng.standard_normal((200, 3)), directions).astype(np.float32)
    basis = make_basis(motion, 3)
    coefficients = basis.coefficients(motion)
    back = (coefficients @ basis.components).reshape(motion.shape)
    assert np.abs(back - motion).max() < 1e-3
    assert np.allclose((coefficients**2).mean(0), 1, atol=1e-3)
    assert basis.explained["lips"] > 0.999


def test_either_is_harsh_for_half_of_the_sounds() -> None:
    power = np.abs(np.random.default_rng(4).standard_normal((50, 80))).astype(np.float32)
    noises = augment.make_noises(LogMelSpec(), np.random.default_rng(0), seconds=1.0)

    def after_the_draw(seed: int) -> np.random.Generator:
        rng = np.random.default_rng(seed)
        rng.random()
        return rng

    strong, mild = 0, 0
    for seed in range(40):
        out = augment.either(power, noises, np.random.default_rng(seed))
        strong += np.array_equal(out, augment.strong(power, noises, after_the_draw(seed)))
        mild += np.array_equal(out, augment.mild(power, noises, after_the_draw(seed)))
    assert strong + mild == 40
    assert min(strong, mild) > 8


def test_warp_moves_a_peak_and_keeps_shape() -> None:
    power = np.full((5, 80), 1e-6, np.float32)
    power[:, 40] = 1
    assert augment.warp(power, 1.2).mean(0).argmax() == 48
    noises = augment.make_noises(LogMelSpec(), np.random.default_rng(0), seconds=1.0)
    out = augment.mild(power, noises, np.random.default_rng(1))
    assert out.shape == power.shape
    assert np.isfinite(out).all()
    assert (out >= 0).all()
    assert set(LIPS) <= set(LOWER)
