"""Write a trained motion net as a bundle: ONNX with its state as tensors, and ``spec.json``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from engines.common.bundle_files import OPSET, as_products, shorten
from engines.mouthbank.network import GivesMotion, Made
from realtime_dub.audio.frontends.logmel import LogMelSpec
from realtime_dub.face.alignment import LOWER
from realtime_dub.inference.bundle import SPEC
from realtime_dub.inference.spec import DataSpec, MotionSpec, StateSpec, TensorSpec
from realtime_dub.media import NS, samples_to_ns

MODEL, TRUNK = "motion.onnx", "trunk.npz"


class Flat(torch.nn.Module):
    """The net with its state as separate arguments and results, as ONNX wants them.

    ``tells``: which parts of ``Made`` are among the results; all that the net has without it.
    """

    def __init__(self, net: GivesMotion, tells: tuple[str, ...] = Made._fields) -> None:
        super().__init__()
        self.net, self._tells = net, tells

    def forward(self, mel: torch.Tensor, *state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        displacement, speech, made, after = self.net.featured(mel, list(state))
        told = () if made is None else tuple(getattr(made, name) for name in Made._fields if name in self._tells)
        return displacement, speech, *told, *after


def export_bundle(
    net: GivesMotion,
    spec: LogMelSpec,
    out: Path,
    version: str = "1.0.0",
    trained_on: tuple[DataSpec, ...] = (),
) -> Path:
    """Write the bundle folder ``out`` for ``net``; returns it."""
    out.mkdir(parents=True, exist_ok=True)
    states = _states(net)
    _write_onnx(net, states, out / MODEL)
    shorten(out / MODEL)
    as_products(out / MODEL)
    digest = hashlib.sha256((out / MODEL).read_bytes()).hexdigest()
    digests = {MODEL: digest}
    if (trunk := net.trunk()) is not None:
        (out / TRUNK).write_bytes(data := trunk.to_bytes())
        digests[TRUNK] = hashlib.sha256(data).hexdigest()
    described = _describe(net, spec, states, version, trained_on, digests)
    (out / SPEC).write_text(json.dumps(described.model_dump(mode="json"), indent=1) + "\n", "utf-8")
    return out


def _states(net: GivesMotion) -> tuple[StateSpec, ...]:
    tensors = net.initial_state()
    return tuple(
        StateSpec(before=f"past_{i}", after=f"next_past_{i}", shape=tuple(tensor.shape))
        for i, tensor in enumerate(tensors)
    )


def told_by(net: GivesMotion) -> dict[str, int]:
    """What a net tells beside its motion, and how many numbers of each there are."""
    with torch.no_grad():
        made = net.featured(torch.zeros(1, 1, net.shape.bands), net.initial_state())[2]
    return {} if made is None else {name: part.shape[2] for name, part in made._asdict().items()}


def _write_onnx(net: GivesMotion, states: tuple[StateSpec, ...], path: Path) -> None:
    names = ["mel", *(state.before for state in states)]
    told = ["displacement", "speech", *told_by(net)]
    example = (torch.zeros(1, 4, net.shape.bands), *net.initial_state())
    torch.onnx.export(
        Flat(net).eval(),
        example,
        str(path),
        input_names=names,
        output_names=[*told, *(state.after for state in states)],
        dynamic_axes={name: {1: "frames"} for name in ("mel", *told)},
        opset_version=OPSET,
        dynamo=False,
    )


def _describe(
    net: GivesMotion,
    spec: LogMelSpec,
    states: tuple[StateSpec, ...],
    version: str,
    trained_on: tuple[DataSpec, ...],
    digests: dict[str, str],
) -> MotionSpec:
    outputs: dict[str, tuple[int | None, ...]] = {
        "displacement": (1, None, net.shape.points, 3),
        "speech": (1, None),
        **{name: (1, None, count) for name, count in told_by(net).items()},
    }
    return MotionSpec(
        format=2,
        name="mouthbank-motion",
        version=version,
        engine="mouthbank",
        model=MODEL,
        audio=spec,
        look_ahead_ms=net.look_ahead * samples_to_ns(spec.hop, spec.rate) // 1_000_000,
        frame_rate=NS / spec.hop_ns,
        inputs=(TensorSpec(name="mel", shape=(1, None, net.shape.bands)),),
        states=states,
        outputs=tuple(TensorSpec(name=name, shape=shape) for name, shape in outputs.items()),
        points=tuple(int(index) for index in LOWER),
        licence="Apache-2.0",
        training_data=trained_on,
        trunk=TRUNK if TRUNK in digests else None,
        sha256=digests,
    )
