"""LipGAN's nets: their sizes, what they look at, what they hear when, and the losses they are trained with."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.lipgan import discriminator, disturbing, figures, slim  # noqa: E402
from engines.lipgan.discriminator import Discriminator, contrastive  # noqa: E402
from engines.lipgan.draws import Batch, Draws  # noqa: E402
from engines.lipgan.faces import silent_frame  # noqa: E402
from engines.lipgan.fusing import fused  # noqa: E402
from engines.lipgan.network import FRAMES, Generator, Shape  # noqa: E402
from engines.lipgan.painters import CROP, GanShape, Rivals, discriminator_losses  # noqa: E402
from engines.lipgan.slim_losses import contrast_apart, edges_apart, movement_apart  # noqa: E402
from realtime_dub.audio.frontends import PainterMel, PainterMelSpec  # noqa: E402
from realtime_dub.audio.frontends.windows import centred_look_ahead_ms, last_frame, windows  # noqa: E402
from realtime_dub.media import MS  # noqa: E402

TINY = Shape("residual", (4, 4, 6, 6, 8))
SPEC = PainterMelSpec()


def count(net: torch.nn.Module) -> int:
    return sum(each.numel() for each in net.parameters())


def feeds(seed: int = 0, rows: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.randn(rows, 27, 80), torch.rand(rows, 3, 96, 96), torch.rand(rows, 3, 96, 96)


def test_sizes_are_those_of_the_published_nets() -> None:
    with torch.device("meta"):
        assert count(Generator(Shape("residual"))) == 49_543_123
        assert count(Generator(Shape("basic"))) == 21_469_843
        assert count(Discriminator()) == 8_240_022
        assert count(slim.SlimNet()) < 4_000_000  # 8 MB of 16 bits


def awake(net: torch.nn.Module) -> torch.nn.Module:
    """A fresh net for use, none of whose layers gives nothing, as small ones may."""
    for each in net.modules():
        if isinstance(each, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(each.bias, 0.2, 0.6)
            torch.nn.init.constant_(each.running_var, 0.05)
    return net.eval()


@pytest.mark.parametrize("kind", ["residual", "basic"])
def test_what_the_generator_paints_follows_all_that_it_is_shown(kind: str) -> None:
    mel, face, reference = feeds()
    net = awake(Generator(Shape(kind, (8, 8, 12, 12, 16))))  # type: ignore[arg-type]
    with torch.inference_mode():
        painted = net(mel, face, reference)
        assert painted.shape == face.shape
        assert 0 <= painted.min() <= painted.max() <= 1
        below = face.clone()
        below[:, :, 48:] = 0.5
        assert torch.equal(net(mel, below, reference), painted)
        for other in ((mel.roll(1, 1), face, reference), (mel, face.roll(1, 2), reference), (mel, face, face)):
            assert not torch.equal(net(*other), painted)


def test_what_the_slim_one_paints() -> None:
    mel, face, reference = feeds()
    net = awake(slim.SlimNet())
    with torch.inference_mode():
        painted = net(mel, face, reference)
        below = face.clone()
        below[:, :, slim.HIDDEN_ROWS :] = 0
        assert torch.equal(net(mel, below, reference), painted)
        assert torch.equal(painted[:, :, : slim.FIRST_ROW], face[:, :, : slim.FIRST_ROW])
        assert 0 <= painted.min() <= painted.max() <= 1
        assert not torch.equal(net(mel.roll(1, 1), face, reference), painted)


@pytest.mark.parametrize("net", [Generator(TINY), slim.SlimNet()], ids=["generator", "slim"])
def test_norms_are_put_into_the_convolutions(net: torch.nn.Module) -> None:
    for each in net.modules():
        if isinstance(each, torch.nn.BatchNorm2d):
            each.running_mean.uniform_(-0.1, 0.1)
            each.running_var.uniform_(0.5, 1.5)
    made = fused(net)
    assert not any(isinstance(each, torch.nn.BatchNorm2d) for each in made.modules())
    with torch.inference_mode():
        torch.testing.assert_close(made(*feeds()), net.eval()(*feeds()), atol=1e-5, rtol=0)


@pytest.mark.parametrize("chunk", [97, 640, 16_000])
def test_what_training_hears_is_what_a_live_stream_gives(chunk: int) -> None:
    """To the sample: both are windows of the same front end, and of the same instants."""
    sound = np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32)
    whole = PainterMel(SPEC)
    mel = np.concatenate([whole.process(sound), whole.finish()])
    live = PainterMel(SPEC)
    pieces = [live.process(sound[start : start + chunk]) for start in range(0, len(sound), chunk)]
    streamed = np.concatenate([*pieces, live.finish()])
    silent, look_ahead_ns = silent_frame(SPEC), centred_look_ahead_ms(SPEC, FRAMES) * MS
    for k in (0, 1, 7, 20, 37):
        last = [last_frame(SPEC, k * 40 * MS, look_ahead_ns)]
        one, other = (windows(each, last, FRAMES, silent) for each in (mel, streamed))
        np.testing.assert_allclose(one, other, atol=1e-5)
    if importlib.util.find_spec("realtime_dub.mouth.painter") is not None:
        _as_the_engine_hears(sound, mel, look_ahead_ns)


def _as_the_engine_hears(sound: np.ndarray, mel: np.ndarray, look_ahead_ns: int) -> None:
    from types import SimpleNamespace

    from realtime_dub.mouth.painter.windows import VoiceWindows

    voice = VoiceWindows(SimpleNamespace(audio=SPEC, window_frames=FRAMES, look_ahead_ns=look_ahead_ns))  # type: ignore[arg-type]
    voice.hear(sound, 0)
    for k in (7, 20):
        last = [last_frame(SPEC, k * 40 * MS, look_ahead_ns)]
        np.testing.assert_allclose(
            voice.window(k * 40 * MS), windows(mel, last, FRAMES, silent_frame(SPEC))[0], atol=1e-5
        )


def test_a_click_at_a_frames_instant_is_in_the_middle_of_its_window() -> None:
    for k in range(20, 30):
        sound = np.zeros(32_000, np.float32)
        sound[k * 640] = 0.5
        mel = PainterMel(SPEC).process(sound)
        last = last_frame(SPEC, k * 40 * MS, centred_look_ahead_ms(SPEC, FRAMES) * MS)
        loud = windows(mel, [last], FRAMES, silent_frame(SPEC))[0].mean(1)
        middle = np.flatnonzero(loud > loud.min() + 1e-3)
        # Windows of 50 ms reach over four hops; the instant is at most half a hop from the middle.
        assert abs(middle.mean() - FRAMES // 2) <= 0.5, k


def test_the_contrastive_loss() -> None:
    distance = torch.tensor([0.0, 0.5, 1.0, 1.5])
    assert contrastive(distance, apart=False) == pytest.approx((0 + 0.25 + 1 + 2.25) / 4)
    assert contrastive(distance, apart=True) == pytest.approx((1 + 0.25) / 4)


def test_distances_are_those_of_points_on_a_sphere() -> None:
    net = Discriminator(discriminator.Shape(32))
    mel, face, _ = feeds()
    distance = net(face, mel)
    assert distance.shape == (2,)
    assert 0 <= distance.min() <= distance.max() <= 2
    net.face[-2].weight.data.zero_()
    net.face[-2].bias.data.zero_()
    assert torch.isfinite(torch.autograd.grad(net(face, mel).sum(), net.face[-2].bias)[0]).all()


def test_neither_rival_is_moved_by_the_others_loss() -> None:
    rivals = Rivals(GanShape(TINY, discriminator.Shape(32)))
    mel, face, reference = feeds(rows=3)
    painted = rivals(mel, face, reference)
    contrastive(rivals.judge(painted, mel), apart=False).backward()
    assert all(each.grad is None for each in rivals.discriminator.parameters())
    assert any(each.grad is not None and each.grad.abs().sum() > 0 for each in rivals.generator.parameters())
    rivals.zero_grad(set_to_none=True)
    batch = Batch(np.arange(3), mel, face, reference, torch.zeros(3, 2, 168, 2))
    for shows_painted, name in ((True, "painted"), (False, "unsynced")):
        losses = discriminator_losses(rivals.discriminator, batch, painted.detach(), shows_painted)
        assert set(losses) == {"synced", name}
        torch.stack(list(losses.values())).sum().backward()
        assert all(each.grad is None for each in rivals.generator.parameters())
        assert all(each.grad is not None for each in rivals.discriminator.parameters())


def test_a_soft_mouth_has_too_little_contrast_and_a_moved_one_hardly() -> None:
    real = torch.zeros(2, 3, 32, 48)
    real[:, :, 12:20, 14:34] = 1
    soft = torch.nn.functional.avg_pool2d(real, 9, 1, 4)
    assert contrast_apart(real, real) == 0
    assert contrast_apart(real + 0.2, real) == pytest.approx(0, abs=1e-3)
    assert contrast_apart(soft, real) > 2 * contrast_apart(real.roll(1, 3), real)


def test_a_mouth_that_is_merely_dim_has_its_edges_apart() -> None:
    real = torch.zeros(1, 3, 8, 8)
    real[:, :, 4:] = 1
    weight = torch.ones(1, 1, 8, 8)
    assert edges_apart(real, real, weight) == 0
    assert edges_apart(real + 0.3, real, weight) == pytest.approx(0, abs=1e-6)
    assert edges_apart(torch.full_like(real, 0.5), real, weight) > 0.1


def test_people_are_drawn_alike_where_that_is_asked_for() -> None:
    tracks = np.array(["many"] * 16 + ["few"])
    faces = SimpleNamespace(index=SimpleNamespace(speakers=tracks))
    few = [float(Draws(faces, 2, evened=evened)._chances[-1]) for evened in (0, 0.5, 1)]  # type: ignore[arg-type]
    assert few == pytest.approx([1 / 17, 1 / 5, 1 / 2])


def test_faces_are_lit_otherwise_both_of_a_row_alike() -> None:
    mel, face, _ = feeds(rows=4)
    side = slim.SIZE + 2 * disturbing.ROOM
    grey = torch.full((4, 3, side, side), 0.4)
    batch = Batch(np.arange(4), mel, grey, grey, torch.zeros(4, 2, 168, 2))
    spread = []
    for light in (0.0, 1.0, 1.8):
        found = disturbing.disturbed(batch, np.random.default_rng(1), disturbing.Amounts(light))
        assert torch.allclose(found.face, found.reference, atol=1e-6)
        assert found.face.shape == face.shape
        spread.append(float((found.face - 0.4).abs().mean()))
    assert spread[0] == pytest.approx(0, abs=1e-6)
    assert spread[2] > spread[1] > 0.02


def test_a_mouth_that_goes_half_the_way_is_half_apart() -> None:
    torch.manual_seed(0)
    other, real = torch.rand(2, 4, 3, 8, 8)
    assert movement_apart(real, real, other) == pytest.approx(0, abs=1e-6)
    assert movement_apart((real + other) / 2, real, other) == pytest.approx(0.5, abs=0.01)
    assert movement_apart(other, real, other) == pytest.approx(1, abs=0.01)
    assert movement_apart(other + 0.001, other, other) < 0.01  # alike: nothing to be said


def test_where_the_mouth_is_in_a_crop() -> None:
    for crop in (CROP, slim.CROP):
        top, bottom, left, right = figures.mouth_box(crop)
        assert crop.hidden_from * 96 < (top + bottom) / 2 < 80
        assert abs((left + right) / 2 - 48) < 1
        weight = figures.mouth_weight(crop, 4.0)
        assert weight[0, 0, (top + bottom) // 2, 48] > 3
        assert weight[0, 0, 5, 5] == pytest.approx(1, abs=1e-3)
