"""Write the recurrent net as a bundle of task ``landmarks``: ONNX with the LSTM's state outside, and ``spec.json``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from engines.common.bundle_files import OPSET
from engines.own_texture.basis import SPARSE_AT
from engines.own_texture.draws import SPEC as AUDIO
from engines.own_texture.network import HOP_MS, LipNet
from realtime_dub.face.landmarks import SPARSE_LIPS
from realtime_dub.inference.bundle import SPEC
from realtime_dub.inference.spec import Axis, DataSpec, LandmarksSpec, StateSpec, TensorSpec
from realtime_dub.media import NS

MODEL = "lips.onnx"
LICENCE = "Apache-2.0"
STATES = ("hidden", "cell")


class Flat(nn.Module):
    """The net with its state as separate arguments and results, as ONNX wants them."""

    def __init__(self, net: LipNet) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("sparse", torch.from_numpy(SPARSE_AT))

    def forward(self, features: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, ...]:
        coefficients, after = self.net(features, (hidden, cell))
        displacement = self.net.displacement(coefficients)
        return displacement[:, :, self.sparse, :2], displacement, *after


def export_bundle(net: LipNet, out: Path, version: str = "1.0.0", data: tuple[DataSpec, ...] = ()) -> Path:
    """Write the bundle folder ``out`` for ``net``; returns it."""
    out.mkdir(parents=True, exist_ok=True)
    _write_onnx(net, out / MODEL)
    digest = hashlib.sha256((out / MODEL).read_bytes()).hexdigest()
    spec = _describe(net, version, data, digest)
    (out / SPEC).write_text(json.dumps(spec.model_dump(mode="json"), indent=1) + "\n", "utf-8")
    return out


def _write_onnx(net: LipNet, path: Path) -> None:
    axes = {name: {0: "batch", 1: "time"} for name in ("features", "landmarks", "displacement")}
    kept = {name: {1: "batch"} for name in (*STATES, *(f"next_{state}" for state in STATES))}
    torch.onnx.export(
        Flat(net).eval(),
        (torch.zeros(2, 4, net.shape.features), *net.initial_state(2)),
        str(path),
        input_names=["features", *STATES],
        output_names=["landmarks", "displacement", *(f"next_{state}" for state in STATES)],
        dynamic_axes={**axes, **kept},
        opset_version=OPSET,
        dynamo=False,
    )


def _describe(net: LipNet, version: str, data: tuple[DataSpec, ...], digest: str) -> LandmarksSpec:
    head: tuple[Axis | int, ...] = ("batch", "time")
    state: tuple[int, Literal["batch"], int] = (1, "batch", net.shape.hidden)
    return LandmarksSpec(
        format=2,
        task="landmarks",
        name="own-texture-lips",
        version=version,
        engine="own-texture",
        model=MODEL,
        audio=AUDIO,
        look_ahead_ms=net.shape.delay * HOP_MS,
        frame_rate=NS / AUDIO.hop_ns,
        shown=(),
        points=tuple(int(index) for index in SPARSE_LIPS),
        inputs=(TensorSpec(name="features", shape=(*head, net.shape.features)),),
        states=tuple(StateSpec(before=name, after=f"next_{name}", shape=state) for name in STATES),
        outputs=(
            TensorSpec(name="landmarks", shape=(*head, len(SPARSE_LIPS), 2)),
            TensorSpec(name="displacement", shape=(*head, net.shape.points, 3)),
        ),
        licence=LICENCE,
        training_data=data,
        sha256={MODEL: digest},
    )
