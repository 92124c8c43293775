"""``train-engine`` on a tiny prepared data set: steps, goes on, several processes, early stop, bundle, TensorBoard."""

from __future__ import annotations

import io
import json
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

from engines.common import command, train_engine  # noqa: E402
from engines.common import engine as engines  # noqa: E402  (they need torch's extra)
from engines.common.loop import Plan, Trainer  # noqa: E402
from engines.common.watch import plot  # noqa: E402
from realtime_dub.errors import BundleError, ConfigError  # noqa: E402
from realtime_dub.face.alignment import TEMPLATE  # noqa: E402
from realtime_dub.inference.bundle import load  # noqa: E402

FRAMES = 50
LOWER_LIP = [14, 87, 317, 178, 402, 17]
SMALL = """
[plan]
steps = {steps}
warm_up = 1
check_every = {every}
patience = {patience}
rate = {rate}
[engine]
batch = 3
frames = 120
width = 8
dilations = [1, 4]
components = 3
"""


def write_track(root: Path, name: str, seed: int) -> None:
    """Two seconds of a face whose lower lip follows the loudness of a noise."""
    rng = np.random.default_rng(seed)
    loud = np.clip(np.sin(np.arange(FRAMES) / rng.uniform(1.5, 3)), 0, 1)
    loud[:12] = 0
    canonical = np.repeat(TEMPLATE[None], FRAMES, 0).copy()
    canonical[:, LOWER_LIP, 1] += 0.2 * loud[:, None]
    canonical = (canonical + rng.normal(0, 0.002, canonical.shape)).astype(np.float32)
    envelope = np.interp(np.arange(FRAMES * 640) / 640, np.arange(FRAMES), loud)
    audio = np.round(0.1 * envelope * rng.standard_normal(FRAMES * 640) * 32767).clip(-32768, 32767).astype("<i2")
    pose = {
        "rotation": np.repeat(np.eye(3, dtype=np.float32)[None], FRAMES, 0),
        "scale": np.full(FRAMES, 60, np.float32),
        "shift": np.full((FRAMES, 3), 100, np.float32),
        "seen": np.ones(FRAMES, bool),
    }
    np.savez(root / "tracks" / f"{name}.npz", canonical=canonical, **pose)
    np.save(root / "speech" / f"{name}.npy", np.repeat(loud > 0, 4))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(audio.tobytes())
    (root / "sound" / f"{name}.wav").write_bytes(buffer.getvalue())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder of ten tracks by three speakers."""
    root = tmp_path_factory.mktemp("data")
    for folder in ("tracks", "sound", "speech"):
        (root / folder).mkdir()
    rows = []
    for index in range(10):
        part = "validation" if index >= 8 else "train"
        write_track(root, f"t{index}", index)
        row = {"track": f"t{index}", "speaker": f"p{index // 4}", "frames": FRAMES, "part": part, "text": ""}
        rows.append(row | {"words": [[480, 2000, "speech"]], "offset_ms": 0.0})
    (root / "tracks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def config(path: Path, steps: int = 4, every: int = 2, patience: int = 0, rate: float = 2e-3) -> Path:
    path.write_text(SMALL.format(steps=steps, every=every, patience=patience, rate=rate))
    return path


def run(data: Path, out: Path, file: Path | None, resume: bool = False, world: int = 1) -> list[dict]:
    """A whole run; returns the rows of its log."""
    settled = train_engine.resolve_config("mouthbank", data, out, file, resume)
    train_engine.launch(settled, out, world, gpus=False)
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def weights(out: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return {k: v for k, v in load_file(out / "checkpoint.safetensors").items() if k.startswith("net.")}


def test_trains_and_writes_a_bundle_that_runs(data: Path, tmp_path: Path) -> None:
    rows = run(data, tmp_path / "run", config(tmp_path / "c.toml", steps=60, every=30, rate=1e-2))
    assert [row["step"] for row in rows] == [0, 30, 60, 60]
    assert rows[2]["lips"] < rows[1]["lips"]
    assert rows[3]["best"] == max(rows[1]["r"], rows[2]["r"])
    assert load(tmp_path / "run" / "bundle").spec.engine == "mouthbank"
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    assert stored["plan"]["steps"] == 60
    assert stored["plan"]["weight_decay"] == 0.02  # of the engine's own config.toml
    assert not list(tmp_path.rglob("*.pt")) + list(tmp_path.rglob("*.part"))


def test_tensorboard_has_figures_curves_pictures_and_sound(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "run", config(tmp_path / "c.toml"))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"lips", "r", "rate"} <= set(tags["scalars"])
    assert {"opening/t8", "lips/t8"} <= set(tags["images"])
    assert "sound/t8" in tags["audio"]
    assert [event.step for event in events.Scalars("r")] == [2, 4]


def test_a_run_goes_on_as_the_unbroken_one_would(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "a", config(tmp_path / "c.toml"))
    settled = train_engine.resolve_config("mouthbank", data, tmp_path / "b", config(tmp_path / "c.toml"), False)
    module = engines.load("mouthbank")
    from engines.common.dataset import Dataset
    from engines.common.distributed import DistributedContext

    made = module.make(module.Settings(**settled.engine), Dataset(data), DistributedContext(), settled.plan.seed)
    Trainer(made.network(), settled.plan, tmp_path / "b", score="r").run(made.losses, made.check, until=2)
    rows = run(data, tmp_path / "b", None, resume=True)
    assert [row["step"] for row in rows if "resumed" in row] == [2]
    one, other = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert all(np.allclose(one[name], other[name], atol=1e-6) for name in one)


def test_two_processes_train_one_net(data: Path, tmp_path: Path) -> None:
    file = config(tmp_path / "c.toml")
    rows = run(data, tmp_path / "two", file, world=2)
    assert rows[0]["processes"] == 2
    assert [row["step"] for row in rows] == [0, 2, 4, 4]
    assert (tmp_path / "two" / "bundle" / "spec.json").exists()
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
    with pytest.raises(BundleError, match="unknown engine 'other'; choose one of mouthbank"):
        train_engine.resolve_config("other", data, tmp_path / "run", None, False)
    with pytest.raises(ConfigError, match="not a prepared data set"):
        train_engine.resolve_config("mouthbank", tmp_path, tmp_path / "run", None, False)
    wrong = tmp_path / "wrong.toml"
    for text, said in (
        ("[plan]\nstepps = 3", "plan.stepps"),
        ("[engine]\nbatch = 'x'", "batch"),
        ("[engine]\ncolour = 1", "colour"),
        ("[plan", "cannot read"),
    ):
        wrong.write_text(text)
        with pytest.raises(ConfigError, match=said):
            train_engine.resolve_config("mouthbank", data, tmp_path / "run", wrong, False)
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_begun_over_another(data: Path, tmp_path: Path) -> None:
    file = config(tmp_path / "c.toml")
    run(data, tmp_path / "run", file)
    with pytest.raises(ConfigError, match="there is a run in"):
        train_engine.resolve_config("mouthbank", data, tmp_path / "run", file, False)
    with pytest.raises(ConfigError, match="keeps its configuration"):
        train_engine.resolve_config("mouthbank", data, tmp_path / "run", file, True)


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
        module = engines.load(name)
        assert hasattr(module, "Settings")
        assert hasattr(module, "make")
        assert engines.default_config(name).exists()
