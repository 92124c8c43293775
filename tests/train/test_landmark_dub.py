"""landmark-dub: the published networks in PyTorch and as a graph, their training, and their weights from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import painters
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from stage_runs import execute  # noqa: E402
from tiny import filmed, heard  # noqa: E402

from engines.common.dataset import Dataset  # noqa: E402
from engines.landmark_dub import importing  # noqa: E402
from engines.landmark_dub.bundle_files import FRAME_RATE  # noqa: E402
from engines.landmark_dub.data import REST, Batches, People, Rowing, talk_of, talk_taught  # noqa: E402
from engines.landmark_dub.layers import MODULES, expected, to_crop  # noqa: E402
from engines.landmark_dub.losses import landmark_losses, opened  # noqa: E402
from engines.landmark_dub.network import LandmarkNet, Shape  # noqa: E402
from engines.landmark_dub.stage import export_bundle  # noqa: E402
from engines.landmark_dub.taught import FILE, Teacher, chosen, taught  # noqa: E402
from engines.landmark_dub.weights import files_in, read_weights  # noqa: E402
from realtime_dub.audio.frontends.mfcc import per_frame  # noqa: E402
from realtime_dub.errors import BundleError, ConfigError  # noqa: E402
from realtime_dub.face.alignment import TEMPLATE  # noqa: E402
from realtime_dub.face.scheme68 import AROUND  # noqa: E402
from realtime_dub.inference.bundle import load  # noqa: E402

SPEC = per_frame(FRAME_RATE)


def net_of(seed: int = 0, delay: int = 0) -> LandmarkNet:
    """One whose batch norms have seen something, and whose mouth is as wide as one."""
    torch.manual_seed(seed)
    net = LandmarkNet(Shape(delay))
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    with torch.no_grad():
        middle = np.stack([np.array([np.cos(a), 0.4 * np.sin(a)]) for a in np.linspace(np.pi, 3 * np.pi, 21)[:20]])
        middle[6] = -middle[0]
        shares = torch.from_numpy((128 + 18 * middle.reshape(-1)) / 255).float()
        net.face_decoder.decoder[6].weight.mul_(0.02)
        net.face_decoder.decoder[6].bias.copy_(torch.logit(shares))
    return net.eval()


def run(folder: Path, cepstra: np.ndarray, faces: np.ndarray, sizes: list[int]) -> np.ndarray:
    """The bundle's lips in pixels of the crop, heard in pieces of these sizes."""
    session, state = load(folder).session("cpu"), {f"memory_{k}": np.zeros((1, 1, 144), np.float32) for k in (0, 1)}
    made = []
    for part, face in zip(np.split(cepstra, np.cumsum(sizes), 1), np.split(faces, np.cumsum(sizes), 1), strict=True):
        if part.shape[1]:
            results = session.run({"cepstra": part, "face": face, **state})
            state = {name: results[f"next_{name}"] for name in state}
            made.append(results["lips"])
    return to_crop(np.concatenate(made, 1))


def sound_and_face(steps: int = 30) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    cepstra = 30 * rng.standard_normal((1, steps, 12))
    return cepstra.astype(np.float32), rng.uniform(-1.5, 2.5, (1, steps, 48, 2)).astype(np.float32)


def test_the_networks_are_the_published_ones() -> None:
    shapes = {name: tuple(each.shape) for name, each in LandmarkNet().state_dict().items()}
    assert {name: shape for name, shape in shapes.items() if "num_batches" not in name} == expected()
    assert sum(each.numel() for each in LandmarkNet().parameters()) == 359_928


@pytest.mark.parametrize("sizes", [[], [1, 1, 5], [29], [7, 7, 7]])
def test_the_graph_gives_what_pytorch_gives_in_pieces_of_any_size(sizes: list[int], tmp_path: Path) -> None:
    net = net_of()
    folder = export_bundle(net, tmp_path / "bundle")
    cepstra, faces = sound_and_face()
    with torch.no_grad():
        wanted = net(torch.from_numpy(cepstra), torch.from_numpy(to_crop(faces)))[0].numpy()
    assert np.abs(run(folder, cepstra, faces, sizes) - wanted).max() < 1e-4 * 255
    assert load(folder).spec.look_ahead_ms == 0


def test_a_row_is_a_track_with_its_mouth_behind_its_sound(tmp_path: Path) -> None:
    dataset = Dataset(filmed(tmp_path))
    tracks = [dataset.load(entry) for entry in dataset.part("train")]
    talk = talk_of(tracks[0], SPEC)
    assert len(talk.power) == len(talk.mouth) == 50
    rowing = Rowing(6, 20, delay=2, shrink=0.3, shift_px=36)
    batches = Batches(People.filmed(tracks, SPEC, seed=1), SPEC, rowing)
    cepstra, faces, mouths = batches.draw(np.random.default_rng(0))
    assert (cepstra.shape, faces.shape, mouths.shape) == ((6, 20, 12), (6, 20, 48, 2), (6, 20, 20, 2))
    assert bool((faces == faces[:, :1]).all())  # at rest
    assert 20 < float(mouths.min()) < float(mouths.max()) < 235


def test_the_loss_asks_that_an_opening_does_not_depend_on_whose_face_it_is() -> None:
    torch.manual_seed(3)
    net, rows = (
        LandmarkNet(),
        (30 * torch.randn(4, 9, 12), 255 * torch.rand(4, 9, 48, 2), 255 * torch.rand(4, 9, 20, 2)),
    )
    parts = landmark_losses(net, rows)
    assert set(parts) == {"points", "openness"}
    assert float(parts["openness"].detach()) > 0
    with torch.no_grad():
        net.face_encoder.encoder[7].weight.zero_()  # it says the same of every face
    assert float(landmark_losses(net.eval(), rows)["openness"].detach()) == pytest.approx(0, abs=1e-6)


def test_openings_are_shares_of_their_mean() -> None:
    mouths = torch.rand(2, 9, 20, 2)
    assert torch.allclose(opened(7 * mouths), opened(mouths), atol=1e-4)
    assert torch.allclose(opened(mouths).mean(1), torch.full((2,), 256 / 29))


def test_voices_without_a_film_are_taught_by_the_default_engines_net(tmp_path: Path) -> None:
    """Teacher and stream of one net agree, and what was asked once is not asked again."""
    dataset = heard(tmp_path / "heard")
    entries = chosen(dataset, 4)
    assert [entry.part for entry in entries] == ["train"] * 4
    lips = taught(dataset, entries, SPEC, tmp_path / "run")
    voice, before = dataset.audio(entries[0]), (tmp_path / "run" / FILE).read_bytes()
    assert lips[0].shape == (-(-len(voice) // SPEC.hop), 20, 2)
    again = taught(dataset, entries, SPEC, tmp_path / "run")
    assert [each.shape for each in again] == [each.shape for each in lips]
    assert (tmp_path / "run" / FILE).read_bytes() == before
    alone = Teacher().lips(voice, SPEC)
    assert np.abs(alone - lips[0]).max() < 1e-6  # whoever was heard before leaves nothing behind
    resting = to_crop(TEMPLATE[AROUND, :2])
    talk = talk_taught(voice, lips[0], resting, SPEC)
    rowing = Rowing(3, 5, delay=2, taught=0.99)
    seen = Dataset(filmed(tmp_path / "filmed"))
    tracks = [seen.load(entry) for entry in seen.part("train")]
    batches = Batches(People.filmed(tracks, SPEC, seed=1), SPEC, rowing, People.of([[talk]], ["s"]))
    cepstra, faces, mouths = batches.draw(np.random.default_rng(0))
    assert (cepstra.shape, mouths.shape) == ((3, 5, 12), (3, 5, 20, 2))
    assert np.allclose(faces[0, 0], resting)
    assert np.abs(mouths.numpy() - REST).max() < 40


def test_a_run_becomes_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, out = filmed(tmp_path / "data"), tmp_path / "run"
    config = tmp_path / "small.toml"
    plan, engine = (
        "plan = { steps = 4, check_every = 2, warm_up = 1 }",
        "engine = { batch = 3, frames = 12, delay = 2, taught = 0.4, opening = 0.5 }",
    )
    config.write_text(f"[landmarks]\n{plan}\n{engine}\n")
    heard(tmp_path / "heard")
    options = "--data", data, "--data", tmp_path / "heard", "--out", out, "--config", config, "--gpus", "0"
    assert execute(monkeypatch, "train-engine", "landmark-dub", *options) == 0
    spec = load(out / "landmarks" / "bundle").spec
    assert (spec.engine, spec.look_ahead_ms, spec.training_data[0].licence) == ("landmark-dub", 80, "CC BY 4.0")
    rows = [json.loads(line) for line in (out / "landmarks" / "log.jsonl").read_text().splitlines()]
    assert rows[0]["parameters"] == 359_928
    assert all(-1 <= row["r"] <= 1 and row["distance"] > 0 for row in rows if "r" in row)


# Weights from elsewhere.


def publish(folder: Path, net: LandmarkNet, epoch: int = 320) -> Path:
    """The three files as the authors' code writes them: whole modules, whose classes are their script's."""
    folder.mkdir(exist_ok=True)
    for name in MODULES:
        torch.save(getattr(net, name), folder / f"{name}_{epoch}.pt", _use_new_zipfile_serialization=False)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_published_weights_give_what_the_modules_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = net_of(5)
    folder = publish(tmp_path / "weights", net)
    publish(folder, net_of(6), epoch=40)  # the last epoch is taken
    monkeypatch.setattr(
        "sys.argv", ["import-engine", "landmark-dub", str(folder), "-o", str(tmp_path / "bundle"), "-q"]
    )
    from export import command

    with pytest.raises(SystemExit) as ended:
        command.import_engine()
    assert not ended.value.code
    cepstra, faces = sound_and_face()
    with torch.no_grad():
        person = net.face_encoder(torch.from_numpy(to_crop(faces)).reshape(-1, 96))
        joined = torch.cat([person, net.audio_encoder(torch.from_numpy(cepstra)[0])], 1)[None]
        wanted = net.face_decoder(joined)[0].numpy().reshape(1, -1, 20, 2)
    assert np.abs(run(tmp_path / "bundle", cepstra, faces, [11]) / 255 - wanted).max() < 1e-5
    spec = load(tmp_path / "bundle").spec
    assert "none stated" in spec.licence
    assert load(tmp_path / "bundle").known


HOSTILE = {
    "os.system": painters.called("os.system", "touch /tmp/owned"),
    "argparse.Namespace": painters.Name("argparse", "Namespace"),
    "shutil.rmtree": painters.called("collections.OrderedDict", ("a", painters.called("shutil.rmtree", "/tmp/x"))),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("which", MODULES)
def test_anything_but_tensors_is_refused_by_its_name(which: str, name: str, tmp_path: Path) -> None:
    folder = publish(tmp_path / "weights", LandmarkNet())
    hidden = painters.Module("Linear", _parameters={}, _buffers={"x": HOSTILE[name]}, _modules={})
    (folder / f"{which}_320.pt").write_bytes(painters.legacy(hidden))
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        importing.import_weights(folder, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def changed(net: LandmarkNet, how: str) -> LandmarkNet:
    layer = net.audio_encoder.encoder
    if how == "wider":
        layer[0] = torch.nn.Linear(13, 32)
    elif how == "longer":
        net.audio_encoder.encoder = torch.nn.Sequential(*layer, torch.nn.Linear(128, 128))
    elif how == "shorter":
        net.audio_encoder.encoder = layer[:6]
    else:
        with torch.no_grad():
            layer[0].weight[0, 0] = float("nan")
    return net


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("wider", r"audio_encoder\.encoder\.0\.weight is 32×13, not 32×12"),
        ("longer", r"it has audio_encoder\.encoder\.9\.weight, audio_encoder\.encoder\.9\.bias, too"),
        ("shorter", r"it lacks audio_encoder\.encoder\.6\.weight, .* and 3 more"),
        ("no number", r"audio_encoder\.encoder\.0\.weight has numbers that are none"),
    ],
)
def test_another_network_is_told_apart(how: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=says):
        read_weights(publish(tmp_path / "weights", changed(LandmarkNet(), how)))


def test_three_files_of_one_epoch_are_asked_for(tmp_path: Path) -> None:
    folder = publish(tmp_path / "weights", LandmarkNet())
    assert set(files_in(folder)) == set(MODULES)
    (folder / "face_encoder_320.pt").rename(folder / "face_encoder_40.pt")
    with pytest.raises(ConfigError, match="no weights of one epoch in"):
        files_in(folder)
    (folder / "face_encoder_40.pt").unlink()
    with pytest.raises(ConfigError, match="no weights face_encoder in"):
        files_in(folder)
    with pytest.raises(ConfigError, match="cannot read"):
        files_in(tmp_path / "nothing")
