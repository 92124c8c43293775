"""Write a painter as a bundle of task ``crop``: ONNX, and ``spec.json``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from torch import nn

from engines.common.bundle_files import shorten, write_graph
from engines.lipgan.network import BANDS, FRAMES
from realtime_dub.audio.frontends.painter_mel import PainterMelSpec
from realtime_dub.audio.frontends.windows import centred_look_ahead_ms
from realtime_dub.inference.bundle import SPEC
from realtime_dub.inference.spec import Axis, CropSpec, CropTaskSpec, DataSpec, TensorSpec

MODEL = "painter.onnx"
LICENCE = "Apache-2.0"


def export_bundle(
    net: nn.Module,
    crop: CropSpec,
    out: Path,
    name: str,
    version: str,
    data: tuple[DataSpec, ...] = (),
    licence: str = LICENCE,
    notice: str = "",
) -> Path:
    """Write the bundle folder ``out`` for ``net``; returns it."""
    out.mkdir(parents=True, exist_ok=True)
    write_onnx(net, crop.size, out / MODEL)
    shorten(out / MODEL)
    image: tuple[Axis | int, ...] = ("batch", 3, crop.size, crop.size)
    audio = PainterMelSpec()
    spec = CropTaskSpec(
        format=2,
        task="crop",
        name=name,
        version=version,
        engine="lipgan",
        model=MODEL,
        audio=audio,
        look_ahead_ms=centred_look_ahead_ms(audio, FRAMES),
        window_frames=FRAMES,
        crop=crop,
        inputs=(
            TensorSpec(name="mel", shape=("batch", FRAMES, BANDS)),
            TensorSpec(name="face", shape=image),
            TensorSpec(name="reference", shape=image),
        ),
        states=(),
        outputs=(TensorSpec(name="painted", shape=image),),
        licence=licence,
        notice=notice,
        training_data=data,
        sha256={MODEL: hashlib.sha256((out / MODEL).read_bytes()).hexdigest()},
    )
    (out / SPEC).write_text(json.dumps(spec.model_dump(mode="json"), indent=1) + "\n", "utf-8")
    return out


def write_onnx(net: nn.Module, size: int, path: Path) -> None:
    """The net's graph. Faces that go together are one call."""
    faces = {name: torch.zeros(2, 3, size, size) for name in ("face", "reference")}
    write_graph(net, path, {"mel": torch.zeros(2, FRAMES, BANDS), **faces}, ["painted"])
