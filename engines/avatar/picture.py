"""Stage ``picture``: from a person's recording to the bundle that paints them from a drawing."""

from __future__ import annotations

import hashlib
import math
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from engines.avatar.frames import Batch, Frames, folder_of, plate_of, read
from engines.avatar.network import (
    OUT,
    PUBLISHED,
    STEP,
    Judges,
    RandomFeatures,
    Shape,
    alike,
    believed,
    part_of,
    picture_net,
    told_apart,
)
from engines.common import Array
from engines.common.bundle_files import write_graph
from engines.common.engine import Engine, Samples, Work
from engines.common.layers import held
from engines.common.loop import Losses
from realtime_dub.inference import made_here
from realtime_dub.inference.bundle import SPEC
from realtime_dub.inference.spec import DataSpec, FrameSpec, TensorSpec
from realtime_dub.mouth.avatar.painter import DRAWING, ENGINE, PAINTED

JUDGED = 40  # pictures of a validation, in pairs that follow one another
SHOWN = 6  # pictures of a sheet
NEAR = 48  # of a picture: the share of its side within which a pixel is near the person
AROUND = 3.0  # what counts more than this is the mouth
PICTURES = "pictures"  # the avatar's folder of previews


class Settings(BaseModel):
    """``[picture.engine]`` of the configuration. What is no size weighs a part of the loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Literal["cpu", "gpu"] = "cpu"
    size: int = Field(192, ge=64, le=1024, multiple_of=32)  # of "cpu"; "gpu" has the published one
    widths: tuple[int, ...] = Field((16, 32, 48, 64, 96), min_length=2, max_length=6)
    judges: tuple[int, ...] = Field((12, 24, 48), min_length=2, max_length=6)
    batch: int = Field(6, ge=1)
    triples: int = Field(2, ge=1)  # of three pictures in a row, once there are judges
    alone: int = Field(2000, ge=0)  # first steps, without judges
    quarters: bool = True  # which learn from a part of each picture, another one each time: four for the cost of one
    mouth: float = Field(5.0, ge=0)  # as much more as the rest
    eyes: float = Field(2.0, ge=0)
    matte: float = Field(0.3, ge=0)
    features: float = Field(0.4, ge=0)  # random ones, of pictures
    believed: float = Field(0.015, ge=0)
    alike: float = Field(0.2, ge=0)  # the judges' maps
    version: str = "1.0.0"

    def shape(self) -> Shape:
        return Shape("cpu", self.size, self.widths) if self.profile == "cpu" else PUBLISHED


@dataclass(frozen=True)
class GanShape:
    """Of what is trained together."""

    picture: Shape = field(default_factory=Shape)
    judges: tuple[int, ...] = ()


class Gan(nn.Module):
    """A picture net, and who judges it."""

    def __init__(self, shape: GanShape) -> None:
        super().__init__()
        self.shape = shape
        self.picture, self.judges = picture_net(shape.picture), Judges(shape.judges)


class PictureEngine(Engine):
    """Learns pictures from drawings of them."""

    score = "closer"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._shape = settings.shape()
        self._frames, self._held = read(work.dataset, self._shape.size, settings.mouth, settings.eyes)
        self._triples, device = self._frames.triples(), work.context.device
        self._plate = torch.from_numpy(plate_of(work.dataset, self._shape.size)).to(device)
        self._features = RandomFeatures().to(device)
        self._mean = _mean_of(self._frames)
        self.turns, self._judged = ((settings.alone,), False) if settings.alone else ((), len(self._triples) > 0)

    def network(self) -> Gan:
        torch.manual_seed(self._work.seed)
        net = Gan(GanShape(self._shape, self._settings.judges))
        net.picture.mean.copy_(torch.from_numpy(self._mean))
        return net

    def turn(self, step: int, net: nn.Module, average: nn.Module) -> None:
        """The judges begin, where there are three pictures in a row to judge."""
        self._judged = len(self._triples) > 0

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, Gan)
        batch = self._drawn(rng)
        x, y, side = self._part()
        drawings, wanted, mattes, weight = (
            self._there(each[..., y : y + side, x : x + side]) for each in vars(batch).values()
        )
        made = net.picture.part(drawings, x, y)
        shown = self._laid(made, x, y)
        losses = self._nearness(shown, made[:, 3:], wanted, mattes, weight)
        if not self._judged:
            losses["judges"] = torch.stack([0.0 * each.sum() for each in net.judges.parameters()]).sum()
            return losses
        rows = [each.reshape(-1, 3, *each.shape[1:]) for each in (drawings, wanted, shown)]
        judged = _judged(weight, mattes)
        losses["judges"] = told_apart(net.judges(rows[0], rows[1]), net.judges(rows[0], rows[2].detach()), judged)
        with held(net.judges):  # the picture's loss moves the picture net alone
            real, found = net.judges(rows[0], rows[1]), net.judges(rows[0], rows[2])
        losses["believed"] = self._settings.believed * believed(found, judged)
        losses["alike"] = self._settings.alike * alike(real, found, judged)
        return losses

    def _nearness(self, shown: Tensor, alpha: Tensor, wanted: Tensor, mattes: Tensor, weight: Tensor) -> Losses:
        away = (shown - wanted).abs()
        return {
            "pixels": (away * weight).mean(),
            "matte": self._settings.matte * (alpha - mattes).abs().mean(),
            "features": self._settings.features
            * self._features(*(_quarter(shown, wanted) if self._judged else (shown, wanted))),
        }

    def _part(self) -> tuple[int, int, int]:
        """What of the pictures is learnt from in this step: left, top, side. All, where there are judges."""
        size = self._shape.size
        side = STEP * math.ceil(size / (2 * STEP))
        if self._judged or not self._settings.quarters or side == size:
            return 0, 0, size
        x, y = (STEP * int(each) for each in torch.randint(0, (size - side) // STEP + 1, (2,)))
        return x, y, side

    def _laid(self, made: Tensor, x: int = 0, y: int = 0) -> Tensor:
        """The person over what is behind them in the recording."""
        behind = part_of(self._plate.to(made.device), made, x, y)
        return made[:, 3:] * made[:, :3] + (1 - made[:, 3:]) * behind

    def _drawn(self, rng: np.random.Generator) -> Batch:
        if self._judged:
            firsts = self._triples[rng.integers(0, len(self._triples), self._settings.triples)]
            return self._frames.batch((firsts[:, None] + np.arange(3)).reshape(-1))
        return self._frames.batch(rng.integers(0, len(self._frames), self._settings.batch))

    def _there(self, values: Array) -> Tensor:
        return torch.from_numpy(values).to(self._work.context.device)

    def check(self, net: nn.Module) -> dict[str, float]:
        """On pictures that were not learnt from: levels off, the same about the mouth, and against the mean picture.

        ``flicker``: how much follows a picture differs from it, of how much it does in the recording.
        """
        assert isinstance(net, Gan)
        pairs = self._held.batch(_pairs(self._held))
        found, wanted = self._painted(net, pairs.drawings), pairs.pictures
        mean = _over(self._mean[None], self._plate.cpu().numpy())
        mouth = (
            np.repeat(pairs.weight > AROUND, 3, 1) if self._settings.mouth + 1 > AROUND else np.ones(wanted.shape, bool)
        )
        off, still = (
            float(np.abs(each - wanted)[mouth].mean()) * 255 for each in (found, np.repeat(mean, len(wanted), 0))
        )
        moved, true = (np.abs(each[1::2] - each[::2]).mean() for each in (found, wanted))
        figures = {"levels": np.abs(found - wanted).mean() * 255, "mouth": off, "closer": 1 - off / still}
        figures |= {"flicker": moved / max(true, 1e-6)}
        return {name: round(float(value), 4) for name, value in figures.items()}

    def _painted(self, net: Gan, drawings: Array) -> Array:
        """What the net shows of drawings (n, 3, size, size), 0..1, over the plate."""
        some = np.array_split(drawings, -(-len(drawings) // 8))
        with torch.inference_mode():
            return np.concatenate([self._laid(net.picture(self._there(each))).cpu().numpy() for each in some])

    def samples(self, net: nn.Module) -> Samples:
        """Rows: drawn, painted, true; also written into the avatar's ``pictures/``, under the newest of its names."""
        assert isinstance(net, Gan)
        places = np.unique(np.linspace(0, len(self._held) - 1, SHOWN).astype(int))
        batch = self._held.batch(places)
        rows = (batch.drawings, self._painted(net, batch.drawings), batch.pictures)
        sheet = np.concatenate([np.concatenate(list(_as_images(each)), 1) for each in rows])
        folder = folder_of(self._work.dataset) / PICTURES
        folder.mkdir(exist_ok=True)
        number = len(list(folder.glob("preview-*.png")))
        cv2.imwrite(str(folder / f"preview-{number:03}.png"), sheet)
        return Samples(pictures={"drawn, painted, true": np.ascontiguousarray(sheet[..., ::-1])})

    def amounts(self) -> dict[str, object]:
        counts = {"train": len(self._frames), "validation": len(self._held)}
        return {"pictures": counts, "parameters": sum(each.numel() for each in self.network().picture.parameters())}

    def export(self, net: nn.Module, out: Path) -> Path:
        """The bundle lies in the stage's folder itself: ``picture/`` of the avatar."""
        assert isinstance(net, Gan)
        size, model = self._shape.size, "picture.onnx"
        out.mkdir(parents=True, exist_ok=True)
        write_graph(net.picture, out / model, {DRAWING: torch.zeros((1, 3, size, size))}, [PAINTED])
        digest = hashlib.sha256((out / model).read_bytes()).hexdigest()
        hours = round(len(self._frames) / 25 / 3600, 4)
        data = DataSpec(name="a film of one person", licence="as its owner has it", citation="", hours=hours)
        spec = FrameSpec(
            format=2,
            name="avatar-picture",
            version=self._settings.version,
            engine=ENGINE,
            model=model,
            task="frame",
            width=size,
            height=size,
            drawing_channels=3,
            states=(),
            inputs=(TensorSpec(name=DRAWING, shape=("batch", 3, size, size)),),
            outputs=(TensorSpec(name=PAINTED, shape=("batch", OUT, size, size)),),
            licence="as the film's owner has it",
            training_data=(data,),
            sha256={model: digest},
        )
        (out / SPEC).write_text(spec.model_dump_json(indent=1) + "\n", "utf-8")
        with suppress(
            OSError
        ):  # its graph was built here: it need not run apart, and where that cannot be noted it does
            made_here.write(digest)
        return out


def _judged(weight: Tensor, mattes: Tensor) -> list[Tensor]:
    """How much pixels count for each judge: none where nobody is.

    What is behind the person is shown without the camera's noise. Judges that look there find nothing else, and the
    net learns to paint noise.
    """
    near = 2 * (weight.shape[-1] // NEAR) + 1
    counts = weight * nn.functional.max_pool2d(mattes, near, 1, near // 2)
    return [counts, counts, counts[1::3]]  # of three in a row, the middle one's


def _quarter(*pictures: Tensor) -> list[Tensor]:
    """The same part of each (n, 3, size, size), half as wide and high: each step another one, in less time."""
    size = pictures[0].shape[-1]
    x, y = (int(each) for each in torch.randint(0, size // 2 + 1, (2,)))
    return [each[..., y : y + size // 2, x : x + size // 2] for each in pictures]


def _mean_of(frames: Frames, most: int = 200) -> Array:
    """The mean picture and matte (OUT, size, size), 0..1."""
    batch = frames.batch(np.unique(np.linspace(0, len(frames) - 1, most).astype(int)))
    return np.concatenate([batch.pictures.mean(0), batch.mattes.mean(0)]).astype(np.float32)


def _pairs(frames: Frames) -> Array:
    """Places of pictures in pairs that follow one another, evenly out of all, the same each time."""
    firsts = frames.triples()
    if not len(firsts):
        return np.repeat(np.arange(min(len(frames), JUDGED)), 2)
    chosen = firsts[np.unique(np.linspace(0, len(firsts) - 1, JUDGED // 2).astype(int))]
    return (chosen[:, None] + np.arange(2)).reshape(-1)


def _over(made: Array, plate: Array) -> Array:
    return np.asarray(made[:, 3:] * made[:, :3] + (1 - made[:, 3:]) * plate)


def _as_images(values: Array) -> Array:
    """(n, 3, size, size) 0..1 as (n, size, size, 3) 0..255."""
    return np.rint(values.transpose(0, 2, 3, 1) * 255).clip(0, 255).astype(np.uint8)
