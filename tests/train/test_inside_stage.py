"""The stage that learns what is inside mouths: rows of teeth, a small run, its bundle, its figures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from stage_runs import execute, prepared_film  # noqa: E402

from engines.common.dataset import Dataset  # noqa: E402
from engines.common.results import read_net, ready, shaped  # noqa: E402
from engines.mouthbank.inside import again, evaluate, mouths  # noqa: E402
from engines.mouthbank.inside.figures import figures  # noqa: E402
from engines.mouthbank.inside.mouths import INNER, filmed  # noqa: E402
from engines.mouthbank.inside.network import Learner, Shape  # noqa: E402
from engines.mouthbank.inside.pool import Pool  # noqa: E402
from engines.mouthbank.inside.row import LOWER_TEETH, UPPER_TEETH, Row, drawn  # noqa: E402
from engines.mouthbank.inside.stage import MOUTHS, Shipped, shipping, unlike  # noqa: E402
from realtime_dub.errors import BundleError  # noqa: E402
from realtime_dub.inference.bundle import load, load_part  # noqa: E402
from realtime_dub.inference.spec import PaintSpec  # noqa: E402
from realtime_dub.mouth.mouthbank.inside import PART, SIZE  # noqa: E402

SMALL = """
[inside.plan]
steps = 3
warm_up = 1
check_every = 1
[inside.engine]
batch = 2
width = 4
each = 6
[inside.engine.ships]
bright = 1.25
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder and a run of the stage, by the two commands."""
    root = tmp_path_factory.mktemp("inside")
    (root / "small.toml").write_text(SMALL)
    with pytest.MonkeyPatch.context() as patch:
        prepared = prepared_film(patch, root)
        options = "--stage", "inside", "--config", root / "small.toml"
        assert execute(patch, "train-engine", "mouthbank", "--data", prepared, "--out", root, *options) == 0
    return root


@pytest.fixture
def pool(root: Path) -> Pool:
    return Pool.load(root / "inside" / MOUTHS.format("train"))


def net_of(root: Path) -> Learner:
    tensors, shape = read_net(root / "inside" / "net.safetensors")
    return ready(Learner(shaped(Shape, shape)), tensors)


def test_the_bundle_paints_what_the_net_paints(root: Path) -> None:
    bundle = load(root / "inside" / "bundle")
    assert isinstance(bundle.spec, PaintSpec)
    inputs = made_up()
    with torch.inference_mode():
        expected = shipping(net_of(root).painter, Shipped(bright=1.25))(*map(torch.from_numpy, inputs.values()))
    found = bundle.session().run(inputs)["painted"]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def made_up() -> dict[str, np.ndarray]:
    """Inputs of a batch of two."""
    rng = np.random.default_rng(0)
    image, drawing = (rng.random((2, channels, SIZE, SIZE), np.float32) for channels in (3, 2))
    jaws = np.array([[60, 50, 100, 90], [62, 80, 100, 90]], np.float32) + np.zeros((2, 1, 1), np.float32)
    return {"image": image, "drawing": drawing, "jaws": jaws}


def test_the_net_inside_the_bundle_that_ships_is_taken_out_and_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = load_part("mouthbank", PART)
    inputs = made_up()
    with torch.inference_mode():
        painted = again.net_of(shipped.folder)(*map(torch.from_numpy, inputs.values()))
    np.testing.assert_allclose(painted.numpy(), shipped.session().run(inputs)["painted"], atol=1e-5)
    monkeypatch.setattr(sys, "argv", ["again", str(shipped.folder), "--out", str(tmp_path), "--version", "9.9.9"])
    again.main()
    written = load(tmp_path)
    assert (written.spec.version, written.spec.training_data) == ("9.9.9", shipped.spec.training_data)
    assert np.array_equal(written.session().run(inputs)["painted"], shipped.session().run(inputs)["painted"])


def test_a_bundle_of_another_kind_is_refused() -> None:
    with pytest.raises(BundleError):
        again.net_of(load_part("mouthbank", "occlusion").folder)


def test_a_row_of_teeth_ends_in_a_sharp_edge_and_has_gaps() -> None:
    rows, across = [Row(UPPER_TEETH, 0.1)], torch.linspace(-0.5, 0.5, 201)[None, None, None]
    with torch.inference_mode():
        cover, shade = drawn(rows, across, torch.linspace(-0.1, 0.3, 161)[None, None, :, None], 0.01)
    middle = cover[0, 0, :, 100 + 16]  # of the first tooth beside the middle
    assert middle[0] > 0.99
    assert middle[-1] < 0.01
    assert (middle.diff() < -0.05).sum() <= 12  # of 2.5 thousandths each
    first = shade[0, 0, 60, 100:134]
    assert first[0] < 0.8 * first[16]
    assert first[33] < 0.8 * first[16]
    assert torch.allclose(cover, cover.flip(3))


def test_rows_that_are_drawn_together_are_each_as_by_itself() -> None:
    rows = [Row(UPPER_TEETH, 0.05), Row(LOWER_TEETH, 0.02)]
    across, beyond = torch.randn(3, 2, 1, 40).mul(0.3), torch.randn(3, 2, 30, 1).mul(0.1)
    with torch.inference_mode():
        for row in rows:
            for each in row.parameters():
                each.add_(0.05 * torch.randn_like(each))
        both = drawn(rows, across, beyond, 0.01)
        for k, row in enumerate(rows):
            alone = drawn([row], across[:, k : k + 1], beyond[:, k : k + 1], 0.01)
            for together, apart in zip(both, alone, strict=True):
                assert torch.allclose(together[:, k : k + 1], apart, atol=1e-6)


def test_what_a_mouth_has_of_its_own_moves_teeth_and_brightens_them(pool: Pool) -> None:
    net, batch = Learner(Shape(SIZE, 4, len(pool.names), len(pool))), pool.batch(np.arange(2))
    own = batch.person, batch.frame, batch.mirrored
    with torch.inference_mode():
        plain = net.painter(batch.image, batch.drawing, batch.jaws, net.own(*own))
        usual = net.painter(batch.image, batch.drawing, batch.jaws, net.usual())
        assert torch.allclose(plain, usual)
        net.people[:, 3] = 0.3
        net.moves[:, 1] = 0.2
        other = net.painter(batch.image, batch.drawing, batch.jaws, net.own(*own))
    assert other.mean() > plain.mean()


def test_a_mirrored_batch_is_the_mirror_of_a_batch(pool: Pool) -> None:
    net, sides = Learner(Shape(SIZE, 4, len(pool.names), len(pool))), []
    torch.nn.init.normal_(net.people, std=0.05)
    torch.nn.init.normal_(net.moves, std=0.05)
    for mirrored in (False, True):
        batch = pool.batch(np.arange(3), mirrored)
        own = net.own(batch.person, batch.frame, batch.mirrored)
        with torch.inference_mode():
            sides.append(net.painter(batch.image, batch.drawing, batch.jaws, own))
    assert torch.allclose(sides[0], sides[1].flip(3), atol=0.05)


def test_mouths_are_cut_where_the_lips_are_and_the_same_again(root: Path, pool: Pool) -> None:
    assert pool.mouths.packed.shape[1:] == (SIZE, SIZE, 5)
    heights, jaws = (pool.mouths.packed[..., INNER] > 127).any(2).sum(1), pool.mouths.jaws
    assert (heights > 2).all()
    assert (jaws[:, 1, 1] > jaws[:, 0, 1]).all()  # the lower row is below where the mouth is open
    dataset = Dataset(root / "prepared")
    again = mouths.gathered(dataset, dataset.part("train"), 6, 1)
    assert np.array_equal(again.packed, pool.mouths.packed)


def test_batches_are_the_same_from_the_same_numbers(pool: Pool) -> None:
    one, again = (pool.draw(np.random.default_rng(3), 2) for _ in range(2))
    assert torch.equal(one.image, again.image)
    assert torch.equal(unlike(one.image, one), torch.zeros_like(one.image))


def test_figures_tell_true_mouths_from_dark_ones(root: Path) -> None:
    dataset = Dataset(root / "prepared")
    film = filmed(dataset, dataset.part("validation")[0])
    twos = np.stack(evaluate.closed(film, evaluate.Timed(), 4, np.random.default_rng(1)))
    drawn, truth, inner = twos[:, :, 0], twos[:, :, 2], twos[:, :, 3, ..., 0]
    right, same = figures(drawn, truth, truth, inner), figures(drawn, drawn, truth, inner)
    assert right["l1"] == 0
    assert right["ssim"] == pytest.approx(1)
    assert right["detail"] == right["moves"] == 1
    assert same["l1"] == same["l1_dark"] > 0


def test_the_command_measures_people_and_writes_sheets(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["evaluate", "--data", root / "prepared", "--part", "train", "--each", "2", "--tracks", "1"]
    arguments += ["--sheets", root / "sheets", "--json", root / "found.json"]
    monkeypatch.setattr(sys, "argv", [str(each) for each in arguments])
    evaluate.main()
    assert (root / "found.json").is_file()
    assert list((root / "sheets").glob("*.png"))
