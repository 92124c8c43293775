"""The backend ``torch-tensorrt``: the trained net itself, compiled by Torch-TensorRT and saved as a program.

It is found by an entry point, as another package's is: ``realtime_dub`` knows nothing of PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from export.torch_session import TorchSession
from realtime_dub.errors import BundleError
from realtime_dub.inference import profiles
from realtime_dub.inference.backends.tensorrt import spec_of, wanted
from realtime_dub.inference.contract import Opening
from realtime_dub.inference.engine_cache import EngineCache, surroundings

BACKEND = "torch-tensorrt"
PROGRAM = "program.ep"


def open_program(model: bytes, opening: Opening) -> TorchSession:
    """Raises BundleError where it was not compiled yet: that takes the trained net, which a bundle's file is not."""
    library, spec = _library(), spec_of(opening)
    device = f"cuda:{int(opening.device or 0)}"
    found = EngineCache(opening.cache).find(wanted(BACKEND, model, opening), surroundings(BACKEND, opening.device))
    if found.folder is None:
        do = f"run: export-engine {spec.engine} --backend {BACKEND}"
        raise BundleError(f"cannot run on {BACKEND}", f"{opening.name}: {found.why}", do)
    program = library.load(str(found.folder / PROGRAM)).module()
    if spec.states:  # sizes of a call differ, and a graph is recorded for each
        return TorchSession(program, spec, BACKEND, device)
    return TorchSession(library.runtime.enable_cudagraphs(program).__enter__(), spec, BACKEND, device)


def compile_program(net: torch.nn.Module, model: bytes, opening: Opening) -> Path:
    """The folder with the program of ``net``, which is the trained net of the network ``model``. Raises BundleError."""
    if opening.precision == "int8":
        raise BundleError(f"cannot compile for {BACKEND}", f"{opening.name} in int8", "use fp16, or another backend")
    library, spec = _library(), spec_of(opening)
    cache, device = EngineCache(opening.cache), f"cuda:{int(opening.device or 0)}"

    def make(folder: Path) -> None:
        inputs = [_input(library, each) for each in profiles.ranges(spec).values()]
        kept = import_module("torch_tensorrt.dynamo._engine_cache")
        made = library.compile(
            net.eval().to(device),
            ir="dynamo",
            arg_inputs=inputs,
            use_explicit_typing=True,
            enable_autocast=opening.precision == "fp16",
            autocast_low_precision_type=torch.float16 if opening.precision == "fp16" else None,
            device=library.Device(device),
            disable_tf32=True,
            cache_built_engines=True,
            reuse_cached_engines=True,
            engine_cache=kept.DiskEngineCache(engine_cache_dir=str(cache.root / "torch"), engine_cache_size=1 << 30),
        )
        examples = [torch.zeros(each.usual, device=device) for each in profiles.ranges(spec).values()]
        library.save(made, str(folder / PROGRAM), output_format="exported_program", arg_inputs=examples)

    return cache.get(wanted(BACKEND, model, opening), surroundings(BACKEND, opening.device), make, opening.progress)


def _input(library: Any, sizes: profiles.Range) -> Any:
    if sizes.least == sizes.most:
        return library.Input(shape=sizes.usual, dtype=torch.float32)
    return library.Input(min_shape=sizes.least, opt_shape=sizes.usual, max_shape=sizes.most, dtype=torch.float32)


def _library() -> Any:
    return import_module("torch_tensorrt")
