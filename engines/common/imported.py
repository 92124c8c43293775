"""Writes bundles made of weights that somebody already has, and runs each once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from realtime_dub.errors import BundleError, ConfigError, DependencyError
from realtime_dub.inference import made_here
from realtime_dub.inference.bundle import MOST_FILE, SPEC
from realtime_dub.inference.sandbox.session import SandboxSession
from realtime_dub.inference.spec import BundleSpec
from realtime_dub.paths import WholeFile, read_plain, reason


def check_place(out: Path, model: str) -> None:
    """Raises ConfigError where ``out`` is no new or empty folder, nor one that an import has written.

    ``model``: the network's file in it.
    """
    if out.exists() and not (out.is_dir() and {each.name for each in out.iterdir()} <= {SPEC, model}):
        raise ConfigError("cannot write a bundle into", f"{out}: there is something else", "name a new folder")


def graph_of(room: str) -> Any:
    """The module that builds the graph of the engine in folder ``room``. Raises DependencyError without its library."""
    try:
        return import_module(f"engines.{room}.graph")
    except ImportError as error:
        do = 'run: pip install "realtime-dub[export]"'
        raise DependencyError("cannot build the network without", error.name or str(error), do) from error


def write(out: Path, spec: BundleSpec, model: bytes, trial: Callable[[], object], ours: bool) -> Path:
    """Write the bundle and run it once with ``trial``; returns ``out``. ``ours``: its graph was built here, of weights
    alone.

    ``spec``: its hash is put in, and becomes its version. Raises BundleError where the network is not what the spec
    says, MediaError where it cannot be written.
    """
    check_place(out, spec.model)
    out.mkdir(parents=True, exist_ok=True)
    network = hashlib.sha256(model).hexdigest()
    WholeFile(out / spec.model).write(model)
    made = spec.model_copy(update={"sha256": {spec.model: network}, "version": network[:8]})
    WholeFile(out / SPEC).write((json.dumps(made.model_dump(mode="json"), indent=1) + "\n").encode())
    if ours:
        with suppress(OSError):  # it runs all the same, in a process of its own
            made_here.write(network)
    try:
        trial()
    except BaseException:
        for name in (spec.model, SPEC):
            (out / name).unlink(missing_ok=True)
        raise
    return out


def opened_apart(path: Path) -> tuple[bytes, SandboxSession]:
    """A graph of others: its bytes, and what its tensors are, which a process of its own said. Raises BundleError."""
    try:
        model = read_plain(path, MOST_FILE)
    except (OSError, ValueError) as error:
        raise BundleError("cannot read", f"{path}: {reason(error)}", "choose an .onnx file") from error
    session = SandboxSession(model, path.name)
    session.close()
    return model, session
