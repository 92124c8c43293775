"""The published networks layer by layer, by the names in their state dicts, and the crop that they think in."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from realtime_dub.face.scheme68 import AROUND, MOUTH
from realtime_dub.media import Floats

CEPSTRA, SHOWN, LIPS = 12, len(AROUND), len(MOUTH)
VOICE, FACE, OUT = (32, 64, 128), (128, 64, 16), (256, 128)  # widths behind the cepstra, the face, the memory
JOINED = VOICE[-1] + FACE[-1]
MEMORIES = 2  # layers of the GRU, each as wide as what goes in
MODULES = ("audio_encoder", "face_encoder", "face_decoder")

# A square of 256 pixels around the face, which looks straight ahead. The faces that the published networks were trained
# on were about 96 pixels wide in it: what their first batch norm expects says so.
CROP, PIXELS_PER_UNIT, CENTRE = 256, 35.0, (0.0, 1.14)  # unit and centre: of the canonical face
BRIGHTEST = 255.0  # what a sigmoid of one stands for


def to_crop(canonical: Floats) -> Floats:
    """Points (..., 2) of the canonical face in the crop's pixels."""
    return np.asarray((canonical - np.array(CENTRE, np.float32)) * np.float32(PIXELS_PER_UNIT) + CROP / 2, np.float32)


def expected() -> dict[str, tuple[int, ...]]:
    """Every tensor of the three networks and its shape, without the batch norms' counts."""
    shapes: dict[str, tuple[int, ...]] = {}
    for module, widths in (("audio_encoder", (CEPSTRA, *VOICE)), ("face_encoder", (2 * SHOWN, *FACE))):
        shapes |= _encoder(f"{module}.encoder", widths)
    for layer in range(MEMORIES):
        for part, sizes in (("weight", (3 * JOINED, JOINED)), ("bias", (3 * JOINED,))):
            shapes |= {f"face_decoder.stabilizer.{part}_{way}_l{layer}": sizes for way in ("ih", "hh")}
    last = f"face_decoder.decoder.{3 * len(OUT)}"
    shapes |= _encoder("face_decoder.decoder", (JOINED, *OUT))
    return shapes | {f"{last}.weight": (2 * LIPS, OUT[-1]), f"{last}.bias": (2 * LIPS,)}


def _encoder(name: str, widths: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
    """A linear layer, a batch norm and a ReLU for each width behind the first."""
    shapes: dict[str, tuple[int, ...]] = {}
    for place, (before, width) in enumerate(itertools.pairwise(widths)):
        linear, norm = f"{name}.{3 * place}", f"{name}.{3 * place + 1}"
        shapes |= {f"{linear}.weight": (width, before), f"{linear}.bias": (width,)}
        shapes |= {f"{norm}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}
    return shapes
