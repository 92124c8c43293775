"""Painters as ``train-engine`` makes them: from videos to bundles that agree, runs broken off, two processes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pocketsphinx")

from stage_runs import prepared_film  # noqa: E402
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

from engines.common import engine as engines  # noqa: E402
from engines.common import train_engine  # noqa: E402
from engines.common.dataset import Dataset  # noqa: E402
from engines.common.distributed import DistributedContext  # noqa: E402
from engines.common.engine import Work  # noqa: E402
from engines.common.loop import Trainer  # noqa: E402
from engines.common.results import read_net  # noqa: E402
from engines.common.runs import launch, result  # noqa: E402
from engines.lipgan.disturbing import ROOM  # noqa: E402
from engines.lipgan.draws import Draws, as_tensor, shown  # noqa: E402
from engines.lipgan.faces import APART, Faces  # noqa: E402
from engines.lipgan.network import FRAMES, Generator, Shape  # noqa: E402
from engines.lipgan.slim import SlimNet  # noqa: E402
from engines.lipgan.slim_stage import export_slim  # noqa: E402
from export.torch_session import trained_session  # noqa: E402
from realtime_dub.audio.frontends import PainterMelSpec  # noqa: E402
from realtime_dub.errors import ConfigError  # noqa: E402
from realtime_dub.inference.bundle import load  # noqa: E402
from realtime_dub.inference.spec import CropTaskSpec  # noqa: E402

WIDTHS = "[4, 4, 6, 6, 8]"
SMALL = "".join(
    f"""
[{stage}.plan]
steps = 4
check_every = 2
[{stage}.engine]
{sizes}
batch = 3
validation_tracks = 1
"""
    for stage, sizes in (
        ("generator", f"widths = {WIDTHS}"),
        ("gan", f"widths = {WIDTHS}\nrival_width = 16"),
        ("slim", f"widths = {WIDTHS}\naudio_widths = [4, 4, 4, 4]\nheard = 8\nlistened = 1"),
    )
)
SMALL += """
[hear.plan]
steps = 4
check_every = 2
[hear.engine]
audio_widths = [4, 4, 4, 4]
heard = 8
stretches = 2
validation_tracks = 1
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people's videos, prepared by the command."""
    with pytest.MonkeyPatch.context() as patch:
        return prepared_film(patch, tmp_path_factory.mktemp("lipgan"))


def resolved(data: Path, out: Path, stage: str, resume: bool = False) -> tuple[train_engine.RunConfig, list[str]]:
    file = out.parent / "small.toml"
    file.write_text(SMALL)
    given = None if (out / "config.json").exists() else file
    return train_engine.resolve("lipgan", [data], out, given, stage, resume=resume)


def run(data: Path, out: Path, stage: str, resume: bool = False, world: int = 1) -> list[dict]:
    settled, todo = resolved(data, out, stage, resume)
    launch(settled, out, todo, world, gpus=False)
    return [json.loads(line) for line in (out / stage / "log.jsonl").read_text().splitlines()]


def weights(out: Path, stage: str) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return {k: v for k, v in load_file(out / stage / "checkpoint.safetensors").items() if k.startswith("net.")}


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of all stages."""
    out = tmp_path_factory.mktemp("run") / "lipgan"
    for stage in ("generator", "gan", "hear", "slim"):
        rows = run(data, out, stage)
        assert [row["step"] for row in rows] == [0, 2, 4, 4]
    return out


@pytest.mark.parametrize("stage", ["generator", "gan", "slim"])
def test_a_bundle_gives_what_its_net_gives(made: Path, stage: str) -> None:
    """One face or several at once."""
    bundle = load(made / stage / "bundle")
    assert isinstance(bundle.spec, CropTaskSpec)
    assert bundle.spec.look_ahead_ms == 163
    assert bundle.spec.training_data[0].licence == "CC BY 4.0"
    session = trained_session(bundle)
    assert session is not None
    rng = np.random.default_rng(0)
    for count in (1, 3):
        feeds = {name: rng.random((count, 3, 96, 96), np.float32) for name in ("face", "reference")}
        feeds["mel"] = rng.normal(0, 2, (count, 27, 80)).astype(np.float32)
        found = bundle.session("cpu").run(feeds)["painted"]
        np.testing.assert_allclose(found, session.run(feeds)["painted"], atol=1e-4)


def test_the_log_has_both_rivals_losses(made: Path) -> None:
    rows = [json.loads(line) for line in (made / "gan" / "log.jsonl").read_text().splitlines()]
    assert {"l1", "adversarial", "synced", "mouth", "r"} <= set(rows[1])


def test_the_slim_one_at_its_full_size_is_small(tmp_path: Path) -> None:
    path = export_slim(SlimNet().eval(), tmp_path / "bundle", "1")
    assert (path / "painter.onnx").stat().st_size < 6_000_000


def test_the_gan_goes_on_from_the_generator_of_its_run(made: Path, data: Path, tmp_path: Path) -> None:
    stage = engines.stages_of("lipgan")["gan"]
    settled, _ = resolved(data, tmp_path / "fresh", "gan")
    settings = stage.settings(**settled.stages["gan"].engine)
    work = Work(Dataset(data), DistributedContext(), 1, made / "gan", {})
    net = stage.make(settings, work).network()  # type: ignore[union-attr]
    trained, _ = read_net(made / "generator" / "net.safetensors")
    assert torch.equal(net.generator.face.ends[1][0].weight, trained["face.ends.1.0.weight"])
    wrong = settings.model_copy(update={"widths": (2, 2, 2, 2, 4)})
    with pytest.raises(ConfigError, match="cannot begin with"):
        stage.make(wrong, work).network()  # type: ignore[union-attr]


def test_tensorboard_shows_curves_and_collages(made: Path) -> None:
    for stage in ("generator", "slim"):
        events = EventAccumulator(str(made / stage / "tensorboard"))
        events.Reload()
        tags = events.Tags()
        assert {"l1", "mouth", "r", "rate"} <= set(tags["scalars"])
        assert any(tag.startswith("painted/") for tag in tags["images"])
        assert any(tag.startswith("movement/") for tag in tags["images"])


@pytest.mark.parametrize("stage", ["gan", "slim"])
def test_a_run_that_was_killed_goes_on_as_the_unbroken_one(data: Path, tmp_path: Path, stage: str) -> None:
    for each in ("a", "b") if stage == "slim" else ():
        run(data, tmp_path / each, "hear")
    run(data, tmp_path / "a", stage)
    settled, _ = resolved(data, tmp_path / "b", stage)
    about, conf = engines.stages_of("lipgan")[stage], settled.stages[stage]
    out, context = tmp_path / "b" / stage, DistributedContext()
    needs = {each: result(settled, tmp_path / "b", each) for each in about.needs}
    built = about.make(about.settings(**conf.engine), Work(Dataset(data), context, conf.plan.seed, out, needs))
    assert isinstance(built, engines.Engine)
    torch.manual_seed(conf.plan.seed)
    Trainer(built.network(), conf.plan, out).run(built.losses, built.check, until=2)
    rows = run(data, tmp_path / "b", stage, resume=True)
    assert [row["step"] for row in rows if "resumed" in row] == [2]
    one, other = weights(tmp_path / "a", stage), weights(tmp_path / "b", stage)
    assert all(np.allclose(one[name], other[name], atol=1e-5) for name in one)


@pytest.mark.timeout(400)  # three runs, two of them by two processes
@pytest.mark.long
def test_two_processes_train_one_net_and_go_on_alike(data: Path, tmp_path: Path) -> None:
    """The same curve each time; the second process draws faces of its own, so it is not that of one process."""
    rows = run(data, tmp_path / "two", "generator", world=2)
    again = run(data, tmp_path / "again", "generator", world=2)
    assert rows[0]["processes"] == 2
    curves = [[row["l1"] for row in each if "l1" in row] for each in (rows, again)]
    assert curves[0] == pytest.approx(curves[1], abs=1e-4)
    one, two = weights(tmp_path / "two", "generator"), weights(tmp_path / "again", "generator")
    assert all(np.allclose(one[name], two[name], atol=1e-5) for name in one)
    run(data, tmp_path / "one", "generator")
    alone = weights(tmp_path / "one", "generator")
    assert any(np.abs(one[name] - alone[name]).max() > 1e-5 for name in one)


@pytest.mark.timeout(400)
@pytest.mark.long
def test_two_processes_learn_what_one_learns_from_both_their_batches(data: Path, tmp_path: Path) -> None:
    """The stage with two nets. The mean of both processes' gradients is that of one step over what both have drawn."""
    rows = run(data, tmp_path / "two", "gan", world=2)
    settled, _ = resolved(data, tmp_path / "one", "gan")
    about, conf = engines.stages_of("lipgan")["gan"], settled.stages["gan"]
    out, context = tmp_path / "one" / "gan", DistributedContext()
    seed = conf.plan.seed
    built = about.make(about.settings(**conf.engine), Work(Dataset(data), context, seed, out, {}))
    assert isinstance(built, engines.Engine)
    torch.manual_seed(seed)
    net = built.network()
    begun = {f"net.{name}": each.detach().numpy().copy() for name, each in net.named_parameters() if each.ndim > 1}
    trainer = Trainer(net, conf.plan, out)

    def of_both(net: torch.nn.Module, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        drawn = {rank: np.random.default_rng([seed, trainer.step, *rank]) for rank in ((), (1,))}
        found = {rank: built.losses(net, own) for rank, own in drawn.items()}
        return {f"{name} {rank}": value / 2 for rank, parts in found.items() for name, value in parts.items()}

    trainer.run(of_both, built.check)
    one, two = weights(tmp_path / "one", "gan"), weights(tmp_path / "two", "gan")
    # Adam makes whole steps of gradients that are nothing but rounding: single weights may go another way.
    apart, moved = (
        sum(float(((one[name] - other[name]) ** 2).sum()) for name in begun) ** 0.5 for other in (two, begun)
    )
    assert apart < 0.3 * moved
    alone = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    for name in ("l1", "adversarial", "synced"):  # of the first process, as it logs them
        curves = [row[name] for row in rows if name in row], [2 * row[f"{name} ()"] for row in alone]
        assert curves[0] == pytest.approx(curves[1], rel=0.01)


def faces(made: Path, stage: str, part: str = "train") -> Faces:
    return Faces(made / stage / f"faces-{part}", PainterMelSpec(), FRAMES)


def test_another_face_is_far_enough_away(made: Path) -> None:
    there = faces(made, "generator")
    for row in range(0, len(there), 5):
        others = there.others(row)
        assert len(others)
        assert (np.abs(there.index.number[others] - there.index.number[row]) >= APART).all()
        assert (there.index.track[others] == there.index.track[row]).all()
        openings = there.index.opening[others]
        assert (np.diff(openings) >= 0).all()
    draws = Draws(there, 16, shut=1.0)
    for each in ("a", "b", "c"):
        row = draws.rows(np.random.default_rng(ord(each)), 1)[0]
        own = there.index.opening[draws._others(np.random.default_rng(0), row)]
        assert own.max() <= np.quantile(there.index.opening[there.others(row)], 0.4)
    batch = draws.draw(np.random.default_rng(0))
    assert batch.face.shape == batch.reference.shape == (16, 3, 96, 96)
    assert batch.mel.shape == (16, 27, 80)


def test_faces_are_upright_and_their_mouths_where_they_are_looked_for(made: Path) -> None:
    """A mouth that opens changes the picture where the figures look for it, and less anywhere else."""
    from engines.lipgan.figures import mouth_box
    from engines.lipgan.slim import CROP

    there = faces(made, "slim")
    batch = shown(there, 0)
    spread = batch.face.std(0).mean(0).numpy()[ROOM:-ROOM, ROOM:-ROOM]
    top, bottom, left, right = mouth_box(CROP)
    assert spread[top:bottom, left:right].mean() > 4 * spread[:40].mean()


@pytest.mark.slow
def test_a_small_generator_learns_a_batch_by_heart(made: Path) -> None:
    there = faces(made, "generator")
    batch = shown(there, 0, every=10)
    torch.manual_seed(1)
    net = Generator(Shape("basic", (12, 16, 24, 32, 48)))
    adam = torch.optim.Adam(net.parameters(), 6e-3)
    apart = 1.0
    for step in range(500):
        for group in adam.param_groups:
            group["lr"] = 6e-3 * (1 - step / 500)
        loss = (net(batch.mel, batch.face, batch.reference) - batch.face).abs().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        apart = float(loss.detach())
        if apart < 0.019:
            break
    assert apart < 0.02


def test_images_and_tensors(made: Path) -> None:
    from engines.lipgan.draws import as_images

    some = faces(made, "generator").images[:3]
    np.testing.assert_array_equal(as_images(as_tensor(some)), some)


def test_faces_are_kept_as_the_published_tools_have_them(data: Path, tmp_path: Path) -> None:
    """Also where the videos are gone: what was kept is learnt from."""
    import shutil
    import wave

    import cv2

    from engines.common.prepare.faces import add_faces
    from engines.lipgan.faces import gathered
    from engines.lipgan.painters import CROP

    root = tmp_path / "prepared"
    shutil.copytree(data, root)
    steps: list[int] = []
    assert add_faces(root, 96, 2, lambda: steps.append(1)) == len(steps) == 3
    assert add_faces(root, 96, 2, lambda: steps.append(1)) == 3
    assert len(steps) == 3  # what is there is not made again
    entry = Dataset(root).part("train")[0]
    folder = root / "faces" / entry.track
    names = sorted(path.name for path in folder.iterdir())
    assert {"0.jpg", "mels.npz", "audio.wav"} <= set(names)
    assert len(names) == entry.frames + 2
    assert cv2.imread(str(folder / "0.jpg")).shape == (96, 96, 3)
    with np.load(folder / "mels.npz") as mels, wave.open(str(folder / "audio.wav")) as sound:
        assert mels["spec"].shape[0] == 80
        assert abs(mels["spec"].shape[1] - sound.getnframes() / 200) <= 1
    gathered(Dataset(root), [entry], CROP, PainterMelSpec(), tmp_path / "filmed")
    for path in (root / "clips").rglob("*.json"):
        path.write_text(path.read_text().replace("film", "gone"))
    gathered(Dataset(root), [entry], CROP, PainterMelSpec(), tmp_path / "kept")
    one, other = (Faces(tmp_path / name, PainterMelSpec(), FRAMES) for name in ("filmed", "kept"))
    assert np.abs(one.images[: len(one)].astype(int) - other.images[: len(other)]).mean() < 3
    np.testing.assert_array_equal(one.index.number, other.index.number)
