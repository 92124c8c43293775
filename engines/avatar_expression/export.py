"""Write the net as a bundle of task ``expression``: ONNX with its state outside, and ``spec.json``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from engines.avatar_expression.network import ExpressionNet
from engines.common.bundle_files import write_graph
from realtime_dub.face.alignment import LOWER
from realtime_dub.inference.bundle import SPEC
from realtime_dub.inference.spec import DataSpec, ExpressionSpec, StateSpec, TensorSpec
from realtime_dub.mouth.avatar.expression import FRAME_RATE
from realtime_dub.mouth.avatar.hearing import ROW_MS

MODEL = "expression.onnx"
LICENCE = "as its owner has it"  # it is one person's


def export_bundle(
    net: ExpressionNet, out: Path, hears: str, look_ahead_ms: int, version: str, data: tuple[DataSpec, ...] = ()
) -> Path:
    """Write the bundle folder ``out`` for ``net``, which was taught with the net ``hears``; returns it."""
    out.mkdir(parents=True, exist_ok=True)
    shape = net.shape
    inputs = {"window": torch.zeros(2, shape.steps, shape.features), "past": net.initial_state(2).cpu()}
    write_graph(net, out / MODEL, inputs, ("displacement", "next_past"))
    spec = ExpressionSpec(
        format=2,
        task="expression",
        name="avatar-expression",
        version=version,
        engine="avatar",
        model=MODEL,
        hears=hears,
        look_ahead_ms=look_ahead_ms,
        frame_rate=FRAME_RATE,
        steps=shape.steps,
        step_ms=ROW_MS,
        points=tuple(int(index) for index in LOWER),
        inputs=(TensorSpec(name="window", shape=("batch", shape.steps, shape.features)),),
        states=(StateSpec(before="past", after="next_past", shape=("batch", shape.windows - 1, shape.latent)),),
        outputs=(TensorSpec(name="displacement", shape=("batch", shape.points, 3)),),
        licence=LICENCE,
        training_data=data,
        sha256={MODEL: hashlib.sha256((out / MODEL).read_bytes()).hexdigest()},
    )
    (out / SPEC).write_text(json.dumps(spec.model_dump(mode="json"), indent=1) + "\n", "utf-8")
    return out
