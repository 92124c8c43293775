"""The net as a bundle: a mel spectrogram (1, n, 80) to a vector (1, 256)."""

from __future__ import annotations

from pathlib import Path

import torch

from engines.common import imported
from engines.common.bundle_files import OPSET, shorten
from engines.speaker.network import SpeakerNet
from realtime_dub.audio.frontends.voice_mel import AT_16K
from realtime_dub.inference.bundle import load
from realtime_dub.inference.spec import DataSpec, SpeakerSpec, TensorSpec
from realtime_dub.voice.speaker import SpeakerVectors

MODEL, UNHASHED = "network.onnx", "0" * 64


def write_bundle(net: SpeakerNet, out: Path, spec: SpeakerSpec) -> Path:
    """Write the bundle and run it once. Raises UserError."""
    imported.check_place(out, MODEL)
    out.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        net.cpu().eval(),
        (torch.zeros(1, 100, net.shape.bands),),
        str(out / MODEL),
        input_names=["mel"],
        output_names=["speaker"],
        dynamic_axes={"mel": {1: "time"}},
        opset_version=OPSET,
        dynamo=False,
    )
    shorten(out / MODEL)
    return imported.write(out, spec, (out / MODEL).read_bytes(), lambda: SpeakerVectors(load(out)).trial(), ours=True)


def spec_of(net: SpeakerNet, licence: str, notice: str, data: tuple[DataSpec, ...] = ()) -> SpeakerSpec:
    """What the bundle says of a network."""
    return SpeakerSpec(
        format=2,
        task="speaker",
        name="speaker",
        version="",
        engine="speaker",
        model=MODEL,
        inputs=(TensorSpec(name="mel", shape=(1, "time", net.shape.bands)),),
        states=(),
        outputs=(TensorSpec(name="speaker", shape=(1, net.shape.vector)),),
        licence=licence,
        notice=notice,
        training_data=data,
        sha256={MODEL: UNHASHED},
        audio=AT_16K,
        vector=net.shape.vector,
    )
