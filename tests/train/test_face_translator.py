"""The translator from drawings to pictures: a film cut up, a small run, its bundle, and a mouth that it paints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from faces import tracked_portrait  # noqa: E402
from stage_runs import execute  # noqa: E402
from talkers import write_talker  # noqa: E402

from engines.common.results import read_net, ready, shaped  # noqa: E402
from engines.face_translator.denoiser import Pasting  # noqa: E402
from engines.face_translator.film import SIZE, read  # noqa: E402
from engines.face_translator.network import Shape, TranslatorNet  # noqa: E402
from realtime_dub.blend.masks import rounded  # noqa: E402
from realtime_dub.errors import BundleError, ConfigError  # noqa: E402
from realtime_dub.face.landmarks import LIPS  # noqa: E402
from realtime_dub.inference.bundle import load, load_default  # noqa: E402
from realtime_dub.inference.spec import FrameSpec  # noqa: E402
from realtime_dub.mouth import registry  # noqa: E402
from realtime_dub.mouth.mouthbank.bank import Bank  # noqa: E402
from realtime_dub.mouth.mouthbank.denoiser import Denoiser, fitted, pasted, round_mask  # noqa: E402
from realtime_dub.mouth.mouthbank.render import UNMOVED  # noqa: E402
from realtime_dub.mouth.mouthbank.translator import TranslatedRenderer, Translator  # noqa: E402

SMALL = """
[translator.plan]
steps = 12
warm_up = 1
check_every = 6
average = 0.5
[translator.engine]
widths = [8, 8, 8, 8]
batch = 2
[denoiser.plan]
steps = 60
rate = 6e-3
warm_up = 1
check_every = 60
average = 0.9
[denoiser.engine]
channels = 8
batch = 2
noise = 0.0
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by the command, of a film of one person."""
    root = tmp_path_factory.mktemp("translator")
    (root / "small.toml").write_text(SMALL)
    write_talker(root / "me.mkv", seed=0)
    with pytest.MonkeyPatch.context() as patch:
        options = "--video", root / "me.mkv", "--config", root / "small.toml", "--out", root / "run"
        assert execute(patch, "train-engine", "face-translator", *options) == 0
        again = "--video", root / "me.mkv", "--out", root / "run", "--stage", "denoiser"
        assert execute(patch, "train-engine", "face-translator", *again) == 0
    return root / "run"


def test_the_bundle_paints_what_the_net_paints(run: Path) -> None:
    bundle = load(run / "translator" / "bundle")
    assert isinstance(bundle.spec, FrameSpec)
    tensors, shape = read_net(run / "translator" / "net.safetensors")
    net = ready(TranslatorNet(shaped(Shape, shape)), tensors).eval()
    drawing = np.random.default_rng(0).random((2, 3, SIZE, SIZE), np.float32)
    with torch.inference_mode():
        expected = net(torch.from_numpy(drawing)).numpy()
    np.testing.assert_allclose(bundle.session().run({"drawing": drawing})["painted"], expected, atol=1e-4)


def test_what_is_painted_is_near_the_film(run: Path) -> None:
    faces, translator = read(run / "film"), Translator(run / "translator" / "bundle")
    painted = translator.painted(faces.drawings[0])
    assert painted is not None
    off, other = (np.abs(painted.astype(float) - each).mean() for each in (faces.pictures[0], 128.0))
    assert off < other / 3


def test_a_painted_mouth_fades_at_a_circle_and_stays_on_the_lower_face(run: Path) -> None:
    tracked, bank = tracked_portrait(), Bank()
    assert tracked.face is not None
    bank.observe(tracked)
    renderer = TranslatedRenderer(bank, None, Translator(run / "translator" / "bundle"))
    whole, half = (renderer.render(tracked, UNMOVED, weight, 0) for weight in (1.0, 0.5))
    assert whole is not None
    assert half is not None
    x, y = (tracked.face.points[LIPS, :2].mean(0) - whole.box[:2]).astype(int)
    assert whole.alpha[y, x] == 255
    assert half.alpha[y, x] in (127, 128)
    assert not np.concatenate([whole.alpha[0], whole.alpha[-1], whole.alpha[:, 0], whole.alpha[:, -1]]).any()


def test_the_denoiser_smooths_the_edge_of_what_was_pasted(run: Path) -> None:
    rows = [json.loads(line) for line in (run / "denoiser" / "log.jsonl").read_text().splitlines()]
    assert [row["nearer"] for row in rows if "nearer" in row][-1] > 0  # nearer to the smooth paste than the hard one
    faces, translator = read(run / "film"), Translator(run / "translator" / "bundle")
    painted, below = translator.painted(faces.drawings[0]), faces.pictures[20]
    assert painted is not None
    found = Denoiser(run / "denoiser" / "bundle", SIZE).smoothed(below, painted)
    hard = pasted(below, fitted(below, painted))
    assert found is not None
    assert found.shape == hard.shape
    assert np.abs(found.astype(int) - hard).max() > 0


def test_a_denoiser_learns_a_hard_paste_and_a_smooth_one_of_the_same_mouth(run: Path) -> None:
    faces = read(run / "film")
    pasting = Pasting(faces.pictures, faces.pictures)
    rows = np.array([3])
    hard, smooth = (each[0].permute(1, 2, 0).numpy() * 255 for each in pasting.pairs(rows, np.array([9])))
    mouth, below, mask = faces.pictures[3], faces.pictures[9], round_mask(SIZE)
    lit = fitted(below, mouth)
    assert np.allclose(hard[SIZE // 2, SIZE // 2], lit[SIZE // 2, SIZE // 2], atol=0.01)
    assert np.allclose(hard[0], below[0], atol=0.01)
    half = np.unravel_index(np.abs(mask - 0.5).argmin(), mask.shape)
    assert np.allclose(smooth[half], mask[half] * lit[half] + (1 - mask[half]) * below[half], atol=0.01)
    assert round_mask(128)[64, 64] == 1


def test_a_denoiser_wants_a_translator_and_is_none(run: Path) -> None:
    one, other = run / "translator" / "bundle", run / "denoiser" / "bundle"
    registry.create("landmark-dub", translator=one, denoiser=other).close()
    with pytest.raises(ConfigError, match="give --translator, too"):
        registry.create("landmark-dub", denoiser=other)
    with pytest.raises(BundleError, match="no denoiser of painted faces: face-translator"):
        registry.create("landmark-dub", translator=one, denoiser=one)


def test_the_mask_is_the_published_one() -> None:
    mask = rounded(np.array([10.0, 10.0], np.float32), 8.0, (0, 0, 21, 21))
    assert mask[10, 10] == 1
    assert mask[10, 17] == pytest.approx(3 * (1 - 49 / 64))
    assert mask[10, 18] == 0


def test_the_engine_takes_it_and_no_other(run: Path) -> None:
    generator = registry.create("landmark-dub", translator=run / "translator" / "bundle")
    generator.close()
    with pytest.raises(BundleError, match="no translator of faces: landmark-dub"):
        registry.create("landmark-dub", translator=load_default("landmark-dub").folder)


def test_a_film_is_for_engines_that_learn_from_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = run.parent / "me.mkv"
    assert execute(monkeypatch, "train-engine", "landmark-dub", "--video", film, "--out", tmp_path / "a") == 2
    assert "cannot use --video with landmark-dub" in capsys.readouterr().err
    assert execute(monkeypatch, "train-engine", "face-translator", "--data", tmp_path, "--out", tmp_path / "b") == 2
    assert "not a prepared data set" in capsys.readouterr().err


def test_a_run_goes_on_with_its_own_film_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, other = run.parent / "me.mkv", tmp_path / "other.mkv"
    other.write_bytes(own.read_bytes()[:-1])
    again = "train-engine", "face-translator", "--out", run, "--resume", "--video"
    assert execute(monkeypatch, *again, other) == 2
    assert "is of another film" in capsys.readouterr().err
    assert execute(monkeypatch, *again, tmp_path / "none.mkv") == 2
    assert "cannot read" in capsys.readouterr().err
    assert execute(monkeypatch, *again, own) == 0
