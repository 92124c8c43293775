"""Writes bundles of networks that paint faces, made of weights that somebody already has."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from realtime_dub.errors import ConfigError
from realtime_dub.inference import made_here
from realtime_dub.inference.bundle import SPEC, load
from realtime_dub.inference.spec import CropTaskSpec
from realtime_dub.mouth.painter.network import PainterNetwork
from realtime_dub.paths import WholeFile

MODEL = "network.onnx"
UNHASHED = "0" * 64  # in a spec until its network is written


def check_place(out: Path) -> None:
    """Raises ConfigError where ``out`` is no new or empty folder, nor one that an import has written."""
    if out.exists() and not (out.is_dir() and {each.name for each in out.iterdir()} <= {SPEC, MODEL}):
        raise ConfigError("cannot write a bundle into", f"{out}: there is something else", "name a new folder")


def write(out: Path, spec: CropTaskSpec, model: bytes, ours: bool) -> Path:
    """Write the bundle and run it once; returns ``out``. ``ours``: its graph was built here, of weights alone.

    ``spec``: its hash is put in. Raises BundleError where the network does not paint, MediaError where it cannot be
    written.
    """
    check_place(out)
    out.mkdir(parents=True, exist_ok=True)
    network = hashlib.sha256(model).hexdigest()
    WholeFile(out / MODEL).write(model)
    made = spec.model_copy(update={"model": MODEL, "sha256": {MODEL: network}, "version": network[:8]})
    WholeFile(out / SPEC).write((json.dumps(made.model_dump(mode="json"), indent=1) + "\n").encode())
    if ours:
        with suppress(OSError):  # it runs all the same, in a process of its own
            made_here.write(network)
    try:
        PainterNetwork(load(out), spec.engine)
    except BaseException:
        for name in (MODEL, SPEC):
            (out / name).unlink(missing_ok=True)
        raise
    return out
