"""Stage ``inside`` of ``train-engine mouthbank``: what lies between lips that nobody has seen so far apart."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from engines.common import Array
from engines.common.bundle_files import described, write_graph
from engines.common.engine import Engine, Samples, Work
from engines.common.loop import Losses
from engines.mouthbank.inside.mouths import gathered
from engines.mouthbank.inside.network import InsideNet, Learner, Shape, grey_of, levels_of
from engines.mouthbank.inside.pool import Batch, Pool
from realtime_dub.inference.bundle import SPEC
from realtime_dub.inference.spec import DataSpec, PaintSpec, TensorSpec
from realtime_dub.mouth.mouthbank.inside import SIDE, SIZE

MODEL = "inside.onnx"
MOUTHS = "mouths-{}.npy"  # in the stage's folder, cut out once
CHECKED, SHOWN = 256, 12  # mouths at most
RIM = 3  # pixels of the crop at the lips' edges that do not count


class Shipped(BaseModel):
    """``[inside.engine.ships]``: in what the net that ships is unlike the mean of those who were learnt from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bright: float = Field(default=0.95, gt=0)  # teeth, as much brighter
    hue: tuple[float, float, float] = (0.83, 1.0, 1.09)  # BGR of teeth; in film the lips' red runs into them
    behind: float = Field(default=0.75, gt=0)  # as bright is what lies behind them
    bared: tuple[float, float] = (0.025, -0.1)  # mouth widths that more is seen of the upper and of the lower row


class Settings(BaseModel):
    """``[inside.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(16, ge=1)
    width: int = Field(16, ge=1)  # channels of the net that knows the light
    gradient: float = Field(0.3, ge=0)  # weights of the losses beside the first one's
    own: float = Field(0.02, ge=0)
    moves: float = Field(0.02, ge=0)
    usual: float = Field(0.01, ge=0)
    tracks: int = Field(60, ge=1)  # of a speaker, at most
    each: int = Field(30, ge=1)  # mouths of a track, at most
    ships: Shipped = Shipped()
    version: str = "1.0.0"


class InsideEngine(Engine):
    """Learns from open mouths as they were filmed."""

    score = "closer"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._pool, self._held = self._cut("train"), self._cut("validation")

    def _cut(self, part: str) -> Pool:
        """The mouths of a part; cut out once in a run, by the first process."""
        path, dataset = self._work.out / MOUTHS.format(part), self._work.dataset
        if self._work.context.first and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            Pool.save(gathered(dataset, dataset.part(part), self._settings.each, self._settings.tracks), path)
        self._work.context.broadcast(0)  # the others wait for the file
        return Pool.load(path)

    def network(self) -> Learner:
        torch.manual_seed(self._work.seed)
        return Learner(Shape(SIZE, self._settings.width, len(self._pool.names), len(self._pool)))

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, Learner)
        batch = self._pool.draw(rng, self._settings.batch).to(self._work.context.device)
        own = net.own(batch.person, batch.frame, batch.mirrored)
        painted = net.painter(batch.image, batch.drawing, batch.jaws, own)
        off, room = unlike(painted, batch), room_of(batch.drawing)
        moves = net.moves[batch.frame]
        return {
            "near": mean(off.abs(), room),
            "gradient": self._settings.gradient * _of_gradients(off, room),
            "own": self._settings.own * (net.people**2).mean(),
            "usual": self._settings.usual * (net.painter.upper.unusual() + net.painter.lower.unusual()),
            "moves": self._settings.moves * (moves**2).mean(),
        }

    def check(self, net: nn.Module) -> dict[str, float]:
        """Of people who are not known: how far from the truth, with teeth and without."""
        assert isinstance(net, Learner)
        rows = np.unique(np.linspace(0, len(self._held) - 1, CHECKED).astype(int))
        batch, found = self._held.batch(rows), {}
        room = room_of(batch.drawing)
        with torch.inference_mode():
            for name, painted in self._ways(net, batch).items():
                off = unlike(painted, batch)
                found[name] = float(mean(off.abs(), room))
                found[f"{name}_edges"] = float(_of_gradients(off, room))
        found["closer"] = 1 - found["painted"] / found["toothless"]
        return {name: round(value, 4) for name, value in found.items()}

    def _ways(self, net: Learner, batch: Batch) -> dict[str, Tensor]:
        painter = net.painter
        return {
            "painted": painter(batch.image, batch.drawing, batch.jaws, net.usual()),
            "toothless": painter.behind(batch.image, batch.drawing, batch.jaws),
        }

    def samples(self, net: nn.Module) -> Samples:
        """True mouths, those of people who are not known painted, and as they ship."""
        assert isinstance(net, Learner)
        rows = np.unique(np.linspace(0, len(self._held) - 1, SHOWN).astype(int))
        return Samples(pictures={"mouths": sheet(net, self._held.batch(rows))})

    def amounts(self) -> dict[str, object]:
        pools = {"train": self._pool, "validation": self._held}
        counts = {name: np.unique(pool.mouths.cameras, return_counts=True) for name, pool in pools.items()}
        return {
            "mouths": {
                name: dict(zip(*(each.tolist() for each in found), strict=True)) for name, found in counts.items()
            },
            "parameters": sum(each.numel() for each in self.network().painter.parameters()),
        }

    def export(self, net: nn.Module, out: Path) -> Path:
        assert isinstance(net, Learner)
        shipped = shipping(net.painter, self._settings.ships)
        corpora = described(self._work.dataset, heard=False)
        return export_bundle(shipped, out / "bundle", self._settings.version, corpora)


def unlike(painted: Tensor, batch: Batch) -> Tensor:
    """How far painted mouths are from the true ones, of the skin's grey level."""
    skin, _ = levels_of(batch.image, batch.drawing)
    return (painted - batch.image) / grey_of(skin)


def room_of(drawing: Tensor) -> Tensor:
    """What lies between the lips without their edges (n, 1, ...), of which trackers are not sure."""
    return -nn.functional.max_pool2d(-drawing[:, 1:], RIM, 1, RIM // 2)


def mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / (weight.sum() * values.shape[1] + 1e-6)


def _of_gradients(difference: Tensor, room: Tensor) -> Tensor:
    across, down = difference.diff(dim=3).abs(), difference.diff(dim=2).abs()
    return mean(across, room[..., 1:]) + mean(down, room[:, :, 1:])


def sheet(net: Learner, batch: Batch) -> Array:
    """Three rows (h, w, 3) RGB: true, painted as such a camera sees it, as it ships."""
    soft = nn.functional.avg_pool2d(batch.drawing[:, 1:], 3, 1, 1)
    with torch.inference_mode():
        ways = [net.painter(batch.image, batch.drawing, batch.jaws, own) for own in (net.usual(), net.usual(0.01))]
    sides = [batch.image, *(batch.image + soft * (way - batch.image) for way in ways)]
    rows = [np.concatenate(list(side.cpu().numpy().transpose(0, 2, 3, 1)), 1) for side in sides]
    return np.rint(255 * np.concatenate(rows)[..., ::-1]).astype(np.uint8)


def shipping(painter: InsideNet, ships: Shipped) -> InsideNet:
    """The painter that runs live."""
    shipped = copy.deepcopy(painter)
    with torch.no_grad():
        hue = shipped.enamel.new_tensor(ships.hue)
        level = grey_of(shipped.enamel[None, :, None, None]) / grey_of(hue[None, :, None, None])
        shipped.enamel.copy_(hue * level.reshape(()) * ships.bright)
        shipped.flesh *= ships.behind
        shipped.upper.edge += ships.bared[0]
        shipped.lower.edge += ships.bared[1]
    return shipped.eval().requires_grad_(False)


def export_bundle(net: InsideNet, out: Path, version: str, trained_on: tuple[DataSpec, ...]) -> Path:
    """Write the net with its spec into the folder ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    inputs = {"image": (3, SIZE, SIZE), "drawing": (2, SIZE, SIZE), "jaws": (2, 4)}
    outputs = {"painted": (3, SIZE, SIZE)}
    examples = {name: torch.full((1, *shape), 0.5) for name, shape in inputs.items()}
    write_graph(net, out / MODEL, examples, list(outputs), named=True)
    spec = PaintSpec(
        format=2,
        name="mouthbank-inside",
        version=version,
        engine="mouthbank",
        model=MODEL,
        task="paint",
        size=SIZE,
        side=SIDE,
        states=(),
        inputs=tuple(TensorSpec(name=name, shape=("batch", *shape)) for name, shape in inputs.items()),
        outputs=tuple(TensorSpec(name=name, shape=("batch", *shape)) for name, shape in outputs.items()),
        licence="Apache-2.0",
        training_data=trained_on,
        sha256={MODEL: hashlib.sha256((out / MODEL).read_bytes()).hexdigest()},
    )
    (out / SPEC).write_text(spec.model_dump_json(indent=1) + "\n", "utf-8")
    return out
