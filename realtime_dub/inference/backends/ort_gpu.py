"""ONNX Runtime's providers for NVIDIA's GPUs: CUDA, TensorRT, and TensorRT for RTX, which is a plug-in.

What TensorRT builds for a network is kept (``inference/engine_cache.py``), so that only the first start takes its time.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import onnxruntime

from realtime_dub.imports import resolve
from realtime_dub.inference import libraries, profiles
from realtime_dub.inference.backends.ort import CPU, OnnxSession, session_options
from realtime_dub.inference.backends.ort_graphs import GraphSession
from realtime_dub.inference.backends.tensorrt import spec_of, wanted
from realtime_dub.inference.contract import Opening
from realtime_dub.inference.engine_cache import EngineCache, surroundings
from realtime_dub.inference.spec import BundleSpec

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
CONTEXT = "context.onnx"  # a network whose nodes are an engine


def open_on_cuda(model: bytes, opening: Opening) -> OnnxSession:
    """Raises RuntimeError where ONNX Runtime has no CUDA, or the machine no GPU.

    Where every node runs on the GPU, calls are replayed from CUDA graphs; else each is launched by itself.
    """
    _need(CUDA)
    number = int(opening.device or 0)
    options = {"device_id": str(number), "cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
    try:
        session: OnnxSession = GraphSession(model, "cuda", number, [(CUDA, {**options, "enable_cuda_graph": "1"})])
    except Exception:  # a node that only the processor can run; the library has its own tree
        session = OnnxSession(model, "cuda", ("cuda", number), providers=[(CUDA, options), CPU])
    return _on(CUDA, session)


def open_tensorrt_provider(model: bytes, opening: Opening) -> OnnxSession:
    """Raises RuntimeError where ONNX Runtime has no TensorRT, or the machine no GPU."""
    resolve("tensorrt:__version__")  # loads the libraries that the provider is linked to
    _need(TENSORRT)
    spec, number = spec_of(opening), int(opening.device or 0)
    cache, asked = EngineCache(opening.cache), wanted("tensorrt-ep", model, opening)
    made: list[OnnxSession] = []

    def opened(folder: Path) -> OnnxSession:
        providers = _tensorrt(folder, cache.root / "timing", spec, number)
        return OnnxSession(model, "tensorrt-ep", ("cuda", number), providers=providers)

    here = surroundings("tensorrt-ep", opening.device)
    folder = cache.get(asked, here, lambda at: made.append(opened(at)), opening.progress)
    return _on(TENSORRT, made[0] if made else opened(folder))


def open_rtx_provider(model: bytes, opening: Opening) -> OnnxSession:
    """Raises RuntimeError where the plug-in finds no GPU for it."""
    number = int(opening.device or 0)
    device = _rtx_device(number)
    cache, asked = EngineCache(opening.cache), wanted("tensorrt-rtx-ep", model, opening)
    here, spec = surroundings("tensorrt-rtx-ep", opening.device), spec_of(opening)

    kernels = cache.root / "kernels" / asked.folder  # grows as the GPU meets new sizes, so it is no entry
    kernels.mkdir(parents=True, exist_ok=True)

    def compile_into(folder: Path) -> None:
        options = session_options()
        options.add_provider_for_devices([device], _rtx_options(spec, kernels))
        compiler = onnxruntime.ModelCompiler(options, model, embed_compiled_data_into_model=True)
        compiler.compile_to_file(str(folder / CONTEXT))

    folder = cache.get(asked, here, compile_into, opening.progress)
    options = session_options()
    options.add_provider_for_devices([device], _rtx_options(spec, kernels))
    return OnnxSession((folder / CONTEXT).read_bytes(), "tensorrt-rtx-ep", ("cuda", number), options=options)


def _tensorrt(folder: Path, timing: Path, spec: BundleSpec, number: int) -> list[Any]:
    """Numbers narrower than float32 are the network's own business, so no switch of the provider's is set for them."""
    timing.mkdir(parents=True, exist_ok=True)
    kept = {
        "device_id": str(number),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(timing),
        "trt_cuda_graph_enable": "1",
        "trt_dump_ep_context_model": "1",
        "trt_ep_context_file_path": str(folder / CONTEXT),
        **profiles.options(spec, "trt"),
    }
    return [(TENSORRT, kept), (CUDA, {"device_id": str(number)}), CPU]


def _rtx_options(spec: BundleSpec, kernels: Path) -> dict[str, str]:
    return {"enable_cuda_graph": "0", "nv_runtime_cache_path": str(kernels), **profiles.options(spec, "nv")}


@functools.cache
def _rtx_library() -> str:
    """The plug-in's name, once it is registered: for as long as the process lives."""
    name: str = resolve("onnxruntime_ep_nv_tensorrt_rtx:get_ep_name")()
    onnxruntime.register_execution_provider_library(name, resolve("onnxruntime_ep_nv_tensorrt_rtx:get_library_path")())
    return name


def _rtx_device(number: int) -> Any:
    name = _rtx_library()
    found = [device for device in onnxruntime.get_ep_devices() if device.ep_name == name]
    by_number = {int(device.ep_options.get("device_id", place)): device for place, device in enumerate(found)}
    if number not in by_number:
        raise RuntimeError("there is no GPU that TensorRT for RTX can use")
    return by_number[number]


def _need(provider: str) -> None:
    if provider not in onnxruntime.get_available_providers():
        what = provider.removesuffix("ExecutionProvider")
        raise RuntimeError(f"ONNX Runtime is installed without {what} ({libraries.NEEDS['cuda'].install})")


def _on(provider: str, session: OnnxSession) -> OnnxSession:
    if provider not in session.providers:
        raise RuntimeError("there is no GPU that it can use")
    return session
