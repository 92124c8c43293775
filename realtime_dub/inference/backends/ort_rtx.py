"""TensorRT for RTX as a plug-in of ONNX Runtime.

A network becomes an EP context file: one whose only node is an engine. It is compiled at the first start on a GPU and
kept, or was made by ``export-engine`` on a machine without one, for every GPU from Ampere on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime

from realtime_dub.imports import resolve
from realtime_dub.inference import profiles
from realtime_dub.inference.backends.ort import OnnxSession, session_options
from realtime_dub.inference.backends.tensorrt import spec_of, wanted
from realtime_dub.inference.contract import Opening, Progress
from realtime_dub.inference.engine_cache import EngineCache, Surroundings, Wanted, surroundings
from realtime_dub.inference.spec import BundleSpec

EP = "tensorrt-rtx-ep"
PLUGIN = "onnxruntime_ep_nv_tensorrt_rtx"
PLUGIN_EP = "NvTensorRTRTXExecutionProvider"  # as the plug-in's get_ep_name() says; it is written into its files
CONTEXT = "context.onnx"  # a network whose nodes are an engine


def open_rtx_provider(model: bytes, opening: Opening) -> OnnxSession:
    """Raises RuntimeError where the plug-in finds no GPU for it."""
    number = int(opening.device or 0)
    device, spec = _device(number), spec_of(opening)
    cache, asked = EngineCache(opening.cache), wanted(EP, model, opening)
    kernels = cache.root / "kernels" / asked.folder  # grows as the GPU meets new sizes, so it is no entry
    kernels.mkdir(parents=True, exist_ok=True)

    def with_device() -> onnxruntime.SessionOptions:
        options = session_options()
        options.add_provider_for_devices([device], _options(spec, kernels))
        return options

    def compile_into(folder: Path) -> None:
        compiler = onnxruntime.ModelCompiler(with_device(), model, embed_compiled_data_into_model=True)
        compiler.compile_to_file(str(folder / CONTEXT))

    folder = kept(cache, asked, surroundings(EP, opening.device), compile_into, opening.progress)
    return OnnxSession((folder / CONTEXT).read_bytes(), EP, ("cuda", number), options=with_device())


def kept(
    cache: EngineCache,
    asked: Wanted,
    here: Surroundings,
    make: Callable[[Path], None],
    progress: Progress | None = None,
) -> Path:
    """The entry that runs on any GPU, where one was made; else that of this GPU, by ``make`` if it has to be."""
    return cache.find(asked, anywhere()).folder or cache.get(asked, here, make, progress)


def anywhere() -> Surroundings:
    """Where an engine for all GPUs from Ampere on can run: with these versions of the libraries."""
    return surroundings(EP, any_gpu=True)


def _options(spec: BundleSpec, kernels: Path) -> dict[str, str]:
    return {"enable_cuda_graph": "0", "nv_runtime_cache_path": str(kernels), **profiles.options(spec, "nv")}


@functools.cache
def _library() -> str:
    """The plug-in's name, once it is registered: for as long as the process lives."""
    name: str = resolve(f"{PLUGIN}:get_ep_name")()
    onnxruntime.register_execution_provider_library(name, resolve(f"{PLUGIN}:get_library_path")())
    return name


def _device(number: int) -> Any:
    name = _library()
    found = [device for device in onnxruntime.get_ep_devices() if device.ep_name == name]
    by_number = {int(device.ep_options.get("device_id", place)): device for place, device in enumerate(found)}
    if number not in by_number:
        raise RuntimeError("there is no GPU that TensorRT for RTX can use")
    return by_number[number]
