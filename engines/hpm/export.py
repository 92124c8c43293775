"""The network as a bundle: one clip at a time, of any length, so that nothing is padding."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from engines.common import imported
from engines.common.bundle_files import OPSET, shorten
from engines.hpm.network import Given, Hpm, Prosody, lengthened
from engines.hpm.shapes import BANDS, VECTOR
from engines.hpm.slots import Slots
from engines.hpm.sound import Sound
from realtime_dub.inference.bundle import load
from realtime_dub.inference.spec import DataSpec, MoodSpec, SpeechSpec, TensorSpec
from realtime_dub.voice.hpm.speaking import MelMaker

MODEL, UNHASHED = "network.onnx", "0" * 64
MOST_S = 30  # at once


@dataclass(frozen=True)
class Knows:
    """What a network has met in its training."""

    speakers: int = 0  # people; 0 = not known
    speaker: Sequence[float] = ()  # (256,) who speaks unless told
    moods: tuple[MoodSpec, ...] = ()
    slots: Slots = field(default_factory=Slots)


class Flat(nn.Module):
    """The network with plain tensors in and out. Phonemes come as floats: bundles have no other numbers."""

    def __init__(self, net: Hpm, most_frames: int) -> None:
        super().__init__()
        self.net = lengthened(copy.deepcopy(net).cpu().eval(), most_frames * net.shape.upsampling)

    def forward(
        self, phonemes: Tensor, lips: Tensor, face: Tensor, speaker: Tensor, scene: Tensor, scales: Tensor
    ) -> Tensor:
        prosody = Prosody(pitch_scale=scales[:, :1], energy_scale=scales[:, 1:])
        spoken: Tensor = self.net(Given(phonemes.long(), lips, face, speaker, scene), prosody).refined
        if not self.net.shape.scene:  # the graph keeps the input all the same
            spoken = spoken + 0.0 * scene.sum()
        return spoken


def inputs_of(net: Hpm) -> dict[str, Sequence[int | str]]:
    """Shapes by name; ``scales`` are the factors of pitch and energy."""
    return {
        "phonemes": (1, "time"),
        "lips": (1, "time", net.shape.lips),
        "face": (1, "time", VECTOR),
        "speaker": (1, VECTOR),
        "scene": (1, VECTOR),
        "scales": (1, 2),
    }


def graph_of(net: Hpm, path: Path, most_frames: int) -> None:
    """Write the ONNX graph, for up to so many video frames."""
    sizes = {"phonemes": 7, "lips": 5, "face": 5}
    shapes = {
        name: [sizes.get(name, 1) if size == "time" else size for size in shape]
        for name, shape in inputs_of(net).items()
    }
    examples = tuple(torch.ones(*[int(size) for size in shape]) for shape in shapes.values())
    axes = {"phonemes": {1: "phonemes"}, "lips": {1: "frames"}, "face": {1: "frames"}, "mel": {1: "mel_frames"}}
    torch.onnx.export(
        Flat(net, most_frames).eval(),
        examples,
        str(path),
        input_names=list(shapes),
        output_names=["mel"],
        dynamic_axes=axes,
        opset_version=OPSET,
        dynamo=False,
    )


def write_bundle(net: Hpm, out: Path, spec: SpeechSpec) -> Path:
    """Write the bundle and run it once. Raises UserError."""
    imported.check_place(out, MODEL)
    out.mkdir(parents=True, exist_ok=True)
    graph_of(net, out / MODEL, spec.most_frames)
    shorten(out / MODEL)
    model = (out / MODEL).read_bytes()
    return imported.write(out, spec, model, lambda: MelMaker(load(out)).trial(), ours=True)


def spec_of(
    net: Hpm,
    phonemes: Sequence[str],
    sound: Sound,
    licence: str,
    notice: str,
    data: tuple[DataSpec, ...] = (),
    knows: Knows | None = None,
) -> SpeechSpec:
    """What the bundle says of a network, and of what it ``knows``."""
    knows = knows or Knows()
    inputs = [TensorSpec.model_validate({"name": name, "shape": shape}) for name, shape in inputs_of(net).items()]
    return SpeechSpec(
        format=2,
        task="speech",
        name="hpm",
        version="",
        engine="hpm",
        model=MODEL,
        inputs=tuple(inputs),
        states=(),
        outputs=(TensorSpec(name="mel", shape=(1, "time", BANDS)),),
        licence=licence,
        notice=notice,
        training_data=data,
        sha256={MODEL: UNHASHED},
        phonemes=tuple(phonemes),
        rate=sound.rate,
        window=sound.window,
        hop=sound.hop,
        frame_rate=sound.fps,
        most_frames=round(MOST_S * sound.fps),
        speakers=knows.speakers,
        speaker=tuple(knows.speaker),
        moods=knows.moods,
        **vars(knows.slots),
    )
