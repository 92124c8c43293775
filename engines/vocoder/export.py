"""A vocoder as a bundle: a mel spectrogram (1, n, bands) to its samples (1, n * hop)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from engines.common import imported
from engines.common.bundle_files import OPSET, shorten
from engines.vocoder.sounding import Sounding
from realtime_dub.errors import BundleError
from realtime_dub.inference.bundle import load
from realtime_dub.inference.spec import DataSpec, TensorSpec, VocoderSpec
from realtime_dub.voice.hpm.speaking import Vocoder

MODEL, UNHASHED = "network.onnx", "0" * 64
SOUNDS = {160: (16_000, 640), 220: (22_050, 880)}  # by hop: rate, window


class Flat(nn.Module):
    """The network as whoever makes spectrograms hands them on: time before bands."""

    def __init__(self, net: Sounding) -> None:
        super().__init__()
        self.net = net

    def forward(self, mel: Tensor) -> Tensor:
        made: Tensor = self.net(mel.transpose(1, 2))
        return made


def write_bundle(net: Sounding, out: Path, spec: VocoderSpec) -> Path:
    """Write the bundle and run it once. Raises UserError."""
    imported.check_place(out, MODEL)
    out.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        Flat(net.cpu().eval()),
        (torch.zeros(1, 8, net.shape.bands),),
        str(out / MODEL),
        input_names=["mel"],
        output_names=["audio"],
        dynamic_axes={"mel": {1: "time"}, "audio": {1: "samples"}},
        opset_version=OPSET,
        dynamo=False,
    )
    shorten(out / MODEL)
    return imported.write(out, spec, (out / MODEL).read_bytes(), lambda: Vocoder(load(out)).trial(), ours=True)


def spec_of(net: Sounding, licence: str, notice: str, data: tuple[DataSpec, ...] = ()) -> VocoderSpec:
    """What the bundle says of a network. Raises BundleError for a hop that no profile has."""
    if net.shape.hop not in SOUNDS:
        do = f"give one for hops of {' or '.join(map(str, SOUNDS))}"
        raise BundleError("cannot use a generator for hops of", f"{net.shape.hop} samples", do)
    rate, window = SOUNDS[net.shape.hop]
    return VocoderSpec(
        format=2,
        task="vocoder",
        name=net.title,
        version="",
        engine="hpm",
        model=MODEL,
        inputs=(TensorSpec(name="mel", shape=(1, "time", net.shape.bands)),),
        states=(),
        outputs=(TensorSpec(name="audio", shape=(1, "time")),),
        licence=licence,
        notice=notice,
        training_data=data,
        sha256={MODEL: UNHASHED},
        rate=rate,
        window=window,
        hop=net.shape.hop,
    )
