"""The net that finds what is before a face: its scenes, its stage from videos to the bundle, its figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pocketsphinx")

from stage_runs import execute, prepared_film  # noqa: E402

from engines.common.results import read_net, ready, shaped  # noqa: E402
from engines.mouthbank.occlusion.faces import Faces  # noqa: E402
from engines.mouthbank.occlusion.network import OcclusionNet, Shape  # noqa: E402
from engines.mouthbank.occlusion.scenes import scene  # noqa: E402
from engines.mouthbank.occlusion.stage import FACES, figures, probabilities, validation_scenes  # noqa: E402
from engines.mouthbank.occlusion.things import THINGS  # noqa: E402
from realtime_dub.inference.bundle import load  # noqa: E402
from realtime_dub.inference.spec import MaskSpec  # noqa: E402
from realtime_dub.mouth.mouthbank.occlusion_view import SIZE  # noqa: E402

SMALL = """
[occlusion.plan]
steps = 3
warm_up = 1
check_every = 1
[occlusion.engine]
batch = 2
widths = [4, 4, 4, 4]
scenes = 6
every = 10
checked = 1
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the stage, by the two commands."""
    root = tmp_path_factory.mktemp("occlusion")
    (root / "small.toml").write_text(SMALL)
    out = root / "run"
    with pytest.MonkeyPatch.context() as patch:
        film = prepared_film(patch, root)
        options = "--stage", "occlusion", "--config", root / "small.toml"
        assert execute(patch, "train-engine", "mouthbank", "--data", film, "--out", out, *options) == 0
    return out / "occlusion"


def test_the_bundle_finds_what_the_net_finds(made: Path) -> None:
    bundle = load(made / "bundle")
    assert isinstance(bundle.spec, MaskSpec)
    tensors, shape = read_net(made / "net.safetensors")
    net = ready(OcclusionNet(shaped(Shape, shape)), tensors)
    rng = np.random.default_rng(0)
    image, drawing = (rng.random((2, channels, SIZE, SIZE), np.float32) for channels in (3, 2))
    with torch.inference_mode():
        expected = torch.sigmoid(net(torch.from_numpy(image), torch.from_numpy(drawing))).numpy()
    found = bundle.session().run({"image": image, "drawing": drawing})["covered"]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_scenes_are_the_same_for_the_same_seed_and_of_every_kind(made: Path) -> None:
    faces = Faces.load(made / FACES.format("train"))
    for kind in ("", *THINGS):
        one, again = (scene(faces, np.random.default_rng(5), kind) for _ in range(2))
        assert (one.image == again.image).all()
        assert one.thing == kind
        assert (one.covered.max() > 0.5) == bool(kind)
        assert one.mouth.any()
        assert (one.counts | ~one.mouth).all()


def test_figures_tell_masks_that_are_right_from_those_that_are_not(made: Path) -> None:
    scenes = validation_scenes(Faces.load(made / FACES.format("validation")), 1, 0)
    right = figures(scenes, np.stack([each.covered for each in scenes]))
    assert right["iou"] == 1
    assert right["missed"] == right["false"] == right["false_mouth"] == 0
    everything = figures(scenes, np.ones((len(scenes), SIZE, SIZE), np.float32))
    assert everything["false"] == everything["false_mouth"] == 1
    assert everything["iou"] < 0.7
    net = OcclusionNet(Shape(widths=(4, 4, 4, 4))).eval()
    assert probabilities(net, scenes).shape == (len(scenes), SIZE, SIZE)
