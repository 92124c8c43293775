"""Builds engines with TensorRT's own interface, which TensorRT for RTX shares.

A network's numbers keep the width that the network gives them (strong typing: the only way since TensorRT 11).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from realtime_dub.errors import BundleError
from realtime_dub.inference import profiles
from realtime_dub.inference.contract import Progress
from realtime_dub.inference.spec import BundleSpec


def build(
    trt: Any, model: bytes, spec: BundleSpec, progress: Progress | None = None, timing: Path | None = None
) -> bytes:
    """The engine of the network ``model``; ``trt`` is the module ``tensorrt`` or ``tensorrt_rtx``.

    ``timing``: a file with what is known of how quick each way to compute a layer is; it is brought up to date.
    Raises BundleError, with the names of the layers, for what the library cannot build.
    """
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = _parsed(trt, builder, logger, model, spec.name)
    config = _configured(trt, builder, spec)
    if progress is not None:
        config.progress_monitor = _monitor(trt, progress)
    known = None if timing is None else _with_timing(config, timing)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise BundleError("cannot build an engine of", f"{spec.name}: {trt.__name__} gave none", "try another backend")
    if timing is not None and known is not None:
        _keep_timing(config, timing)
    return bytes(engine)


def unsupported(trt: Any, model: bytes, name: str) -> list[str]:
    """What the library says of each node that it cannot take, with the node's name; none where it takes all."""
    logger = trt.Logger(trt.Logger.ERROR)
    network = trt.Builder(logger).create_network(_flags(trt))
    parser = trt.OnnxParser(network, logger)
    parser.parse(model)
    return [_told(parser.get_error(place)) for place in range(parser.num_errors)]


def _parsed(trt: Any, builder: Any, logger: Any, model: bytes, name: str) -> Any:
    network = builder.create_network(_flags(trt))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        errors = "; ".join(_told(parser.get_error(place)) for place in range(parser.num_errors))
        raise BundleError("cannot build an engine of", f"{name}: {errors}", "try another backend")
    return network


def _flags(trt: Any) -> int:
    typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if typed is None else 1 << int(typed)


def _told(error: Any) -> str:
    named = getattr(error, "node_name", None)
    where = f"layer {named()} ({error.node_operator()})" if named is not None else f"layer {error.node()}"
    return f"{where}: {error.desc()}"


def _configured(trt: Any, builder: Any, spec: BundleSpec) -> Any:
    config = builder.create_builder_config()
    tf32 = getattr(trt.BuilderFlag, "TF32", None)
    if tf32 is not None:
        config.clear_flag(tf32)  # float32 is to have all its digits
    profile = builder.create_optimization_profile()
    for name, sizes in profiles.ranges(spec).items():
        profile.set_shape(name, *sizes)
    config.add_optimization_profile(profile)
    return config


def _monitor(trt: Any, progress: Progress) -> Any:
    """The share of the outermost phase's steps that are done."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.phase, self.steps = "", 1

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None:
                self.phase, self.steps = phase_name, max(num_steps, 1)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name == self.phase:
                progress(phase_name, min(step / self.steps, 1.0))
            return True

        def phase_finish(self, phase_name: str) -> None:
            pass

    return Monitor()


def _with_timing(config: Any, path: Path) -> Any:
    known = config.create_timing_cache(path.read_bytes() if path.is_file() else b"")
    config.set_timing_cache(known, ignore_mismatch=False)
    return known


def _keep_timing(config: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(bytes(config.get_timing_cache().serialize()))
    part.replace(path)
