"""``train-engine`` on a tiny prepared data set: steps, goes on, several processes, early stop, bundle, TensorBoard."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402
from tiny import filmed  # noqa: E402

from engines.common import command, train_engine  # noqa: E402
from engines.common import engine as engines  # noqa: E402  (they need torch's extra)
from engines.common.dataset import Dataset  # noqa: E402
from engines.common.distributed import DistributedContext  # noqa: E402
from engines.common.engine import Work  # noqa: E402
from engines.common.loop import Plan, Trainer  # noqa: E402
from engines.common.runs import launch  # noqa: E402
from engines.common.watch import plot  # noqa: E402
from realtime_dub.errors import BundleError, ConfigError  # noqa: E402
from realtime_dub.inference.bundle import load  # noqa: E402

pytestmark = pytest.mark.usefixtures("few_sounds")

SMALL = """
[direct.plan]
steps = {steps}
warm_up = 1
check_every = {every}
patience = {patience}
rate = {rate}
keep = "best"
[direct.engine]
batch = 3
frames = 120
width = 8
dilations = [1, 4]
components = 3
align_at = 0
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder of ten tracks by three speakers, without phonemes."""
    return filmed(tmp_path_factory.mktemp("data"))


def config(path: Path, steps: int = 4, every: int = 2, patience: int = 0, rate: float = 2e-3) -> Path:
    path.write_text(SMALL.format(steps=steps, every=every, patience=patience, rate=rate))
    return path


def run(data: Path, out: Path, file: Path | None, resume: bool = False, world: int = 1) -> list[dict]:
    """A whole run; returns the rows of its log."""
    settled, todo = train_engine.resolve("mouthbank", [data], out, file, "direct", resume=resume)
    launch(settled, out, todo, world, gpus=False)
    return [json.loads(line) for line in (out / "direct" / "log.jsonl").read_text().splitlines()]


def weights(out: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return {k: v for k, v in load_file(out / "direct" / "checkpoint.safetensors").items() if k.startswith("net.")}


def test_trains_and_writes_a_bundle_that_runs(data: Path, tmp_path: Path) -> None:
    rows = run(data, tmp_path / "run", config(tmp_path / "c.toml", steps=60, every=30, rate=1e-2))
    assert [row["step"] for row in rows] == [0, 30, 60, 60]
    assert rows[2]["lips"] < rows[1]["lips"]
    assert rows[3]["best"] == max(rows[1]["r"], rows[2]["r"])
    assert load(tmp_path / "run" / "direct" / "bundle").spec.engine == "mouthbank"
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    assert stored["stages"]["direct"]["plan"]["steps"] == 60
    assert stored["stages"]["direct"]["plan"]["weight_decay"] == 0.02  # of the engine's own config.toml
    assert not list(tmp_path.rglob("*.pt")) + list(tmp_path.rglob("*.part"))


def test_tensorboard_has_figures_curves_pictures_and_sound(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "run", config(tmp_path / "c.toml"))
    events = EventAccumulator(str(tmp_path / "run" / "direct" / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"lips", "r", "rate"} <= set(tags["scalars"])
    assert {"opening/t8", "lips/t8"} <= set(tags["images"])
    assert "sound/t8" in tags["audio"]
    assert [event.step for event in events.Scalars("r")] == [2, 4]


def test_a_run_goes_on_as_the_unbroken_one_would(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "a", config(tmp_path / "c.toml"))
    settled, _ = train_engine.resolve("mouthbank", [data], tmp_path / "b", config(tmp_path / "c.toml"), "direct")
    stage, conf = engines.stages_of("mouthbank")["direct"], settled.stages["direct"]
    out, context = tmp_path / "b" / "direct", DistributedContext()
    made = stage.make(stage.settings(**conf.engine), Work(Dataset(data), context, conf.plan.seed, out, {}))
    assert isinstance(made, engines.Engine)
    Trainer(made.network(), conf.plan, out, score="r").run(made.losses, made.check, until=2)
    rows = run(data, tmp_path / "b", None, resume=True)
    assert [row["step"] for row in rows if "resumed" in row] == [2]
    one, other = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert all(np.allclose(one[name], other[name], atol=1e-6) for name in one)


def test_two_processes_train_one_net(data: Path, tmp_path: Path) -> None:
    file = config(tmp_path / "c.toml")
    rows = run(data, tmp_path / "two", file, world=2)
    assert rows[0]["processes"] == 2
    assert [row["step"] for row in rows] == [0, 2, 4, 4]
    assert (tmp_path / "two" / "direct" / "bundle" / "spec.json").exists()
    run(data, tmp_path / "one", file)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    # The second process draws other batches: its gradients count.
    assert any(np.abs(one[name] - two[name]).max() > 1e-5 for name in one)


class Constant:
    """An engine's losses and figures by hand: the score rises, then falls."""

    def __init__(self) -> None:
        self.scores = iter([0.1, 0.3, 0.2, 0.2, 0.2, 0.9])

    def losses(self, net: torch.nn.Module, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        return {"square": (net.weight**2).mean()}

    def check(self, net: torch.nn.Module) -> dict[str, float]:
        return {"score": next(self.scores)}


def test_it_stops_when_it_gets_no_better_and_keeps_the_best(tmp_path: Path) -> None:
    plan = Plan(steps=60, warm_up=1, check_every=10, patience=2, rate=1e-2)
    by_hand = Constant()
    trainer = Trainer(torch.nn.Linear(3, 3), plan, tmp_path, score="score")
    trainer.run(by_hand.losses, by_hand.check)
    assert trainer.step == 40
    assert trainer.ended
    assert trainer.best == 0.3
    last = trainer.average.weight.clone()
    trainer.load_best()
    assert not torch.equal(trainer.average.weight, last)
    again = Trainer(torch.nn.Linear(3, 3), plan, tmp_path, score="score")
    assert again.resume()
    again.run(by_hand.losses, by_hand.check)
    assert again.step == 40  # what has ended does not go on


def test_what_cannot_be_is_refused_before_training(data: Path, tmp_path: Path) -> None:
    out, wrong = tmp_path / "run", tmp_path / "wrong.toml"
    with pytest.raises(BundleError, match=r"unknown engine 'other'; choose one of .*lipgan, mouthbank"):
        train_engine.resolve("other", [data], out)
    with pytest.raises(ConfigError, match="not a prepared data set"):
        train_engine.resolve("mouthbank", [tmp_path], out)
    with pytest.raises(ConfigError, match="--data is missing"):
        train_engine.resolve("mouthbank", [], out)
    with pytest.raises(ConfigError, match=r"no phonemes for train in .*; add a folder of prepare-dataset"):
        train_engine.resolve("mouthbank", [data], out)
    for text, said in (
        ("[direct.plan]\nstepps = 3", "direct.plan.stepps"),
        ("[direct.engine]\nbatch = 'x'", "batch"),
        ("[direct.engine]\ncolour = 1", "colour"),
        ("[plan]\nsteps = 3", "unknown stage 'plan' of mouthbank; choose one of speech, direct"),
        ("[plan", "cannot read"),
    ):
        wrong.write_text(text)
        with pytest.raises(ConfigError, match=said):
            train_engine.resolve("mouthbank", [data], out, wrong, "direct")
    assert not out.exists()


def test_a_run_is_not_begun_over_another(data: Path, tmp_path: Path) -> None:
    file = config(tmp_path / "c.toml")
    for _ in range(2):  # what was broken off before its first checkpoint is no run yet
        train_engine.resolve("mouthbank", [data], tmp_path / "run", file, "direct")
    run(data, tmp_path / "run", file)
    with pytest.raises(ConfigError, match=r"there is a run in .*direct"):
        train_engine.resolve("mouthbank", [data], tmp_path / "run", None, "direct")
    with pytest.raises(ConfigError, match="keeps its configuration"):
        train_engine.resolve("mouthbank", [data], tmp_path / "run", file, "direct", resume=True)
    with pytest.raises(ConfigError, match="it has a run of mouthbank"):
        train_engine.resolve("speech", [data], tmp_path / "run", resume=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there are GPUs here")
def test_gpus_that_are_not_there_are_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["mouthbank", "--data", str(data), "--out", str(tmp_path / "run"), "--gpus", "2"]
    monkeypatch.setattr(sys, "argv", ["train-engine", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.train_engine()
    assert ended.value.code == 2
    assert "this machine has 0" in capsys.readouterr().err


def test_curves_are_drawn() -> None:
    picture = plot({"real": np.sin(np.arange(75) / 5), "found": np.zeros(75)})
    assert picture.shape == (200, 640, 3)
    assert (picture != 255).any()


def test_every_engine_brings_what_is_asked() -> None:
    for name in engines.names():
        stages = engines.stages_of(name)
        assert set(train_engine.defaults(name)) <= {"threads", *stages}
        for each, stage in stages.items():
            before = list(stages)[: list(stages).index(each)]
            assert set(stage.needs) <= set(before), each
