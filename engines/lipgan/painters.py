"""Stages ``generator`` and ``gan``: LipGAN's generators, alone and against the discriminator.

The generator alone learns from the mean absolute error. With the discriminator a hundredth of the contrastive loss is
added: a painted face should be as near to the voice as a real one. The discriminator learns from real pairs, always,
and in half of the steps each from painted faces and from voices that belong to other faces.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.func import functional_call

from engines.common.bundle_files import described
from engines.common.dataset import of_each
from engines.common.engine import Engine, Samples, Work
from engines.common.loop import Losses
from engines.common.results import NET, located, read_net
from engines.lipgan import discriminator
from engines.lipgan.discriminator import Discriminator, contrastive
from engines.lipgan.draws import Batch, Draws
from engines.lipgan.export import export_bundle
from engines.lipgan.faces import Faces, gathered
from engines.lipgan.figures import collages, judged, tracks_of
from engines.lipgan.nets import of_generator
from engines.lipgan.network import FRAMES, HIDDEN_FROM, SIZE, Generator, Kind, Shape
from realtime_dub.audio.frontends.painter_mel import PainterMelSpec
from realtime_dub.errors import ConfigError
from realtime_dub.inference.spec import CropSpec

CROP = CropSpec(size=SIZE, alignment="box", margins=(0.0, 0.1, 0.0, 0.0), hidden_from=HIDDEN_FROM, reference=True)
FILES = "faces-{}"  # in the stage's folder, made once
ROLL = 10  # rows of a batch between a face and the voice that does not belong to it
ADVERSARIAL = 0.01  # weight of the contrastive loss beside the mean absolute error
SHOWN = 3  # tracks of a validation that are shown


class Settings(BaseModel):
    """``[generator.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind = "residual"
    widths: tuple[int, int, int, int, int] = (32, 64, 128, 256, 512)
    batch: int = Field(96, ge=2)  # of each process
    validation_tracks: int = Field(12, ge=1)
    start: Path | None = None  # a run whose generator to begin with
    version: str = "1.0.0"


class GanSettings(Settings):
    """``[gan.engine]`` of the configuration."""

    rival_width: int = Field(512, ge=16)  # of the discriminator


@dataclass(frozen=True)
class GanShape:
    """Of both nets of the stage ``gan``."""

    generator: Shape = field(default_factory=Shape)
    discriminator: discriminator.Shape = field(default_factory=discriminator.Shape)


class Rivals(nn.Module):
    """A generator and its discriminator."""

    def __init__(self, shape: GanShape) -> None:
        super().__init__()
        self.shape = shape
        self.generator, self.discriminator = Generator(shape.generator), Discriminator(shape.discriminator)

    def forward(self, mel: Tensor, face: Tensor, reference: Tensor) -> Tensor:
        return self.generator(mel, face, reference)

    def judge(self, face: Tensor, mel: Tensor) -> Tensor:
        """Distances (b,) whose slopes reach the faces and not the discriminator's weights."""
        fixed = {name: each.detach() for name, each in self.discriminator.named_parameters()}
        found: Tensor = functional_call(self.discriminator, fixed, (face, mel))
        return found


class GeneratorEngine(Engine):
    """Learns to paint the face that belongs to a voice."""

    score = "r"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._spec = PainterMelSpec()
        self._faces, self._held = (self._of(part) for part in ("train", "validation"))
        self._draws = Draws(self._faces, settings.batch)
        self._tracks = tracks_of(self._held, settings.validation_tracks)

    def _of(self, part: str) -> Faces:
        return faces_of(self._work, part, CROP, self._spec, FRAMES)

    def network(self) -> nn.Module:
        torch.manual_seed(self._work.seed)
        return self._begun(Generator(Shape(self._settings.kind, self._settings.widths)))

    def _begun(self, generator: Generator) -> Generator:
        start = self._settings.start
        earlier = self._work.out.parent / "generator"
        if start is None and self._work.out.name == "gan" and (earlier / NET).is_file():
            start = earlier  # of the same run
        if start is not None:
            take_over(generator, start)
        return generator

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        batch = self._draws.draw(rng).to(self._work.context.device)
        return {"l1": (net(batch.mel, batch.face, batch.reference).float() - batch.face).abs().mean()}

    def check(self, net: nn.Module) -> dict[str, float]:
        return judged(net, self._held, self._tracks, CROP, as_it_is)

    def samples(self, net: nn.Module) -> Samples:
        return collages(net, self._held, self._tracks[:SHOWN], as_it_is)

    def amounts(self) -> dict[str, object]:
        return amounts(self._faces, self._held, self.network())

    def export(self, net: nn.Module, out: Path) -> Path:
        generator = net.generator if isinstance(net, Rivals) else net
        about = described(self._work.dataset, heard=False)
        name = f"lipgan-{self._settings.kind}"
        return export_bundle(generator, CROP, out / "bundle", name, self._settings.version, about)


class GanEngine(GeneratorEngine):
    """Both learn in the same step, each from a loss that does not move the other."""

    def network(self) -> Rivals:
        torch.manual_seed(self._work.seed)
        settings = self._settings
        assert isinstance(settings, GanSettings)
        generator = Shape(settings.kind, settings.widths)
        rivals = Rivals(GanShape(generator, discriminator.Shape(settings.rival_width)))
        self._begun(rivals.generator)
        return rivals

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, Rivals)
        batch = self._draws.draw(rng).to(self._work.context.device)
        painted = net(batch.mel, batch.face, batch.reference).float()
        near = net.judge(painted, batch.mel)
        losses = {
            "l1": (painted - batch.face).abs().mean(),
            "adversarial": ADVERSARIAL * contrastive(near, apart=False),
        }
        return losses | discriminator_losses(net.discriminator, batch, painted.detach(), bool(rng.integers(2)))


def discriminator_losses(net: Discriminator, batch: Batch, painted: Tensor, shows_painted: bool) -> Losses:
    """Real pairs, and either painted faces or voices that belong to other faces."""
    if shows_painted:
        apart = {"painted": contrastive(net(painted, batch.mel), apart=True)}
    else:
        rolled = batch.mel.roll(ROLL % len(batch.mel) or 1, 0)
        apart = {"unsynced": contrastive(net(batch.face, rolled), apart=True)}
    return {"synced": contrastive(net(batch.face, batch.mel), apart=False), **apart}


def as_it_is(batch: Batch) -> Batch:
    return batch


def amounts(faces: Faces, held: Faces, net: nn.Module) -> dict[str, object]:
    """What a stage learns from and is judged by, and how large its network is."""
    parts = {"train": faces, "validation": held}
    return {
        "faces": {name: len(part) for name, part in parts.items()},
        "speakers": {name: sorted(set(part.index.speakers.tolist())) for name, part in parts.items()},
        "parameters": sum(each.numel() for each in net.parameters()),
    }


def faces_of(
    work: Work, part: str, crop: CropSpec, spec: PainterMelSpec, length: int, room: int = 0, most: int | None = None
) -> Faces:
    """The faces of a part, of up to ``most`` tracks of a person; the first process cuts them out, once in a run."""
    path = work.out / FILES.format(part)
    if work.context.first and not path.with_suffix(".npy").exists():
        entries = work.dataset.part(part)
        gathered(work.dataset, entries if most is None else of_each(entries, most), crop, spec, path, room)
    work.context.broadcast(0)  # the others wait for the file
    return Faces(path, spec, length)


def take_over(generator: Generator, run: Path) -> None:
    """Put the generator of an earlier run into a fresh one. Raises ConfigError where it has another shape."""
    path = located(run, "gan", "generator")
    shape, tensors = of_generator(*read_net(path))
    if shape != generator.shape:
        raise ConfigError("cannot begin with", f"{path}: its net is {shape}", "give the stage the same, or no start")
    generator.load_state_dict(tensors)
