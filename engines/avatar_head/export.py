"""Write the net as a bundle of task ``head``: ONNX with its state outside, and ``spec.json``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from engines.avatar_head.network import HeadNet
from engines.common.bundle_files import write_graph
from realtime_dub.inference.bundle import SPEC
from realtime_dub.inference.spec import DataSpec, HeadSpec, StateSpec, TensorSpec
from realtime_dub.mouth.avatar.expression import FRAME_RATE
from realtime_dub.mouth.avatar.hearing import ROW_MS

MODEL = "head.onnx"
LICENCE = "as its owner has it"  # it is one person's


def export_bundle(
    net: HeadNet, out: Path, hears: str, look_ahead_ms: int, version: str, data: tuple[DataSpec, ...] = ()
) -> Path:
    """Write the bundle folder ``out`` for ``net``, which was taught with the net ``hears``; returns it."""
    out.mkdir(parents=True, exist_ok=True)
    shape, names = net.shape, [f"past_{index}" for index in range(len(net.blocks))]
    inputs = {"window": torch.zeros(2, shape.steps, shape.features), "before": torch.zeros(2, shape.given)}
    inputs |= {name: state.cpu() for name, state in zip(names, net.initial_state(2), strict=True)}
    write_graph(net, out / MODEL, inputs, ("mean", "spread", *(f"next_{name}" for name in names)))
    states = [
        StateSpec(before=name, after=f"next_{name}", shape=("batch", shape.channels, past))
        for name, past in zip(names, shape.dilations, strict=True)
    ]
    spec = HeadSpec(
        format=2,
        task="head",
        name="avatar-head",
        version=version,
        engine="avatar",
        model=MODEL,
        hears=hears,
        look_ahead_ms=look_ahead_ms,
        frame_rate=FRAME_RATE,
        steps=shape.steps,
        step_ms=ROW_MS,
        inputs=(
            TensorSpec(name="window", shape=("batch", shape.steps, shape.features)),
            TensorSpec(name="before", shape=("batch", shape.given)),
        ),
        states=tuple(states),
        outputs=tuple(TensorSpec(name=name, shape=("batch", shape.given)) for name in ("mean", "spread")),
        licence=LICENCE,
        training_data=data,
        sha256={MODEL: hashlib.sha256((out / MODEL).read_bytes()).hexdigest()},
    )
    (out / SPEC).write_text(json.dumps(spec.model_dump(mode="json"), indent=1) + "\n", "utf-8")
    return out
