"""Writes bundles of networks that paint faces, made of weights that somebody already has."""

from __future__ import annotations

from pathlib import Path

from engines.common import imported
from realtime_dub.inference.bundle import load
from realtime_dub.inference.spec import CropTaskSpec
from realtime_dub.mouth.painter.network import PainterNetwork

MODEL = "network.onnx"
UNHASHED = "0" * 64  # in a spec until its network is written


def check_place(out: Path) -> None:
    """Raises ConfigError where ``out`` is no new or empty folder, nor one that an import has written."""
    imported.check_place(out, MODEL)


def write(out: Path, spec: CropTaskSpec, model: bytes, ours: bool) -> Path:
    """As :func:`imported.write`; raises BundleError where the network does not paint."""
    return imported.write(out, spec, model, lambda: PainterNetwork(load(out), spec.engine), ours)
