"""What the bundles of this engine say of themselves."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from engines.landmark_dub import graph
from realtime_dub.audio.frontends.mfcc import MfccSpec, per_frame
from realtime_dub.face.scheme68 import AROUND, MOUTH
from realtime_dub.inference.bundle import SPEC
from realtime_dub.inference.spec import DataSpec, LandmarksSpec, StateSpec, TensorSpec
from realtime_dub.media import MS, NS
from realtime_dub.paths import WholeFile

ENGINE, MODEL = "landmark-dub", "network.onnx"
FRAME_RATE = 25.0  # what is trained here hears so many cepstra a second, whatever the video's rate


def described(
    name: str,
    version: str,
    model: bytes,
    delay: int,
    licence: str,
    notice: str = "",
    data: tuple[DataSpec, ...] = (),
    audio: MfccSpec | None = None,
) -> LandmarksSpec:
    """The spec of the network ``model``; ``delay``: frames of the voice that it waits for."""
    heard = audio or per_frame(FRAME_RATE)
    return LandmarksSpec(
        format=2,
        task="landmarks",
        name=name,
        version=version,
        engine=ENGINE,
        model=MODEL,
        audio=heard,
        look_ahead_ms=delay * heard.hop_ns // MS,
        frame_rate=NS / heard.hop_ns,
        shown=tuple(int(each) for each in AROUND),
        points=tuple(int(each) for each in MOUTH),
        inputs=tuple(_tensor(*port) for port in graph.INPUTS.items()),
        states=tuple(StateSpec(before=before, after=after, shape=graph.STATE) for before, after in graph.STATES),
        outputs=tuple(_tensor(*port) for port in graph.OUTPUTS.items()),
        licence=licence,
        notice=notice,
        training_data=data,
        sha256={MODEL: hashlib.sha256(model).hexdigest()},
    )


def write(out: Path, spec: LandmarksSpec, model: bytes) -> Path:
    """The bundle folder ``out``; returns it."""
    out.mkdir(parents=True, exist_ok=True)
    WholeFile(out / MODEL).write(model)
    WholeFile(out / SPEC).write((json.dumps(spec.model_dump(mode="json"), indent=1) + "\n").encode())
    return out


def _tensor(name: str, shape: tuple[int | str, ...]) -> TensorSpec:
    return TensorSpec.model_validate({"name": name, "shape": shape})
