"""How the nets of one person become bundles of task ``frame``: a square picture in, another one out."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

from engines.common.bundle_files import write_graph
from engines.face_translator.film import SIZE
from realtime_dub.inference import made_here
from realtime_dub.inference.bundle import SPEC
from realtime_dub.inference.spec import DataSpec, FrameSpec, TensorSpec
from realtime_dub.mouth.mouthbank.translator import ENGINE

FRAME_S = 1 / 25


def about_film(pictures: int) -> tuple[DataSpec, ...]:
    """What a net that has learnt so many pictures says of its data."""
    hours = round(pictures * FRAME_S / 3600, 4)
    return (DataSpec(name="a film of one person", licence="as its owner has it", citation="", hours=hours),)


def export(
    net: nn.Module, out: Path, told: tuple[str, str], ports: tuple[str, str], about: tuple[DataSpec, ...]
) -> Path:
    """Write the net with its spec into the folder ``out``. ``told``: name and version; ``ports``: of its graph."""
    out.mkdir(parents=True, exist_ok=True)
    given, found = ports
    name, version = told
    model = f"{name.removeprefix('face-')}.onnx"
    write_graph(net, out / model, {given: torch.full((1, 3, SIZE, SIZE), 0.5)}, [found])
    digest = hashlib.sha256((out / model).read_bytes()).hexdigest()
    spec = FrameSpec(
        format=2,
        name=name,
        version=version,
        engine=ENGINE,
        model=model,
        task="frame",
        width=SIZE,
        height=SIZE,
        drawing_channels=3,
        states=(),
        inputs=(TensorSpec(name=given, shape=("batch", 3, SIZE, SIZE)),),
        outputs=(TensorSpec(name=found, shape=("batch", 3, SIZE, SIZE)),),
        licence="as the film's owner has it",
        training_data=about,
        sha256={model: digest},
    )
    (out / SPEC).write_text(spec.model_dump_json(indent=1) + "\n", "utf-8")
    with suppress(OSError):  # its graph was built here: it need not run apart, and where that cannot be noted it does
        made_here.write(digest)
    return out
