"""ONNX Runtime's providers for NVIDIA's GPUs that are built into it: CUDA and TensorRT.

What TensorRT builds for a network is kept (``inference/engine_cache.py``) together with an EP context file, a network
whose nodes are engines: later starts open that, and parse and compile nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime

from realtime_dub.imports import resolve
from realtime_dub.inference import libraries, profiles
from realtime_dub.inference.backends.ort import CPU, OnnxSession
from realtime_dub.inference.backends.ort_graphs import GraphSession
from realtime_dub.inference.backends.ort_rtx import CONTEXT
from realtime_dub.inference.backends.tensorrt import spec_of, wanted
from realtime_dub.inference.contract import Opening
from realtime_dub.inference.engine_cache import EngineCache, surroundings
from realtime_dub.inference.spec import BundleSpec

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"


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
    timing, device = cache.root / "timing", ("cuda", number)
    timing.mkdir(parents=True, exist_ok=True)
    made: list[OnnxSession] = []

    def make(at: Path) -> None:
        made.append(OnnxSession(model, "tensorrt-ep", device, providers=providers(number, building(at, timing, spec))))

    folder = cache.get(asked, surroundings("tensorrt-ep", opening.device), make, opening.progress)
    if made:
        return _on(TENSORRT, made[0])
    # By its path: the node names the engine's file beside it.
    return _on(TENSORRT, OnnxSession(folder / CONTEXT, "tensorrt-ep", device, providers=providers(number, {})))


def building(folder: Path, timing: Path, spec: BundleSpec) -> dict[str, str]:
    """The provider's options that make it write its engines and the EP context file ``CONTEXT`` into ``folder``.

    The engines' own path is left out: beside an EP context file it has to be relative to that. An absolute one would be
    written into the file, and refused when it is read. Numbers narrower than float32 are the network's own business, so
    no switch of the provider's is set for them.
    """
    return {
        "trt_engine_cache_enable": "1",
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(timing),
        "trt_dump_ep_context_model": "1",
        "trt_ep_context_file_path": str(folder / CONTEXT),
        **profiles.options(spec, "trt"),
    }


def providers(number: int, options: dict[str, str]) -> list[Any]:
    """TensorRT's, then what takes over what it does not."""
    here = {"device_id": str(number)}
    return [(TENSORRT, {**here, "trt_cuda_graph_enable": "1", **options}), (CUDA, here), CPU]


def _need(provider: str) -> None:
    if provider not in onnxruntime.get_available_providers():
        what = provider.removesuffix("ExecutionProvider")
        raise RuntimeError(f"ONNX Runtime is installed without {what} ({libraries.NEEDS['cuda'].install})")


def _on(provider: str, session: OnnxSession) -> OnnxSession:
    if provider not in session.providers:
        raise RuntimeError("there is no GPU that it can use")
    return session
