"""Stage ``occlusion`` of ``train-engine mouthbank``: where something stands before the face."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from engines.common import Array
from engines.common.bundle_files import described, write_graph
from engines.common.engine import Engine, Samples, Work
from engines.common.loop import Losses
from engines.common.results import begun_from, located, read_net, shaped
from engines.mouthbank.occlusion.faces import Faces, gathered
from engines.mouthbank.occlusion.network import OcclusionNet, Probable, Shape
from engines.mouthbank.occlusion.pool import Pool
from engines.mouthbank.occlusion.scenes import Scene, scene
from engines.mouthbank.occlusion.things import THINGS
from realtime_dub.inference.bundle import SPEC
from realtime_dub.inference.spec import DataSpec, MaskSpec, TensorSpec
from realtime_dub.mouth.mouthbank.occlusion_view import CENTRE, SIDE, SIZE

MODEL = "occlusion.onnx"
SURE = 0.5  # probability from which a pixel counts as covered
FACES, SCENES = "faces-{}.npz", "scenes.npy"  # in the stage's folder, made once


class Settings(BaseModel):
    """``[occlusion.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(32, ge=1)
    scenes: int = Field(16_000, ge=1)  # that are learnt from
    widths: tuple[int, int, int, int] = (16, 24, 40, 64)
    every: int = Field(8, ge=1)  # of the pictures of a track
    tracks: int = Field(24, ge=1)  # of a speaker, at most
    checked: int = Field(24, ge=1)  # validation scenes of each kind of thing, and eight times as many without any
    start: Path | None = None  # a run whose net to begin with
    version: str = "1.0.0"


class OcclusionEngine(Engine):
    """Learns from scenes that are made here."""

    score = "iou"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._faces, self._held = self._cut("train"), self._cut("validation")
        if work.context.first:
            Pool.made(self._faces, settings.scenes, work.seed, work.out / SCENES)
        work.context.broadcast(0)  # the others wait for the file
        self._pool = Pool.made(self._faces, settings.scenes, work.seed, work.out / SCENES)
        self._scenes = validation_scenes(self._held, settings.checked, work.seed)

    def _cut(self, part: str) -> Faces:
        """The faces of a part; cut out once in a run."""
        path = self._work.out / FACES.format(part)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            dataset = self._work.dataset
            gathered(dataset, dataset.part(part), self._settings.every, self._settings.tracks).save(path)
        return Faces.load(path)

    def network(self) -> OcclusionNet:
        torch.manual_seed(self._work.seed)
        net = OcclusionNet(Shape(widths=self._settings.widths))
        if self._settings.start is not None:
            path = located(self._settings.start, "occlusion")
            tensors, shape = read_net(path)
            begun_from(net, path, tensors, shaped(Shape, shape))
        return net

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        device = self._work.context.device
        drawn = (tensor.to(device) for tensor in self._pool.draw(rng, self._settings.batch))
        image, drawing, covered, weight = drawn
        return mask_losses(net(image, drawing).float(), covered, weight)

    def check(self, net: nn.Module) -> dict[str, float]:
        return {
            name: round(value, 4) for name, value in figures(self._scenes, probabilities(net, self._scenes)).items()
        }

    def samples(self, net: nn.Module) -> Samples:
        """What it finds, in red, over what it is shown."""
        chosen = self._scenes[:: max(1, len(self._scenes) // 24)]
        found = probabilities(net, chosen)
        pairs = [
            np.concatenate([each.image, marked(each.image, own)], 0) for each, own in zip(chosen, found, strict=True)
        ]
        return Samples(pictures={"scenes": np.concatenate(pairs, 1)[..., ::-1].copy()})

    def amounts(self) -> dict[str, object]:
        parts = {"train": self._faces, "validation": self._held}
        return {
            "faces": {name: len(part) for name, part in parts.items()},
            "speakers": {name: sorted(set(part.speakers.tolist())) for name, part in parts.items()},
            "scenes": len(self._pool.packed),
            "parameters": sum(each.numel() for each in self.network().parameters()),
        }

    def export(self, net: nn.Module, out: Path) -> Path:
        corpora = described(self._work.dataset, heard=False)
        assert isinstance(net, OcclusionNet)
        return export_bundle(net, out / "bundle", self._settings.version, corpora)


def mask_losses(logits: Tensor, covered: Tensor, weight: Tensor) -> Losses:
    """Cross entropy, and the share of each mask that is missed or too much, which edges weigh more in."""
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, covered, weight, reduction="sum") / weight.sum()
    found = torch.sigmoid(logits) * weight
    both, either = (found * covered).sum((1, 2)), (found + covered * weight).sum((1, 2))
    room = weight.sum((1, 2)) * 0.02  # so that an empty mask is no division by zero, and little is no matter
    return {"entropy": entropy, "overlap": 0.3 * (1 - (2 * both + room) / (either + room)).mean()}


def as_tensors(batch: list[Scene]) -> tuple[Tensor, Tensor]:
    """Images and drawings as the net takes them."""
    images = np.stack([each.image for each in batch]).transpose(0, 3, 1, 2)
    drawings = np.stack([each.drawing for each in batch])
    image, drawing = (torch.from_numpy(np.ascontiguousarray(each)).float() / 255 for each in (images, drawings))
    return image, drawing


def validation_scenes(faces: Faces, each: int, seed: int) -> list[Scene]:
    """The same for every check: ``each`` of every kind, and eight times as many without anything."""
    kinds = [name for name in THINGS for _ in range(each)] + [""] * (8 * each)
    return [scene(faces, np.random.default_rng([seed, 1, number]), kind) for number, kind in enumerate(kinds)]


def probabilities(net: nn.Module, scenes: list[Scene]) -> Array:
    """What an averaged net finds (n, size, size)."""
    device = next(net.parameters()).device
    with torch.inference_mode():
        parts = (as_tensors(part) for part in _parts(scenes, 64))
        return np.concatenate(
            [torch.sigmoid(net(*(t.to(device) for t in part)).float()).cpu().numpy() for part in parts]
        )


def _parts(scenes: list[Scene], size: int) -> Iterator[list[Scene]]:
    return (scenes[start : start + size] for start in range(0, len(scenes), size))


def figures(scenes: list[Scene], found: Array) -> dict[str, float]:
    """Overlap of masks with the truth, by kind and on the average, and what is found where nothing is.

    ``iou``: pixels that both call covered among those that either does, all scenes of a kind together; ``missed``:
    of the covered pixels; ``false``: of the lower face where nothing is before it, ``false_mouth`` of the mouth.
    """
    by_kind: dict[str, Array] = defaultdict(lambda: np.zeros(3))
    clean = np.zeros(4)
    for each, own in zip(scenes, found, strict=True):
        marked, truth = (own > SURE) & each.counts, (each.covered > SURE) & each.counts
        if each.thing:
            by_kind[each.thing] += [(marked & truth).sum(), (marked | truth).sum(), truth.sum()]
        else:
            clean += [marked.sum(), each.counts.sum(), (marked & each.mouth).sum(), each.mouth.sum()]
    ious = {f"iou_{name}": float(both / either) for name, (both, either, _) in sorted(by_kind.items())}
    both, _, covered = np.sum(list(by_kind.values()), axis=0)
    shares = {"missed": float(1 - both / covered), "false": float(clean[0] / clean[1])}
    return {"iou": float(np.mean(list(ious.values()))), **ious, **shares, "false_mouth": float(clean[2] / clean[3])}


def marked(image: Array, found: Array) -> Array:
    """A crop with what was found in red."""
    red = np.array([40, 40, 255], np.float32)
    return np.asarray(image + 0.6 * found[..., None] * (red - image), np.uint8)


def export_bundle(net: OcclusionNet, out: Path, version: str, trained_on: tuple[DataSpec, ...]) -> Path:
    """Write the net with its spec into the folder ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    inputs = ("image", 3), ("drawing", 2)
    examples = {name: torch.zeros(1, channels, SIZE, SIZE) for name, channels in inputs}
    write_graph(Probable(net), out / MODEL, examples, ["covered"])
    spec = MaskSpec(
        format=2,
        name="mouthbank-occlusion",
        version=version,
        engine="mouthbank",
        model=MODEL,
        task="mask",
        size=SIZE,
        side=SIDE,
        centre=CENTRE,
        states=(),
        inputs=tuple(TensorSpec(name=name, shape=("batch", channels, SIZE, SIZE)) for name, channels in inputs),
        outputs=(TensorSpec(name="covered", shape=("batch", SIZE, SIZE)),),
        licence="Apache-2.0",
        training_data=trained_on,
        sha256={MODEL: hashlib.sha256((out / MODEL).read_bytes()).hexdigest()},
    )
    (out / SPEC).write_text(spec.model_dump_json(indent=1) + "\n", "utf-8")
    return out
